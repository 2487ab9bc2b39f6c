"""The chapter about Swarm: a store that keeps the contract passes, and none that does not."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import swarm_model as model
from fake_store import PREFIX

from conformance.chapters import swarm
from conformance.clients.cast import Cast
from conformance.clients.role import Role
from conformance.recordings.recording import Recording, load, names
from conformance.suite.case import UNREACHABLE, Failed, Ground, Store

Play = Callable[[Store, Ground], Coroutine[Any, Any, None]]
Kind = Callable[[Callable[[], float]], model.Model]

PLAYS = [
    swarm.lists_nodes,
    swarm.dead_node_vanishes,
    swarm.elects_one,
    swarm.fails_over,
    swarm.frozen_leader_steps_down,
    swarm.refuses_short_ttl,
    swarm.outlives_the_store,
]

FAULTS = [
    (swarm.lists_nodes, model.TakesBeatsForNews, "a second manager are no news"),
    (swarm.lists_nodes, model.KeepsLockIndex, "a node's key"),
    (swarm.lists_nodes, model.DeafPrefixes, "known to 1 managers"),
    (swarm.lists_nodes, model.Spins, "or no answer for 15 s"),
    (swarm.lists_nodes, model.NoIndexOfNothing, "X-Consul-Index"),
    (swarm.dead_node_vanishes, model.NeverEnds, "known to 1 managers"),
    (swarm.dead_node_vanishes, model.EndsEarly, "no news while both nodes are on the list"),
    (swarm.dead_node_vanishes, model.EndsLate, "known to 1 managers"),
    (swarm.dead_node_vanishes, model.IgnoresRenewals, "no news while both nodes are on the list"),
    (swarm.dead_node_vanishes, model.AlwaysReleases, "known to 1 managers"),
    (swarm.dead_node_vanishes, model.LeavesKeys, "known to 1 managers"),
    (swarm.dead_node_vanishes, model.DelaysLocks, "'192.0.2.2:2375'] known to 1 managers"),
    (swarm.elects_one, model.GivesToAll, "the leader's key"),
    (swarm.elects_one, model.GivesToNone, "one leader"),
    (swarm.elects_one, model.DeafKeys, "one leader"),
    (swarm.fails_over, model.NeverEnds, "without a holder"),
    (swarm.fails_over, model.EndsEarly, "no other leader while"),
    (swarm.fails_over, model.EndsLate, "without a holder"),
    (swarm.fails_over, model.IgnoresRenewals, "invalid session"),
    (swarm.fails_over, model.AlwaysDeletes, "the leader's key"),
    (swarm.fails_over, model.LeavesKeys, "without a holder"),
    (swarm.fails_over, model.GivesToAll, "the leader's key"),
    (swarm.fails_over, model.DeafKeys, "one leader"),
    (swarm.fails_over, model.DelaysLocks, "one leader"),
    (swarm.frozen_leader_steps_down, model.NeverEnds, "without a holder"),
    (swarm.frozen_leader_steps_down, model.EndsEarly, "no other leader while"),
    (swarm.frozen_leader_steps_down, model.DeafMonitors, "the old leader a replica"),
    (swarm.refuses_short_ttl, model.TakesAnyTtl, "an error of its manager"),
    (swarm.outlives_the_store, model.LosesSessions, "the sessions each node has needed"),
    (swarm.outlives_the_store, model.LosesAll, "the sessions each node has needed"),
    (swarm.outlives_the_store, model.MakesNoMoreSessions, "known to 3 managers"),
]


def play(case: Play, kind: Kind) -> model.Model:
    """Play a case on a store of that kind, in time that leaps; return the store."""
    with asyncio.Runner(loop_factory=model.LeapingLoop) as runner:
        store = kind(runner.get_loop().time)
        runner.run(case(store, Ground(store, PREFIX, restart="true")))
    return store


@pytest.mark.parametrize("case", PLAYS, ids=lambda case: case.__name__)
def test_good_store_passes(case: Play) -> None:
    """Every case is met by a store that keeps the contract."""
    play(case, model.Model)


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [pytest.param(*each, id=f"{each[0].__name__}-{each[1].__name__}") for each in FAULTS],
)
def test_fault_is_seen(case: Play, kind: type[model.Model], words: str) -> None:
    """A store with one fault fails the cases that are about it, and for that reason."""
    with pytest.raises((AssertionError, *UNREACHABLE), match=re.escape(words)):
        play(case, kind)


# --- the requests -------------------------------------------------------------------------------

SHAPES = (
    (re.compile(r"^/v1/kv/(?:here/)?"), "/v1/kv/"),
    (re.compile(r"(?<=docker/swarm/nodes/)[^?]*"), "NODE"),
    (re.compile(r"(?<=acquire=)[^&]*|(?<=release=)[^&]*"), "SESSION"),
    (re.compile(r"(?<=session/renew/).*|(?<=session/destroy/).*"), "SESSION"),
    (re.compile(r"(?<=index=)\d+"), "N"),
)
NEVER_RECORDED = {
    # Swarm 1.0 sends no flags with a plain write.
    "PUT /v1/kv/docker/swarm/nodes/NODE",
    # A leader that leaves in good order: all recorded ones were killed.
    "PUT /v1/kv/docker/swarm/leader?flags=3304740253564472344&release=SESSION",
}
BY_HAND = {"GET /v1/kv/docker/swarm/leader", "GET /v1/kv/docker/swarm/leader?raw"}
"""What a case asks to look at a leader, and what those asked who made the recordings."""


def shape(method: str, target: str) -> str:
    """Return a request with names in place of what differs from run to run."""
    for found, name in SHAPES:
        target = found.sub(name, target)
    return f"{method} {target}"


def recordings() -> list[Recording]:
    """Return what was recorded of Swarm."""
    return [load(name) for name in names() if name.startswith("swarm-")]


def test_roles_send_what_swarm_sends() -> None:
    """All requests of real agents and managers are sent by the roles, and no others."""
    ours = {
        shape(*each)
        for case in PLAYS
        for each in play(case, model.Model).asked
        if "/session/info/" not in each[1] and not each[1].endswith(model.READY)
    }
    recorded = {
        shape(step.method, step.target)
        for recording in recordings()
        for step in recording.steps
        if step.target.startswith(("/v1/kv/docker/swarm/", "/v1/session/"))
    }
    assert ours - recorded - BY_HAND == NEVER_RECORDED
    assert recorded - ours - BY_HAND == set()


def test_store_hears_nothing_of_constraints() -> None:
    """Where a container goes is decided without the store, though recordings place some."""
    said = [step.target + step.body for each in recordings() for step in each.steps]
    assert said
    assert not [each for each in said if "constraint" in each]


# --- the cast -----------------------------------------------------------------------------------


def test_trouble_of_a_role_ends_the_case() -> None:
    """A role that met with an error fails its case, unless the store was to go down."""

    async def wait(*, calm: bool) -> None:
        async with Cast(calm=calm) as cast:
            role = Role(Store(), "somebody")
            cast.add(role)
            role.troubles.append("GET k: 500")
            await cast.until("nothing", lambda: True, 1.0)

    asyncio.run(wait(calm=False))
    with pytest.raises(Failed, match="GET k: 500"):
        asyncio.run(wait(calm=True))


def test_what_never_happens_is_told_with_the_troubles() -> None:
    """Whoever reads the failure sees what each role met with last."""

    async def wait() -> None:
        async with Cast(calm=False) as cast:
            role = Role(Store(), "somebody")
            cast.add(role, Role(Store(), "somebody without trouble"))
            role.troubles += ["GET k: 500", "GET k: refused"]
            await cast.until("rain", lambda: False, 0.0)

    with pytest.raises(Failed) as failed:
        asyncio.run(wait())
    assert failed.value.got == "not yet; somebody met GET k: refused"
