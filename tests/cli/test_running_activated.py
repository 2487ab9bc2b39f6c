"""The server's process under a service manager: sockets that it is given, and what it tells."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from activated import Manager
from running import call

from kvstore.listening import open_listener

pytestmark = pytest.mark.slow


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[Callable[..., Manager]]:
    """Give a function that makes a manager for a server with flags."""
    with ExitStack() as stack:

        def manage_one(*flags: str, **variables: str) -> Manager:
            return stack.enter_context(Manager(tmp_path, *flags, **variables))

        yield manage_one


Manage = Callable[..., Manager]


def hold_port(manager: Manager) -> int:
    """Have the manager hold a free port."""
    port: int = manager.hold(open_listener("127.0.0.1", 0)).getsockname()[1]
    return port


def test_kills_refuse_nobody(manage: Manage) -> None:
    """Whoever connects while there is no server is answered by the next one."""
    manager = manage("--data-dir", "data")
    port = hold_port(manager)
    manager.start_until_ready()
    assert call(port, "PUT", "/v1/kv/a", b"x").body == b"true"
    for _ in range(3):
        manager.kill()
        with socket.create_connection(("127.0.0.1", port)) as early:
            early.sendall(b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            manager.start()
            answer = b""
            while more := early.recv(4096):
                answer += more
        assert answer.endswith(b"\r\n\r\nx")


def test_a_stop_leaves_who_waits_to_the_next(manage: Manage) -> None:
    """A stop ends in good order, and the port goes on listening."""
    manager = manage("--data-dir", "data")
    port = hold_port(manager)
    manager.start_until_ready()
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    with socket.create_connection(("127.0.0.1", port)) as early:
        early.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n")
        manager.start()
        assert early.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_only_what_was_handed_over_is_listened_on(manage: Manage) -> None:
    """The default address is not opened; one that was said is, beside the other."""
    with open_listener("127.0.0.1", 0) as other:
        free = other.getsockname()[1]
    manager = manage("--dev", "--listen", f"http://127.0.0.1:{free}")
    port = hold_port(manager)
    manager.start_until_ready()
    urls = [f"http://127.0.0.1:{one}" for one in (port, free)]
    assert manager.printed.count("listens on") == 1
    for one in (port, free):
        assert call(one, "GET", "/v1/status/leader").status == 200
    assert f"listens on {urls[0]}\n  and on {urls[1]}\n" in manager.printed


def test_the_default_address_is_left_alone(manage: Manage) -> None:
    """Who hands over a socket has said where to listen."""
    manager = manage("--dev")
    port = hold_port(manager)
    manager.start_until_ready()
    assert f"listens on http://127.0.0.1:{port}\n  node" in manager.printed


def test_a_socket_that_will_not_do(manage: Manage) -> None:
    """Is one sentence and the exit code of all that cannot be listened on."""
    manager = manage("--dev", names="mine")
    manager.hold(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    manager.start()
    assert manager.wait() == 3
    assert manager.printed == (
        "kvstore: cannot listen on descriptor 3 (mine) that was handed over: it is no stream "
        "socket, expected a listening stream socket (ListenStream= and Accept=no of systemd). Look "
        "at the .socket unit, or start the server without it.\n"
    )


def test_tls_needs_its_files(manage: Manage) -> None:
    """A socket by the name of https is like --listen https://."""
    manager = manage("--dev", names="https")
    hold_port(manager)
    manager.start()
    assert manager.wait() == 2
    assert "--tls-cert-file" in manager.printed


def test_a_socket_and_an_address_that_disagree(manage: Manage) -> None:
    """Are wrong usage."""
    with open_listener("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        manager = manage("--dev", "--listen", f"http://127.0.0.1:{port}", names="https")
        manager.hold(held)
        manager.start()
        assert manager.wait() == 2
    assert "is named https, expected plain HTTP" in manager.printed


def test_what_is_told(manage: Manage) -> None:
    """How far the journal is read, ready, reloading and ready again, stopping."""
    manager = manage("--data-dir", "data")
    port = hold_port(manager)
    manager.start_until_ready()
    manager.kill()
    manager.start()
    told = manager.heard()
    assert told["STATUS"].startswith("reading the journal, ")
    assert int(told["EXTEND_TIMEOUT_USEC"]) > 0
    serving = {"READY": "1", "STATUS": f"serving on http://127.0.0.1:{port}"}
    assert manager.heard() == serving
    manager.signal(signal.SIGHUP)
    assert manager.heard()["RELOADING"] == "1"
    assert manager.heard() == serving
    manager.signal(signal.SIGTERM)
    assert manager.heard()["STOPPING"] == "1"
    assert manager.wait() == 0


def test_signs_of_life(manage: Manage) -> None:
    """They come as often as they are due, before, between and after other things."""
    manager = manage("--dev", WATCHDOG_USEC="20000")
    port = hold_port(manager)
    manager.start_until_ready()
    assert [manager.heard() for _ in range(5)] == [{"WATCHDOG": "1"}] * 5
    assert call(port, "PUT", "/v1/kv/a", b"x").body == b"true"
    assert manager.heard() == {"WATCHDOG": "1"}


def test_without_a_watchdog(manage: Manage) -> None:
    """None are given: the next that is told after the start is the stop."""
    manager = manage("--dev")
    hold_port(manager)
    manager.start_until_ready()
    manager.signal(signal.SIGTERM)
    assert "STOPPING" in manager.heard()
