"""The listening socket: taken before anything else, and the address that reaches it."""

import errno
import socket
import subprocess
import sys

import pytest

from kvstore.listening import open_listener, reachable_host


def connects(host: str, port: int) -> bool:
    """Return whether a connection can be made."""
    with socket.create_connection((host, port), timeout=5):
        return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_it_takes_connections_before_anyone_serves(host: str) -> None:
    """From the moment it is open, clients wait in the backlog instead of being refused."""
    with open_listener(host, 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert connects("127.0.0.1", port)


def test_a_port_that_was_just_left_can_be_taken_again() -> None:
    """A restarted server gets its port back, though old connections linger."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            served, _ = listener.accept()
            served.close()
    with open_listener("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


def test_a_used_port_is_refused() -> None:
    """Two servers cannot have one port."""
    with open_listener("127.0.0.1", 0) as listener:
        with pytest.raises(OSError, match="in use") as caught:
            open_listener("127.0.0.1", listener.getsockname()[1])
        assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    """An address that is not ours, or a name without one, is the system's error."""
    with pytest.raises(OSError):  # noqa: PT011 - its text is the system's
        open_listener(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_a_bound_address_reaches_it(host: str) -> None:
    """The address it was bound to is the one that others use."""
    with open_listener(host, 0) as listener:
        assert reachable_host(listener) == host


def test_every_interface_has_an_address_that_reaches_it() -> None:
    """Bound everywhere, it names an address that this machine has, or its name."""
    with open_listener("0.0.0.0", 0) as listener:
        host = reachable_host(listener)
        assert host not in ("0.0.0.0", "")
        assert host == socket.gethostname() or connects(host, listener.getsockname()[1])


def test_ipv6_takes_both_protocols() -> None:
    """The address "::" is every interface of IPv6 and of IPv4."""
    try:
        listener = open_listener("::", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = listener.getsockname()[1]
        assert connects("127.0.0.1", port)
        assert connects("::1", port)


def test_nothing_slow_is_loaded_first() -> None:
    """A server listens before it loads aiohttp or the journal: its clients wait, not fail."""
    program = (
        "import sys, kvstore.cli\n"
        "slow = {'aiohttp', 'msgpack', 'sortedcontainers', 'kvstore.server', 'kvstore.engine'}\n"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
