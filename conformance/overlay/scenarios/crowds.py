"""Chapter E and the brief's crowds: many things at once on both engines.

Source: spec/docker-cluster-store.md, section 5, rows E1 to E4, and section 1.9, "Contention".
"""

import time

from conformance.overlay import crowd
from conformance.overlay.audit import expect_sound_store
from conformance.overlay.docker_api import create_network
from conformance.overlay.invariants import TWIN
from conformance.overlay.lab import Lab
from conformance.overlay.scenario import Chapter
from conformance.overlay.together import together
from conformance.overlay.waiting import expect

CHAPTER = Chapter()

_CROWD = 20
_TWINS = 8
_FIFTY = 50
_NETWORKS = 10
_SETTLE_S = 20.0
_IDLE_S = 62.0
# 3.88 measured; the ends of the window may each catch one poll more.
_POLL_RATE = 5.0


@CHAPTER.scenario(
    "TWINS", "both engines create a network of one name at once", quick=True, tolerates=[TWIN]
)
def same_name(lab: Lab) -> None:
    """Both may succeed (the engine checks names without CAS), but each has a subnet of its own."""
    _create_twins(lab, 1)


@CHAPTER.scenario(
    "CROWD", "20 containers started at once have 20 addresses and reach each other", quick=True
)
def twenty_at_once(lab: Lab) -> None:
    """10 + 10 in one /24: all run, no address is given twice, every name resolves everywhere."""
    lab.create(lab.h1, "crowd")
    members = crowd.started(crowd.start(lab, "crowd", _CROWD))
    crowd.check_addresses(lab, members, "crowd")
    crowd.wait_mesh(members)


@CHAPTER.scenario("E1", "8 networks of one name at once on each engine", tolerates=[TWIN])
def eight_twins(lab: Lab) -> None:
    """No error and a subnet of its own for each network, whatever CAS was refused on the way."""
    _create_twins(lab, _TWINS)


@CHAPTER.scenario("E2", "50 containers started at once have 50 addresses in one /24")
def fifty_started_at_once(lab: Lab) -> None:
    """All run, and the network's count is 50, whatever CAS was refused on the way."""
    _start_fifty(lab)


@CHAPTER.scenario("E3", "50 containers removed at once leave nothing")
def fifty_removed_at_once(lab: Lab) -> None:
    """Leave count 0, and of the addresses only the first, the gateway's and the last taken."""
    network, members = _start_fifty(lab)
    began = time.monotonic()
    together(
        *(
            lambda one=one: one.engine.docker("rm", "--force", one.name, timeout_s=120)
            for one in members
        )
    )
    lab.note(f"removed in {time.monotonic() - began:.0f} s")
    lab.wait_sound(frozenset())
    count = lab.view().counts[network]
    expect(that=count == 0, what="count 0", seen=count)


def _start_fifty(lab: Lab) -> tuple[str, list[crowd.Member]]:
    """Make a network and start 50 containers on it at once; return its id and them."""
    network = lab.create(lab.h1, "crowd", "--subnet=10.70.0.0/24")
    began = time.monotonic()
    members = crowd.started(crowd.start(lab, "crowd", _FIFTY))
    lab.note(f"started in {time.monotonic() - began:.0f} s")
    crowd.check_addresses(lab, members, "crowd")
    lab.wait_sound(frozenset())
    count = lab.view().counts[network]
    expect(that=count == _FIFTY, what=f"count {_FIFTY}", seen=count)
    return network, members


@CHAPTER.scenario("E4", "10 networks with a container each, idle: 3.9 polls a minute for each")
def ten_watches(lab: Lab) -> None:
    """One long poll per network that has a container here; about 13 connections; none reopened."""
    proxy = lab.proxied()
    for number in range(_NETWORKS):
        lab.create(lab.h1, f"net{number}")
        lab.run(lab.h1, f"web{number}", f"net{number}")
    time.sleep(_SETTLE_S)
    connections, mark = proxy.connections, time.monotonic()
    time.sleep(_IDLE_S)
    polls = [one for one in proxy.since(mark) if "/endpoint_count/" in one.target]
    rate = len(polls) / (_IDLE_S / 60) / _NETWORKS
    opened = proxy.connections - connections
    lab.note(f"{rate:.2f} polls/min per network, {opened} connections opened")
    expect(that=rate <= _POLL_RATE, what=f"at most {_POLL_RATE} polls/min", seen=rate)
    expect(that=opened <= 1, what="no new connections", seen=opened)
    expect_sound_store(proxy)


def _create_twins(lab: Lab, each: int) -> None:
    """Create networks of one name on both engines at once, and check what came of it.

    Each engine makes another network before: its very first one sets up the table of VXLAN ids
    with a single CAS that is not repeated, so two first ones at once are an error with any store.
    """
    for engine in lab.engines:
        lab.create(engine, f"first-{engine.name}")
        engine.docker("network", "rm", f"first-{engine.name}")
    calls = [
        lambda engine=engine: create_network(engine.socket, "twin")
        for engine in lab.engines
        for _ in range(each)
    ]
    made = together(*calls)
    ids = {one.id for one in made if one.id}
    refused = [one.error for one in made if one.error and "already exists" not in one.error]
    expect(that=not refused, what="no error but `already exists`", seen=refused)
    networks = lab.view().networks
    expect(that=set(networks) == ids != set(), what=f"networks {ids}", seen=set(networks))
    pools = {pool for one in networks.values() for pool in one.pools}
    expect(that=len(pools) == len(ids), what=f"{len(ids)} subnets", seen=sorted(pools))
    lab.note(f"{len(ids)} made, {len(made) - len(ids)} told that it exists")
