"""Chapter K: the store is a container of our image, on a keystore host with an engine of its own.

As in the tutorial that this project comes from, with our image's name in place of Consul's.

Source: Docker's "Get started with multi-host networking" (Engine 1.9 to 17.x docs).
"""

import json
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from conformance.overlay.certificates import Certificates
from conformance.overlay.container import ContainerStore
from conformance.overlay.engine import Engine
from conformance.overlay.errors import LabUnavailable, Mismatch, Skipped
from conformance.overlay.keystore import NEXT_VERSION, keystore, load_image, make_next
from conformance.overlay.kv import Connect
from conformance.overlay.lab import Lab
from conformance.overlay.namespaces import Host
from conformance.overlay.scenario import Chapter
from conformance.overlay.scenarios import tutorial
from conformance.overlay.store import PORT
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SOON_S = 15.0
# Engines notice a lost watch at their discovery's 20 s tick: 40 s were measured, one tick to spare.
_REARMED_S = 75.0
_CONNECT_S = 5.0
_VOLUME = "kvstore-data"
# Where engines register themselves in K4: under the URL's path, and a path of their own.
_PREFIX = "pfx"
_NODES = "swarm/nodes"
# What a store with TLS answers to who forgot it.
_PLAIN = "Client sent an HTTP request to an HTTPS server"


@CHAPTER.scenario(
    "K1", "the tutorial on our image; then docker stop, kill and start", quick=True, wrecks=True
)
def tutorial_on_image(lab: Lab) -> None:
    """Do what the tutorial does, in its order, with our image's name, and check each step.

    Then the container is stopped and started, and killed and started: what runs is reached
    meanwhile, what starts or is renamed afterwards is found, and nothing is lost.
    """
    store = _serve(lab, ContainerStore(*_keystore(lab)))
    lab.start_engines()
    tutorial.walk(lab)
    lab.clean()  # its last containers are gone, so an engine may fail to dial again: moby#39036
    lab.use("shop")
    _outage(lab, store.stop, store.start)
    _check_news(lab, "depot")
    _outage(lab, store.kill, store.start)
    _check_news(lab, "yard")
    store.wait_healthy()
    lab.wait_sound(frozenset())


@CHAPTER.scenario("K2", "a newer image on the same named volume", quick=True, wrecks=True)
def upgrade(lab: Lab) -> None:
    """Expect the data on the new version, and an overlay that notices nothing but new names."""
    engine, image = _keystore(lab)
    following = make_next(engine, image, lab.folder)
    store = _serve(lab, ContainerStore(engine, image, data=_VOLUME))
    lab.start_engines()
    lab.use("shop")
    old = _version(lab)
    expect(that=NEXT_VERSION not in old, what=f"a version before {NEXT_VERSION}", seen=old)
    _outage(lab, store.stop, lambda: store.upgrade(following))
    expect(that=NEXT_VERSION in _version(lab), what=NEXT_VERSION, seen=_version(lab))
    _check_news(lab, "depot")
    store.wait_healthy()
    lab.wait_sound(frozenset())


@CHAPTER.scenario("K3", "the data in a folder of the host", wrecks=True)
def bind_mounted(lab: Lab) -> None:
    """Expect the journal in the folder, and a new container to go on with what is there.

    A folder that belongs to root is refused, and the log says whose it has to be.
    """
    engine, image = _keystore(lab)
    user = engine.docker("image", "inspect", "--format", "{{.Config.User}}", image)
    folder = lab.folder / "bind"
    folder.mkdir()
    lab.closing.callback(shutil.rmtree, folder)
    store = ContainerStore(engine, image, data=str(folder))
    step = f"chown -R {user}"
    try:
        store.start()
    except Mismatch as refusal:
        expect(that=step in str(refusal), what=f"{step!r} in the log", seen=refusal)
    else:
        raise Mismatch(f"expected a folder of root's to be refused to user {user}; it was taken")
    os.chown(folder, *map(int, user.split(":")))
    _serve(lab, store)
    lab.start_engines()
    lab.use("shop")
    expect(that=any(folder.iterdir()), what="the journal in the folder", seen="nothing")
    _outage(lab, store.kill, lambda: store.upgrade(image))
    _check_news(lab, "depot")
    store.wait_healthy()
    lab.wait_sound(frozenset())


