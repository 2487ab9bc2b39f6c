"""What a start after a crash must find, and what is wrong with what it finds."""

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

from journal.batches import Batch
from journal.fake_disk import FakeDisk, Image

from kvstore.errors import KVStoreError
from kvstore.state.command import SetKey
from kvstore.state.store import State

from .life import Life, start

__all__ = ["Judge", "Values", "values"]

# A whole store, comparable.
Values = tuple[object, ...]

# Of every so many distinct states, one is started from again and again.
_ONE_IN = 40


def values(state: State) -> Values:
    """Return all that a store holds."""
    image = state.image()
    return (image.facts, image.sessions, image.tombstones, list(image.entries))


class Truth:
    """The stores after each batch, from the commands alone."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        state = State()
        # How many batches end at an index, and what the store holds then.
        self.by_index = {0: (0, values(state))}
        for count, batch in enumerate(batches, 1):
            for command in batch:
                state.apply(state.last_index + 1, command)
            self.by_index[state.last_index] = count, values(state)

    def batches_in(self, state: State) -> int | str:
        """Return how many batches a store has, or say what is wrong with it."""
        if state.last_index not in self.by_index:
            return f"half a batch, or one never written: it ends at {state.last_index}"
        count, expected = self.by_index[state.last_index]
        return count if values(state) == expected else f"other data after {count} batches"


class Judge:
    """Goes through the states that crashes may leave, and says what is wrong.

    A promise that a mutant's disk breaks, it breaks after the crash too.
    """

    def __init__(
        self,
        life: Life,
        chance: Random,
        *,
        seen: set[int] | None = None,
        disk_class: type[FakeDisk] = FakeDisk,
    ) -> None:
        self._life = life
        self._truth = Truth(life.plan.batches)
        self._chance = chance
        self._disk_class = disk_class
        # Every distinct state so far, of all lives.
        self.seen: set[int] = set() if seen is None else seen
        self._found: dict[int, int | str] = {}

    def complaints(self, *, chosen: int) -> Iterator[str]:
        """Start from every state of every moment.

        What was acknowledged must be there, in whole batches, nothing else may be, and the start
        must not refuse. `chosen` is how many mixtures of lost pages are tried at each moment.
        """
        for moment in self._life.moments:
            states = chain([moment.disk.image()], moment.disk.weak_images(self._chance, chosen))
            for image in states:
                found = self._batches_after(image)
                if isinstance(found, str):
                    yield f"after {moment.after}: {found}"
                elif not moment.lasting <= found <= moment.submitted:
                    yield (
                        f"after {moment.after}: {found} batches came back, "
                        f"lasting {moment.lasting}, submitted {moment.submitted}"
                    )

    def _batches_after(self, image: Image) -> int | str:
        # A start looks at no byte of an unfinished snapshot: what is in it makes no other state.
        key = hash(
            tuple(
                (name, b"" if name.endswith(".unfinished") else image[name])
                for name in sorted(image)
            )
        )
        if key not in self._found:
            self.seen.add(key)
            self._found[key] = self._start(self._disk_class(image))
            if len(self._found) % _ONE_IN == 0 and isinstance(self._found[key], int):
                self._found[key] = self._start_again(image, self._found[key])
        return self._found[key]

    def _start(self, disk: FakeDisk) -> int | str:
        try:
            return self._truth.batches_in(start(self._life.open(disk)))
        except KVStoreError as error:
            return f"the start refused: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
            return f"the start failed: {error!r}"

    def _start_again(self, image: Image, found: int | str) -> int | str:
        """Lose the power during each call of the start; nothing of the first find may be lost."""
        forks: list[FakeDisk] = []
        disk = self._disk_class(image, after_call=lambda _: forks.append(disk.fork()))
        self._start(disk)
        for fork in forks:
            for left in fork.weak_images(self._chance, 1):
                again = self._start(self._disk_class(left))
                if again != found:
                    return f"a second crash, in the start: first {found}, then {again}"
        return found

    def complaints_of_kills(self) -> Iterator[str]:
        """Kill the process at every moment, start, then lose the power.

        What the start has shown to readers must be there after the loss.
        """
        for moment in self._life.moments:
            disk = moment.disk.fork()
            found = self._start(disk)
            for left in disk.weak_images(self._chance, 2):
                again = self._start(self._disk_class(left))
                if again != found or isinstance(found, str):
                    yield f"killed after {moment.after}: a start found {found}, the next {again}"
                    break

    async def complaints_of_going_on(self) -> list[str]:
        """Start from torn states of each moment, append, lose the power again.

        The indexes go on, and both what was found and what was appended is there.
        """
        complaints = []
        for moment in self._life.moments:
            states = list(moment.disk.weak_images(self._chance, 2))
            for image in self._chance.sample(states, min(len(states), 3)):
                complaint = await self._go_on(image)
                if complaint:
                    complaints.append(f"going on after {moment.after}: {complaint}")
        return complaints

    async def _go_on(self, image: Image) -> str | None:
        disk = self._disk_class(image)
        try:
            journal = self._life.open(disk)
            state = start(journal)
            for number in range(2):
                command = SetKey(b"after", b"%d" % number, 0)
                index = await journal.append([command], 1)
                if index != state.last_index + 1:
                    return f"index {index} came after {state.last_index}"
                state.apply(index, command)
            lefts = list(disk.weak_images(self._chance, 1))
            await journal.close()
            for left in (*lefts, disk.image()):
                again = start(self._life.open(self._disk_class(left)))
                if values(again) != values(state):
                    return f"found {again.last_index}, expected {state.last_index}"
        except KVStoreError as error:
            return f"refused: {error}"
        return None

    async def everything(self, *, chosen: int = 4) -> str | None:
        """Return the first complaint of all kinds; None when nothing is wrong."""
        of_crashes = chain(self.complaints(chosen=chosen), self.complaints_of_kills())
        first = next(of_crashes, None)
        return first or next(iter(await self.complaints_of_going_on()), None)
