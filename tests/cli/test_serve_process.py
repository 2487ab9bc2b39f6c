"""`kvstore serve` as a process: its greeting, how it stops, and how it refuses to start."""

import http.client
import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Launch, Process, parked_call

from kvstore import __version__
from kvstore.listening import open_listener

pytestmark = pytest.mark.slow


def refused(process: Process, code: int) -> str:
    """Return the one sentence of a server that would not start, its exit code checked."""
    assert process.wait() == code, process.printed
    last = process.printed.splitlines()[-1]
    assert last.startswith("kvstore: ")
    assert last.endswith(".")
    assert "Traceback" not in process.printed
    assert process.printed.count("kvstore: ") == 1
    return last


def test_the_greeting_tells_all(launch: Launch, tmp_path: Path) -> None:
    """Who it is, where the data is, and the exact flag that an engine needs."""
    process = launch("--node", "n7", "--data-dir", "data").wait_until_ready()
    lines = process.printed.splitlines()
    port = process.port
    assert f"kvstore {__version__} listens on http://127.0.0.1:{port}" in lines
    assert (
        f"  node n7, datacenter dc1; data in {tmp_path}/data, "
        "each write synced before it is acknowledged"
    ) in lines
    assert "  Only this machine can reach it. To open it to the engines of other hosts:" in lines
    assert f"    kvstore serve --host 0.0.0.0 --port {port}" in lines
    flag = f"--cluster-store=consul://127.0.0.1:{port}"
    assert lines[-1] == f"    dockerd {flag} --cluster-advertise=ENGINE_IP:2376"
    assert process.call("GET", "/v1/status/leader").json == f"127.0.0.1:{port}"
    assert (tmp_path / "data").is_dir()


def test_the_greeting_of_a_server_for_others(launch: Launch) -> None:
    """On every interface it names the address that engines can reach, and no caveat."""
    process = launch("--host", "0.0.0.0", "--dev", "--sync", "never").wait_until_ready()
    assert "Only this machine" not in process.printed
    assert "data in memory only (--dev)" in process.printed
    host, port = process.call("GET", "/v1/status/leader").json.rsplit(":", 1)
    assert f"    dockerd --cluster-store=consul://{host}:{port} " in process.printed
    assert host != "0.0.0.0"


def test_the_greeting_on_ipv6(launch: Launch) -> None:
    """An address with colons stands in brackets, so that the port can be told from it."""
    try:
        open_listener("::1", 0).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    process = launch("--host", "::1", "--dev").wait_until_ready()
    assert f"listens on http://[::1]:{process.port}\n" in process.printed
    assert f"--cluster-store=consul://[::1]:{process.port} " in process.printed
    assert "Only this machine" in process.printed


def test_dev_writes_nothing(launch: Launch, tmp_path: Path) -> None:
    """In memory there is no folder, also when one is named."""
    process = launch("--dev", "--data-dir", "data").wait_until_ready()
    assert process.call("PUT", "/v1/kv/a", b"v").body == b"true"
    process.terminate()
    assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_good_order(launch: Launch, number: int) -> None:
    """Parked queries are answered, the code is 0, and the next server has the data."""
    process = launch("--data-dir", "data").wait_until_ready()
    process.call("PUT", "/v1/kv/a", b"v")
    with parked_call(process.port, "/v1/kv/a?raw&index=99999") as connection:
        wait_parked(process)
        process.terminate(number)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, response.read()) == (200, b"v")
        assert response.headers["Connection"] == "close"
        response.close()
    assert process.wait() == 0
    assert "1 parked queries answered" in process.printed
    again = launch("--data-dir", "data").wait_until_ready()
    assert again.call("GET", "/v1/kv/a?raw").body == b"v"


def wait_parked(process: Process) -> None:
    """Wait until a query is parked."""
    while True:
        described = process.call("GET", "/v1/agent/self").json
        if described["Stats"]["kvstore"]["parked_queries"] == "1":
            return


def test_exit_3_the_port_is_used(launch: Launch) -> None:
    """Another server has the port: says so, and what to do."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        sentence = refused(launch("--dev", "--port", str(port)), 3)
    assert sentence == (
        f"kvstore: cannot listen on http://127.0.0.1:{port}: Address already in use. "
        "Another server has this port: stop it, or choose another with --port or --listen."
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "x" * 70])
def test_exit_3_no_address_of_ours(launch: Launch, host: str) -> None:
    """An address of another machine, and a name without one, cannot be listened on."""
    sentence = refused(launch("--dev", "--host", host), 3)
    assert sentence.startswith(f"kvstore: cannot listen on http://{host}:0: ")
    assert sentence.endswith(" Choose an address of this machine with --host or --listen.")


def test_exit_4_the_folder_is_below_a_file(launch: Launch, tmp_path: Path) -> None:
    """A folder that cannot be made is named, with the system's reason."""
    (tmp_path / "file").touch()
    sentence = refused(launch("--data-dir", str(tmp_path / "file" / "data")), 4)
    assert sentence == (
        f"kvstore: cannot use the data folder: {tmp_path}/file/data: Not a directory. "
        "Make it writable for this user, or choose another with --data-dir."
    )


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_exit_4_the_folder_cannot_be_written(tmp_path: Path, mode: int) -> None:
    """A folder of somebody else's is refused, with the command that changes that."""
    (tmp_path / "data").mkdir(mode=mode)
    with Process(tmp_path, ("--data-dir", "data"), privileged=False) as process:
        sentence = refused(process, 4)
    owner = f"{os.geteuid()}:{os.getegid()}"
    assert "cannot use the data folder: data: Permission denied." in sentence
    assert f"`chown -R {owner} {tmp_path / 'data'}`" in sentence


