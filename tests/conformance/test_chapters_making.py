"""Making recordings of traces: who is left out, what comes first, where long polls end."""

import json
from typing import Any

import pytest
from fake_store import entry

from conformance.recordings.__main__ import main
from conformance.recordings.errors import NotRecorded
from conformance.recordings.making import make_recording
from conformance.recordings.recording import Do, Step
from conformance.recordings.trace import read_trace

CREATE = '{"Behavior":"delete","LockDelay":"1ms","TTL":"10s"}'


def row(
    sent_s: float, took_s: float | None, conn: int, request: str, answer: Any = None, **more: Any
) -> str:
    """Return a line of a trace."""
    method, target = request.split(" ")
    index = more.pop("index", 0)
    headers = {"X-Consul-Index": str(index)} if index else {}
    if answer is not None and not isinstance(answer, str):
        headers["Content-Type"] = "application/json"
        answer = json.dumps(answer)
    line = {
        "t": sent_s,
        "took": took_s,
        "client": "10.0.0.1",
        "conn": conn,
        "method": method,
        "target": target,
        "headers": {"User-Agent": more.pop("agent", "Go-http-client/1.1")},
        "body": more.pop("body", ""),
    }
    if took_s is not None:
        line |= {"response_headers": headers, "response_body": answer or ""}
        line["status"] = more.pop("status", 200)
    return json.dumps(line)


def steps(*rows: str) -> list[Step]:
    """Return the steps of a recording of these lines."""
    return list(make_recording("r", "about.", rows).steps)


def shown(*rows: str) -> list[str]:
    """Return the steps as words: what is done, and with what."""
    return [f"{step.do} {step.method} {step.target or step.session}" for step in steps(*rows)]


def test_looks_of_the_makers_are_left_out() -> None:
    """Reads by curl, answers that never came and a store on its way up are no traffic."""
    rows = [
        row(0.0, 0.1, 1, "GET /v1/status/leader", "x", agent="curl/8"),
        row(0.2, None, 2, "GET /v1/kv/a"),
        row(0.3, 0.1, 3, "GET /v1/kv/a", "No cluster leader", status=500),
        row(0.5, 0.1, 4, "PUT /v1/session/destroy/s", True, agent="curl/8"),
    ]

    assert [each.target for each in read_trace(rows)] == ["/v1/session/destroy/s"]


def test_swapped_answers_are_put_right() -> None:
    """Requests and answers of a connection are matched by their order."""
    rows = [
        row(1.0, 3.0, 1, "GET /v1/kv/b", [entry("b", 5)], index=5),
        row(2.0, -0.5, 1, "GET /v1/kv/a", [entry("a", 4)], index=4),
    ]

    first, second = read_trace(rows)

    assert (first.target, first.index, first.answered_s) == ("/v1/kv/b", 4, 1.5)
    assert (second.target, second.index, second.answered_s) == ("/v1/kv/a", 5, 4.0)


def test_answer_to_an_earlier_request_is_dropped() -> None:
    """An answer from before a connection's first request belongs to none of them."""
    rows = [row(1.0, -0.2, 1, "GET /v1/kv/a", [entry("a", 4)], index=4)]

    assert read_trace(rows) == []


def test_bytes_survive() -> None:
    """A body that is no UTF-8 is kept byte for byte."""
    line = json.loads(row(0.0, 0.1, 1, "GET /v1/kv/a", "x"))
    line["response_body"] = {"base64": "/w=="}

    (exchange,) = read_trace([json.dumps(line)])

    assert exchange.answer == "\xff"


def test_a_read_that_saw_less_comes_first() -> None:
    """A read and a write at once stand in the order that explains the read."""
    assert shown(
        row(0.0, 0.1, 1, "PUT /v1/kv/a?cas=0", True, body="v"),
        row(1.0, 0.5, 1, "PUT /v1/kv/a", True, body="w"),
        row(1.1, 0.6, 2, "GET /v1/kv/a", [entry("a", 5, Value="dg==")], index=5),
    ) == ["ask PUT /v1/kv/a?cas=0", "ask GET /v1/kv/a", "ask PUT /v1/kv/a"]


def test_writes_come_in_the_order_of_their_indexes() -> None:
    """Two writes at once stand in the order of the indexes that later answers tell."""
    assert shown(
        row(0.0, 0.2, 1, "PUT /v1/kv/a", True, body="v"),
        row(0.1, 0.2, 2, "PUT /v1/kv/b", True, body="w"),
        row(1.0, 0.1, 1, "GET /v1/kv/a", [entry("a", 6, Value="dg==")], index=6),
        row(1.2, 0.1, 1, "GET /v1/kv/b", [entry("b", 5, Value="dw==")], index=5),
    )[:2] == ["ask PUT /v1/kv/b", "ask PUT /v1/kv/a"]


def test_refused_write_comes_after_its_rival() -> None:
    """Of two creators at once, the one that was refused was second."""
    assert shown(
        row(0.0, 0.2, 1, "PUT /v1/kv/a?cas=0", False, body="v"),
        row(0.1, 0.2, 2, "PUT /v1/kv/a?cas=0&flags=1", True, body="w"),
    ) == ["ask PUT /v1/kv/a?cas=0&flags=1", "ask PUT /v1/kv/a?cas=0"]


