"""The two things the lab asks of apt: install what is missing, and fetch one old package.

The fetch reads a private copy of the machine's Debian source with another suite in it, and keeps
its lists in a folder of its own: the machine's apt configuration is read, never changed.
No host is written down here; the copy keeps whatever mirror the machine uses.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.overlay.errors import LabUnavailable

_SOURCES = Path("/etc/apt")
_POLICY = Path("/usr/sbin/policy-rc.d")
_LINES_SHOWN = 3


def install(packages: list[str]) -> None:
    """Install Debian packages without questions and without starting their services."""
    with _no_service_starts():
        _run(["apt-get", "update"], "update its lists")
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        _run(command, f"install {' '.join(packages)}")


def download(name: str, version: str, *, suite: str, folder: Path) -> Path:
    """Fetch one package of another suite into `folder` and return the file. Not verified here."""
    sources = folder / "sources"
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    sources.mkdir()
    (sources / "suite.sources").write_text(source_of(suite), encoding="utf-8")
    options = [
        *("-o", "Dir::Etc::sourcelist=/dev/null"),
        *("-o", f"Dir::Etc::sourceparts={sources}"),
        *("-o", f"Dir::State::lists={lists}"),
        *("-o", "APT::Sandbox::User=root"),  # the folder is ours alone
    ]
    gone = f"find Debian {suite} on this machine's mirror (an old suite moves to the archive)"
    _run(["apt-get", *options, "--error-on=any", "update"], gone)
    _run(["apt-get", *options, "download", f"{name}={version}"], f"get {name} {version}", folder)
    return next(folder.glob(f"{name}_*.deb"))


def source_of(suite: str) -> str:
    """Return a deb822 source like the machine's first Debian one, for another suite."""
    for uri, signed_by in _debian_sources():
        signed = f"Signed-By: {signed_by}\n" if signed_by else ""
        return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed}"
    raise LabUnavailable(
        "this machine has no Debian apt source to copy: put the two packages in a folder and "
        "set KVSTORE_LAB_DEBS to it."
    )


def _debian_sources() -> Iterator[tuple[str, str]]:
    """Yield (URI, keyring) of every source whose path ends in `/debian`, in both file formats."""
    for file in sorted((_SOURCES / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            fields = dict(re.findall(r"^([\w-]+):\s*(.+?)\s*$", stanza, re.MULTILINE))
            for uri in fields.get("URIs", "").split():
                if _is_debian(uri):
                    yield uri, fields.get("Signed-By", "")
    lines = [_SOURCES / "sources.list", *sorted((_SOURCES / "sources.list.d").glob("*.list"))]
    for file in lines:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for options, uri in re.findall(r"^deb\s+(\[[^]]*\]\s+)?(\S+)", text, re.MULTILINE):
            if _is_debian(uri):
                signed = re.search(r"signed-by=(\S+?)[\s\]]", options)
                yield uri, signed.group(1) if signed else ""


def _is_debian(uri: str) -> bool:
    return uri.rstrip("/").endswith("/debian")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep packages from starting their daemons, by the file Debian has for that.

    Source: Debian, invoke-rc.d and policy-rc.d: exit status 101 forbids the action.
    """
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _run(command: list[str], purpose: str, folder: Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=folder, check=False
        )
    except FileNotFoundError:
        raise LabUnavailable("this machine has no apt: the lab runs on Debian 12.") from None
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-_LINES_SHOWN:])
        raise LabUnavailable(f"apt could not {purpose}: {last}")
