"""Who may import whom: the floors of kvstore, and what the pure ones must not know.

A rule is a function of what a file imports; each is tried on a made-up file that breaks it, so
that none of them holds only because it looks at nothing.
"""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kvstore"

# Enough for values and tables; nothing that knows time, chance, files, the network or tasks.
PURE_STDLIB = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "operator",
    "typing",
}
# What the floors below the engine exchange.
VALUES = ["kvstore.state.command", "kvstore.state.entry", "kvstore.state.image"]
# What commands are made with, above. `secrets` is not among them, though state/ may not import it:
# the salt of a segment marks bytes on disk and never reaches a command.
CLOCKS_AND_CHANCE = ["datetime", "random", "uuid", "time.time", "time.time_ns"]
CLOCKS_AND_CHANCE += ["time.gmtime", "time.localtime"]


@dataclass(frozen=True)
class Use:
    """A module that a file imports, or a name it takes out of one."""

    # As a path under the package, "state/kv.py".
    file: str
    line: int
    # Absolute and dotted; for `from kvstore.state import kv`, "kvstore.state.kv".
    name: str

    def is_in(self, *floors: str) -> bool:
        """Tell whether the file lies on one of the floors."""
        return self.file.split("/")[0] in floors

    def means(self, *names: str) -> bool:
        """Tell whether the name is one of these or lies within one."""
        return any(self.name == name or self.name.startswith(f"{name}.") for name in names)

    def is_stdlib(self) -> bool:
        """Tell whether the name belongs to the standard library."""
        return self.name.split(".")[0] in sys.stdlib_module_names


@cache
def uses_in(package: Path) -> list[Use]:
    """Return all that the package's files import, wherever in a file it stands."""
    uses = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        uses += [Use(file.as_posix(), line, name) for line, name in _names(tree, file)]
    return uses


def _names(tree: ast.Module, file: Path) -> Iterator[tuple[int, str]]:
    # What an imported module is called in this file: {"t": "time"} after `import time as t`.
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules[alias.asname or alias.name] = alias.name
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            home = _home(node, file)
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{home}.{alias.name}"
                yield node.lineno, f"{home}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module:
                yield node.lineno, f"{module}.{node.attr}"


def _home(node: ast.ImportFrom, file: Path) -> str:
    """Return the module that `from … import` takes from, a relative one made absolute."""
    if not node.level:
        return node.module or ""
    folder = ["kvstore", *file.parts[:-1]]
    folder = folder[: len(folder) - node.level + 1]
    return ".".join([*folder, node.module] if node.module else folder)


def state_is_pure(use: Use) -> bool:
    """state/ knows values, tables and errors; the standard library by an allow-list."""
    if not use.is_in("state"):
        return True
    return use.means("sortedcontainers", "kvstore.errors", "kvstore.state", *PURE_STDLIB)


def journal_knows_values_only(use: Use) -> bool:
    """journal/ takes commands, entries and images from state/, and nothing from above."""
    if not use.is_in("journal"):
        return True
    return use.is_stdlib() or use.means("msgpack", "kvstore.errors", "kvstore.journal", *VALUES)


def archive_knows_values_only(use: Use) -> bool:
    """archive/ turns bytes into values of state/ and back; it waits for nobody."""
    if not use.is_in("archive"):
        return True
    texts = ["kvstore.duration", "kvstore.state.session_id"]
    known = use.means("msgpack", "kvstore.errors", "kvstore.archive", *texts, *VALUES)
    return known or (use.is_stdlib() and not use.means("asyncio", "time", "os"))


def maintenance_knows_no_server(use: Use) -> bool:
    """maintenance/ works on folders; of a running server it knows the journal and the clock."""
    return not (use.is_in("maintenance") and use.means("kvstore.engine", "kvstore.api", "aiohttp"))


def journal_is_no_workshop(use: Use) -> bool:
    """Neither the journal nor anything below it knows the work that is done on its files."""
    return not (use.is_in("state", "archive", "journal") and use.means("kvstore.maintenance"))


