"""Chapter M: engines in use are moved from a real Consul to our server, and back.

What is run is what the guide (docs/running.md) tells an operator to run, command by command, under
a real systemd with the units of deploy/. `BLOCKS` and `UNITS` have it; the tests hold the guide to
them, so a change of one is a change of both.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.overlay import cgroups, image
from conformance.overlay.container import ContainerStore
from conformance.overlay.engine import Engine
from conformance.overlay.errors import LabUnavailable, Skipped
from conformance.overlay.keystore import keystore, load_image
from conformance.overlay.lab import DOCKER, Lab
from conformance.overlay.namespaces import Host
from conformance.overlay.scenario import Chapter
from conformance.overlay.store import PORT, OwnStore, consul_command
from conformance.overlay.systemd import Systemd, missing
from conformance.overlay.waiting import expect, wait_until

__all__ = ["BLOCKS", "CHAPTER", "UNITS"]

CHAPTER = Chapter()

# Blocks of commands in the guide, by name; without what it shows as their output.
BLOCKS: dict[str, str] = {
    "move": """\
kvstore backup --url http://127.0.0.1:8500 -o /var/tmp/consul.snap && systemctl stop consul
kvstore restore /var/tmp/consul.snap --data-dir /var/lib/kvstore
systemctl start kvstore.socket kvstore.service
""",
    "move-container": """\
docker run --rm --network container:consul -v kvstore-data:/data kvstore \\
    backup --url http://127.0.0.1:8500 -o /data/consul.snap && docker stop consul
docker run --rm -v kvstore-data:/data kvstore restore /data/consul.snap --data-dir /data
docker run -d --name kvstore --restart always -p 8500:8500 -v kvstore-data:/data kvstore
""",
    "move-back": """\
kvstore backup -o /var/tmp/kvstore.snap && systemctl stop kvstore.socket kvstore.service
systemctl start consul
until consul snapshot restore /var/tmp/kvstore.snap; do sleep 1; done
""",
    "proxy-switch": """\
systemctl stop consul-proxy.socket consul-proxy.service
kvstore backup --url http://192.0.2.9:8500 -o /var/tmp/consul.snap
kvstore restore /var/tmp/consul.snap --data-dir /var/lib/kvstore
systemctl start kvstore.socket kvstore.service
""",
    "move-old": """\
kvstore export docker/network/ --url http://127.0.0.1:8500 -o /var/tmp/consul.json \\
    && systemctl stop consul
systemctl start kvstore.socket kvstore.service
kvstore import /var/tmp/consul.json
""",
    "lost": """\
systemctl stop kvstore.socket kvstore.service
mv /var/lib/private/kvstore /var/lib/private/kvstore.lost
newest=$(ls /var/lib/private/kvstore-backup/kvstore-*.snap | tail -n 1)
kvstore restore $newest --data-dir /var/lib/private/kvstore
systemctl start kvstore.socket kvstore.service
""",
    "made-since": """\
docker network create --driver overlay since
docker network disconnect --force since orphan
docker network connect since orphan
docker start orphan
""",
    "stale": """\
docker network disconnect --force shop gone
""",
    "backup-container": """\
docker exec kvstore kvstore backup --force -o /data/store.snap
docker cp kvstore:/data/store.snap .
""",
}

# Consul's address in them, where it is on another host than ours.
_CONSUL_ADDRESS = "192.0.2.9"

# Units that the guide has, by the names of their files.
UNITS: dict[str, str] = {
    "consul-proxy.socket": """\
[Socket]
ListenStream=8500

