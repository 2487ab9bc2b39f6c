"""What the lab needs on the machine, and how it gets there.

Two things: ordinary programs (containerd, runc, iptables …), installed by apt where they are
missing, and two packages of Debian 11, the last with a Docker engine that still has the Consul
backend and with a Consul. Those two are only unpacked, into a cache folder that survives runs;
nothing of the machine's own Docker is used, changed or replaced.

    KVSTORE_LAB_DEBS    a folder that holds the two package files; looked at before apt
    KVSTORE_LAB_CACHE   where they are unpacked (default: ~/.cache/kvstore-lab)
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.overlay import apt
from conformance.overlay.errors import LabUnavailable

# Progress, one sentence at a time.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deb:
    """One pinned package: name, version, what its file must hash to, and Debian's suite of it."""

    name: str
    version: str
    sha256: str
    suite: str = "bullseye"

    @property
    def stem(self) -> str:
        """The name of the package file without `.deb`; also of its folder in the cache."""
        return f"{self.name}_{self.version}_amd64"


CONSUL = Deb(
    name="consul",
    version="1.8.7+dfsg1-2+b3",
    sha256="e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
)
ENGINE = Deb(
    name="docker.io",
    version="20.10.5+dfsg1-1+deb11u2",
    sha256="6af074592eaecfe6710ae6d49eeb7dc4855afb65a3c96a25ed92c38c2c7963e0",
)

# Program → the Debian package that has it. dockerd and docker come from the pinned package.
_PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    # For the units in deploy/ and compose.yaml.
    "systemctl": "systemd",
    "docker-compose": "docker-compose",
}
# Where Debian puts programs; a user's PATH may lack the sbin folders.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs of a prepared machine are."""

    engine: Path
    consul: Path
    busybox: Path

    @property
    def dockerd(self) -> Path:
        """The engine's daemon."""
        return self.engine / "usr/sbin/dockerd"

    @property
    def docker(self) -> Path:
        """The engine's own client, of the same version."""
        return self.engine / "usr/bin/docker"

    @property
    def path(self) -> str:
        """The PATH an engine runs with: its own docker-proxy first, then the machine's programs."""
        return f"{self.engine}/usr/sbin:{self.engine}/usr/bin:{_PATH}"


def prepare(say: Say) -> Tools:
    """Get whatever is missing and return where everything is. Needs root.

    Raises LabUnavailable with the one thing to do when something cannot be had.
    """
    if os.geteuid() != 0:
        raise LabUnavailable("the lab makes network namespaces and starts engines: run it as root.")
    wanted = _missing_programs()
    if wanted:
        say(f"installing {', '.join(wanted)}")
        apt.install(wanted)
        still = _missing_programs()
        if still:
            raise LabUnavailable(f"apt installed {wanted}, but programs of {still} are not there.")
    return Tools(
        engine=unpacked(ENGINE, say), consul=unpacked(CONSUL, say), busybox=_find("busybox")
    )


def missing() -> list[str]:
    """Return the packages that `prepare` would have to get; empty on a prepared machine."""
    pinned = [deb.name for deb in (ENGINE, CONSUL) if not (cache_folder() / deb.stem).is_dir()]
    return _missing_programs() + pinned


def _missing_programs() -> list[str]:
    return sorted({_PROGRAMS[name] for name in _PROGRAMS if not _usable(name)})


def unpacked(deb: Deb, say: Say) -> Path:
    """Return the folder a pinned package is unpacked in, getting the package if need be."""
    folder = cache_folder() / deb.stem
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        file = _package_file(deb, Path(scratch), say)
        verify(deb, file)
        tree = Path(scratch) / "tree"
        subprocess.run(["dpkg", "-x", file, tree], check=True)
        tree.chmod(0o755)
        tree.rename(folder)  # whole or not at all: a folder that is there is complete and verified
    return folder


def verify(deb: Deb, file: Path) -> None:
    """Raise LabUnavailable unless the file is exactly the pinned package."""
    with file.open("rb") as content:
        seen = hashlib.file_digest(content, "sha256").hexdigest()
    if seen != deb.sha256:
        raise LabUnavailable(
            f"{file} has SHA-256 {seen}, expected {deb.sha256}: "
            "remove it or set KVSTORE_LAB_DEBS to a folder with the right one."
        )


def cache_folder() -> Path:
    """Return the folder that keeps unpacked packages between runs."""
    chosen = os.environ.get("KVSTORE_LAB_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "kvstore-lab"


def _package_file(deb: Deb, scratch: Path, say: Say) -> Path:
    given = os.environ.get("KVSTORE_LAB_DEBS")
    if given:
        file = Path(given) / f"{deb.stem}.deb"
        if file.is_file():
            return file
    say(f"downloading {deb.name} {deb.version} from Debian {deb.suite}")
    return apt.download(deb.name, deb.version, suite=deb.suite, folder=scratch)


def _usable(program: str) -> bool:
    path = shutil.which(program, path=_PATH)
    return path is not None and (program != "busybox" or _static(Path(path)))


def _static(program: Path) -> bool:
    """Whether a program runs without shared libraries: its ELF head names no interpreter."""
    with program.open("rb") as file:
        return b"/ld-" not in file.read(4096)


def _find(program: str) -> Path:
    path = shutil.which(program, path=_PATH)
    assert path is not None
    return Path(path)
