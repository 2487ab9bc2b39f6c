"""Locks under contention.

Contenders take locks and semaphores request by request as the Go client, libkv and Patroni do.
While one holds a lock it reads a counter and writes it back by check-and-set: if two ever hold the
lock at once, one of them is refused.
"""

import json
import time
from functools import partial

from conformance.clients.golock import (
    LOCK_FLAGS,
    Lock,
    Semaphore,
    create_session,
    destroy_session,
)
from conformance.clients.looking import AT_ONCE_S, TRUE, answered, claim, equal
from conformance.clients.speaker import NOT_FOUND, OK, Entry, Speaker, speakers
from conformance.clients.together import Stopwatch, each, together
from conformance.clients.ttl import check_expiry, lasts_s, shortest_ttl
from conformance.suite.case import Case, Ground, Need, Store

CONTENDERS = 6
TURNS = 4
CONTENTION_S = 40.0
"""Longest time in which every contender has had all of its turns."""

LIMIT = 2
LOCK_DELAY_S = 1.0


def one_holder_at_a_time(store: Store, ground: Ground) -> None:
    """Let contenders with api.Lock count, each in its turns."""
    _contend(store, ground, Behavior="release", LockDelay="1ms", TTL="30s")


def libkv_locks(store: Store, ground: Ground) -> None:
    """Let contenders with libkv's locks count; each session ends with its turn."""
    _contend(store, ground, new_sessions=True, Behavior="delete", LockDelay="0s", TTL="30s")


