"""Sockets that were handed over, as systemd does it: served, matched with addresses, left alone.

Descriptors 3 and on belong to a process of its own, so most of these ask a child.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from activated import as_a_service

from kvstore.listening import (
    Listener,
    TcpAddress,
    UnixAddress,
    assign,
    inherited_listeners,
    open_listener,
    parse_address,
)

# Takes what was handed over, and prints it or the error.
ASK = """
import json, os, sys
from kvstore.errors import CannotListen
from kvstore.listening import inherited_listeners
try:
    print(json.dumps([
        [one.url, one.inherited, one.socket.get_inheritable()] for one in inherited_listeners()
    ]))
except CannotListen as error:
    print(json.dumps(str(error)))
assert not [name for name in os.environ if name.startswith("LISTEN_")]
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Give what closes things at the end."""
    with ExitStack() as opened:
        yield opened


def hand_over(descriptors: Sequence[int], *program: str, **variables: str) -> Any:
    """Run Python with descriptors from 3 on, and return what it printed."""
    ended = subprocess.run(
        as_a_service(descriptors, *program),
        pass_fds=descriptors,
        env={**os.environ, "LISTEN_FDS": str(len(descriptors)), **variables},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(ended.stdout)


def test_all_kinds(stack: ExitStack, tmp_path: Path) -> None:
    """Each has the address it is bound to; TLS is what its name says; children do not get it."""
    plain = stack.enter_context(open_listener("127.0.0.1", 0))
    secured = stack.enter_context(open_listener("127.0.0.1", 0))
    unix = stack.enter_context(socket.socket(socket.AF_UNIX))
    unix.bind(str(tmp_path / "s"))
    abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
    abstract.bind(f"\0kvstore-test-{os.getpid()}")
    for one in (unix, abstract):
        one.listen()
    sockets = (plain, secured, unix, abstract)
    names = {"LISTEN_FDNAMES": "kvstore.socket:https-engines::x"}
    assert hand_over([one.fileno() for one in sockets], "-c", ASK, **names) == [
        [f"http://127.0.0.1:{plain.getsockname()[1]}", True, False],
        [f"https://127.0.0.1:{secured.getsockname()[1]}", True, False],
        [f"unix://{tmp_path}/s", True, False],
        [f"unix://%40kvstore-test-{os.getpid()}", True, False],
    ]


def test_without_names(stack: ExitStack) -> None:
    """Then all speak plain HTTP."""
    one = stack.enter_context(open_listener("127.0.0.1", 0))
    ((url, *_),) = hand_over([one.fileno()], "-c", ASK)
    assert url.startswith("http://")


def test_what_is_no_listening_stream_socket(stack: ExitStack, tmp_path: Path) -> None:
    """Is an error that names the descriptor, what it is, and what was expected."""
    datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    idle = stack.enter_context(socket.socket())
    one, other = socket.socketpair()
    stack.enter_context(one)
    stack.enter_context(other)
    unix = stack.enter_context(socket.socket(socket.AF_UNIX))
    unix.bind(str(tmp_path / "s"))
    unix.listen()
    file = stack.enter_context((tmp_path / "file").open("w"))
    netlink = stack.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
    for given, name, reason in (
        (datagrams, "a", "(a) that was handed over: it is no stream socket, expected a listening"),
        (idle, "", "(without a name) that was handed over: it does not listen, expected a listen"),
        (one, "a", "(a) that was handed over: it does not listen"),
        (unix, "https", "(https) that was handed over: it is a unix socket, expected a TCP socket"),
        (file, "a", "(a) that was handed over: Socket operation on non-socket"),
        (netlink, "a", "(a) that was handed over: it is neither a TCP nor a unix socket"),
    ):
        said = hand_over([given.fileno()], "-c", ASK, LISTEN_FDNAMES=name)
        assert said.startswith(f"cannot listen on descriptor 3 {reason}"), said


def test_fewer_than_were_said(stack: ExitStack) -> None:
    """A descriptor that is not open is an error too."""
    one = stack.enter_context(open_listener("127.0.0.1", 0))
    said = hand_over([one.fileno()], "-c", ASK, LISTEN_FDS="2")
    assert said == (
        "cannot listen on descriptor 4 (without a name) that was handed over: Bad file descriptor"
    )


def test_a_count_that_is_none(stack: ExitStack) -> None:
    """It is shown."""
    one = stack.enter_context(open_listener("127.0.0.1", 0))
    said = hand_over([one.fileno()], "-c", ASK, LISTEN_FDS="two")
    assert said == (
        "cannot listen on sockets that were handed over: LISTEN_FDS is 'two', expected how many "
        "there are"
    )


@pytest.mark.parametrize("pid", ["", "1", "x"])
def test_what_is_meant_for_another_process(pid: str) -> None:
    """Is not taken, and its variables are not passed on."""
    environment = {"LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "HOME": "/"}
    assert inherited_listeners(environment) == []
    assert environment == {"HOME": "/"}


def held(stack: ExitStack, host: str, *, tls: bool = False) -> Listener:
    """Return a listener as if it had been handed over."""
    listener = stack.enter_context(open_listener(host, 0))
    bound, port = listener.getsockname()[:2]
    return Listener(TcpAddress(bound, port, tls=tls), listener, inherited=True)


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "[::]"),
    ],
)
def test_the_same_address(stack: ExitStack, bound: str, wanted: str) -> None:
    """It is not opened once more, and says whether TLS is spoken."""
    one = held(stack, bound)
    port = one.socket.getsockname()[1]
    (listener,), rest = assign([one], [parse_address(f"https://{wanted}:{port}")])
    assert not rest
    assert listener.url == f"https://{bound}:{port}"
    assert listener.socket is one.socket
    assert listener.inherited


def test_other_addresses(stack: ExitStack, tmp_path: Path) -> None:
    """They are still to be opened, and what was handed over is as it was."""
    one = held(stack, "127.0.0.1", tls=True)
    port = one.socket.getsockname()[1]
    others = [
        TcpAddress("127.0.0.2", port),
        TcpAddress("no.such.host.invalid", port),
        TcpAddress("127.0.0.1", 0),
        UnixAddress(tmp_path / "s"),
    ]
    assert assign([one], others) == ([one], others)


def test_the_same_path(stack: ExitStack, tmp_path: Path) -> None:
    """A unix socket is told by its path, whatever permissions are asked for."""
    unix = stack.enter_context(socket.socket(socket.AF_UNIX))
    one = Listener(UnixAddress(tmp_path / "s"), unix, inherited=True)
    assert assign([one], [UnixAddress(tmp_path / "s", 0o600)]) == ([one], [])


def test_plain_http_on_a_socket_by_the_name_of_https(stack: ExitStack) -> None:
    """Is a contradiction, and nothing to guess about."""
    one = held(stack, "127.0.0.1", tls=True)
    address = parse_address(one.url.replace("https", "http"))
    with pytest.raises(ValueError, match="is named https, expected plain HTTP: say https://127"):
        assign([one], [address])


def test_closing_leaves_the_holders_socket(stack: ExitStack, tmp_path: Path) -> None:
    """It goes on listening with what waits in its backlog, and its file stays."""
    holder = stack.enter_context(socket.socket(socket.AF_UNIX))
    holder.bind(str(tmp_path / "s"))
    holder.listen()
    ours = Listener(UnixAddress(tmp_path / "s"), holder.dup(), inherited=True)
    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(str(tmp_path / "s"))
    ours.close()
    ours.close()
    assert (tmp_path / "s").is_socket()
    stack.enter_context(holder.accept()[0]).sendall(b"x")
    assert waiting.recv(1) == b"x"
