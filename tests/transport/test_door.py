"""The door: how many may come in, and what the others are told."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from kvstore.transport.door import CONNECTIONS_MAX, Admitted, Door, connections_within

WITHIN_S = 10.0
TOO_MANY_OF_ONE = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n"
    b"Connection: close\r\n\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)


class Pair:
    """A client's socket and the server's side of it, which has just been accepted."""

    def __init__(self) -> None:
        self.client, self.accepted = socket.socketpair()
        self.client.settimeout(WITHIN_S)
        self.admitted: Admitted | None = None

    def knock(
        self, door: Door, client: str = "192.0.2.1", *, tells: bool = True
    ) -> Admitted | None:
        """Ask to come in from an address."""
        self.admitted = door.admit(self.accepted, (client, 4000), tells=tells)
        return self.admitted


@pytest.fixture
async def pairs() -> AsyncIterator[list[Pair]]:
    """Give ten pairs, closed at the end."""
    pairs = [Pair() for _ in range(10)]
    yield pairs
    for pair in pairs:
        for one in (pair.client, pair.accepted, pair.admitted):
            if one is not None:
                one.close()


async def test_who_is_let_in(pairs: list[Pair]) -> None:
    """Is a socket like before, and counts until it is closed, once."""
    door = Door(10)
    admitted = pairs[0].knock(door)
    assert admitted is not None
    assert door.count == 1
    admitted.send(b"hello")
    assert pairs[0].client.recv(10) == b"hello"
    admitted.close()
    admitted.close()
    assert door.count == 0
    assert pairs[0].client.recv(10) == b""


async def test_one_client_too_often(pairs: list[Pair], caplog: pytest.LogCaptureFixture) -> None:
    """It is told so in Consul's words; others come in, and it does too once another has gone."""
    door = Door(10, 2)
    first, *_ = [one.knock(door) for one in pairs[:2]]
    assert [one.knock(door) for one in pairs[2:4]] == [None, None]
    assert pairs[2].client.recv(1000) == TOO_MANY_OF_ONE
    assert pairs[2].client.recv(1000) == b""
    other = pairs[4].knock(door, "192.0.2.2")
    assert isinstance(other, Admitted)
    assert first is not None
    first.close()
    again = pairs[5].knock(door)
    assert isinstance(again, Admitted)
    assert caplog.messages == [
        "no connection with 192.0.2.1: it has 2, see --client-connections-max"
    ]


async def test_too_many_in_all(pairs: list[Pair], caplog: pytest.LogCaptureFixture) -> None:
    """The answer is a 503; whoever speaks TLS gets none, since it could not read it."""
    door = Door(3, 3)
    let_in = [one.knock(door, f"192.0.2.{n}") for n, one in enumerate(pairs[:3])]
    assert None not in let_in
    assert pairs[3].knock(door, "192.0.2.9") is None
    assert pairs[3].client.recv(1000).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert pairs[4].knock(door, "192.0.2.9", tells=False) is None
    assert pairs[4].client.recv(1000) == b""
    assert caplog.messages == ["no connection with 192.0.2.9: there are 3, see --connections-max"]


async def test_clients_of_a_unix_socket(
    pairs: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    """They have no addresses: only the number of all is bounded, and the log says what they are."""
    door = Door(3, 1)
    for one in pairs[:4]:
        one.admitted = door.admit(one.accepted, "", tells=True)
    let_in = [one.admitted for one in pairs[:4]]
    assert [one is not None for one in let_in] == [True, True, True, False]
    assert caplog.messages == [
        "no connection with a unix socket: there are 3, see --connections-max"
    ]


async def test_a_client_that_has_gone(pairs: list[Pair]) -> None:
    """Is turned away all the same, without an error."""
    door = Door(1)
    pairs[0].knock(door)
    pairs[1].client.close()
    assert pairs[1].knock(door) is None
    door.close()


async def test_those_turned_away_are_let_go(pairs: list[Pair]) -> None:
    """Their descriptors are not kept, whether they read their answer or not."""
    door = Door(1)
    pairs[0].knock(door)
    for one in pairs[1:]:
        one.client.send(b"GET / HTTP/1.1\r\n")
        one.knock(door)
    door.close()
    await asyncio.sleep(0)
    assert {one.accepted.fileno() for one in pairs} == {-1}
    assert pairs[5].client.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_a_share_of_all_for_one_client() -> None:
    """Far more than an engine needs, and not all."""
    assert connections_within(CONNECTIONS_MAX, 1_000_000) == CONNECTIONS_MAX
    assert CONNECTIONS_MAX * 3 / 4 > 20_000


@pytest.mark.parametrize(
    ("wanted", "descriptors", "connections"),
    [(100, 1024, 100), (5000, 1024, 832), (0, 1024, 832), (0, 64, 32), (20_000, 20_000, 19_808)],
)
def test_descriptors_are_kept_for_the_journal(
    wanted: int, descriptors: int, connections: int
) -> None:
    """Whatever is wanted, some stay free."""
    assert connections_within(wanted, descriptors) == connections


def test_few_descriptors_are_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It says what to do; where there are many it is only a remark."""
    caplog.set_level(logging.INFO)
    connections_within(5000, 1024)
    connections_within(50_000, 20_000)
    warning, remark = caplog.records
    assert (warning.levelname, remark.levelname) == ("WARNING", "INFO")
    assert warning.getMessage() == (
        "there can be 832 connections, not 5000: the limit of open files is 1024. "
        "Raise it (LimitNOFILE= of systemd, --ulimit nofile= of Docker, ulimit -n)"
    )


def test_the_system_is_asked() -> None:
    """Without a number there are as many as this process may open, but some."""
    assert connections_within(0) > 0
