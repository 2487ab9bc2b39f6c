"""Which headers go with what."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.api.exchange import Response
from kvstore.api.responses import (
    NOT_LOOKED,
    empty,
    index_headers,
    json_response,
    not_found,
    plain,
    raw_value,
    redirect,
    text,
)

from .calls import head, read_query

INDEX_7 = {
    "X-Consul-Index": "7",
    "X-Consul-Knownleader": "true",
    "X-Consul-Lastcontact": "0",
}
VARY = {"Vary": "Accept-Encoding"}
JSON = {"Content-Type": "application/json", **VARY}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize(
    ("response", "status", "headers", "body"),
    [
        (json_response(read_query(""), b"[]"), 200, JSON, b"[]"),
        (json_response(read_query("pretty"), b"[1]"), 200, JSON, b"[\n    1\n]\n"),
        (json_response(read_query(""), b"[]", index_headers(7)), 200, JSON | INDEX_7, b"[]"),
        (not_found(index_headers(7)), 404, VARY | INDEX_7, b""),
        (text(400, "no"), 400, TEXT | VARY, b"no"),
        (text(500, "é\udcff"), 500, TEXT | VARY, b"\xc3\xa9\xff"),
        (empty(200, b"Allow: OPTIONS,GET\r\n"), 200, VARY | {"Allow": "OPTIONS,GET"}, b""),
        (plain(200, "Consul Agent"), 200, TEXT, b"Consul Agent"),
        (plain(404), 404, {}, b""),
        (
            redirect("/v1/kv/a", "<a>"),
            301,
            {"Location": "/v1/kv/a", "Content-Type": "text/html; charset=utf-8"},
            b"<a>",
        ),
        (redirect("/v1/kv/a", ""), 301, {"Location": "/v1/kv/a"}, b""),
    ],
)
def test_contract_1_4(
    response: Response, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Status, headers and body of each kind of response."""
    assert (response.status, head(response), response.body) == (status, headers, body)


def test_V8_a_raw_value_cannot_run_in_a_browser() -> None:
    """A stored value goes out as text, unguessed and in a sandbox."""
    response = raw_value(b"<script>", index_headers(7))
    assert head(response) == {
        "Content-Type": "text/plain",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
        **VARY,
        **INDEX_7,
    }
    assert response.body == b"<script>"


def test_H21_the_index_is_never_0() -> None:
    """An empty store answers with index 1."""
    assert index_headers(0) == index_headers(1)
    assert b"X-Consul-Index: 1\r\n" in index_headers(0)


def test_contract_1_4_an_error_of_the_store_knows_no_leader() -> None:
    """Consul has not looked yet when it says so, and shows it."""
    assert head(text(500, "x", NOT_LOOKED)) == {
        **TEXT,
        **VARY,
        "X-Consul-Index": "1",
        "X-Consul-Knownleader": "false",
        "X-Consul-Lastcontact": "0",
    }


def test_H32_what_is_never_compressed() -> None:
    """Redirects, and what is answered before any route, stay plain."""
    assert not redirect("/", "page").compressible
    assert not plain(404).compressible
    assert text(400, "x").compressible


def test_plain_can_end_the_connection() -> None:
    """What is no request leaves no way to find the next one."""
    assert plain(400, "400 Bad Request", close=True).close
    assert not plain(404).close
