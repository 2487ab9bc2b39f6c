"""Holds conversations with a server in a process of its own, many at a time, and judges them."""

import asyncio
import itertools
import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from running import Process

from .answers import Broken, check_contract, read_answers
from .grammar import Conversation, converse

__all__ = ["Report", "fuzz"]

# Longest wait for a server that owes an answer; generous, since cores are shared.
WITHIN_S = 60.0
AT_ONCE = 16
# How long the server waits for the rest of a body that it does not want, before it ends the
# connection; on a busy machine this client may be the one that is too late.
LINGER_S = 2.0
# After so many requests the server is looked at; the first round warms it.
ROUND = 4000
# How much the server's memory may grow, once it is warm.
GROWTH_KIB_MAX = 64 * 1024

_HEAD_MARK = b" HTTP/1."


@dataclass(slots=True)
class Report:
    """What was done."""

    conversations: int = 0
    requests: int = 0
    answers: int = 0
    rss_kib: tuple[int, int] = (0, 0)


class _Client(asyncio.Protocol):
    """One connection that keeps all it gets."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio has it
        if not self.ended.done():
            self.ended.set_result(None)


async def fuzz(server: Process, seed: int, cases: int, first: int = 0) -> Report:
    """Hold conversations until there were so many requests. Raises Broken."""
    report = Report()
    numbers = itertools.count(first)
    warm_kib = 0
    while report.requests < cases:
        until = min(cases, report.requests + ROUND)

        async def work() -> None:
            while report.requests < until:  # noqa: B023 - ends within this round
                talk = converse(seed, next(numbers))
                report.requests += talk.count
                report.conversations += 1
                answers = await _hold(server, talk, seed)
                report.answers += answers

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        await asyncio.to_thread(_look, server)
        rss_kib = _rss_kib(server.pid)
        warm_kib = warm_kib or rss_kib
        report.rss_kib = (warm_kib, rss_kib)
        if rss_kib > warm_kib + GROWTH_KIB_MAX:
            raise Broken(f"memory grew from {warm_kib} to {rss_kib} KiB, seed {seed}")
    return report


async def _hold(server: Process, talk: Conversation, seed: int) -> int:
    """Hold one conversation; return how many answers there were."""
    loop = asyncio.get_running_loop()
    # From many addresses, so that ports that have just been used are no trouble.
    address = (f"127.0.{talk.number % 200 + 1}.{talk.number % 97 + 2}", 0)
    transport, client = await loop.create_connection(
        _Client, "127.0.0.1", server.port, local_addr=address
    )
    began = time.monotonic()
    try:
        async with asyncio.timeout(WITHIN_S):
            for piece in talk.pieces:
                transport.write(piece)
                if len(talk.pieces) > 1:
                    await asyncio.sleep(0)
            if talk.leaves:
                raw = transport.get_extra_info("socket")
                with suppress(OSError):  # the same
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return 0
            if not talk.sound:
                with suppress(OSError):  # it has closed the connection already
                    transport.write_eof()
            await client.ended
        return _judge(talk, bytes(client.data), in_time=time.monotonic() < began + LINGER_S)
    except (Broken, TimeoutError) as error:
        again = f"KVSTORE_FUZZ_SEED={seed} KVSTORE_FUZZ_FIRST={talk.number} KVSTORE_FUZZ_CASES=1"
        shown = f"sent {b''.join(talk.pieces)[:1500]!r}\ngot {bytes(client.data)[-1500:]!r}"
        raise Broken(f"{str(error) or 'it hangs'}\nsee it again with {again}\n{shown}") from error
    finally:
        transport.abort()


def _judge(talk: Conversation, data: bytes, *, in_time: bool) -> int:
    answers = list(read_answers(data, [one.method for one in talk.expected]))
    for answer in answers:
        check_contract(answer)
    if not talk.sound:
        heads = b"".join(talk.pieces).count(_HEAD_MARK) + talk.count
        if len(answers) > heads + 1:
            raise Broken(f"{len(answers)} answers to {heads} requests")
        return len(answers)
    missing = len(talk.expected) - len(answers)
    if missing < 0 or (missing and in_time):
        raise Broken(f"{len(answers)} answers to {len(talk.expected)} requests")
    # Where we may have been too late: those that came.
    for number, (answer, expected) in enumerate(zip(answers, talk.expected, strict=False)):
        if expected.status not in (None, answer.status):
            raise Broken(f"answer {number} has status {answer.status}, not {expected.status}")
        if expected.body not in (None, answer.body):
            raise Broken(f"answer {number} has another body than was written")
    return len(answers)


def _look(server: Process) -> None:
    """See that the server is as it was before: nobody waits, nothing was written in secret."""
    if (status := server.call("GET", "/v1/kv/never?keys").status) != 404:
        raise Broken(f"the content of a value was taken for a request: {status}")
    for session in server.call("GET", "/v1/session/list").json:
        server.call("PUT", f"/v1/session/destroy/{session['ID']}")
    server.call("DELETE", "/v1/kv/?recurse")
    deadline = time.monotonic() + WITHIN_S
    while any((left := _left(server)).values()):
        if time.monotonic() > deadline:
            raise Broken(f"something is left: {json.dumps(left)}")
    text = server.printed
    if "Traceback" in text or "a bug:" in text or " ERROR " in text:
        raise Broken(f"there is an error in the log: {text[-5000:]}")


def _left(server: Process) -> dict[str, float]:
    gauges = server.call("GET", "/v1/agent/metrics").json["Gauges"]
    by_name = {one["Name"].removeprefix("kvstore."): one["Value"] for one in gauges}
    return {name: by_name[name] for name in ("parked_queries", "sessions", "keys")}


def _rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])
