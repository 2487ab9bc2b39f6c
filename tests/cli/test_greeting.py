"""The greeting's words for each kind of settings; on real listeners in test_serve_tls.py."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from kvstore.cli.greeting import greeting
from kvstore.listening import Address, Listener, TcpAddress, UnixAddress, open_listeners
from kvstore.settings import Settings
from kvstore.transport.credentials import TlsFiles


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Give what closes listeners at the end."""
    with ExitStack() as opened:
        yield opened


def listeners(stack: ExitStack, *addresses: Address) -> list[Listener]:
    """Open listeners until the test ends."""
    opened = open_listeners(addresses)
    for one in opened:
        stack.callback(one.close)
    return opened


LOCAL = TcpAddress("127.0.0.1", 0)
EVERYWHERE = TcpAddress("0.0.0.0", 0)
FILES = TlsFiles(Path("server.pem"), Path("server-key.pem"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(None, node="n"), "data in memory only (--dev)"),
        (Settings(Path("/d"), node="n"), "data in /d, each write synced before it is acknowledged"),
        (Settings(Path("/d"), node="n", sync=False), "in /d, each write synced now and then"),
    ],
)
def test_where_the_data_is(stack: ExitStack, settings: Settings, said: str) -> None:
    """And what is promised of it."""
    assert said in greeting(settings, listeners(stack, LOCAL))


def test_tokens(stack: ExitStack) -> None:
    """An engine needs one, in its environment."""
    settings = Settings(None, node="n", tokens=Path("tokens.toml"))
    assert "CONSUL_HTTP_TOKEN=SECRET in its environment" in greeting(
        settings, listeners(stack, EVERYWHERE)
    )


def test_a_tls_listener_of_this_machine_only(stack: ExitStack) -> None:
    """How to open it keeps TLS."""
    (secured,) = listeners(stack, TcpAddress("127.0.0.1", 0, tls=True))
    text = greeting(Settings(None, node="n", tls=FILES), [secured])
    assert "Only this machine can reach it" in text
    port = secured.socket.getsockname()[1]
    assert f"    kvstore serve --listen https://0.0.0.0:{port} …" in text
    assert f"listens on https://127.0.0.1:{port}, also for clients without a certificate" in text


def test_a_socket_that_was_handed_over(stack: ExitStack) -> None:
    """It is opened where it is made, not by a flag."""
    (local,) = listeners(stack, LOCAL)
    held = replace(local, inherited=True)
    port = local.socket.getsockname()[1]
    text = greeting(Settings(None, node="n"), [held])
    assert f"    ListenStream={port} in the socket unit that hands it over" in text


def test_the_listener_that_engines_reach(stack: ExitStack, tmp_path: Path) -> None:
    """Of several it is one that others can reach."""
    opened = listeners(stack, UnixAddress(tmp_path / "s"), LOCAL, EVERYWHERE)
    text = greeting(Settings(None, node="n"), opened)
    assert "Only this machine" not in text
    assert text.count("dockerd") == 1
    assert f":{opened[2].socket.getsockname()[1]} --cluster-advertise" in text