def engine_knows_no_http(use: Use) -> bool:
    """engine/ imports neither aiohttp nor api/."""
    return not (use.is_in("engine") and use.means("aiohttp", "kvstore.api"))


def aiohttp_has_two_doors(use: Use) -> bool:
    """Aiohttp is imported by api/web.py and, its other side, by the commands' client."""
    return use.file in {"api/web.py", "client.py"} or not use.means("aiohttp")


def api_never_touches_the_journal(use: Use) -> bool:
    """Nothing under api/ reaches past the engine to the journal."""
    return not (use.is_in("api") and use.means("kvstore.journal"))


def nobody_imports_the_top(use: Use) -> bool:
    """cli/ and server.py know everybody, and nobody knows them but the way in."""
    top = {"__main__.py", "server.py"}
    return (
        use.file in top
        or use.is_in("cli")
        or not use.means("kvstore.cli", "kvstore.server", "kvstore.__main__")
    )


def access_is_pure(use: Use) -> bool:
    """access/ knows rules and digests, not HTTP or the store; files.py alone is its door."""
    if not use.is_in("access"):
        return True
    if use.means("kvstore"):
        door = use.file == "access/files.py" and use.means("kvstore.durable")
        return door or use.means("kvstore.access", "kvstore.errors")
    texts = ["difflib", "hashlib", "hmac", "json", "re", "pathlib.Path"]
    return use.file == "access/files.py" or use.means(*PURE_STDLIB, *texts)


def transport_knows_no_server(use: Use) -> bool:
    """transport/ knows sockets and TLS: neither HTTP, nor a store, nor who serves on it."""
    if not use.is_in("transport"):
        return True
    if use.is_stdlib():
        return not use.means("http")
    return use.means("kvstore.errors", "kvstore.listening", "kvstore.transport")


def listening_loads_fast(use: Use) -> bool:
    """listening.py, and what it imports, is there before anything slow: clients wait for it."""
    if use.file == "listening.py":
        fast = not use.means("asyncio", "http", "ssl")
        return use.means("kvstore.errors") or (use.is_stdlib() and fast)
    return use.file != "errors.py" or use.means("pathlib", *PURE_STDLIB)


def no_clock_or_chance_below_the_engine(use: Use) -> bool:
    """state/ and journal/ ask neither what time it is nor for anything random."""
    return not (use.is_in("state", "journal") and use.means(*CLOCKS_AND_CHANCE))


Rule = Callable[[Use], bool]
RULES: list[Rule] = [
    state_is_pure,
    journal_knows_values_only,
    archive_knows_values_only,
    maintenance_knows_no_server,
    journal_is_no_workshop,
    engine_knows_no_http,
    aiohttp_has_two_doors,
    api_never_touches_the_journal,
    nobody_imports_the_top,
    access_is_pure,
    transport_knows_no_server,
    listening_loads_fast,
    no_clock_or_chance_below_the_engine,
]