def semaphore(store: Store, ground: Ground) -> None:
    """Let contenders hold a semaphore of two places, and count who is inside."""
    prefix = f"{ground.prefix}sem"
    inside: list[int] = []

    def contend(speaker: Speaker) -> int:
        most = 0
        session = create_session(speaker, Behavior="delete", LockDelay="0s", TTL="30s")
        for _ in range(TURNS // 2):
            place = Semaphore(speaker, prefix, session, LIMIT)
            place.acquire(CONTENTION_S)
            inside.append(1)
            most = max(most, sum(inside))
            time.sleep(0.005)
            inside.append(-1)
            place.release()
        destroy_session(speaker, session)
        return most

    with speakers(store, CONTENDERS) as several:
        most = together(*(partial(contend, speaker) for speaker in several))
        claim("how many were inside", f"at most {LIMIT}", max(most), so=max(most) <= LIMIT)
        left = several[0].read(f"/v1/kv/{prefix}?recurse=")[1]
    equal("what is left of the semaphore", [entry.key for entry in left], [f"{prefix}/.lock"])
    equal("Holders at the end", json.loads(left[0].value)["Holders"], {})


def waiter_follows_destroy(store: Store, ground: Ground) -> None:
    """Destroy the holder's session; the waiter gets the lock after the lock-delay."""
    key = f"{ground.prefix}lock/.lock"
    with speakers(store, 2) as (holding, waiting):
        mine = create_session(holding, LockDelay="1s", TTL="30s")
        theirs = create_session(waiting, LockDelay="1s", TTL="30s")
        Lock(holding, key, mine).acquire(AT_ONCE_S)
        watch = Stopwatch()

        def destroy() -> None:
            time.sleep(0.1)
            destroy_session(holding, mine)

        def wait() -> None:
            waiter = Lock(waiting, key, theirs)
            entry = waiter.acquire(CONTENTION_S)
            equal("holder and LockIndex", (entry.session, entry.lock_index), (theirs, 2))
            claim(
                "acquire under lock-delay", "refused at least once", "never", so=waiter.refused > 0
            )

        together(destroy, wait)
        watch.check("the waiter's acquire", LOCK_DELAY_S + 0.05, LOCK_DELAY_S + AT_ONCE_S)


def waiter_follows_expiry(store: Store, ground: Ground) -> None:
    """Kill the holder; the waiter gets the lock at twice the TTL."""
    ttl, ttl_s = shortest_ttl(store)
    key = f"{ground.prefix}lock/.lock"
    with speakers(store, 2) as (holding, waiting):
        watch = Stopwatch()
        mine = create_session(holding, LockDelay="1ms", TTL=ttl)
        Lock(holding, key, mine).acquire(AT_ONCE_S)
        holding.close()
        theirs = create_session(waiting, TTL="1h")
        _, within_s = lasts_s(ttl_s)
        entry = Lock(waiting, key, theirs).acquire(within_s)
        check_expiry("the waiter's acquire", watch, ttl_s)
        equal("holder and LockIndex", (entry.session, entry.lock_index), (theirs, 2))


def holder_learns_of_its_loss(store: Store, ground: Ground) -> None:
    """Take a lock from its holder by destroy, by delete and by release; the monitor notices."""
    with speakers(store, 2) as (holding, other):
        for how in ("destroy", "delete", "release"):
            key = f"{ground.prefix}{how}/.lock"
            session = create_session(holding, LockDelay="0s", TTL="30s")
            entry = Lock(holding, key, session).acquire(AT_ONCE_S)

            def take(how: str = how, key: str = key, session: str = session) -> None:
                time.sleep(0.1)
                if how == "destroy":
                    destroy_session(other, session)
                elif how == "delete":
                    other.ask("DELETE", f"/v1/kv/{key}")
                else:
                    Lock(other, key, session).release()

            watch = Stopwatch()
            lost = partial(_monitor, holding, key, session, entry.modify_index)
            together(take, lost)
            watch.check(f"the monitor of a lock lost by {how}", 0.1, AT_ONCE_S)


def consul_lock(store: Store, ground: Ground) -> None:
    """Send what `consul lock` sends, request by request, and look at every answer."""
    target = f"/v1/kv/{ground.prefix}cli/lock/.lock"
    with Speaker(store) as speaker:
        name = f"Consul lock for 'sleep 2' at '{ground.prefix}cli/lock'"
        session = create_session(speaker, Name=name, TTL="15s")
        speaker.ask("GET", f"{target}?wait=15000ms", expect=(NOT_FOUND,))
        put = f"{target}?acquire={session}&flags={LOCK_FLAGS}"
        answered(f"PUT {put}", speaker.ask("PUT", put), OK, TRUE)
        index, (entry,) = speaker.read(f"{target}?consistent=")
        wanted = Entry(target.removeprefix("/v1/kv/"), b"", LOCK_FLAGS, session, 1, index)
        equal(f"GET {target}?consistent=", entry, wanted)
        with store.park(f"{target}?consistent=&index={index}") as monitor:
            renewed = speaker.ask("PUT", f"/v1/session/renew/{session}")
            equal("TTL in the answer to a renewal", json.loads(renewed.plain)[0]["TTL"], "15s")
            put = f"{target}?flags={LOCK_FLAGS}&release={session}"
            answered(f"PUT {put}", speaker.ask("PUT", put), OK, TRUE)
            (left,) = monitor.answer(AT_ONCE_S).json
        equal("the entry after a release", (left.get("Session"), left["LockIndex"]), (None, 1))
        index, (entry,) = speaker.read(target)
        destroy = f"/v1/session/destroy/{session}"
        answered(f"PUT {destroy}", speaker.ask("PUT", destroy), OK, TRUE)
        delete = f"{target}?cas={entry.modify_index}"
        answered(f"DELETE {delete}", speaker.ask("DELETE", delete), OK, TRUE)
        speaker.ask("GET", target, expect=(NOT_FOUND,))


def patroni(store: Store, ground: Ground) -> None:
    """Run a Patroni cluster of two through bootstrap, a race, an update and a fail-over."""
    root = f"/v1/kv/{ground.prefix}service/batman/"
    with speakers(store, 2) as (first, second):
        sessions = [_patroni_session(each, name) for each, name in ((first, "a"), (second, "b"))]
        for speaker, session, name in zip((first, second), sessions, "ab", strict=True):
            equal(
                "a member's key",
                speaker.true("PUT", f"{root}members/{name}?acquire={session}", b"{}"),
                True,
            )
        target = f"{root}leader?acquire="
        won = together(
            partial(first.true, "PUT", target + sessions[0], b"a"),
            partial(second.true, "PUT", target + sessions[1], b"b"),
        )
        equal("two races for the leader's key", sorted(won), [False, True])
        leading = won.index(True)
        index, found = first.read(f"{root}?recurse=1")
        names = [entry.key.removeprefix(root.removeprefix("/v1/kv/")) for entry in found]
        equal("the whole cluster in one read", names, ["leader", "members/a", "members/b"])
        leader = found[0]
        equal("holder of the leader's key", leader.session, sessions[leading])
        config = f"{root}config?cas=0"
        equal(
            "config written once",
            [first.true("PUT", config, b"{}"), second.true("PUT", config, b"{}")],
            [True, False],
        )
        waiting = (second, first)[leading]
        watch = f"{root}leader?index={leader.modify_index}&wait=9.8s"
        with store.park(watch) as parked:
            destroy_session(first, sessions[leading])
            answer = parked.answer(AT_ONCE_S)
        claim(f"GET {watch}", "404: behaviour delete", str(answer), so=answer.status == NOT_FOUND)
        mine = sessions[1 - leading]
        _acquire_after_delay(waiting, f"{root}leader?acquire={mine}")
        renewed = waiting.ask("PUT", f"/v1/session/renew/{sessions[leading]}", expect=(NOT_FOUND,))
        claim("renewal of the lost session", "404", renewed, so=renewed.status == NOT_FOUND)
        current = waiting.read(f"{root}leader")[1][0].modify_index
        equal(
            "delete by another's index", waiting.true("DELETE", f"{root}leader?cas={index}"), False
        )
        equal(
            "delete by its own index", waiting.true("DELETE", f"{root}leader?cas={current}"), True
        )


# --- contending ---------------------------------------------------------------------------------


def _contend(
    store: Store, ground: Ground, *, new_sessions: bool = False, **members: object
) -> None:
    key, counter = f"{ground.prefix}lock/.lock", f"/v1/kv/{ground.prefix}counter"
    store.write(f"{ground.prefix}counter", b"0")

    def contend(speaker: Speaker) -> None:
        session = create_session(speaker, **members)
        for _ in range(TURNS):
            lock = Lock(speaker, key, session, session.encode())
            entry = lock.acquire(CONTENTION_S)
            equal(
                "holder and value of the lock",
                (entry.session, entry.value),
                (session, session.encode()),
            )
            _count(speaker, counter)
            if new_sessions:
                destroy_session(speaker, session)
                session = create_session(speaker, **members)
            else:
                lock.release()
        destroy_session(speaker, session)

    with speakers(store, CONTENDERS) as several:
        each(contend, several)
        _, (total,) = several[0].read(counter)
        equal("turns counted under the lock", total.value, str(CONTENDERS * TURNS).encode())
        found = several[0].read(f"/v1/kv/{key}")[1]
        equal("holder at the end", [entry.session for entry in found if entry.session], [])


def _count(speaker: Speaker, counter: str) -> None:
    """Add one to a counter that nobody else may touch now."""
    index, (entry,) = speaker.read(counter)
    target = f"{counter}?cas={index}"
    value = str(int(entry.value) + 1).encode()
    if not speaker.true("PUT", target, value):
        now = speaker.read(counter)[1]
        claim(f"PUT {target} under the lock", "true: nobody else holds it", now, so=False)


def _monitor(speaker: Speaker, key: str, session: str, index: int) -> None:
    Lock(speaker, key, session).wait_lost(index, AT_ONCE_S)


def _patroni_session(speaker: Speaker, name: str) -> str:
    """Create a session with members in lower case, as python-consul does (H31)."""
    return create_session(
        speaker, name=name, checks=[], lockdelay="0.001s", behavior="delete", ttl="15.0s"
    )


def _acquire_after_delay(speaker: Speaker, target: str) -> None:
    watch = Stopwatch()
    while not speaker.true("PUT", target, b"new"):
        watch.check(f"PUT {target}", 0, AT_ONCE_S)
        time.sleep(0.005)


_case = partial(Case, chapter="locks")

CASES = (
    _case(
        "locks-go",
        title="gives a lock to one contender at a time",
        run=one_holder_at_a_time,
        covers=("L2", "L6", "P3", "B5"),
    ),
    _case(
        "locks-libkv",
        title="gives a lock to one contender at a time when holders end without a word",
        run=libkv_locks,
        covers=("L7", "S15", "B5"),
    ),
    _case(
        "locks-semaphore",
        title="lets as many hold a semaphore as it has places, and no more",
        run=semaphore,
        covers=("B8", "S15"),
    ),
    _case(
        "locks-destroyed",
        title="passes a lock on when its holder's session is destroyed, after the lock-delay",
        run=waiter_follows_destroy,
        covers=("L7", "S15"),
    ),
    _case(
        "locks-expired",
        title="passes a lock on when its holder has been dead for twice its TTL",
        run=waiter_follows_expiry,
        needs=(Need.SLOW,),
        covers=("S14", "L7"),
    ),
    _case(
        "locks-lost",
        title="tells a holder at once that it lost its lock",
        run=holder_learns_of_its_loss,
        covers=("B5", "S17"),
    ),
    _case(
        "locks-cli",
        title="answers every request of `consul lock`",
        run=consul_lock,
        covers=("L1", "S11", "B5"),
    ),
    _case(
        "locks-patroni",
        title="elects one leader of a Patroni cluster, and the next",
        run=patroni,
        covers=("H31", "P7", "S15"),
    ),
)
