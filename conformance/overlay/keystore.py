"""The keystore host: the third machine of the tutorial, whose engine runs the store's image."""

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.overlay.building import build_image
from conformance.overlay.engine import Engine
from conformance.overlay.namespaces import Network
from conformance.overlay.packages import Tools

__all__ = ["NAME", "NEXT_VERSION", "keystore", "load_image", "make_next"]

NAME = "keystore"
# What `make_next` calls itself.
NEXT_VERSION = "99.0.0"

_LOAD_S = 120.0


@contextmanager
def keystore(network: Network, tools: Tools, folder: Path) -> Iterator[Engine]:
    """Yield the engine of one more host. Whatever it ran ends with the context, and its volumes."""
    place = folder / NAME
    try:
        engine = Engine(name=NAME, host=network.join(NAME), tools=tools, folder=place)
        engine.launch(None)
        engine.wait_ready()
        yield engine
    finally:
        network.leave(NAME)
        shutil.rmtree(place, ignore_errors=True)


def load_image(engine: Engine, folder: Path) -> str:
    """Give the engine the project's image, built if need be, and return its name.

    Raises LabUnavailable when it cannot be built here.
    """
    built = build_image(engine.tools, folder)
    engine.docker("load", "--input", str(built.archive), timeout_s=_LOAD_S)
    return built.name


def make_next(engine: Engine, image: str, folder: Path) -> str:
    """Make an image of the server's next version, and return its name.

    It is the same but for what it says its version is.
    """
    container = engine.docker("create", image)
    package = _package(engine, container, folder / "image.tar")
    file = folder / "__init__.py"
    file.write_text(
        f'"""The next version."""\n\n__version__ = "{NEXT_VERSION}"\n', encoding="ascii"
    )
    # Beside a compiled module of that name, its source is what is imported.
    engine.docker("cp", str(file), f"{container}:/{package}/")
    name = f"{image.partition(':')[0]}:next"
    engine.docker("commit", container, name)
    engine.docker("rm", "--volumes", container)
    return name


def _package(engine: Engine, container: str, scratch: Path) -> str:
    """Return the folder of the package `kvstore` among a container's files."""
    engine.docker("export", "--output", str(scratch), container, timeout_s=_LOAD_S)
    with tarfile.open(scratch) as tar:
        modules = (name.rpartition("/") for name in tar.getnames())
        found = next(
            folder
            for folder, _, module in modules
            if folder.endswith("/kvstore") and module.startswith("__init__.py")
        )
    scratch.unlink()
    return found