def test_what_no_order_explains_is_refused() -> None:
    """A trace whose answers contradict each other makes no recording, and the text says where."""
    with pytest.raises(NotRecorded, match=r"no order explains(.|\n)*/v1/kv/a"):
        steps(
            row(0.0, 0.1, 1, "PUT /v1/kv/a", True, body="v"),
            row(1.0, 0.1, 1, "GET /v1/kv/a", status=404, index=5),
        )


def test_poll_is_answered_by_its_news() -> None:
    """A long poll is opened where it was sent, and answered behind the write that woke it."""
    assert shown(
        row(0.0, 0.1, 1, "PUT /v1/kv/a", True, body="v"),
        row(0.2, 0.1, 2, "GET /v1/kv/a", [entry("a", 5, Value="dg==")], index=5),
        row(0.4, 5.0, 2, "GET /v1/kv/a?index=5", [entry("a", 8, Value="dw==")], index=8),
        row(1.0, 0.1, 1, "PUT /v1/kv/b", True, body="x"),
        row(5.3, 0.1, 1, "PUT /v1/kv/a", True, body="w"),
        row(6.0, 0.1, 1, "PUT /v1/kv/c", True, body="x"),
    ) == [
        "ask PUT /v1/kv/a",
        "ask GET /v1/kv/a",
        "open GET /v1/kv/a?index=5",
        "ask PUT /v1/kv/b",
        "ask PUT /v1/kv/a",
        "answered GET /v1/kv/a?index=5",
        "ask PUT /v1/kv/c",
    ]


def test_poll_with_an_older_index_is_an_ask() -> None:
    """A long poll that knew less than there was did not wait."""
    assert shown(
        row(0.0, 0.1, 1, "PUT /v1/kv/a", True, body="v"),
        row(0.4, 0.1, 2, "GET /v1/kv/a?index=2", [entry("a", 5, Value="dg==")], index=5),
    ) == ["ask PUT /v1/kv/a", "ask GET /v1/kv/a?index=2"]


def test_poll_that_ended_with_nothing_new() -> None:
    """A long poll whose time was up stays open through writes of other keys."""
    assert shown(
        row(0.0, 0.1, 1, "PUT /v1/kv/a", True, body="v"),
        row(0.4, 15.0, 2, "GET /v1/kv/a?index=5", [entry("a", 5, Value="dg==")], index=5),
        row(1.0, 0.1, 1, "PUT /v1/kv/b", True, body="x"),
        row(20.0, 0.1, 1, "PUT /v1/kv/a", True, body="w"),
    ) == [
        "ask PUT /v1/kv/a",
        "open GET /v1/kv/a?index=5",
        "ask PUT /v1/kv/b",
        "unanswered GET /v1/kv/a?index=5",
        "ask PUT /v1/kv/a",
    ]


def test_session_runs_out_where_an_answer_shows_it() -> None:
    """Twice its TTL after the last renewal a session may end; that becomes a step."""
    held = entry("a", 7, Session="s1", LockIndex=1)
    assert shown(
        row(0.0, 0.1, 1, "PUT /v1/session/create", {"ID": "s1"}, body=CREATE),
        row(0.2, 0.1, 1, "PUT /v1/kv/a?acquire=s1", True),
        row(5.0, 0.1, 1, "PUT /v1/session/renew/s1", [{"ID": "s1", "CreateIndex": 6}]),
        row(6.0, 0.1, 2, "GET /v1/kv/a", [held], index=7),
        row(25.2, 0.1, 2, "GET /v1/kv/a", status=404, index=9),
    )[-3:] == ["ask GET /v1/kv/a", "expired  s1", "ask GET /v1/kv/a"]


def test_session_does_not_run_out_early() -> None:
    """A key that goes before its session's time was up is not explained by the clock."""
    with pytest.raises(NotRecorded):
        steps(
            row(0.0, 0.1, 1, "PUT /v1/session/create", {"ID": "s1"}, body=CREATE),
            row(0.2, 0.1, 1, "PUT /v1/kv/a?acquire=s1", True),
            row(12.0, 0.1, 2, "GET /v1/kv/a", status=404, index=9),
        )


def test_what_was_there_before_is_seeded() -> None:
    """Entries older than the trace are written first, in the order of their indexes."""
    old = {**entry("b", 4, Value="dg==", Flags=7), "ModifyIndex": 6}
    seeds = steps(
        row(0.0, 0.1, 1, "GET /v1/kv/?recurse=", [entry("a", 5), old], index=6),
        row(1.0, 0.1, 1, "PUT /v1/kv/a", True, body="v"),
    )[:3]

    assert [(each.do, each.target, each.index) for each in seeds] == [
        (Do.SEED, "/v1/kv/b?flags=7", 4),
        (Do.SEED, "/v1/kv/a?flags=0", 5),
        (Do.SEED, "/v1/kv/b?flags=7", 6),
    ]
    assert [each.answer for each in seeds][1:] == [None, "dg=="]


def test_command_wants_three_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a trace, a name and a sentence the command explains itself."""
    assert main([]) == 2
    assert "TRACE NAME ABOUT" in capsys.readouterr().err


def test_command_names_a_bad_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """A trace that cannot be read is named."""
    assert main(["/nowhere", "r", "about."]) == 1
    assert "/nowhere: FileNotFoundError" in capsys.readouterr().err
