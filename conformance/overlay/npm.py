"""The package of npm with which tests act as a client written for Node.js.

Kept, like everything pinned, in the cache folder; whatever registry the machine uses has it.
"""

import shutil
import subprocess
from pathlib import Path

from conformance.overlay import apt
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.packages import Say, cache_folder

__all__ = ["PACKAGE", "VERSION", "client_package", "prepare_client"]

PACKAGE = "consul"
VERSION = "2.0.1"

# Program → the Debian package that has it.
_PROGRAMS = {"node": "nodejs", "npm": "npm"}
_LINES_SHOWN = 3


def client_package() -> Path:
    """Return the folder the package is in once it was prepared."""
    return cache_folder() / f"npm-{PACKAGE}-{VERSION}" / "node_modules" / PACKAGE


def prepare_client(say: Say) -> Path:
    """Get Node.js and the package if they are missing, and return the package's folder.

    Needs root where a program is missing. Raises LabUnavailable with what could not be had.
    """
    missing = [deb for program, deb in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        say(f"installing {', '.join(missing)}")
        apt.install(missing)
    folder = client_package()
    if not folder.is_dir():
        say(f"installing {PACKAGE} {VERSION} of npm")
        prefix = folder.parents[1]
        prefix.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts"]
        command = ["npm", "install", *quiet, "--prefix", str(prefix), f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not folder.is_dir():
            reason = "; ".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
            raise LabUnavailable(f"npm cannot install {PACKAGE}@{VERSION}: {reason}")
    return folder
