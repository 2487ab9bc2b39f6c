"""Many containers at once over both engines, and whether each reaches each.

The verbs of the scenarios that are about numbers.
"""

from dataclasses import dataclass

from conformance.overlay import image
from conformance.overlay.engine import Engine
from conformance.overlay.errors import Mismatch
from conformance.overlay.lab import Lab
from conformance.overlay.together import together
from conformance.overlay.waiting import expect, wait_until

_START_S = 120.0
_MESH_S = 120.0


@dataclass(frozen=True, slots=True)
class Member:
    """One container of a crowd. `error` is what docker said when it did not start."""

    name: str
    engine: Engine
    error: str = ""


def start(lab: Lab, network: str, size: int, *, first: int = 0) -> list[Member]:
    """Start `size` containers at once, half of them on each engine; failures are in the members.

    They are numbered from `first`.
    """

    def one(number: int) -> Member:
        engine = lab.engines[number % 2]
        name = f"{network}{number}"
        options = ["--detach", "--name", name, "--network", network, "--stop-signal", "KILL"]
        try:
            done = engine.client("run", *options, image.NAME, *image.WEB, timeout_s=_START_S)
        except Mismatch as late:
            return Member(name, engine, str(late))
        return Member(name, engine, done.stderr.strip() if done.returncode else "")

    return together(*(lambda number=number: one(number) for number in range(first, first + size)))


def started(members: list[Member]) -> list[Member]:
    """Return the members, all of which must have started."""
    failed = [f"{one.name} on {one.engine.name}: {one.error}" for one in members if one.error]
    expect(that=not failed, what=f"{len(members)} containers started", seen="; ".join(failed))
    return members


def check_addresses(lab: Lab, members: list[Member], network: str) -> None:
    """Expect an address of its own for every member."""
    found = together(
        *(lambda one=one: lab.address(one.engine, one.name, network) for one in members)
    )
    distinct = len(set(found) - {""})
    expect(that=distinct == len(members), what=f"{len(members)} distinct addresses", seen=found)


def wait_mesh(members: list[Member], timeout_s: float = _MESH_S) -> None:
    """Wait until every member gets the page of every other one by its name."""
    names = " ".join(one.name for one in members)
    script = (
        f"for name in {names}; do timeout 5 wget -q -O /dev/null http://$name/ || echo $name; done"
    )

    def unreached(member: Member) -> str:
        """Return the names this member does not reach, after asking for all of them."""
        missing = member.engine.docker("exec", member.name, "sh", "-c", script, timeout_s=_MESH_S)
        return f"{member.name} on {member.engine.name} misses {missing.split()}" if missing else ""

    waiting = list(members)

    def complete() -> bool:
        missing = [text for text in together(*(lambda m=m: unreached(m) for m in waiting)) if text]
        waiting[:] = [one for one in waiting if any(t.startswith(f"{one.name} ") for t in missing)]
        if missing:
            raise Mismatch("; ".join(missing))
        return True

    wait_until(complete, timeout_s, f"each of {len(members)} containers reaches each by name")
