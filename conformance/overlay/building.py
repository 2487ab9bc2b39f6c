"""The container image of this project, built by a real engine from the project's own Dockerfile.

What is built is kept in the cache folder, by a hash of everything that goes in, so that it is built
once for each change. The engine of the build is on the machine's own network, where packages are,
and has none of the lab's hosts.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.overlay import base_image, cgroups
from conformance.overlay.daemon import Daemon, log_tail
from conformance.overlay.errors import LabUnavailable, Mismatch
from conformance.overlay.packages import Say, Tools, cache_folder
from conformance.overlay.waiting import wait_until

__all__ = ["NAME", "Builder", "BuiltImage", "build_image", "builder"]

NAME = "kvstore:lab"

_ROOT = Path(__file__).parents[2]
# All that the Dockerfile and .dockerignore let in, and they themselves.
_INGREDIENTS = ("Dockerfile", ".dockerignore", "LICENSE", "image", "kvstore")
_BASE = "kvstore-lab-base"
# Images kept in the cache, the newest: a change and its undoing build nothing.
_KEPT = 3

# As process 1 of its namespaces the engine takes all it started with it, however it ends. The
# folders are those that it and containerd use whatever their flags say.
_ALONE = ("--mount", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child=KILL")
_PRIVATE_FOLDERS = """\
set -e
for folder in /run/containerd /run/docker; do
  mkdir -p $folder
  mount -t tmpfs -o mode=711 builder $folder
done
exec "$@"
"""

_READY_S = 60.0
_STOP_S = 60.0
_COMMAND_S = 60.0
_BUILD_S = 600.0
_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image as `docker save` wrote it, for `docker load` of any engine."""

    archive: Path
    name: str
    # What the image takes unpacked, all its layers together: it has no base below it.
    layers_bytes: int
    # How it is to be run: `User`, `Healthcheck`, `Labels` …, as in the image's specification.
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Builder:
    """An engine without networks for its containers; builds use the machine's."""

    tools: Tools
    folder: Path

    @property
    def socket(self) -> Path:
        """Where its API listens."""
        return self.folder / "docker.sock"

    def client(
        self, *arguments: str | Path, timeout_s: float = _COMMAND_S
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker client; a failure is in the result."""
        return subprocess.run(
            [self.tools.docker, "-H", f"unix://{self.socket}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            # BuildKit: the older builder takes twice as long, and makes the same layer.
            env={**os.environ, "HOME": str(self.folder), "DOCKER_BUILDKIT": "1"},
        )

    def docker(self, *arguments: str | Path, timeout_s: float = _COMMAND_S) -> str:
        """Run the docker client and return what it prints. Raises Mismatch when it fails."""
        done = self.client(*arguments, timeout_s=timeout_s)
        if done.returncode != 0:
            last = " / ".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
            raise Mismatch(f"docker {' '.join(map(str, arguments[:2]))}: {last}")
        return done.stdout.strip()


def build_image(tools: Tools, folder: Path, say: Say = lambda _: None) -> BuiltImage:
    """Return the image, building it if what goes in has changed; `folder` is for scratch files.

    Raises LabUnavailable when it cannot be built on this machine.
    """
    base = base_image.base_archive(say)
    archive = cache_folder() / f"image-{_key(base)}.tar"
    with _alone():
        if archive.is_file():
            archive.touch()  # among the newest again
        else:
            say("building the container image, half a minute")
            try:
                _build(tools, folder, base, archive)
            except Mismatch as failure:
                raise LabUnavailable(f"the container image cannot be built: {failure}") from failure
        _forget_old()
    return _described(archive)


@contextmanager
def builder(tools: Tools, folder: Path) -> Iterator[Builder]:
    """Yield an engine that runs in `folder` until the block ends. Needs root."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="builder-") as place:
        one = Builder(tools, Path(place))
        groups = f"/kvstore-build-{os.getpid()}"
        daemon = _start(one, groups)
        try:
            yield one
        finally:
            daemon.terminate(_STOP_S)
            cgroups.remove(groups)


def _start(one: Builder, groups: str) -> Daemon:
    config, log = one.folder / "daemon.json", one.folder / "log"
    config.write_text("{}", encoding="ascii")
    folders = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    flags = [f"--{flag}={one.folder / name}" for flag, name in folders.items()]
    flags += [f"--config-file={config}", f"--host=unix://{one.socket}"]
    flags += ["--iptables=false", "--bridge=none"]
    flags += ["--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent={groups}"]
    entry = ["setpriv", "--pdeathsig", "KILL", "unshare", *_ALONE, "--propagation=private"]
    command = [*entry, "sh", "-c", _PRIVATE_FOLDERS, "sh", str(one.tools.dockerd), *flags]
    scratch = one.folder / "tmp"
    scratch.mkdir()
    environment = {**os.environ, "PATH": one.tools.path, "TMPDIR": str(scratch)}
    daemon = Daemon.spawn(command, log=log, env=environment)

    def answers() -> bool:
        if not daemon.running:
            raise LabUnavailable(f"no engine can run here to build with: {log_tail(log, 3)}")
        return one.client("version").returncode == 0

    wait_until(answers, _READY_S, "the engine that builds answers")
    return daemon


def _build(tools: Tools, folder: Path, base: Path, archive: Path) -> None:
    with builder(tools, folder) as engine:
        engine.docker("import", base, base_image.NAME, timeout_s=_BUILD_S)
        settings = engine.folder / "settings"
        settings.mkdir()
        base_image.write_settings(settings)
        engine.docker("build", "--tag", _BASE, settings, timeout_s=_BUILD_S)
        words = ["--network=host", f"--build-arg=BASE={_BASE}", "--tag", NAME]
        engine.docker("build", *words, _ROOT, timeout_s=_BUILD_S)
        saved = engine.folder / "image.tar"
        engine.docker("save", "--output", saved, NAME, timeout_s=_BUILD_S)
        shutil.move(saved, archive.with_suffix(".part"))
        archive.with_suffix(".part").rename(archive)  # whole or not at all


def _key(base: Path) -> str:
    """Return a hash of what the image is made of."""
    digest = hashlib.sha256(base.name.encode())
    for name in _INGREDIENTS:
        top = _ROOT / name
        if not top.exists():
            raise LabUnavailable(f"{top} is not there: the image is built in the project's folder.")
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(_ROOT)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process builds: what it makes is what we want."""
    with (cache_folder() / "image.lock").open("a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_old() -> None:
    images = sorted(cache_folder().glob("image-*.tar"), key=lambda path: path.stat().st_mtime)
    for old in images[:-_KEPT]:
        old.unlink()


def _described(archive: Path) -> BuiltImage:
    with tarfile.open(archive) as tar:

        def content(name: str) -> Any:
            file = tar.extractfile(name)
            assert file is not None
            return json.load(file)

        (image,) = content("manifest.json")
        layers_bytes = sum(tar.getmember(name).size for name in image["Layers"])
        config = content(image["Config"])["config"]
    return BuiltImage(archive, NAME, layers_bytes, config)
