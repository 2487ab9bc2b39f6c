"""A whole server under a fuzzer that knows the grammar of HTTP and of the API.

KVSTORE_FUZZ_CASES sets how many requests are sent, KVSTORE_FUZZ_SEED which, KVSTORE_FUZZ_FIRST the
number of the first conversation, to see a failure again.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from running import Process

from .answers import Answer, Broken, check_contract, read_answers
from .grammar import converse
from .wire import fuzz

CASES = int(os.environ.get("KVSTORE_FUZZ_CASES", "20000"))
SEED = int(os.environ.get("KVSTORE_FUZZ_SEED", str(Random().randrange(1 << 31))))
FIRST = int(os.environ.get("KVSTORE_FUZZ_FIRST", "0"))


@pytest.mark.slow
@pytest.mark.timeout(max(300, CASES // 50))
async def test_a_server(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Whatever is sent, each answer is HTTP and in the contract, and nothing is left behind."""
    flags = ("--data-dir", "data", "--sync", "never")
    with Process(tmp_path, flags) as server:
        report = await fuzz(server.wait_until_ready(), SEED, CASES, FIRST)
        server.terminate()
        assert server.wait() == 0, server.printed[-3000:]
    record_property(
        "figures",
        f"fuzz wire: {report.requests} requests in {report.conversations} conversations, "
        f"{report.answers} answers, memory {report.rss_kib[0]} to {report.rss_kib[1]} KiB "
        f"(KVSTORE_FUZZ_SEED={SEED})",
    )


def test_a_conversation_can_be_made_again() -> None:
    """Its seed and number say everything; there are sound and damaged ones."""
    talks = [converse(7, number) for number in range(50)]
    assert talks == [converse(7, number) for number in range(50)]
    assert {talk.sound for talk in talks} == {True, False}
    assert talks != [converse(8, number) for number in range(50)]


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshortHTTP",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_answers_that_are_none(data: bytes) -> None:
    """The judge sees when bytes are no answer, or not the whole of one."""
    if data.endswith(b"\r\n\r\nshort") and b" 5" in data:
        assert [answer.body for answer in read_answers(data, [])] == [b"short"]
        return
    with pytest.raises(Broken):
        list(read_answers(data, []))


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"internal error"), (502, b""), (500, b"list index out of range")]
)
def test_answers_that_are_not_in_the_contract(status: int, body: bytes) -> None:
    """The judge does not take any 500, nor any status."""
    with pytest.raises(Broken):
        check_contract(Answer(status, {}, body))
    check_contract(Answer(500, {}, b"No path to datacenter"))
