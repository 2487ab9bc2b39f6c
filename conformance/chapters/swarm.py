"""Classic Swarm, whole: agents and managers that live side by side.

Every role sends what Swarm 1.2.9 sends, with its timings or, where those would take minutes, with
their ratios: a node has three heartbeats to a life, a candidate renews its session twice in a TTL,
and a Consul keeps a session for two. What a manager does with its nodes, such as placing
containers by `constraint`, is its own affair: the store hears nothing of it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial, wraps
from typing import Any

from conformance.clients.cast import Cast
from conformance.clients.golock import LOCK_FLAGS, destroy_session
from conformance.clients.looking import AT_ONCE_S, check_gone, claim, equal
from conformance.clients.restart import restart
from conformance.clients.role import LOCK_RETRY_S
from conformance.clients.speaker import Entry, Speaker, entries, show
from conformance.clients.swarm import LEADER
from conformance.clients.swarm_join import BEATS_PER_LIFE, Join
from conformance.clients.swarm_manage import Manage
from conformance.clients.ttl import lasts_s, shortest_ttl
from conformance.suite.case import Case, Ground, Need, Run, Store

NODE_ADDRESSES = ("192.0.2.1:2375", "192.0.2.2:2375", "192.0.2.3:2375")
MANAGER_ADDRESSES = ("192.0.2.1:4000", "192.0.2.2:4000", "192.0.2.3:4000")

NOTICES_PER_JOIN = 2
"""What a watcher may be told of one node that joins: the lock on its key, and its address."""

BRIEF_S = 0.3
"""How long nothing happens, where nothing should."""

AGAIN_S = 40.0
"""Longest time to an election after a restart: a Consul elects itself before its clients do."""

Play = Callable[[Store, Ground], Coroutine[Any, Any, None]]


# --- discovery ----------------------------------------------------------------------------------


async def lists_nodes(store: Store, ground: Ground) -> None:
    """Begin with a manager and no directory; let nodes join, one of them of Swarm 1.0."""
    async with Cast() as cast:
        early = Manage(store, ground.prefix, MANAGER_ADDRESSES[0])
        cast.add(early)
        early.begin_managing()
        await cast.until("a list of nodes", lambda: early.nodes == set(), AT_ONCE_S)
        equal("how often a manager is told of no nodes", early.told, 1)
        for number, address in enumerate(NODE_ADDRESSES):
            node = Join(store, ground.prefix, address, flags=number > 0)
            before = early.told
            cast.add(node)
            node.begin_joining()
            await _know(cast, [early], NODE_ADDRESSES[: number + 1], AT_ONCE_S)
            await cast.until(f"{node.name} registered", partial(_beat, [node], 1), AT_ONCE_S)
            most = before + NOTICES_PER_JOIN
            claim("notices of one join", f"at most {most}", early.told, so=early.told <= most)
            _check_node(store, node, LOCK_FLAGS if number else 0)
        late = Manage(store, ground.prefix, MANAGER_ADDRESSES[1])
        restarted = Join(store, ground.prefix, NODE_ADDRESSES[-1])
        cast.add(late, restarted)
        before = early.told
        late.begin_managing()
        restarted.begin_joining()
        await _know(cast, [late], NODE_ADDRESSES, AT_ONCE_S)
        await cast.until("an agent registered anew", partial(_beat, [restarted], 1), AT_ONCE_S)
        equal("the session of an agent that was restarted", restarted.session, node.session)
        quiet = _is(lambda: early.told, before)
        await cast.keeps("a heartbeat and a second manager are no news", quiet, BRIEF_S)


async def dead_node_vanishes(store: Store, ground: Ground) -> None:
    """Let two nodes beat; kill one after a heartbeat, and start it again when it is gone."""
    ttl, ttl_s = shortest_ttl(store)
    start = partial(Join, store, ground.prefix, ttl=ttl, heartbeat_s=2 * ttl_s / BEATS_PER_LIFE)
    async with Cast() as cast:
        manager = Manage(store, ground.prefix, MANAGER_ADDRESSES[0])
        nodes = living, dying = [start(address) for address in NODE_ADDRESSES[:2]]
        cast.add(manager, *nodes)
        for role in nodes:
            role.begin_joining()
        manager.begin_managing()
        await _know(cast, [manager], NODE_ADDRESSES[:2], AT_ONCE_S)
        await cast.until("both nodes registered", partial(_beat, nodes, 1), AT_ONCE_S)
        told = manager.told
        next_s = dying.heartbeat_s + AT_ONCE_S
        await cast.until("a heartbeat", partial(_beat, [dying], 2), next_s)
        await dying.kill()
        least_s, most_s = lasts_s(ttl_s)
        left_s = least_s - _since(dying.renewed_at)
        quiet = _is(lambda: manager.told, told)
        await cast.keeps("no news while both nodes are on the list", quiet, left_s)
        await _know(cast, [manager], [living.address], most_s - least_s)
        equal("how often a manager is told of one death", manager.told, told + 1)
        equal("the sessions that a living node has needed", living.made, 1)
        _session_is_gone(store, dying.session)
        again = start(dying.address)
        cast.add(again)
        again.begin_joining()
        await _know(cast, [manager], NODE_ADDRESSES[:2], AT_ONCE_S + LOCK_RETRY_S)
        claim("its session", "a new one", again.session, so=again.session != dying.session)


# --- election -----------------------------------------------------------------------------------


async def elects_one(store: Store, ground: Ground) -> None:
    """Let three managers stand for election at once; each leaves in good order when it leads."""
    async with Cast() as cast:
        managers = _managers(cast, partial(Manage, store, ground.prefix))
        for turn in range(1, len(managers) + 1):
            leader = await _one_leads(cast, managers, AT_ONCE_S + LOCK_RETRY_S)
            entry = _leader_entry(store, ground)
            wanted = leader.address.encode(), leader.session, LOCK_FLAGS, turn
            shown = entry.value, entry.session, entry.flags, entry.lock_index
            equal("the leader's key: Value, Session, Flags, LockIndex", shown, wanted)
            alone = _is(partial(_leading, managers), [leader])
            await cast.keeps("one leader, and always the same", alone, BRIEF_S)
            await leader.stop()
            _session_is_gone(store, leader.session)
            managers.remove(leader)
        left = _leader_entry(store, ground)
        equal("the holder when nobody stands any more", left.session, "")
        equal("the value that is left", left.value, leader.address.encode())


async def fails_over(store: Store, ground: Ground) -> None:
    """Kill a leader after a renewal; another leads when its session has ended, and not before."""
    ttl, ttl_s = shortest_ttl(store)
    async with Cast() as cast:
        managers = _managers(cast, partial(Manage, store, ground.prefix, ttl=ttl))
        nodes = [Join(store, ground.prefix, address) for address in NODE_ADDRESSES[:2]]
        cast.add(*nodes)
        for node in nodes:
            node.begin_joining()
        old = await _one_leads(cast, managers, AT_ONCE_S + LOCK_RETRY_S)
        await _know(cast, managers, NODE_ADDRESSES[:2], AT_ONCE_S)
        made_at = old.renewed_at
        await cast.until("a renewal", lambda: old.renewed_at > made_at, ttl_s / 2 + AT_ONCE_S)
        await old.kill()
        managers.remove(old)
        new = await _succeeds(cast, store, ground, managers, old, ttl_s)
        restarted = Manage(store, ground.prefix, old.address, ttl=ttl)
        cast.add(restarted)
        restarted.begin_managing()
        managers.append(restarted)
        same = await _one_leads(cast, managers, AT_ONCE_S)
        equal("the leader when the old one is back", same.address, new.address)
        await _know(cast, managers, NODE_ADDRESSES[:2], AT_ONCE_S)
        lived = [each.made for each in managers if each is not restarted]
        equal("the sessions each replica has needed", lived, [1, 1])


async def frozen_leader_steps_down(store: Store, ground: Ground) -> None:
    """Stop a leader as by SIGSTOP until another leads, and let it go on: it learns its loss."""
    ttl, ttl_s = shortest_ttl(store)
    async with Cast() as cast:
        managers = _managers(cast, partial(Manage, store, ground.prefix, ttl=ttl))
        old = await _one_leads(cast, managers, AT_ONCE_S + LOCK_RETRY_S)
        lost = old.session
        alone = _is(partial(_leading, managers), [old])
        await cast.keeps("one leader, and always the same", alone, BRIEF_S)
        old.freeze()
        managers.remove(old)
        new = await _succeeds(cast, store, ground, managers, old, ttl_s)
        _session_is_gone(store, lost)
        old.thaw()
        await cast.until("the old leader a replica", lambda: not old.leads, AT_ONCE_S)
        managers.append(old)
        same = await _one_leads(cast, managers, AT_ONCE_S)
        equal("the leader when the old one goes on", same.address, new.address)
        await cast.until("a new session of the old leader", lambda: old.session != lost, AT_ONCE_S)


async def refuses_short_ttl(store: Store, ground: Ground) -> None:
    """Start a manager whose `--replication-ttl` is too short; it knows nodes and leader."""
    _, ttl_s = shortest_ttl(store)
    short = f"{ttl_s * 1000 / 4:g}ms"
    async with Cast(calm=False) as cast:
        leader = Manage(store, ground.prefix, MANAGER_ADDRESSES[0])
        cast.add(leader)
        leader.begin_managing()
        await _one_leads(cast, [leader], AT_ONCE_S)
        replica = Manage(store, ground.prefix, MANAGER_ADDRESSES[1], ttl=short)
        cast.add(replica)
        replica.begin_managing()
        await cast.until("an error of its manager", lambda: bool(replica.troubles), AT_ONCE_S)
        said = f"Invalid Session TTL '{ttl_s * 1e9 / 4:.0f}', must be between ["
        told = replica.troubles[0]
        claim(
            f"a session with TTL {short}",
            f"500 {said}",
            told,
            so=f"500, index None, {said}" in told,
        )
        followed = _is(lambda: replica.leader, leader.address)
        await cast.until("the leader known to it", followed, AT_ONCE_S)
        await _know(cast, [replica], [], AT_ONCE_S)
        equal("whether it leads", replica.leads, expected=False)


# --- the store ----------------------------------------------------------------------------------


async def outlives_the_store(store: Store, ground: Ground) -> None:
    """Restart the store below a whole Swarm: no node is lost, and all goes on as before."""
    ttl, ttl_s = shortest_ttl(store)
    beats_s = 2 * ttl_s / BEATS_PER_LIFE
    join = partial(Join, store, ground.prefix, heartbeat_s=beats_s, calm=False)
    manage = partial(Manage, store, ground.prefix, ttl=ttl, heartbeat_s=beats_s, recover_s=ttl_s)
    async with Cast(calm=False) as cast:
        managers = _managers(cast, partial(manage, calm=False))
        nodes = [join(address) for address in NODE_ADDRESSES[:2]]
        cast.add(*nodes)
        for node in nodes:
            node.begin_joining()
        await _one_leads(cast, managers, AT_ONCE_S + LOCK_RETRY_S)
        await _know(cast, managers, NODE_ADDRESSES[:2], AT_ONCE_S)
        await cast.until("both nodes registered", partial(_beat, nodes, 1), AT_ONCE_S)
        await asyncio.to_thread(restart, store, ground)
        another = max(node.beats for node in nodes) + 1
        await cast.until("heartbeats of both nodes", partial(_beat, nodes, another), AGAIN_S)
        equal("the sessions each node has needed", [node.made for node in nodes], [1, 1])
        late = join(NODE_ADDRESSES[2])
        cast.add(late)
        late.begin_joining()
        await _know(cast, managers, NODE_ADDRESSES, AGAIN_S)
        leader = await _one_leads(cast, managers, AGAIN_S)
        equal("the holder of its key", _leader_entry(store, ground).session, leader.session)


# --- looking at a Swarm -------------------------------------------------------------------------


def _managers(cast: Cast, manage: Callable[[str], Manage]) -> list[Manage]:
    """Start three managers at once."""
    several = [manage(address) for address in MANAGER_ADDRESSES]
    cast.add(*several)
    for each in several:
        each.begin_managing()
    return several


async def _one_leads(cast: Cast, managers: Sequence[Manage], within_s: float) -> Manage:
    """Wait until one leads and all know its address; return it."""

    def agreed() -> bool:
        leading = _leading(managers)
        return len(leading) == 1 and {each.leader for each in managers} == {leading[0].address}

    await cast.until("one leader, known to all managers", agreed, within_s)
    return _leading(managers)[0]


async def _succeeds(
    cast: Cast, store: Store, ground: Ground, managers: Sequence[Manage], old: Manage, ttl_s: float
) -> Manage:
    """Wait until one of these leads in place of a leader that renews no more; return it."""
    least_s, most_s = lasts_s(ttl_s)
    left_s = least_s - _since(old.renewed_at)
    nobody = _is(partial(_leading, managers), [])
    await cast.keeps("no other leader while the session of the old one lasts", nobody, left_s)
    within_s = most_s - least_s
    await cast.until(
        "the old leader's key without a holder, or with a new one",
        lambda: _leader_entry(store, ground).session != old.session,
        within_s,
    )
    new = await _one_leads(cast, managers, AT_ONCE_S + LOCK_RETRY_S * _delayed(managers))
    entry = _leader_entry(store, ground)
    shown = entry.value, entry.session, entry.lock_index
    wanted = new.address.encode(), new.session, 2
    equal("the leader's key: Value, Session, LockIndex", shown, wanted)
    return new


async def _know(
    cast: Cast, managers: Sequence[Manage], addresses: Sequence[str], within_s: float
) -> None:
    """Wait until all of these managers know these nodes, and no other."""
    wanted = set(addresses)
    await cast.until(
        f"nodes {sorted(wanted)} known to {len(managers)} managers",
        lambda: all(each.nodes == wanted for each in managers),
        within_s,
    )


def _check_node(store: Store, node: Join, flags: int) -> None:
    """Look at a node's key after its first plain write."""
    (entry,) = entries(store.get(node.key))
    shown = entry.value, entry.session, entry.flags, entry.lock_index
    wanted = node.address.encode(), node.session, flags, 0
    equal("a node's key: Value, Session, Flags, LockIndex", shown, wanted)


