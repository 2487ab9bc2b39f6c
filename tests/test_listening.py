"""The listening socket: taken before anything else, and the address that reaches it."""

import errno
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kvstore.errors import CannotListen
from kvstore.listening import (
    Address,
    TcpAddress,
    UnixAddress,
    open_listener,
    open_listeners,
    parse_address,
    reachable_host,
)


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


@pytest.mark.parametrize(
    ("text", "address", "again"),
    [
        ("http://127.0.0.1:8500", TcpAddress("127.0.0.1", 8500), None),
        ("https://host.example:8501/", TcpAddress("host.example", 8501, tls=True), None),
        ("http://[::]:0", TcpAddress("::", 0), None),
        ("HTTP://LOCALHOST:1", TcpAddress("localhost", 1), "http://localhost:1"),
        ("https://[fe80::1%25eth0]:1", TcpAddress("fe80::1%25eth0", 1, tls=True), None),
        ("unix:///run/kvstore.sock", UnixAddress(Path("/run/kvstore.sock"), 0o660), None),
        ("unix:/run/s", UnixAddress(Path("/run/s")), "unix:///run/s"),
        ("unix:///s?mode=0600", UnixAddress(Path("/s"), 0o600), "unix:///s"),
        ("unix:///s?mode=777", UnixAddress(Path("/s"), 0o777), "unix:///s"),
        ("unix:///a%20b%3F", UnixAddress(Path("/a b?")), "unix:///a%20b%3F"),
    ],
)
def test_addresses(text: str, address: Address, again: str | None) -> None:
    """What a URL names, and how it is written again."""
    assert parse_address(text) == address
    assert str(address) == (again or text.rstrip("/"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "127.0.0.1:8500", "http://127.0.0.1", "http://:8500", "http://h:x", "http://h:65536"),
        *("http://h:1/v1", "http://h:1?x=y", "http://u@h:1", "http://h:1#f", "ftp://h:1"),
        *("http://[h", "unix://run/s", "unix:s", "unix://", "unix://u@/s"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    """What cannot be meant is refused, and the forms told."""
    with pytest.raises(ValueError, match=re.escape("expected http://HOST:PORT, https://HOST:PORT")):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unix:///s?mode=9", "has mode=9; expected mode=0660"),
        ("unix:///s?mode=1777", "has mode=1777; expected mode=0660"),
        ("unix:///s?mode=-1", "has mode=-1; expected mode=0660"),
        ("unix:///s?mode", "has mode=; expected mode=0660"),
        ("unix:///s?user=me", "has user=me; expected mode=0660"),
        ("unix:///run/", "does not name a file"),
        ("unix:///a%00b", "does not name a file"),
    ],
)
def test_wrong_paths(text: str, sentence: str) -> None:
    """What is wrong with a path is told."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_address(text)


def test_all_or_none(tmp_path: Path) -> None:
    """When one cannot be had, the others are given up, and the one is named."""
    with open_listener("127.0.0.1", 0) as used:
        port = used.getsockname()[1]
        wanted = [UnixAddress(tmp_path / "s"), TcpAddress("127.0.0.1", port)]
        with pytest.raises(CannotListen) as caught:
            open_listeners(wanted)
    assert caught.value.address == f"http://127.0.0.1:{port}"
    assert caught.value.number == errno.EADDRINUSE
    assert not (tmp_path / "s").exists()


def test_where_it_really_listens() -> None:
    """The port that was found, and the address of a name."""
    plain, secured = open_listeners(
        [TcpAddress("localhost", 0), TcpAddress("127.0.0.1", 0, tls=True)]
    )
    assert re.fullmatch(r"http://(127\.0\.0\.1|\[::1\]):[1-9][0-9]*", plain.url)
    assert secured.url == f"https://127.0.0.1:{secured.socket.getsockname()[1]}"
    plain.close()
    secured.close()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_who_may_connect_to_a_path(tmp_path: Path, mode: int) -> None:
    """The file has its permissions whatever the process's mask is, which stays as it was."""
    before = os.umask(0o077)
    try:
        (listener,) = open_listeners([UnixAddress(tmp_path / "s", mode)])
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    assert listener.url == f"unix://{tmp_path}/s"
    listener.close()
    listener.close()
    assert not (tmp_path / "s").exists()


def test_a_path_that_was_left_behind(tmp_path: Path) -> None:
    """The socket of a server that is gone is replaced."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "s"))
    (listener,) = open_listeners([UnixAddress(tmp_path / "s")])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    listener.close()


def test_a_path_in_use(tmp_path: Path) -> None:
    """The socket of a live server is left alone; the second time its backlog is full."""
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(tmp_path / "s"))
        live.listen(0)
        for _ in range(2):
            with pytest.raises(CannotListen) as caught:
                open_listeners([UnixAddress(tmp_path / "s")])
            assert caught.value.number == errno.EADDRINUSE
    assert (tmp_path / "s").is_socket()


def test_a_path_that_is_something_else(tmp_path: Path) -> None:
    """A file, a folder and a link are left alone."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "folder", "link"):
        with pytest.raises(CannotListen) as caught:
            open_listeners([UnixAddress(tmp_path / name)])
        assert caught.value.number == errno.EEXIST
    assert (tmp_path / "file").read_text() == "mine"


def test_closing_leaves_the_next_servers_path(tmp_path: Path) -> None:
    """A path that somebody else has taken over meanwhile is not removed."""
    (first,) = open_listeners([UnixAddress(tmp_path / "s")])
    (tmp_path / "s").unlink()
    (second,) = open_listeners([UnixAddress(tmp_path / "s")])
    first.close()
    assert (tmp_path / "s").is_socket()
    second.close()
    assert not (tmp_path / "s").exists()
