"""The container image, built by a real engine and run by it: small, closed, and well behaved.

Skipped where no engine can run, unless KVSTORE_REQUIRE_LAB=1 says that one must.
"""

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from promised import lacking, promised

from conformance.overlay import packages
from conformance.overlay.building import Builder, BuiltImage, build_image, builder
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.waiting import wait_until

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGE = Path(__file__).parents[2] / "kvstore"
# Without networks: of the container's own the loopback, where the health check asks.
RUN = ("run", "--network=none")
USER = 8500
WITHIN_S = 60.0

MB = 1_000_000


@pytest.fixture(scope="module")
def tools() -> packages.Tools:
    """Give the programs of a prepared machine."""
    if os.geteuid() != 0:
        lacking("building the container image needs root")
    if packages.missing() and not promised():
        wanted = ", ".join(packages.missing())
        pytest.skip(f"building needs {wanted}: run `python -m conformance setup`")
    return packages.prepare(lambda _: None)


@pytest.fixture(scope="module")
def image(tools: packages.Tools, tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """Build the image, or take it from the cache if nothing of it has changed."""
    try:
        return build_image(tools, tmp_path_factory.mktemp("build"))
    except LabUnavailable as reason:
        lacking(str(reason))


@pytest.fixture(scope="module")
def engine(
    tools: packages.Tools, image: BuiltImage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Builder]:
    """Run an engine that has loaded the image from its file."""
    with builder(tools, tmp_path_factory.mktemp("engine")) as engine:
        assert image.name in engine.docker("load", "--input", image.archive)
        yield engine


def state(engine: Builder, container: str, path: str) -> object:
    """Return a part of what the engine says of a container."""
    return json.loads(engine.docker("inspect", "--format", f"{{{{json .{path}}}}}", container))


def test_it_is_small(image: BuiltImage) -> None:
    """With everything in it: there is no base below its layer."""
    assert 20 * MB < image.layers_bytes < 50 * MB


def test_what_it_says_of_itself(image: BuiltImage) -> None:
    """How it runs, how it is stopped and looked at, and what it is."""
    config = image.config
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "kvstore", "health"]
    assert config["Entrypoint"] == ["kvstore"]
    assert config["Cmd"] == ["serve"]
    assert config["Volumes"] == {"/data": {}}
    assert config["ExposedPorts"] == {"8500/tcp": {}}
    titles = {name.rpartition(".")[2] for name in config["Labels"]}
    assert {"title", "description", "licenses", "version"} <= titles


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("-server", "-bootstrap")),
        (("--env=KVSTORE_LISTEN=http://0.0.0.0:8600",), ()),
        (("--env=KVSTORE_PORT=8600",), ("serve", "--host=127.0.0.1")),
    ],
    ids=["as Consul's", "elsewhere", "by flags and variables"],
)
def test_a_life(
    engine: Builder, image: BuiltImage, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """With no right but to serve: healthy, stopped at once, and there again with its data."""
    closed = ("--read-only", "--cap-drop=ALL", "--health-interval=1s")
    container = engine.docker(*RUN, "--detach", *closed, *options, image.name, *words)

    def is_healthy() -> bool:
        return state(engine, container, "State.Health.Status") == "healthy"

    wait_until(is_healthy, WITHIN_S, "a healthy container")
    engine.docker("stop", container)
    assert state(engine, container, "State.ExitCode") == 0
    engine.docker("start", container)
    wait_until(is_healthy, WITHIN_S, "a healthy container again")
    engine.docker("kill", container)
    log = engine.client("logs", container).stderr
    assert "data in /data" in log
    assert "index 1" in log


def test_whoever_runs_it_is_not_root(engine: Builder, image: BuiltImage) -> None:
    """Neither as it comes, nor able to become it."""
    asked = "import os; print(os.getuid(), os.getgid())"
    python = (*RUN, "--rm", "--entrypoint=python3", image.name, "-c")
    assert engine.docker(*python, asked) == f"{USER} {USER}"


def test_a_folder_of_somebody_else(engine: Builder, image: BuiltImage, tmp_path: Path) -> None:
    """It says which user it is and what to do; after that it has its data there."""
    folder = tmp_path / "bound"
    folder.mkdir(mode=0o700)
    words = (*RUN, "--rm", f"--volume={folder}:/data", image.name, "serve", "--port", "0")
    refused = engine.client(*words)
    assert refused.returncode == 4
    assert f"`chown -R {USER}:{USER} /data`" in refused.stderr
    os.chown(folder, USER, USER)
    container = engine.docker(*words[:1], "--detach", *words[1:])
    wait_until(lambda: list(folder.glob("*.journal")), WITHIN_S, "a journal in the folder")
    engine.docker("stop", container)


def imported() -> set[str]:
    """Return every module that a line of kvstore imports, wherever the line stands."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        names.add(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module))
    return names - {"kvstore.__main__"}  # which runs


def test_nothing_is_missing(engine: Builder, image: BuiltImage) -> None:
    """All that the server and its commands import is there, also what is loaded late."""
    names = sorted(imported())
    assert {"aiohttp", "rich.progress", "prometheus_client", "kvstore.cli.serve"} <= set(names)
    python = (*RUN, "--rm", "--entrypoint=python3", image.name, "-I", "-c")
    engine.docker(*python, f"import {', '.join(names)}")
