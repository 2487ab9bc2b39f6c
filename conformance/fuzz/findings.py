"""What a run has found: figures, and each difference as a script that can be replayed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.fuzz.episode import Differs
from conformance.fuzz.operation import Operation
from conformance.fuzz.script import format_operation, format_script
from conformance.suite.wire import Answer


@dataclass(frozen=True)
class Difference:
    """One difference that no rule explains, with the operations that lead to it."""

    why: str
    operations: tuple[Operation, ...]
    # The request that the answers are to; not always the last operation.
    request: str
    oracle: str
    store: str
    # Whether it came again when its operations were replayed.
    came_again: bool = False
    # Whether it is the end: a store is gone.
    is_end: bool = False

    @classmethod
    def of(cls, differs: Differs, operations: Sequence[Operation]) -> "Difference":
        """Return the difference that was met at the end of these operations."""
        return cls(
            differs.why,
            tuple(operations),
            format_operation(differs.call),
            _shown(differs.theirs),
            _shown(differs.ours),
        )

    @classmethod
    def end(cls, error: OSError, operations: Sequence[Operation], number: int) -> "Difference":
        """Return the difference between two stores of which one has gone away."""
        why = f"a store is gone, somewhere in these operations or before (episode {number})"
        return cls(why, tuple(operations), "any", str(error), str(error), is_end=True)

    def script(self) -> str:
        """Return it as a script: comments that tell what differed, then the operations."""
        lines = [self.why, f"request: {self.request}"]
        lines += [f"oracle: {line}" for line in self.oracle.splitlines()]
        lines += [f"store:  {line}" for line in self.store.splitlines()]
        if not self.came_again:
            lines.append("did not come again when it was replayed")
        return "".join(f"# {line}\n" for line in lines) + format_script(self.operations)


def _shown(answer: Answer | None) -> str:
    return "no answer: still waiting" if answer is None else str(answer)


@dataclass
class Findings:
    """The figures of a run, and what differed."""

    seed: int
    operations: int = 0
    requests: int = 0
    episodes: int = 0
    # Episodes that took too long to be played to their end.
    cut_short: int = 0
    seconds: float = 0.0
    rules: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    # How often a difference came that leads to a script already among `differences`.
    repeated: int = 0

    @property
    def lost(self) -> bool:
        """Whether a store went away."""
        return any(each.is_end for each in self.differences)

    @property
    def agree(self) -> bool:
        """Whether nothing differed that no rule explains."""
        return not self.differences

    def summary(self) -> str:
        """Return the figures as a few lines of text."""
        rate = self.operations / self.seconds if self.seconds else 0.0
        drawn = f"{self.operations:,} operations in {self.episodes:,} episodes, seed {self.seed}"
        sent = f"{self.requests:,} requests to each store in {self.seconds:,.0f} s"
        used = ", ".join(f"{rule} {count:,}" for rule, count in sorted(self.rules.items()))
        met = ", ".join(f"{status} {count:,}" for status, count in sorted(self.statuses.items()))
        lines = [
            f"{drawn}: {len(self.differences)} differences",
            f"{sent} ({rate:,.0f} operations/s)",
            f"answers: {met or 'none'}",
            f"rules needed: {used or 'none'}",
        ]
        if self.cut_short:
            lines.append(f"{self.cut_short} episodes took too long and were cut short")
        if self.repeated:
            lines.append(f"{self.repeated} more differences were of the kinds shown")
        return "\n".join(lines)

    def text(self) -> str:
        """Return the figures and all differences."""
        return "\n\n".join([self.summary(), *(each.script() for each in self.differences)])
