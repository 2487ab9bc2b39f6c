"""Chapter F: the flags of an engine that change what it asks of the store.

Source: spec/docker-cluster-store.md, section 5, rows F3 to F7, and section 3.
"""

from conformance.overlay.lab import Lab
from conformance.overlay.records import NODES
from conformance.overlay.scenario import Chapter
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SOON_S = 15.0
_REGISTER_S = 20.0
_END_S = 30.0


@CHAPTER.scenario("F3", "kv.path moves the node keys, and only them", wrecks=True)
def node_path(lab: Lab) -> None:
    """Nodes are under `myswarm/nodes`, networks where they always are."""
    _start(lab, lab.store_url, "--cluster-store-opt=kv.path=myswarm/nodes")
    lab.wait_nodes("myswarm/nodes")
    lab.use()
    expect(that=not lab.view().engines, what=f"nothing under {NODES}", seen=lab.view().engines)
    expect(that=bool(lab.view().networks), what="the network as ever", seen=lab.view().networks)


@CHAPTER.scenario(
    "F4", "a path in the store's URL moves everything; with `/` at its end too", wrecks=True
)
def url_path(lab: Lab) -> None:
    """`/pfx` works everywhere. `/pfx/` makes keys with `//`: they must be served in place."""
    _start(lab, f"{lab.store_url}/pfx")
    lab.wait_nodes(f"pfx/{NODES}")
    lab.use()
    expect(that=not lab.store.kv.tree("docker"), what="nothing outside of pfx", seen="keys")
    with lab.target("F4"):
        _start(lab, f"{lab.store_url}/pfx/")
        wait_until(lambda: lab.store.kv.tree("pfx"), _REGISTER_S, "keys under pfx")
        lab.use()


@CHAPTER.scenario("F5", "faster heartbeats: sessions of 10 s, and of less", wrecks=True)
def heartbeats(lab: Lab) -> None:
    """Heartbeat 6, ttl 20 works; heartbeat 3, ttl 10 asks for a session of 5 s.

    Consul refuses that, and so does our server unless it is told to take shorter ones.
    """
    _start(lab, lab.store_url, *_beats(6, 20))
    lab.wait_nodes()
    lab.stop_engines()
    if lab.store.kind == "kvstore":
        lab.store.stop()
        lab.store.start("--session-ttl-min=5s")
    with lab.target("F5"):
        _start(lab, lab.store_url, *_beats(3, 10))
        lab.wait_nodes()


@CHAPTER.scenario("F6", "two addresses in the URL: the engine refuses to start", wrecks=True)
def two_addresses(lab: Lab) -> None:
    """Expect it to end with `consul does not support multiple endpoints`."""
    lab.stop_engines()
    address = lab.store_url.removeprefix("consul://")
    lab.h1.launch(f"consul://{address},{address}")
    lab.h1.wait_ended(_END_S)
    said = "consul does not support multiple endpoints"
    expect(that=said in lab.h1.logged(), what=f"{said!r} in the log", seen=lab.h1.log_tail(2))


@CHAPTER.scenario("F7", "no --cluster-advertise: no node key, one host works alone", wrecks=True)
def not_advertised(lab: Lab) -> None:
    """Networks and names work among the containers of that host."""
    lab.stop_engines()
    lab.start_bare()
    lab.h1.launch(lab.store_url, advertise=False)
    lab.h1.wait_ready()
    lab.create(lab.h1, "shop")
    lab.run(lab.h1, "web", "shop")
    lab.run(lab.h1, "visitor", "shop")
    lab.wait_reaches(lab.h1, "visitor", "web", _SOON_S)
    expect(that=not lab.view().engines, what="no node key", seen=lab.view().engines)
    places = {one.locator for one in lab.view().endpoints.values()}
    expect(that=places == {""}, what="endpoints without a place", seen=places)


def _beats(heartbeat_s: int, ttl_s: int) -> list[str]:
    given = {"discovery.heartbeat": heartbeat_s, "discovery.ttl": ttl_s}
    return [f"--cluster-store-opt={name}={value}" for name, value in given.items()]


def _start(lab: Lab, store_url: str, *flags: str) -> None:
    """Start both engines with flags of their own on an empty store, and wait until they answer."""
    lab.stop_engines()
    lab.start_bare()
    for engine in lab.engines:
        engine.launch(store_url, *flags)
    lab.wait_answering()
