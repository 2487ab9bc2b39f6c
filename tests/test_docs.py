"""The documents tell the truth: what there is stands in them, and what they name exists."""

import ast
import asyncio
import itertools
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from running import Start, call

from conformance.__main__ import main as conformance
from kvstore.cli import COMMANDS, exits, main
from kvstore.cli.serve import serve

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
NOTES = ROOT / "conformance" / "NOTES.md"
HTTP_API = ROOT / "docs" / "http-api.md"
DOCS = [README, ARCHITECTURE, ROOT / "CHANGELOG.md", NOTES, *sorted((ROOT / "docs").glob("*.md"))]

OPTIONS = [param for param in serve.params if param.name]
_CONTEXT = click.Context(main)
_COMMANDS = list(filter(None, (main.get_command(_CONTEXT, name) for name in COMMANDS)))
_COMMANDS += [one for group in _COMMANDS for one in getattr(group, "commands", {}).values()]
_COMMANDS += conformance.commands.values()
FLAGS = {flag for command in _COMMANDS for option in command.params for flag in option.opts}
FLAGS |= {"--help", "--version"}
# Flags of docker, dockerd, pip and systemctl; of pytest.
FOREIGN_FLAGS = {"--cluster-store", "--cluster-advertise", "--driver", "--subnet", "--name"}
FOREIGN_FLAGS |= {"--network", "--timeout", "--cluster-store-opt", "--unix-socket"}
FOREIGN_FLAGS |= {"--rm", "--restart", "--upgrade", "--quiet", "--now"}

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_VARIABLE = re.compile(r"KVSTORE_[A-Z_]*[A-Z]")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:kvstore|tests|conformance|docs)/[\w/.-]*)`")
_REQUEST = re.compile(r"(?:(GET|PUT|POST|DELETE) )?(/v1/[a-zA-Z/-]+)")
_RULE_HEADING = re.compile(r"^### ([a-z-]+)$", re.MULTILINE)


def read(path: Path) -> str:
    """Return a document."""
    return path.read_text(encoding="utf-8")


@pytest.fixture(params=DOCS, ids=lambda path: path.name)
def document(request: pytest.FixtureRequest) -> str:
    """Give the text of each document in turn."""
    return read(request.param)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_flag_is_in_the_readme(option: click.Option) -> None:
    """Each flag has a row, with its name in the environment and in the file."""
    (flag,) = option.opts
    (row,) = [line for line in read(README).splitlines() if line.startswith(f"| `{flag}` |")]
    assert f"`{option.envvar}`" in row
    assert flag == "--config" or f"`{flag.removeprefix('--')}`" in row
    if option.show_default:
        assert (
            option.show_default if option.show_default is not True else str(option.default)
        ) in row


def test_no_document_names_a_flag_that_is_not_there(document: str) -> None:
    """Every flag in a document is one of ours, or known to be another program's."""
    assert set(_FLAG.findall(document)) <= FLAGS | FOREIGN_FLAGS


def test_no_document_names_a_variable_that_is_not_there(document: str) -> None:
    """Every variable in a document is read by the command line, the lab or the tests."""
    sources = [*(ROOT / "conformance").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    read_somewhere = {str(option.envvar) for option in OPTIONS}
    for source in sources:
        if source != Path(__file__):
            read_somewhere |= set(_VARIABLE.findall(read(source)))
    assert set(_VARIABLE.findall(document)) <= read_somewhere


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """A link within the project is to a file that is there."""
    for target in _LINK.findall(read(path)):
        assert (path.parent / target).exists(), target


def test_paths_exist(document: str) -> None:
    """A path within the project, where it stands as code, is that of a file or a folder."""
    for path in _PATH.findall(document):
        assert (ROOT / path).exists(), path


def routes() -> list[str]:
    """Return the patterns of every family's table, out of their sources."""
    trees = [ast.parse(read(path)) for path in sorted((ROOT / "kvstore" / "api").glob("*.py"))]
    nodes = itertools.chain.from_iterable(ast.walk(tree) for tree in trees)
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [one.decode() for one in constants if isinstance(one, bytes) and one.startswith(b"/v1/")]


def test_the_routes_are_found() -> None:
    """The next test looks at something."""
    assert {"/v1/kv/", "/v1/session/create", "/v1/health/service/"} <= set(routes())


@pytest.mark.parametrize("route", routes())
def test_every_route_is_documented(route: str) -> None:
    """Each route is in the description of the API: a prefix with a name behind it."""
    tail = "[A-Z]" if route.endswith("/") else r"(?![\w/])"
    assert re.search(re.escape(route) + tail, read(HTTP_API))


async def test_every_documented_request_is_answered(start: Start) -> None:
    """What the description names is a route, and takes the method that it names."""
    server = await start()
    requests = set(_REQUEST.findall(read(HTTP_API)))
    assert len(requests) > 20
    for method, path in requests:
        answer = await asyncio.to_thread(call, server.port, "OPTIONS", path)
        assert answer.status == 200, path
        assert method in answer.headers["Allow"], path


def exit_codes() -> list[int]:
    """Return every exit code the command line gives on purpose."""
    ours = [value for name, value in vars(exits).items() if name.startswith("EXIT_")]
    return [0, 2, *ours]


def test_every_exit_code_is_in_the_readme_and_in_help() -> None:
    """Both have one sentence about exit codes; the README's goes on to other commands' codes."""
    output = CliRunner().invoke(main, ["serve", "--help"]).output
    sentences = [
        re.findall(r"Exit codes: ([^.]*)\.", " ".join(text.split()))
        for text in (output, read(README))
    ]
    (of_serve,), (of_all,) = sentences
    assert of_all.startswith(f"{of_serve}; ")
    assert [int(code) for code in re.findall(r"\b([0-9]+) ", of_all)] == exit_codes()


def code_map() -> set[str]:
    """Return the files of ARCHITECTURE.md's code map, as paths under kvstore/."""
    _, _, rest = read(ARCHITECTURE).partition("## Code map")
    section, _, _ = rest.partition("\n## ")
    files, folder = set(), ""
    for line in section.splitlines():
        cell = line.split("|")[1] if line.startswith("|") else ""
        if heading := re.search(r"\*\*(.*)\*\*", cell):
            folder = heading[1] if heading[1].endswith("/") else ""
        files |= {folder + name for name in re.findall(r"`([\w.]+\.py)`", cell)}
    return files


def test_the_code_map_is_the_code() -> None:
    """Every file of kvstore/ is in the code map, under its folder, and no other is."""
    package = ROOT / "kvstore"
    there = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert code_map() == there


def test_architecture_is_short() -> None:
    """A map is read when it can be read at once."""
    assert len(read(ARCHITECTURE).splitlines()) <= 200


def rules_met() -> set[str]:
    """Return the names of differences from Consul that contract tests and the code speak of."""
    names: set[str] = set()
    for source in (ROOT / "tests" / "contract").glob("*.py"):
        names |= set(re.findall(r"\b(?:rule=|RULE = )\"([a-z-]+)\"", read(source)))
    for source in (ROOT / "kvstore").rglob("*.py"):
        names |= set(re.findall(r"\brule ([a-z]+(?:-[a-z]+)+)", " ".join(read(source).split())))
    return names


def test_every_difference_from_consul_is_explained() -> None:
    """Each rule that a test or a comment names has its place in the notes."""
    met = rules_met()
    assert "unclean-write-in-place" in met
    assert met <= set(_RULE_HEADING.findall(read(NOTES)))


def test_every_difference_is_named_once() -> None:
    """No two rules share a name."""
    headings = _RULE_HEADING.findall(read(NOTES))
    assert len(headings) == len(set(headings))