def _leader_entry(store: Store, ground: Ground) -> Entry:
    key = f"{ground.prefix}{LEADER}"
    answer = store.get(key)
    found = entries(answer)
    claim(f"the leader's key, {key}", "there, held or not", show(answer), so=bool(found))
    return found[0]


def _session_is_gone(store: Store, session: str) -> None:
    """Look for a session that has ended, and destroy it once more, as Swarm does."""
    check_gone(store, session)
    with Speaker(store) as speaker:
        destroy_session(speaker, session)


def _leading(managers: Sequence[Manage]) -> list[Manage]:
    return [each for each in managers if each.leads]


def _delayed(managers: Sequence[Manage]) -> bool:
    return any(each.delayed for each in managers)


def _beat(nodes: Sequence[Join], times: int) -> bool:
    return all(each.beats >= times for each in nodes)


def _since(then: float) -> float:
    return asyncio.get_running_loop().time() - then


def _is(now: Callable[[], object], wanted: object) -> Callable[[], bool]:
    """Return what asks whether something is still, or at last, what is wanted."""
    return lambda: now() == wanted


def _played(play: Play) -> Run:
    """Return a case that plays all roles in an event loop of its own."""

    @wraps(play)
    def run(store: Store, ground: Ground) -> None:
        asyncio.run(play(store, ground))

    return run


