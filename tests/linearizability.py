"""Whether some order, one operation after another, explains what concurrent clients saw.

The question is Wing and Gong's ("Testing and verifying concurrent objects", 1993), the way to
answer it Lowe's just-in-time linearization ("Testing for linearizability", 2017): walk through
the beginnings and ends of the operations in time, and keep every configuration that explains all
so far. A configuration is a state of the object and which of the operations under way have taken
effect; each is kept once, however many orders lead to it. Nothing takes effect before it must:
at the end of an operation, some of those under way do, and then it.

Knows nothing of what the operations do: a `Model` does.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

__all__ = ["UNKNOWN", "Model", "NotLinearizable", "Operation", "TooConcurrent", "linearize"]

S = TypeVar("S", bound=Hashable)

# Far more than a history with a handful of clients needs; a bound on memory, not on time.
CONFIGURATIONS_MAX = 200_000

_SHOWN_MAX = 8


class _Unknown(Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""The outcome of an operation whose answer never came: it took effect once, or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as its client saw it; times are of one monotonic clock."""

    call: Any
    outcome: Any
    invoked_ns: float
    # Of an unknown outcome: the last moment at which it can have taken effect.
    returned_ns: float = math.inf

    def __str__(self) -> str:
        outcome = "unknown" if self.outcome is UNKNOWN else self.outcome
        return f"{self.call} -> {outcome} [{self.invoked_ns} .. {self.returned_ns}]"


class Model(Protocol[S]):
    """A sequential object. States are immutable and hashable."""

    def step(self, state: S, operation: Operation) -> S | None:
        """Return the state after an operation; None if it cannot have its outcome in `state`.

        Of an unknown outcome: None as well when it would change nothing, which is the same as
        never having taken effect.
        """

    def is_read(self, operation: Operation) -> bool:
        """Return whether an operation, with the outcome it had, leaves every state as it is."""


class NotLinearizable(AssertionError):
    """No order explains the outcome of `operation`."""

    def __init__(
        self, operation: Operation, states: Iterable[Hashable], under_way: Sequence[Operation]
    ) -> None:
        super().__init__(operation)
        self.operation = operation
        self.states = sorted(set(map(str, states)))
        self.under_way = under_way

    def __str__(self) -> str:
        lines = [f"no order explains {self.operation}", "what was there before, one of:"]
        lines += [f"  {state}" for state in self.states[:_SHOWN_MAX]]
        lines += ["under way meanwhile, in effect or not:"]
        lines += [f"  {operation}" for operation in self.under_way[:_SHOWN_MAX]]
        return "\n".join(lines)


class TooConcurrent(AssertionError):
    """More configurations than are worth their memory: let fewer clients share an object."""


def linearize(
    model: Model[S],
    states: Iterable[S],
    operations: Iterable[Operation],
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> frozenset[S]:
    """Return every state that a history may leave, begun in one of `states`.

    What is returned may begin the next history, if all of this one is over before it.
    Raises NotLinearizable, naming the first operation, by the time of its end, that no order
    explains, and TooConcurrent.
    """
    walk = _Walk(model, states, configurations_max)
    for _time, is_end, number, operation in _events(model, operations):
        if is_end:
            walk.end(number)
        else:
            walk.begin(number, operation)
    return walk.states()


def _events(
    model: Model[S], operations: Iterable[Operation]
) -> list[tuple[float, bool, int, Operation]]:
    """Return beginnings and ends in time; at one instant what begins comes before what ends."""
    events: list[tuple[float, bool, int, Operation]] = []
    for number, operation in enumerate(operations):
        if operation.outcome is UNKNOWN and model.is_read(operation):
            continue
        events.append((operation.invoked_ns, False, number, operation))
        events.append((operation.returned_ns, True, number, operation))
    return sorted(events, key=lambda event: event[:3])


class _Walk(Generic[S]):
    """The configurations at one moment."""

    def __init__(self, model: Model[S], states: Iterable[S], configurations_max: int) -> None:
        self._model = model
        self._configurations_max = configurations_max
        # In `done`, each operation under way that has taken effect has its bit.
        self._configurations: set[tuple[S, int]] = {(state, 0) for state in states}
        self._bits: dict[int, int] = {}
        # Under way, by their bits.
        self._reads: dict[int, Operation] = {}
        self._writes: dict[int, Operation] = {}

    def states(self) -> frozenset[S]:
        """Return the states of all configurations."""
        return frozenset(state for state, _done in self._configurations)

    def begin(self, number: int, operation: Operation) -> None:
        """Let an operation be under way."""
        bit = 1
        while bit in self._reads or bit in self._writes:
            bit <<= 1
        self._bits[number] = bit
        if self._model.is_read(operation):
            self._reads[bit] = operation
            self._configurations = {self._absorb(*one) for one in self._configurations}
        else:
            self._writes[bit] = operation

    def end(self, number: int) -> None:
        """Keep the configurations in which an operation has taken effect, or never will."""
        bit = self._bits.pop(number)
        operation = self._reads.get(bit) or self._writes[bit]
        found = {one for one in self._configurations if one[1] & bit}
        without = self._configurations - found
        found |= self._reach(bit, without)
        if operation.outcome is UNKNOWN:
            found |= without
        if not found:
            under_way = [one for one in self._under_way() if one is not operation]
            raise NotLinearizable(operation, self.states(), under_way)
        self._reads.pop(bit, None)
        self._writes.pop(bit, None)
        self._configurations = {(state, done & ~bit) for state, done in found}

    def _under_way(self) -> list[Operation]:
        return [*self._writes.values(), *self._reads.values()]

    def _absorb(self, state: S, done: int) -> tuple[S, int]:
        """Let every read under way that fits the state take effect.

        It changes nothing, so an order in which it comes later goes as well with it here.
        """
        for bit, read in self._reads.items():
            if not done & bit and self._model.step(state, read) is not None:
                done |= bit
        return state, done

    def _reach(self, bit: int, starts: set[tuple[S, int]]) -> set[tuple[S, int]]:
        """Let writes under way take effect, in every order, until the operation of `bit` has."""
        found: set[tuple[S, int]] = set()
        seen = set(starts)
        ahead = list(starts)
        while ahead:
            state, done = ahead.pop()
            for other, write in self._writes.items():
                after = None if done & other else self._model.step(state, write)
                if after is None:
                    continue
                configuration = self._absorb(after, done | other)
                if configuration[1] & bit:
                    found.add(configuration)
                elif configuration not in seen:
                    seen.add(configuration)
                    ahead.append(configuration)
            if len(seen) > self._configurations_max:
                raise TooConcurrent(f"{len(seen)} configurations: let fewer clients share this")
        return found
