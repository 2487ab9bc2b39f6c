"""A trace: what a recording proxy saw between clients and a store, as exchanges.

One JSON object a line, in order of request: `t` (seconds from the first), `took` (seconds; null:
never answered), `client`, `conn`, `method`, `target`, `headers`, `body`, `status`,
`response_headers`, `response_body` (gzip undone; text, or {"base64": ...}).
"""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

INDEX = "X-Consul-Index"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a client, and its answer."""

    connection: str
    method: str
    # As sent, with the query.
    target: str
    body: str
    sent_s: float
    answered_s: float
    status: int
    # 0 where there was none.
    index: int
    # JSON read, other text as it was; None for no body.
    answer: Any

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def polled(self) -> int:
        """The index that a long poll waits to see passed; 0 when this is none."""
        return int(self.query.get("index", "0")) if self.method == "GET" else 0

    @property
    def expired(self) -> bool:
        """Whether a long poll ended with nothing new."""
        return 0 < self.polled == self.index


def read_trace(lines: Iterable[str]) -> list[Exchange]:
    """Return the exchanges of a trace in order of request.

    What is left out: what was never answered; answers while the store was starting or stopping;
    reads by curl, with which the makers of a trace look at a store.
    """
    rows = defaultdict(list)
    for line in lines:
        row = json.loads(line)
        if row["method"] == "GET" and "curl" in row["headers"].get("User-Agent", ""):
            continue
        rows[f"{row['client']}#{row['conn']}"].append(row)
    exchanges = [
        exchange
        for connection, of_connection in rows.items()
        for exchange in _on_connection(connection, of_connection)
        if exchange.answer != "No cluster leader"
    ]
    return sorted(exchanges, key=lambda each: each.sent_s)


def _on_connection(connection: str, rows: list[dict[str, Any]]) -> Iterator[Exchange]:
    """Match the requests and answers of a connection by their order, as HTTP/1.1 does.

    A proxy may have noted an answer beside another request, which shows as a negative `took`.
    """
    requests = sorted(rows, key=lambda row: float(row["t"]))
    answers = sorted(
        ((row["t"] + row["took"], row) for row in rows if row.get("took") is not None),
        key=lambda pair: float(pair[0]),
    )
    # An answer from before the first request is to one that was sent before the trace began.
    answers = [pair for pair in answers if pair[0] >= requests[0]["t"]]
    for request, (answered_s, row) in zip(requests, answers, strict=False):
        body = row["response_body"]
        raw = base64.b64decode(body["base64"]).decode("latin-1") if isinstance(body, dict) else body
        headers = row["response_headers"]
        is_json = headers.get("Content-Type") == "application/json"
        yield Exchange(
            connection=connection,
            method=request["method"],
            target=request["target"],
            body=request["body"],
            sent_s=request["t"],
            answered_s=answered_s,
            status=row["status"],
            index=int(headers.get(INDEX, "0")),
            answer=json.loads(raw) if is_json else raw or None,
        )