def broken(package: Path, rule: Rule) -> list[str]:
    """Return a line for each import of the package that breaks the rule."""
    return [
        f"kvstore/{use.file}:{use.line} imports {use.name}"
        for use in uses_in(package)
        if not rule(use)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_stairs_go_one_way(rule: Rule) -> None:
    """No import goes up a floor, and none reaches for what its floor must not know."""
    lines = broken(PACKAGE, rule)
    assert not lines, "\n".join([str(rule.__doc__), *lines])


def test_every_file_is_looked_at() -> None:
    """The rules see the imports of the real package."""
    seen = {(use.file, use.name) for use in uses_in(PACKAGE)}
    assert ("state/store.py", "kvstore.errors.InvariantBroken") in seen
    assert ("clock.py", "time.time_ns") in seen


@pytest.mark.parametrize(
    ("rule", "file", "source"),
    [
        (state_is_pure, "state/a.py", "import asyncio"),
        (state_is_pure, "state/a.py", "import os.path"),
        (state_is_pure, "state/a.py", "from time import monotonic"),
        (state_is_pure, "state/deep/a.py", "import logging"),
        (state_is_pure, "state/a.py", "def f():\n    import socket"),
        (state_is_pure, "state/a.py", "if True:\n    from random import choice"),
        (state_is_pure, "state/a.py", "import msgpack"),
        (state_is_pure, "state/a.py", "from kvstore.engine import watch"),
        (state_is_pure, "state/a.py", "from kvstore import clock"),
        (state_is_pure, "state/a.py", "from ..journal import file"),
        (state_is_pure, "state/a.py", "import importlib"),
        (journal_knows_values_only, "journal/a.py", "from kvstore.state import kv"),
        (journal_knows_values_only, "journal/a.py", "from kvstore.state.store import State"),
        (journal_knows_values_only, "journal/a.py", "import kvstore.engine.engine"),
        (journal_knows_values_only, "journal/a.py", "from kvstore.api.app import make"),
        (journal_knows_values_only, "journal/a.py", "import sortedcontainers"),
        (journal_knows_values_only, "journal/a.py", "from kvstore import clock"),
        (archive_knows_values_only, "archive/a.py", "from kvstore.state.store import State"),
        (archive_knows_values_only, "archive/a.py", "import asyncio"),
        (maintenance_knows_no_server, "maintenance/a.py", "from kvstore.engine import engine"),
        (maintenance_knows_no_server, "maintenance/a.py", "from ..api import render"),
        (journal_is_no_workshop, "journal/a.py", "from kvstore.maintenance import rebuild"),
        (engine_knows_no_http, "engine/a.py", "from aiohttp import web"),
        (engine_knows_no_http, "engine/a.py", "from ..api import render"),
        (engine_knows_no_http, "engine/a.py", "from .. import api"),
        (aiohttp_has_two_doors, "server.py", "import aiohttp.web"),
        (aiohttp_has_two_doors, "journal/a.py", "import aiohttp as http"),
        (aiohttp_has_two_doors, "api/lane.py", "from aiohttp import web"),
        (api_never_touches_the_journal, "api/a.py", "from kvstore.journal.file import Journal"),
        (api_never_touches_the_journal, "api/a.py", "from kvstore import journal"),
        (nobody_imports_the_top, "engine/a.py", "from kvstore.server import serve"),
        (nobody_imports_the_top, "api/a.py", "from kvstore import cli"),
        (nobody_imports_the_top, "clock.py", "from .cli import Settings"),
        (access_is_pure, "access/a.py", "import secrets"),
        (access_is_pure, "access/a.py", "import os.path"),
        (access_is_pure, "access/a.py", "from pathlib import PosixPath"),
        (access_is_pure, "access/files.py", "from kvstore.api.permission import grants_of"),
        (access_is_pure, "access/a.py", "from kvstore.state.entry import Entry"),
        (access_is_pure, "access/a.py", "from kvstore.durable import new_file"),
        (transport_knows_no_server, "transport/a.py", "from kvstore.api.lane import Lane"),
        (transport_knows_no_server, "transport/a.py", "from ..engine import engine"),
        (transport_knows_no_server, "transport/a.py", "from kvstore.settings import Settings"),
        (transport_knows_no_server, "transport/a.py", "from kvstore import server"),
        (transport_knows_no_server, "transport/a.py", "from http import HTTPStatus"),
        (transport_knows_no_server, "transport/a.py", "from aiohttp import web"),
        (listening_loads_fast, "listening.py", "from kvstore.settings import Settings"),
        (listening_loads_fast, "listening.py", "from kvstore.transport import door"),
        (listening_loads_fast, "listening.py", "import msgpack"),
        (listening_loads_fast, "listening.py", "def f():\n    import asyncio"),
        (listening_loads_fast, "errors.py", "from kvstore.state.entry import Entry"),
        (listening_loads_fast, "errors.py", "import ssl"),
        (no_clock_or_chance_below_the_engine, "journal/a.py", "import time as t\nt.time()"),
        (no_clock_or_chance_below_the_engine, "journal/a.py", "from time import time"),
        (no_clock_or_chance_below_the_engine, "journal/a.py", "import random"),
        (no_clock_or_chance_below_the_engine, "journal/a.py", "from uuid import uuid4 as u"),
        (state_is_pure, "state/a.py", "import secrets"),
        (no_clock_or_chance_below_the_engine, "state/a.py", "from datetime import datetime"),
    ],
)
def test_a_violation_is_found(tmp_path: Path, rule: Rule, file: str, source: str) -> None:
    """Each rule fails on a file that breaks it, and names the file and the import."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    lines = broken(tmp_path, rule)
    assert lines
    assert all(line.startswith(f"kvstore/{file}:") for line in lines)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "state/a.py",
            "from collections.abc import Callable\nfrom sortedcontainers import SortedDict",
        ),
        ("state/a.py", "from . import kv\nfrom kvstore.errors import RequestError"),
        ("journal/a.py", "import asyncio, os, struct, zlib, msgpack\nos.fsync(1)"),
        ("journal/a.py", "from kvstore.state.command import SetKey\nfrom .frame import f"),
        ("journal/a.py", "import secrets, time\ntime.perf_counter()"),
        ("engine/a.py", "import random, time, uuid\nfrom kvstore.journal.journal import Journal"),
        ("api/web.py", "from aiohttp import web\nfrom kvstore.engine.engine import Engine"),
        ("access/a.py", "import hashlib, re\nfrom pathlib import Path"),
        ("access/files.py", "import os, secrets, tomllib\nfrom kvstore.access.rules import Rules"),
        ("access/files.py", "from kvstore.durable import new_file"),
        ("transport/a.py", "import asyncio, ssl\nfrom kvstore.listening import Listener"),
        ("listening.py", "import socket\nfrom kvstore.errors import CannotListen"),
        ("__main__.py", "from kvstore.cli import main"),
        ("cli/serve.py", "from ..server import serve"),
        ("errors.py", "from pathlib import Path"),
    ],
)
def test_what_is_allowed_passes_every_rule(tmp_path: Path, file: str, source: str) -> None:
    """The rules forbid no more than they say."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    assert [line for rule in RULES for line in broken(tmp_path, rule)] == []


# What takes long to load, or much memory, and is for other commands or for what is seldom done.
SPARED = [
    "aiohttp",
    "argparse",
    "concurrent.futures.process",
    "difflib",
    "importlib.metadata",
    "jinja2",
    "kvstore.access.files",
    "kvstore.api.lane",
    "kvstore.archive",
    "kvstore.client",
    "kvstore.maintenance.backup",
    "kvstore.maintenance.history",
    "kvstore.maintenance.restore",
    "kvstore.maintenance.verify",
    "msgspec",
    "multiprocessing",
    "prometheus_client",
    "rich",
    "tarfile",
    "tomllib",
    "unittest",
]
SERVING = "kvstore.cli.replaying, kvstore.cli.running, kvstore.cli.serve, kvstore.server"
# The same for what a server loads when a connection first needs it.
SPARED_BY_THE_OTHER_LANE = ["aiohttp.client", "aiohttp.connector", "aiohttp.web", "kvstore.client"]


def loaded_by(modules: str) -> list[str]:
    """Return the modules that are there when some are imported."""
    program = f"import sys\nimport {modules}\nprint(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """Return the modules that `kvstore serve` loads to serve, in memory or in a folder."""
    return loaded_by(SERVING)


@pytest.fixture(scope="module")
def loaded_later() -> list[str]:
    """Return the modules that are there when aiohttp's lane is, too."""
    return loaded_by(f"{SERVING}, kvstore.api.lane")


@pytest.mark.parametrize("name", SPARED)
def test_serve_does_not_load(loaded: list[str], name: str) -> None:
    """A start loads what it needs: each module costs it time and memory."""
    assert importlib.util.find_spec(name) is not None
    assert "kvstore.server" in loaded
    assert name not in loaded


@pytest.mark.parametrize("name", SPARED_BY_THE_OTHER_LANE)
def test_the_other_lane_does_not_load(loaded_later: list[str], name: str) -> None:
    """Of aiohttp, its lane loads the server's side only."""
    assert importlib.util.find_spec(name) is not None
    assert "aiohttp.web_protocol" in loaded_later
    assert name not in loaded_later
