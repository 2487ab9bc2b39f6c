"""What the container image is made from: pinned, complete, and without a word about any machine."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kvstore import __version__

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
LOCK = ROOT / "image" / "requirements.lock"

_PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<rest>.*(?:\n    --hash=\S+.*)*)", re.MULTILINE
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def pins() -> dict[str, re.Match[str]]:
    """Return the lock's pins by the packages' names."""
    found = _PIN.finditer(LOCK.read_text(encoding="utf-8"))
    return {canonicalize_name(pin["name"]): pin for pin in found}


def dependencies() -> list[Requirement]:
    """Return what the project says that it needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(one) for one in project["dependencies"]]


@pytest.mark.parametrize("dependency", dependencies(), ids=lambda one: one.name)
def test_every_dependency_is_pinned(dependency: Requirement) -> None:
    """At a version that the project allows; the lock's first lines say how it is made again."""
    pin = pins()[canonicalize_name(dependency.name)]
    assert dependency.specifier.contains(pin["version"])


def test_every_pin_has_hashes() -> None:
    """Of the wheels for each machine; pip takes no other file."""
    assert len(pins()) > len(dependencies())
    for name, pin in pins().items():
        assert _HASH.search(pin["rest"]), name


@pytest.mark.parametrize("path", [DOCKERFILE, LOCK, *sorted((ROOT / "image").glob("*.py"))])
def test_no_host_is_named(path: Path) -> None:
    """Packages come from wherever the machine that builds has them from."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|index-url|trusted-host", text)


def test_the_label_tells_the_version() -> None:
    """The Dockerfile cannot read it, so it says it again."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert f'org.opencontainers.image.version="{__version__}"' in text