_case = partial(Case, chapter="swarm")

CASES = (
    _case(
        "swarm-join",
        title="lists the nodes of a Swarm, from a directory that is not there to the last to join",
        run=_played(lists_nodes),
        covers=("B1", "B6", "B8", "P3", "P8", "S11"),
    ),
    _case(
        "swarm-dead",
        title="takes a dead node from the list when its life is over, and no living one",
        run=_played(dead_node_vanishes),
        needs=(Need.SLOW,),
        covers=("S11", "S14", "S15", "S17", "L7"),
    ),
    _case(
        "swarm-election",
        title="elects one of the managers that stand, and the next as soon as it leaves",
        run=_played(elects_one),
        covers=("L2", "B5", "B13", "S12"),
    ),
    _case(
        "swarm-failover",
        title="passes the lead on when a leader has been dead for twice its TTL, and not before",
        run=_played(fails_over),
        needs=(Need.SLOW,),
        covers=("S11", "S14", "S15", "S17", "B13"),
    ),
    _case(
        "swarm-frozen",
        title="tells a leader that stood still for too long that another leads",
        run=_played(frozen_leader_steps_down),
        needs=(Need.SLOW,),
        covers=("S12", "S14", "S15", "B5"),
    ),
    _case(
        "swarm-short",
        title="refuses a manager's TTL that is too short, and lets it go on as a replica",
        run=_played(refuses_short_ttl),
        covers=("S5",),
    ),
    _case(
        "swarm-restart",
        title="keeps all nodes of a Swarm over a restart, and has a leader again",
        run=_played(outlives_the_store),
        needs=(Need.RESTART,),
        covers=("I9", "S14", "B12"),
    ),
)