@CHAPTER.scenario(
    "K4",
    "TLS on both sides, kv.path, and a URL with a path and `/`",
    quick=True,
    wrecks=True,
)
def tls(lab: Lab) -> None:
    """Certificates are mounted, settings are in the environment, engines have all three files.

    All keys are under the URL's path, and the container may be stopped and started. An engine with
    two of its files would speak plain HTTP without a word: its log then has the store's answer.
    """
    engine, image = _keystore(lab)
    authority = Certificates(lab.folder / "certificates", engine.host.address)
    store = _serve(lab, _secured(engine, image, authority))
    files = authority.engine_flags(authority.client)
    lab.h1.launch(lab.store_url, *files[:-1])
    wait_until(lambda: _PLAIN in lab.h1.logged(), _SOON_S, f"{_PLAIN!r} in the engine's log")
    lab.h1.stop()
    flags = [*files, f"--cluster-store-opt=kv.path={_NODES}"]
    for one in lab.engines:
        one.launch(f"{lab.store_url}/{_PREFIX}/", *flags)
    lab.wait_answering()
    lab.wait_nodes(f"{_PREFIX}/{_NODES}")
    lab.use("shop")
    outside = [one.key for one in store.kv.tree("") if not one.key.startswith(f"{_PREFIX}/")]
    expect(that=not outside, what=f"all keys under {_PREFIX}/", seen=outside)
    _outage(lab, store.stop, store.start)
    _check_news(lab, "depot")
    store.wait_healthy()


def _keystore(lab: Lab) -> tuple[Engine, str]:
    """Return the engine of the keystore host, which ends with the scenario, and the image it has.

    The two other engines are stopped.
    """
    if lab.store.kind != "kvstore":
        raise Skipped("is about the image of this project's own server")
    lab.stop_engines()
    engine = lab.closing.enter_context(keystore(lab.network, lab.h1.tools, lab.folder))
    began = time.monotonic()
    try:
        image = load_image(engine, lab.folder)
    except LabUnavailable as reason:
        raise Skipped(str(reason)) from reason
    lab.note(f"image there after {time.monotonic() - began:.0f} s")
    return engine, image


def _serve(lab: Lab, store: ContainerStore) -> ContainerStore:
    """Start a store that the scenario uses from now on, with hosts for engines yet to start."""
    lab.move_to(store)
    store.start()
    lab.start_bare()
    return store


def _secured(engine: Engine, image: str, authority: Certificates) -> ContainerStore:
    """Return a store that speaks TLS only, with certificates of its host in a mounted folder.

    What looks at its health, inside the container, has a port of its own.
    """
    inside = Path("/certificates")
    settings = {
        "LISTEN": f"https://0.0.0.0:{PORT} http://127.0.0.1:8501",
        "TLS_CERT_FILE": inside / authority.server.cert.name,
        "TLS_KEY_FILE": inside / authority.server.key.name,
        "TLS_CLIENT_CA_FILE": inside / authority.authority.name,
    }
    folder = authority.authority.parent
    mounted = f"--volume={folder}:{inside}:ro"
    options = (mounted, *(f"--env=KVSTORE_{name}={value}" for name, value in settings.items()))
    return ContainerStore(
        engine, image, data=_VOLUME, options=options, connect=_dial(engine.host, authority)
    )


def _dial(host: Host, authority: Certificates) -> Connect:
    """Return how the lab connects to a store that asks for certificates."""
    context = ssl.create_default_context(cafile=authority.authority)
    context.load_cert_chain(authority.client.cert, authority.client.key)

    def connect() -> socket.socket:
        plain = host.connect(PORT, timeout_s=_CONNECT_S)
        return context.wrap_socket(plain, server_hostname=host.address)

    return connect


def _outage(lab: Lab, away: Callable[[], None], back: Callable[[], None]) -> None:
    """Take the store away and bring it back; expect names to work meanwhile, and nothing lost.

    Sessions hold the keys that they held.
    """
    before = _records(lab)
    away()
    lab.wait_reaches(lab.h2, "visitor-shop", "web-shop", _SOON_S)
    began = time.monotonic()
    back()
    lab.note(f"back after {time.monotonic() - began:.1f} s")
    after = _records(lab)
    expect(that=before.items() <= after.items(), what="every record as before", seen=sorted(after))


def _records(lab: Lab) -> dict[str, tuple[bytes, str]]:
    return {one.key: (one.value, one.session) for one in lab.store.kv.tree("")}


def _check_news(lab: Lab, network: str) -> None:
    """Expect a new network to work, and what starts and is renamed now to be found in an old one.

    h1 is the last to change the old network, so that its own last change is a rename: see A9.
    """
    began = time.monotonic()
    guest, late, renamed = (f"{name}-{network}" for name in ("guest", "late", "renamed"))
    lab.run(lab.h2, guest, "shop")
    lab.run(lab.h1, late, "shop")
    lab.wait_reaches(lab.h2, "visitor-shop", late, _REARMED_S)
    lab.wait_reaches(lab.h1, "web-shop", guest, _REARMED_S)
    lab.note(f"new names found after {time.monotonic() - began:.0f} s")
    lab.h1.docker("rename", late, renamed)
    lab.wait_reaches(lab.h2, "visitor-shop", renamed, _SOON_S)
    lab.use(network, _REARMED_S)


def _version(lab: Lab) -> str:
    """Return what the store says its version is."""
    described = json.loads(lab.store.kv.request("GET", "/v1/agent/self").body)
    return str(described["Config"]["Revision"])
