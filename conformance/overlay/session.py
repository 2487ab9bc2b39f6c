"""One run of the lab, from an empty machine and back to it.

Everything lives below one folder and one group of processes; whatever ends the run (success,
failure, Ctrl-C, SIGTERM) ends them, and SIGKILL leaves only the folder, which the next run removes.
"""

import fcntl
import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from conformance.overlay import cgroups
from conformance.overlay.container import ContainerStore
from conformance.overlay.engine import Engine
from conformance.overlay.errors import LabUnavailable, Mismatch
from conformance.overlay.keystore import load_image
from conformance.overlay.kv import Kv
from conformance.overlay.lab import TREES, Lab
from conformance.overlay.namespaces import Network
from conformance.overlay.packages import Tools
from conformance.overlay.relay import Relay, dial
from conformance.overlay.store import (
    IMAGE,
    PORT,
    TLS_PORT,
    ForeignStore,
    OwnStore,
    Store,
    command_for,
)

_FOREIGN = "consul://"
_POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def lab_session(wanted: str, tools: Tools) -> Iterator[Lab]:
    """Yield a lab with the wanted store running; its engines are not started yet.

    Must be entered in the main thread: the lab's hosts die with the thread that made them.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_work_folder())
        stack.enter_context(_ended_by_signals())
        cgroups.remove()  # left by a run that was killed
        stack.callback(cgroups.remove)
        network = stack.enter_context(Network())
        try:
            store = _store(wanted, tools, network, folder, stack)
            store.start()
        except Mismatch as failure:
            raise LabUnavailable(f"the store does not start: {failure}.") from failure
        h1, h2 = (
            Engine(name=name, host=network[name], tools=tools, folder=folder / name)
            for name in ("h1", "h2")
        )
        yield Lab(network=network, store=store, h1=h1, h2=h2, folder=folder)
        # An orderly end is the engines' own; in disorder the kernel ends them with their hosts.
        for engine in (h1, h2):
            engine.stop()
        if not isinstance(store, ForeignStore):
            store.stop()


def _store(wanted: str, tools: Tools, network: Network, folder: Path, stack: ExitStack) -> Store:
    host = network["kv"]
    if wanted == IMAGE:
        return _in_container(Engine(name="kv", host=host, tools=tools, folder=folder / "kv"))
    if not wanted.startswith(_FOREIGN):
        kind, command = command_for(wanted, tools.consul / "usr/bin/consul")
        return OwnStore(kind=kind, host=host, folder=folder / "store", command=command)
    address, _, port = wanted.removeprefix(_FOREIGN).rpartition(":")
    connect = dial(address, int(port))
    stack.enter_context(Relay(host.listen(PORT), connect))
    kv = Kv(connect)
    if not kv.ready():
        raise LabUnavailable(f"nothing answers at {wanted}: start the store first.")
    store = ForeignStore(kv=kv, kind=_kind(kv), host=host)
    taken = [tree for tree in TREES if kv.tree(tree)]
    if taken:
        raise LabUnavailable(
            f"{wanted} holds keys under {', '.join(taken)}, and the lab would delete them: "
            "give it an empty store."
        )
    return store


def _in_container(engine: Engine) -> ContainerStore:
    """Return a store in our image; what scenarios want beside the plain port is published too."""
    engine.launch(None)
    engine.wait_ready()
    image = load_image(engine, engine.folder)
    published = f"--publish={TLS_PORT}:{TLS_PORT}"
    return ContainerStore(engine, image, data="kvstore-data", options=(published,))


def _kind(kv: Kv) -> str:
    """Return what a store says it is: ours names itself in the revision, as Consul has a commit."""
    described = json.loads(kv.request("GET", "/v1/agent/self").body)
    ours = str(described["Config"]["Revision"]).startswith("kvstore")
    return "kvstore" if ours else "consul"


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Yield an empty folder for this run alone. Raises LabUnavailable while another run is on.

    The lock is the kernel's, so it ends with its process, however that ends.
    """
    folder = Path(tempfile.gettempdir()) / "kvstore-lab"
    with folder.with_suffix(".lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabUnavailable(
                "another run of the lab is on: wait for it (it holds "
                f"{folder.with_suffix('.lock')})."
            ) from None
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
        folder.mkdir(mode=0o711)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make every polite signal end the run as Ctrl-C does: through every `finally` on the way out.

    Ctrl-C too: a shell that starts the lab in the background has it ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in _POLITE}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