def test_exit_5_the_folder_is_in_use(launch: Launch, tmp_path: Path) -> None:
    """The process that has the folder is named, and goes on."""
    first = launch("--data-dir", "data").wait_until_ready()
    sentence = refused(launch("--data-dir", "data"), 5)
    assert sentence == (
        f"kvstore: the data folder data is in use by process {first.pid}. "
        "Stop it, or choose another folder with --data-dir."
    )
    assert first.call("PUT", "/v1/kv/a", b"v").body == b"true"


def test_exit_6_the_journal_is_damaged(launch: Launch, tmp_path: Path) -> None:
    """The file and the place of the damage are named, and nothing is changed."""
    first = launch("--data-dir", "data").wait_until_ready()
    first.call("PUT", "/v1/kv/a", b"v")
    first.terminate()
    assert first.wait() == 0
    (segment,) = (tmp_path / "data").glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    sentence = refused(launch("--data-dir", "data"), 6)
    assert sentence.startswith(f"kvstore: the journal is damaged in data/{segment.name} at offset ")
    assert "Nothing was changed; starting on it would lose writes" in sentence
    assert "`kvstore verify data` shows how far it is sound; `kvstore restore`" in sentence
    assert segment.read_bytes() == bytes(data)


def test_exit_7_the_journal_could_not_be_written(launch: Launch) -> None:
    """A write that fails: none is acknowledged any more, reads go on, the end says so."""
    process = launch("--data-dir", "data").wait_until_ready()
    assert process.call("PUT", "/v1/kv/a", b"v").body == b"true"
    # No file of this process may grow any further. What full and read-only disks do is in
    # test_disk_trouble.py.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1024, 1024))
    for _ in range(2):
        answer = process.call("PUT", "/v1/kv/b", b"x" * 2000)
        assert answer.status == 500
        assert answer.body.startswith(b"the journal cannot be written: ")
    assert process.call("GET", "/v1/kv/a?raw").body == b"v"
    assert process.call("GET", "/v1/kv/b").status == 404
    process.terminate()
    assert refused(process, 7).endswith("Check the disk (`dmesg`), then start again.")


def test_a_sentence_a_setting(launch: Launch, tmp_path: Path) -> None:
    """The environment and a file reach the server as well as flags do."""
    (tmp_path / "kvstore.toml").write_text('dev = true\nsession-ttl-min = "1s"\n')
    process = launch("--config", "kvstore.toml", KVSTORE_NODE="n9").wait_until_ready()
    assert "node n9" in process.printed
    answer = process.call("PUT", "/v1/session/create", b'{"TTL":"1s"}')
    assert answer.status == 200


@pytest.mark.parametrize(("flags", "status"), [((), 500), (("--session-ttl-min", "1s"), 200)])
def test_the_shortest_session(launch: Launch, flags: tuple[str, ...], status: int) -> None:
    """A session of a second is refused, unless the operator lets it through."""
    process = launch("--dev", *flags).wait_until_ready()
    answer = process.call("PUT", "/v1/session/create", b'{"TTL":"1s"}')
    assert answer.status == status


def test_adopt_lost_cas(launch: Launch) -> None:
    """The switch for stores that were lost gets through to the state."""
    process = launch("--dev", "--adopt-lost-cas").wait_until_ready()
    assert process.call("PUT", "/v1/kv/a?cas=99999", b"v").body == b"true"


def test_the_log_for_machines(launch: Launch) -> None:
    """Every line of the log is a JSON object; with debug there is one for each request."""
    process = launch("--dev", "--log-format", "json", "--log-level", "debug").wait_until_ready()
    process.call("GET", "/v1/kv/a?token=secret")
    process.terminate()
    assert process.wait() == 0
    lines = [json.loads(line) for line in process.printed.splitlines() if line.startswith("{")]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "GET /v1/kv/a: 404" in [line["message"] for line in lines]
    assert "secret" not in process.printed
    assert any(line["message"].startswith("stopped at index") for line in lines)


@pytest.fixture
def until_listening() -> Callable[[int], socket.socket]:
    """Give a function that connects as soon as a port is open."""

    def connect(port: int) -> socket.socket:
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=20)
            except ConnectionRefusedError:
                continue

    return connect


def test_clients_wait_while_it_starts(
    launch: Launch, until_listening: Callable[[int], socket.socket]
) -> None:
    """Whoever connects before the server is ready is answered when it is."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    process = launch("--dev", "--port", str(port))
    with until_listening(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").read().endswith(b"Consul Agent")
    process.wait_until_ready()
