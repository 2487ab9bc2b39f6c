"""The lab a scenario works in: a store, two engines, and the verbs scenarios are written with.

Also gets it ready before a scenario and clean after it. Knows no scenario.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conformance.overlay import image
from conformance.overlay.engine import Engine
from conformance.overlay.errors import Mismatch
from conformance.overlay.invariants import Finding, check
from conformance.overlay.namespaces import Network
from conformance.overlay.proxy import Proxy
from conformance.overlay.records import NODES, View, parse
from conformance.overlay.scenario import CONSUL_DIFFERS
from conformance.overlay.store import PORT, Store
from conformance.overlay.together import together
from conformance.overlay.waiting import wait_until

# Everything Docker keeps in the store, and all trees that scenarios write to.
DOCKER = "docker/"
TREES = ("docker", "pfx", "myswarm", "lab")

PROXY_PORT = 8501

_CONNECT_S = 5.0

_REGISTER_S = 30.0
_REACHED_S = 15.0
_QUIET_S = 15.0
_FETCH_S = 5
_EVIDENCE_LINES = 12
# What an engine complains of in every lab, harmlessly.
_NOISE = (
    "deprecated", "group docker", "devmapper", "blkio", "docker-init", "gc_thresh", "default vlan",
)  # fmt: skip


@dataclass(slots=True)
class Lab:
    """Engines `h1` and `h2` against `store`."""

    network: Network
    store: Store
    h1: Engine
    h2: Engine
    # For whatever this run writes; gone afterwards.
    folder: Path
    # What the running scenario wants in the report although it passed.
    notes: list[str] = field(default_factory=list)
    # Expectations of the running scenario that this store is known not to meet.
    differs: list[str] = field(default_factory=list)
    # What the running scenario opened and the lab closes after it has cleaned up.
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """Both engines."""
        return self.h1, self.h2

    @property
    def store_url(self) -> str:
        """The store as engines are told of it."""
        return f"consul://{self.store.host.address}:{PORT}"

    @property
    def proxy_url(self) -> str:
        """The proxy of `proxied`, as engines are told of it."""
        return f"consul://{self.store.host.address}:{PROXY_PORT}"

    def note(self, text: str) -> None:
        """Put a sentence into the report of this scenario."""
        self.notes.append(text)

    @contextmanager
    def target(self, name: str) -> Iterator[None]:
        """Mark expectations that a real Consul does not meet; there they count as `differs`."""
        try:
            yield
        except Mismatch as failure:
            if self.store.kind != "consul":
                raise
            self.differs.append(CONSUL_DIFFERS[name])
            self.note(str(failure))

    def proxied(self) -> Proxy:
        """Put a proxy between engines and store; it lasts until the scenario is cleaned up.

        Both engines are restarted with its address.
        """
        host = self.store.host
        listener = host.listen(PROXY_PORT)
        proxy = Proxy(listener, lambda: host.connect(PORT, timeout_s=_CONNECT_S))
        self.closing.enter_context(proxy)
        self.restart_engines(store_url=self.proxy_url)
        return proxy

    def move_to(self, store: Store) -> None:
        """Have all that follows use another store, until the scenario is cleaned up."""
        self.closing.callback(setattr, self, "store", self.store)
        self.store = store

    # -- verbs of scenarios ---------------------------------------------------------------

    def create(self, engine: Engine, name: str, *options: str) -> str:
        """Create an overlay network and return its id."""
        return engine.docker("network", "create", "--driver", "overlay", *options, name)

    def run(self, engine: Engine, name: str, network: str, *options: str) -> str:
        """Start a container that serves a page, and return its id.

        It is stopped by SIGKILL: busybox as process 1 would ignore SIGTERM for ten seconds.
        """
        named = ["--name", name, "--network", network, "--stop-signal", "KILL"]
        return engine.docker("run", "--detach", *named, *options, image.NAME, *image.WEB)

    def fetch(self, engine: Engine, container: str, name: str) -> str:
        """Get a page by container name from inside another container. Raises Mismatch."""
        get = ["timeout", str(_FETCH_S), "wget", "-q", "-O", "-", f"http://{name}/"]
        return engine.docker("exec", container, *get)

    def wait_reaches(self, engine: Engine, container: str, name: str, timeout_s: float) -> None:
        """Wait until a container gets the page of another by its name."""
        wait_until(
            lambda: image.PAGE in self.fetch(engine, container, name),
            timeout_s,
            f"{container} on {engine.name} gets the page of {name}",
        )

    def use(self, network: str = "shop", timeout_s: float = _REACHED_S) -> None:
        """Make a network on h1, use it on both, and expect names to work."""
        self.create(self.h1, network)
        self.run(self.h1, f"web-{network}", network)
        self.run(self.h2, f"visitor-{network}", network)
        self.wait_reaches(self.h2, f"visitor-{network}", f"web-{network}", timeout_s)

    def address(self, engine: Engine, container: str, network: str) -> str:
        """Return a container's IPv4 address on a network; empty if it is not on it."""
        path = (
            f'{{{{with index .NetworkSettings.Networks "{network}"}}}}{{{{.IPAddress}}}}{{{{end}}}}'
        )
        return engine.docker("inspect", "--format", path, container)

    def view(self) -> View:
        """Return what Docker keeps in the store now."""
        return parse(self.store.kv.tree(DOCKER))

    # -- between scenarios ----------------------------------------------------------------

    def start(self) -> None:
        """Start everything from nothing: no keys of Docker, engines that remember nothing."""
        self.store.ensure_plain()
        self.start_bare()
        self.start_engines()

    def start_bare(self) -> None:
        """Like `start` on a store that runs, but leave the engines for the scenario to start."""
        for engine in self.engines:
            engine.host = self.network.replace(engine.host.name)
            for folder in ("data", "exec", "pid", "docker.sock"):
                _remove(engine.folder / folder)
            engine.mark_log()  # what the last one met is not the scenario's
        for tree in TREES:
            self.store.kv.delete_tree(tree)

    def start_engines(self, *flags: str, store_url: str = "") -> None:
        """Start both engines and wait until they answer and are registered."""
        for engine in self.engines:
            engine.launch(store_url or self.store_url, *flags)
        self.wait_answering()
        for engine in self.engines:
            self.wait_registered(engine)

    def wait_answering(self) -> None:
        """Wait until both engines answer."""
        together(*(engine.wait_ready for engine in self.engines))

    def restart_engines(self, *flags: str, store_url: str = "") -> None:
        """Stop and start both: what an engine's bugs did to it ends with it."""
        self.stop_engines()
        self.start_engines(*flags, store_url=store_url)

    def stop_engines(self) -> None:
        """Stop both as an operator would."""
        together(*(engine.stop for engine in self.engines))

    def wait_registered(self, engine: Engine, timeout_s: float = _REGISTER_S) -> None:
        """Wait until an engine's key is in the store, held by a session."""

        def registered() -> bool:
            entry = self.store.kv.get(f"{NODES}/{engine.advertised}")
            return entry is not None and bool(entry.value) and bool(entry.session)

        wait_until(registered, timeout_s, f"{engine.advertised} is under {NODES} with a session")

    def wait_nodes(self, prefix: str = NODES, timeout_s: float = _REGISTER_S) -> None:
        """Wait until both engines, and nobody else, are registered under a prefix."""

        def registered() -> bool:
            held = {
                entry.value.decode() for entry in self.store.kv.tree(f"{prefix}/") if entry.session
            }
            if held != {engine.advertised for engine in self.engines}:
                raise Mismatch(f"held by sessions: {sorted(held)}")
            return True

        wait_until(registered, timeout_s, f"both engines under {prefix}")

    def wait_sound(self, tolerated: frozenset[str]) -> None:
        """Wait until every invariant holds, but for the tolerated kinds."""

        def broken() -> list[Finding]:
            return [one for one in check(self.view()) if one.kind not in tolerated]

        def sound() -> bool:
            found = broken()
            if found:
                raise Mismatch("; ".join(map(str, found)))
            return True

        wait_until(sound, _QUIET_S, "the records of a quiet store agree with each other")

    def clean(self) -> None:
        """Remove every container and every overlay network. Raises Mismatch if one stays.

        Engines are restarted in between: one that remembers a network from before its VXLAN id
        was chosen would leave its overlay record behind (spec 4.8), and what an engine's bugs did
        to it in one scenario must not reach the next.
        """
        together(*(lambda engine=engine: _remove_containers(engine) for engine in self.engines))
        self.restart_engines()
        for name in self.view().networks:
            self.h1.docker("network", "rm", name)

        def bare() -> bool:
            view = self.view()
            left = [*view.networks, *view.endpoints, *view.counts, *view.overlays, *view.pools]
            if left:
                raise Mismatch(f"still there: {left}")
            return True

        wait_until(bare, _QUIET_S, "no network, endpoint or address is left in the store")

    def evidence(self) -> str:
        """Return what a failure needs to be understood: ends of the logs, and the keys."""
        parts = [f"store log:\n{self.store.log_tail(_EVIDENCE_LINES)}"]
        for engine in self.engines:
            loud = [line for line in engine.logged().splitlines() if _telling(line)]
            parts.append(f"{engine.name} log:\n" + "\n".join(loud[-_EVIDENCE_LINES:]))
        try:
            entries = self.store.kv.tree(DOCKER)
            found = "\n".join(map(str, check(parse(entries)))) or "none"
            keys = "\n".join(entry.key for entry in entries if entry.value)
            parts.append(f"keys, without markers:\n{keys}")
            parts.append(f"findings:\n{found}")
        except (OSError, Mismatch) as error:
            parts.append(f"keys: the store does not answer: {error}")
        return "\n\n".join(parts)


def _telling(line: str) -> bool:
    """Whether a line of an engine's log is worth showing."""
    return "level=info" not in line and not any(noise in line for noise in _NOISE)


def _remove_containers(engine: Engine) -> None:
    containers = engine.docker("ps", "--all", "--quiet").split()
    if containers:
        engine.docker("rm", "--force", *containers)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
