"""What a scenario is, how a chapter collects them, and what a real Consul is known to miss.

The functions themselves are in `scenarios/`, one file per chapter.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.overlay.lab import Lab

Run = Callable[["Lab"], None]

# Expectations that our store meets and a real Consul 1.8.7 does not, by scenario id.
# If you add one: say why in conformance/NOTES.md too.
CONSUL_DIFFERS = {
    "A9": "Consul ignores a CAS that changes nothing, so no engine wakes to read the new name",
    "C4": "Consul refuses every CAS on a lost key, so `network create` loops for minutes",
    "F4": "Consul redirects `//` (301), Go turns the PUT into a GET, and the write is lost",
    "F5": "Consul refuses session TTLs under 10 s, so such an engine never registers",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of the lab."""

    id: str
    title: str
    run: Run
    # Part of `--quick`.
    quick: bool = False
    # Leaves engines, store or records in a state that the next scenario must not see.
    wrecks: bool = False
    # Kinds of findings that a correct store has afterwards too, because engines make them.
    tolerates: frozenset[str] = frozenset()

    @property
    def promise(self) -> str:
        """What is expected and where that is from: the docstring of its function."""
        return (self.run.__doc__ or "").strip()


class Chapter:
    """The scenarios of one file, in the order they are written."""

    def __init__(self) -> None:
        self._scenarios: list[Scenario] = []

    def scenario(
        self,
        scenario_id: str,
        title: str,
        *,
        quick: bool = False,
        wrecks: bool = False,
        tolerates: Iterable[str] = (),
    ) -> Callable[[Run], Run]:
        """Add the decorated function to the chapter."""

        def add(run: Run) -> Run:
            made = Scenario(
                id=scenario_id,
                title=title,
                run=run,
                quick=quick,
                wrecks=wrecks,
                tolerates=frozenset(tolerates),
            )
            self._scenarios.append(made)
            return run

        return add

    def __iter__(self) -> Iterator[Scenario]:
        return iter(self._scenarios)


def select(
    scenarios: Iterable[Scenario], ids: Iterable[str] | None, *, quick: bool
) -> list[Scenario]:
    """Return the wanted scenarios in running order; `ids` None means all (or all quick ones).

    Raises KeyError for an id that does not exist.
    """
    known = {one.id: one for one in scenarios}
    if ids is None:
        return [one for one in known.values() if one.quick or not quick]
    wanted = {name.strip().upper() for name in ids}
    unknown = wanted - set(known)
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    return [one for one in known.values() if one.id in wanted]
