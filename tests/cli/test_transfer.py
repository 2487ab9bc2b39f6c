"""`kvstore export` and `kvstore import`, on real servers.

That a real Consul writes and reads the same is in contract/test_export.py.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running import Process, call

from kvstore.archive.archive import write_archive
from kvstore.cli import main
from kvstore.cli.pairs import FLAGS_MAX, Pair
from kvstore.client import key_target
from kvstore.state.command import CreateStore, SetKey
from kvstore.state.store import State

from .pairing import REPLACED, read, written


def kvstore(*arguments: str | Path, given: bytes = b"", port: int = 1) -> Result:
    """Run a command that finds its server in the environment; only exits may end it."""
    env = {"KVSTORE_URL": f"127.0.0.1:{port}", "CONSUL_HTTP_TOKEN": ""}
    result = CliRunner(env=env).invoke(main, [str(one) for one in arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 0 or "Traceback" not in result.output
    return result


def export(port: int, *arguments: str | Path) -> bytes:
    """Run `kvstore export`, which must succeed and have nothing else to say."""
    result = kvstore("export", *arguments, port=port)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout_bytes


# --- a server -------------------------------------------------------------------------------


def as_import(*some: Pair) -> bytes:
    """Return pairs as a compact text, which is no export's but says the same."""
    return json.dumps([{"key": one.key.decode(), **as_members(one)} for one in some]).encode()