[Install]
WantedBy=sockets.target
""",
    "consul-proxy.service": """\
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd --connections-max=20000 192.0.2.9:8500
LimitNOFILE=65536
DynamicUser=yes
""",
}

_DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
_CONSUL = """\
[Service]
ExecStart={command}
KillSignal=SIGINT
"""

# What Consul's program of the lab needs in a container that has nothing.
_LIBRARIES = (Path("/lib/x86_64-linux-gnu"), Path("/lib64"))

_SOON_S = 15.0
_READY_S = 60.0
# Engines notice a lost watch at their discovery's 20 s tick: 40 s were measured, one tick to spare.
_REARMED_S = 75.0


@dataclass(frozen=True, slots=True)
class _Keystore:
    """The host that engines find their store on: its systemd, and what stands for the addresses."""

    lab: Lab
    systemd: Systemd
    consul: Host

    def run(self, block: str) -> None:
        """Run a block of the guide as its reader would. Raises Mismatch when a command fails."""
        program = self.lab.h1.tools.consul / "usr/bin"
        path = f"/opt/kvstore/bin:{program}:{self.lab.h1.tools.path}"
        script = BLOCKS[block].replace(_CONSUL_ADDRESS, self.consul.address)
        self.systemd.run("env", f"PATH={path}", "sh", "-ec", script)


@CHAPTER.scenario(
    "MOVE",
    "from Consul to kvstore at the same address, containers running",
    quick=True,
    wrecks=True,
)
def moved(lab: Lab) -> None:
    """Every record has its index and its session; nothing that runs notices; new names are found.

    What existed before is then removed without a restart of any engine, and nothing is left of it.
    """
    with _on_consul(lab) as host:
        lab.use("shop")
        _move(lab, host.run, "move")
        _expect_all_works(lab)


@CHAPTER.scenario("MOVEB", "from kvstore back to Consul, containers running", wrecks=True)
def moved_back(lab: Lab) -> None:
    """Expect of the way back what MOVE expects of the way there."""
    with _on_consul(lab) as host:
        lab.use("shop")
        host.run("move")
        wait_until(lab.store.kv.ready, _READY_S, "the store answers")
        _move(lab, host.run, "move-back")
        _expect_all_works(lab)


@CHAPTER.scenario(
    "MOVEP", "from a Consul elsewhere, engines one at a time behind a proxy", wrecks=True
)
def moved_by_proxy(lab: Lab) -> None:
    """Half of the engines on the proxy, half on Consul: all works; then the store is switched."""
    with _on_consul(lab, elsewhere=True) as host:
        lab.use("shop")
        for engine in lab.engines:
            _restart(lab, engine, lab.store_url)
            lab.wait_reaches(lab.h2, "visitor-shop", "web-shop", _REARMED_S)
            lab.wait_reaches(lab.h1, "web-shop", "visitor-shop", _REARMED_S)
        _move(lab, host.run, "proxy-switch")
        _expect_all_works(lab)


@CHAPTER.scenario("MOVEI", "from a Consul without snapshots: export and import", wrecks=True)
def moved_by_import(lab: Lab) -> None:
    """Indexes are new, so engines are restarted one after the other; then all is as after MOVE."""
    with _on_consul(lab) as host:
        lab.use("shop")
        before = _values(lab, f"{DOCKER}network/")
        host.run("move-old")
        expect(that=before == _values(lab, f"{DOCKER}network/"), what="all values", seen="others")
        lab.wait_reaches(lab.h2, "visitor-shop", "web-shop", _SOON_S)
        for engine in lab.engines:
            _restart(lab, engine, lab.store_url)
        _expect_all_works(lab)


@CHAPTER.scenario("MOVEK", "from Consul in a container to ours, on one engine", wrecks=True)
def moved_containers(lab: Lab) -> None:
    """As MOVE, with a container for each store, on the keystore host of the tutorial."""
    if lab.store.kind != "kvstore":
        raise Skipped("is about a move to our server")
    lab.stop_engines()
    lab.store.stop()
    engine = lab.closing.enter_context(keystore(lab.network, lab.h1.tools, lab.folder))
    try:
        built = load_image(engine, lab.folder)
    except LabUnavailable as reason:
        raise Skipped(str(reason)) from reason
    engine.docker("tag", built, "kvstore")
    program = lab.h1.tools.consul / "usr/bin/consul"
    mounts = [f"--volume={place}:{place}:ro" for place in (program, *_LIBRARIES)]
    agent = [str(program), "agent", "-server", "-bootstrap", "-client=0.0.0.0", "-data-dir=/data"]
    published = ["--detach", "--name=consul", f"--publish={PORT}:{PORT}"]
    engine.docker("run", *published, *mounts, image.NAME, *agent)
    lab.move_to(ContainerStore(engine, built))
    wait_until(lab.store.kv.ready, _READY_S, "Consul answers")
    lab.start_bare()
    lab.start_engines()
    lab.use("shop")
    _move(lab, lambda block: _run_docker(engine, block), "move-container")
    _run_docker(engine, "backup-container")
    _expect_all_works(lab)
    lab.stop_engines()


@CHAPTER.scenario("LOST", "the store is lost, and restored from last night's backup", wrecks=True)
def lost(lab: Lab) -> None:
    """Expect the store to know what was started since once its engine was restarted.

    What was removed since is there again, with nothing behind, until it is disconnected by force;
    a network that was made since is made again.
    """
    with _on_consul(lab) as host:
        host.systemd.ctl("stop", "consul")
        host.systemd.ctl("start", "kvstore.socket", "kvstore.service")
        lab.use("shop")
        lab.run(lab.h2, "gone", "shop")
        host.systemd.ctl("start", "kvstore-backup.service")
        lab.h2.docker("rm", "--force", "gone")
        lab.run(lab.h1, "young", "shop")
        lab.create(lab.h1, "since")
        lab.run(lab.h1, "orphan", "since")
        lab.wait_reaches(lab.h2, "visitor-shop", "young", _SOON_S)
        host.run("lost")
        lab.wait_reaches(lab.h2, "visitor-shop", "young", _SOON_S)
        for engine in lab.engines:
            _restart(lab, engine, lab.store_url)
        for name in ("young", "web-shop"):
            lab.wait_reaches(lab.h2, "visitor-shop", name, _REARMED_S)
            lab.wait_reaches(lab.h1, name, "visitor-shop", _REARMED_S)
        names = {one.name for one in lab.view().endpoints.values()}
        expect(that="gone" in names, what="the record of gone, with nothing behind", seen=names)
        _run_docker(lab.h1, "stale")
        _run_docker(lab.h1, "made-since")
        lab.run(lab.h2, "peer", "since")
        lab.wait_reaches(lab.h2, "peer", "orphan", _REARMED_S)
        _expect_all_works(lab)


def _move(lab: Lab, run: Callable[[str], None], block: str) -> None:
    """Run a block that replaces the store, and expect every record as it was, with its index."""
    before = _records(lab)
    began = time.monotonic()
    run(block)
    wait_until(lab.store.kv.ready, _READY_S, "the store answers")
    lab.note(f"all commands took {time.monotonic() - began:.1f} s")
    after = _records(lab)
    expect(that=before == after, what="every record with its index and session", seen="others")
    lab.wait_reaches(lab.h2, "visitor-shop", "web-shop", _SOON_S)


def _expect_all_works(lab: Lab) -> None:
    """Expect new names and networks to work, and all that exists to be removable, at once."""
    began = time.monotonic()
    lab.run(lab.h1, "late", "shop")
    lab.wait_reaches(lab.h2, "visitor-shop", "late", _REARMED_S)
    lab.note(f"a new name was found after {time.monotonic() - began:.0f} s")
    lab.use("fresh", _REARMED_S)
    lab.wait_sound(frozenset())
    for engine in lab.engines:
        engine.docker("rm", "--force", *engine.docker("ps", "--all", "--quiet").split())
    lab.h1.docker("network", "rm", *lab.view().networks)
    lab.wait_sound(frozenset())
    view = lab.view()
    left = [*view.networks, *view.endpoints, *view.counts, *view.overlays, *view.pools]
    expect(that=not left, what="nothing left of the networks", seen=left)


def _run_docker(engine: Engine, block: str) -> None:
    """Run a block of the guide on the host of an engine. Raises Mismatch when a command fails."""
    env = {"PATH": engine.tools.path, "DOCKER_HOST": f"unix://{engine.socket}"}
    done = subprocess.run(
        ["sh", "-ec", BLOCKS[block]],
        capture_output=True,
        text=True,
        check=False,
        cwd=engine.folder,
        env=env,
    )
    expect(that=done.returncode == 0, what=f"success of {block}", seen=done.stderr.strip())


def _restart(lab: Lab, engine: Engine, store_url: str) -> None:
    """Restart an engine on a store's address, with the containers that it ran.

    One that cannot be started is left: what is expected of it is looked at later.
    """
    running = engine.docker("ps", "--quiet").split()
    engine.stop()
    engine.launch(store_url)
    engine.wait_ready()
    lab.wait_registered(engine)
    engine.client("start", *running)


def _records(lab: Lab) -> dict[str, tuple[bytes, int, str]]:
    """Return Docker's keys with value, index and session."""
    entries = lab.store.kv.tree(DOCKER)
    return {one.key: (one.value, one.modify_index, one.session) for one in entries}


