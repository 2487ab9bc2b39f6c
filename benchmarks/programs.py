"""Where the programs of a benchmark come from: pinned Debian packages, and wrk.

Consul and etcd are unpacked into the cache of the lab (KVSTORE_LAB_CACHE, KVSTORE_LAB_DEBS: see
conformance/overlay/packages.py); nothing of them is installed. wrk is a Debian package like any
other, taken where it is.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.errors import BenchmarkRefused, StoreMissing
from conformance.overlay import apt
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.packages import CONSUL, Deb, Say, unpacked

__all__ = ["consul", "etcd", "version", "wrk"]

_ETCD = Deb(
    name="etcd-server",
    version="3.4.23-4+b4",
    sha256="3a9445d4560ad6de1c375756b2a17d97713df44cbd20a658c871fe108af7ef5d",
    suite="bookworm",
)
_WRK = "wrk"


def consul(say: Say) -> Path:
    """Return the Consul of KVSTORE_CONSUL or of the pinned package. Raises StoreMissing."""
    named = os.environ.get("KVSTORE_CONSUL")
    return Path(named) if named else _program(CONSUL, "usr/bin/consul", say)


def etcd(say: Say) -> Path:
    """Return the etcd of the pinned package. Raises StoreMissing."""
    return _program(_ETCD, "usr/bin/etcd", say)


def wrk(say: Say) -> Path:
    """Return the load generator, installed if need be. Raises BenchmarkRefused."""
    found = shutil.which(_WRK)
    if not found and os.geteuid() == 0:
        say("installing wrk")
        try:
            apt.install([_WRK])
        except LabUnavailable as reason:
            raise BenchmarkRefused(
                f"wrk is not here, and {reason}; install it and try again."
            ) from reason
        found = shutil.which(_WRK)
    if not found:
        raise BenchmarkRefused("wrk is not here: install it (`apt-get install wrk`).")
    return Path(found)


def version(program: Path, *flags: str) -> str:
    """Return what a program says its version is; its name alone if it says none."""
    done = subprocess.run([program, *flags], capture_output=True, text=True, check=False)
    found = re.search(r"v?(\d+\.\d+[\w.]*)", done.stdout + done.stderr)
    return f"{program.name} {found[1]}" if found else program.name


def _program(deb: Deb, path: str, say: Say) -> Path:
    try:
        return unpacked(deb, say) / path
    except (LabUnavailable, OSError, subprocess.CalledProcessError) as reason:
        raise StoreMissing(f"there is no {deb.name} here: {reason}") from reason
