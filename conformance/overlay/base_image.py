"""An image to build on, for machines that reach Debian's packages but no image registry.

It has the name and the contents of the public one, as far as our Dockerfile goes. What builds on
this machine need besides, its certificates and pip's settings, is put on top, so that the
Dockerfile knows nothing of it; and since nothing of a base is in our image, it goes no further.
"""

import ast
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.overlay import apt
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.packages import Say, cache_folder

__all__ = ["NAME", "base_archive", "write_settings"]

NAME = "debian:bookworm-slim"

_SUITE = "bookworm"
# Apt checks the signatures; it does the work of debootstrap in a fifth of the time.
_BOOTSTRAP = ("mmdebstrap", "--quiet", "--variant=apt")
# As in the public image: no documentation but licences, and one language.
_LEFT_OUT = ("doc/*", "info/*", "locale/*", "man/*")
_KEPT = ("doc/*/copyright",)
_LINES_SHOWN = 3

# Where pip finds the machine's certificates during a build, and its settings.
_AUTHORITIES = "/usr/local/share/machine-ca.pem"
_PIP_NAMES = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")


def base_archive(say: Say) -> Path:
    """Return the tar file of the base's files, making it if it is not in the cache. Needs root.

    Raises LabUnavailable when Debian's packages cannot be had.
    """
    source = apt.source_of(_SUITE)
    rules = [f"--dpkgopt=path-exclude=/usr/share/{path}" for path in _LEFT_OUT]
    rules += [f"--dpkgopt=path-include=/usr/share/{path}" for path in _KEPT]
    key = hashlib.sha256(repr((source, rules)).encode()).hexdigest()[:16]
    archive = cache_folder() / f"base-{_SUITE}-{key}.tar"
    if archive.is_file():
        return archive
    if shutil.which(_BOOTSTRAP[0]) is None:
        say(f"installing {_BOOTSTRAP[0]}")
        apt.install([_BOOTSTRAP[0]])
    say(f"making a base image of Debian {_SUITE}, half a minute")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        sources, made = Path(scratch, "debian.sources"), Path(scratch, "base.tar")
        sources.write_text(source, encoding="utf-8")
        command = [*_BOOTSTRAP, *rules, _SUITE, str(made), str(sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = " / ".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
            raise LabUnavailable(f"no base image of Debian {_SUITE} can be made: {last}")
        made.rename(archive)  # whole or not at all
    return archive


def write_settings(folder: Path) -> None:
    """Fill a folder with a Dockerfile that puts this machine's settings of pip on the base."""
    settings = _pip_settings()
    lines = [f"{name} = {settings[name]}" for name in _PIP_NAMES if name in settings]
    authorities = Path(settings.get("cert", ""))
    copied = ["pip.conf /etc/pip.conf"]
    if authorities.is_file():
        shutil.copy(authorities, folder / "ca.pem")
        lines.append(f"cert = {_AUTHORITIES}")
        copied.append(f"ca.pem {_AUTHORITIES}")
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    steps = [f"FROM {NAME}", *(f"COPY {words}" for words in copied), ""]
    (folder / "Dockerfile").write_text("\n".join(steps), encoding="utf-8")


def _pip_settings() -> dict[str, str]:
    """Return what pip's files and the environment say, by name; what is on disk here is left out.

    A folder of wheels on this machine is no folder of the build.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings = {}
    # The environment counts more than files, and is listed first.
    for line in reversed(listed.splitlines()):
        name, _, value = line.partition("=")
        text = str(ast.literal_eval(value))
        if "file:" not in text:
            settings[name.rpartition(".")[2]] = text
    return settings