def as_members(pair: Pair) -> dict[str, object]:
    """Return a pair's members but for its key."""
    text = json.loads(written([pair]))[0]
    return {"flags": text["flags"], "value": text["value"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of the shared server."""
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture(scope="module")
def shared_process(folder: Path) -> Iterator[Process]:
    """Run one server on `folder` for all tests here; keep to keys of your own."""
    with Process(folder.parent, ("--data-dir", str(folder))) as process:
        yield process.wait_until_ready()


def test_round_trip(shared_process: Process, folder: Path, tmp_path: Path) -> None:
    """What an import wrote an export shows, from the server and from its folder beside it."""
    port = shared_process.port
    some = [
        Pair(b'r/"\\ <>&%2F?#+', 0, b"\x00\xff"),
        Pair(b"r/empty/", 7, b""),
        Pair("r/é😀".encode(), FLAGS_MAX, b"a" * 500_000),
    ]
    some.sort(key=lambda pair: pair.key)
    result = kvstore("import", "-", given=written(some), port=port)
    assert result.exit_code == 0
    assert "keys: 3, with flags: 2, values: 488.3 KiB" in result.stdout
    assert export(port, "r/") == export(port, "/r/") == written(some)
    assert export(port, "r/", "--data-dir", folder) == written(some)
    file = tmp_path / "r.json"
    assert export(port, "r/", "-o", file) == b""
    assert file.read_bytes() == written(some)
    assert [one.name for one in tmp_path.iterdir()] == ["r.json"]
    assert kvstore("import", f"@{file}", "--prefix", "copy/", port=port).exit_code == 0
    assert read(export(port, "copy/").decode()) == [
        Pair(b"copy/" + one.key, one.flags, one.value) for one in some
    ]


def test_no_keys(shared_process: Process) -> None:
    """An empty export is an empty list, which can be imported."""
    assert export(shared_process.port, "nothing/here") == b"[]\n"
    assert kvstore("import", given=b"[]", port=shared_process.port).exit_code == 0


def test_the_last_of_one_key_wins(shared_process: Process) -> None:
    """Pairs with one key are written in their order, among others that need not be."""
    port = shared_process.port
    some = [Pair(b"twice/%d" % (n % 7), n, b"%d" % n) for n in range(700)]
    assert kvstore("import", given=as_import(*some), port=port).exit_code == 0
    assert export(port, "twice/") == written(some[-7:])


def test_keys_that_are_no_text(shared_process: Process, folder: Path) -> None:
    """They are shown as Consul shows them, from everywhere alike, with a warning."""
    port = shared_process.port
    call(port, "PUT", key_target(b"odd/\xff\xfe"), b"v")
    for source in ([], ["--data-dir", folder]):
        result = kvstore("export", "odd/", *source, port=port)
        assert result.exit_code == 0
        assert result.stdout_bytes == written([Pair(b"odd/" + REPLACED * 2, 0, b"v")])
        assert "bytes that are no UTF-8: 1." in result.stderr
    only = kvstore("export", b"odd/\xff".decode("utf-8", "surrogateescape"), port=port)
    assert only.stdout_bytes == result.stdout_bytes


def test_a_backup(tmp_path: Path) -> None:
    """Its keys are shown in their order, also those that no request can name."""
    some = [Pair(b"\x00", FLAGS_MAX, b""), Pair(b"a//../b", 1, b"\xff"), Pair(b"a/z", 0, b"v")]
    state = State()
    state.apply(1, CreateStore("0b8af8d6-0c1f-4e5a-9b0a-0123456789ab"))
    for index, one in enumerate(reversed(some), 2):
        state.apply(index, SetKey(one.key, one.value, one.flags))
    path = tmp_path / "backup"
    with path.open("wb") as file:
        write_archive(state.image(), file, made_ms=0)
    assert export(1, "--file", path) == written(some)
    assert export(1, "a/", "--file", path) == written(some[1:])


def test_a_dry_run_writes_nothing(shared_process: Process) -> None:
    """It tells what is in the file, and needs no server."""
    text = as_import(Pair(b"dry/a", 0, b"xy"), Pair(b"dry/b", 1, b""))
    result = kvstore("import", "--dry-run", given=text)
    assert result.exit_code == 0
    assert "keys: 2, with flags: 1, values: 2 bytes; nothing was written" in result.stdout
    assert export(shared_process.port, "dry/") == b"[]\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'[{"key":"bad/a"},\n{"key":"b","value":"x"}]', 'line 2, column 1: "value" of "b" is'),
        (b'[{"key":"bad/a"},\n {"key":"b\xff"}]', "line 2, column 2: "),
        (b'[{"key":"bad/a"}', "the text ends, expected , or ]"),
        (b'[{"key":"bad/a"},{"key":"/b"}]', 'the key "/b" would be another one'),
        (b'[{"key":"bad/a"},{"key":"b//c"}]', 'the key "b//c" would be another one'),
        (b'[{"key":"bad/a"},{"key":"b/../c"}]', 'the key "b/../c" would be another one'),
    ],
)
def test_wrong_input_writes_nothing(shared_process: Process, text: bytes, sentence: str) -> None:
    """Not even the keys before the wrong one; the code is that of wrong usage."""
    result = kvstore("import", given=text, port=shared_process.port)
    assert result.exit_code == 2
    assert "standard input, line" in result.stderr
    assert sentence in result.stderr
    assert "Nothing was written" in result.stderr
    assert export(shared_process.port, "bad/") == b"[]\n"


def test_a_key_that_is_refused(shared_process: Process) -> None:
    """It is named with the server's reason, and the count is of those that are there."""
    port = shared_process.port
    some = [Pair(b"part/%03d" % n, 0, b"v") for n in range(400)]
    some[200] = Pair(b"part/large", 0, bytes(600_000))
    result = kvstore("import", given=as_import(*some), port=port)
    assert result.exit_code == 10
    said = re.search(r'wrote (\d+) of 400 keys, then "part/large" failed: (.*)', result.stderr)
    assert said is not None, result.stderr
    assert "answered 413 to PUT /v1/kv/part/large" in said[2]
    there = read(export(port, "part/").decode())
    assert len(there) == int(said[1])
    assert set(there) < set(some)


# --- no server, or none like this -------------------------------------------------------------


@contextmanager
def answering(answer: bytes, heard: list[bytes] | None = None) -> Iterator[int]:
    """Give the port of a server that gives this answer to each connection and closes it.

    What it is sent it adds to `heard`.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    request = connection.recv(65536)
                    if heard is not None:
                        heard.append(request)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 1\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "does not speak Consul's API"),
        (
            b"HTTP/1.1 403 F\r\nContent-Length: 6\r\n\r\ndenied",
            "answered 403 to GET /v1/kv/: denied",
        ),
        (b"HTTP/1.1 301 M\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "answered 301 to GET"),
        (HEAD % 2 + b"{}", "is no list of keys: line 1, column 1: found '{'"),
        (HEAD % 9 + b"[", "broke off GET /v1/kv/"),
        (b"", "broke off GET /v1/kv/"),
        (b"SSH-2.0\r\n", "broke off GET /v1/kv/"),
    ],
)
def test_other_servers(tmp_path: Path, answer: bytes, sentence: str) -> None:
    """What answers otherwise is told apart, and the file is left as it was."""
    file = tmp_path / "old.json"
    file.write_text("old")
    with answering(answer) as port:
        result = kvstore("export", "-o", file, port=port)
    assert result.exit_code == 10
    assert sentence in result.stderr
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("old.json", "old")]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (HEAD % 5 + b"false", "the server answered b'false', expected true"),
        (b"HTTP/1.1 500 E\r\nContent-Length: 9\r\n\r\nNo leader", "answered 500 to PUT"),
        (b"", "broke off PUT /v1/kv/a"),
    ],
)
def test_a_write_that_fails(answer: bytes, sentence: str) -> None:
    """It is no success, whatever the server said."""
    with answering(answer) as port:
        result = kvstore("import", given=as_import(Pair(b"a", 0, b"")), port=port)
    assert result.exit_code == 10
    assert 'wrote 0 of 1 keys, then "a" failed: ' in result.stderr
    assert sentence in result.stderr


def test_no_server() -> None:
    """An address where nobody listens is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for arguments in (["export"], ["import"]):
        result = kvstore(*arguments, given=as_import(Pair(b"a", 0, b"")), port=port)
        assert result.exit_code == 10
        assert f"cannot reach http://127.0.0.1:{port}: Connection refused" in result.stderr
        assert "--url" in result.stderr


def test_what_is_sent() -> None:
    """The key byte for byte, its flags when it has some, the token, and the length of no value."""
    heard: list[bytes] = []
    text = as_import(Pair("p/é <>?#%/.x/".encode(), 7, b""))
    env = {"CONSUL_HTTP_TOKEN": "secret"}
    with answering(HEAD % 4 + b"true", heard) as port:
        url = f"http://127.0.0.1:{port}"
        result = CliRunner(env=env).invoke(main, ["import", "--url", url], input=text)
    assert result.exit_code == 0, result.output
    (request,) = heard
    lines = request.decode().split("\r\n")
    assert lines[0] == "PUT /v1/kv/p/%C3%A9%20%3C%3E%3F%23%25/.x/?flags=7 HTTP/1.1"
    assert {"X-Consul-Token: secret", "Content-Length: 0"} < set(lines)


# --- wrong usage ------------------------------------------------------------------------------


def test_wrong_usage(tmp_path: Path) -> None:
    """A source that is none, or two at once, and a file that cannot be used."""
    folder = tmp_path / "empty"
    folder.mkdir()
    file = tmp_path / "text"
    file.write_text("x")
    cases: list[tuple[list[str | Path], int, str]] = [
        (["export", "--url", "unix://s"], 2, "no server's address"),
        (["export", "--url", "h", "--data-dir", folder], 2, "name one source"),
        (["export", "--data-dir", folder], 4, "empty holds no store"),
        (["export", "--file", file], 2, "is no backup that can be read"),
        (["export", "--data-dir", folder, "-o", tmp_path / "no" / "x"], 2, "cannot write"),
        (["import", tmp_path / "none"], 2, "No such file or directory"),
        (["import", file], 2, "text, line 1, column 1: found 'x', expected ["),
    ]
    for arguments, code, sentence in cases:
        result = kvstore(*arguments)
        assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr


@pytest.mark.parametrize("command", ["export", "import"])
def test_help(command: str) -> None:
    """Help has an example and each exit code."""
    output = kvstore(command, "--help").output
    assert f"kvstore {command} " in output
    assert "10 server not reached or refused" in " ".join(output.split())