def _values(lab: Lab, prefix: str) -> dict[str, bytes]:
    return {one.key: one.value for one in lab.store.kv.tree(prefix)}


@contextmanager
def _on_consul(lab: Lab, *, elsewhere: bool = False) -> Iterator[_Keystore]:
    """Have the keystore host run a systemd, and engines on a Consul that is one of its units.

    Or on a Consul elsewhere; the keystore host then has a proxy to it, as the guide makes one.
    """
    if lab.store.kind != "kvstore":
        raise Skipped("is about a move to our server")
    if lacking := missing():
        raise Skipped(lacking)
    lab.stop_engines()
    lab.store.stop()
    folder = Path(lab.closing.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o711)  # the server is a user without rights
    with ExitStack() as stack:
        consul = lab.network["kv"]
        if elsewhere:
            consul = lab.network.join("keystore")
            stack.callback(lab.network.leave, "keystore")
            _consul(lab, consul, folder / "elsewhere").start()
        host = _Keystore(lab, stack.enter_context(_systemd(lab, consul, folder)), consul)
        host.systemd.ctl("start", "consul-proxy.socket" if elsewhere else "consul")
        wait_until(lab.store.kv.ready, _READY_S, "the store answers")
        lab.start_bare()
        lab.start_engines(store_url=f"consul://{consul.address}:{PORT}")
        yield host
        lab.stop_engines()


def _consul(lab: Lab, host: Host, folder: Path) -> OwnStore:
    """Return a real Consul for a host."""
    command = consul_command(lab.h1.tools.consul / "usr/bin/consul")
    return OwnStore(kind="consul", host=host, folder=folder, command=command)


def _systemd(lab: Lab, consul: Host, folder: Path) -> Systemd:
    """Return a systemd for the keystore host: our units, those of the guide, and Consul's."""
    units = folder / "units"
    shutil.copytree(_DEPLOY, units)
    for name, text in UNITS.items():
        (units / name).write_text(text.replace(_CONSUL_ADDRESS, consul.address), encoding="ascii")
    here = lab.network["kv"]
    command = consul_command(lab.h1.tools.consul / "usr/bin/consul")
    words = command(Path("/var/lib/consul"), here.address)
    text = _CONSUL.format(command=" ".join(f'"{word}"' for word in words))
    (units / "consul.service").write_text(text, encoding="ascii")
    machine = folder / "machine"
    machine.mkdir(mode=0o711)
    entry = ["nsenter", "-t", str(here.pid), "-m", "-u", "-n", "-p"]
    group = f"{cgroups.PARENT}/systemd".strip("/")
    return Systemd(machine, units, entry=entry, group=group)
