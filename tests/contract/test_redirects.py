"""Unclean paths: where they lead, and what a write to one does (H7, H8, 1.2 steps 4 and 5)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .rules import by_intent
from .stores import Store

REDIRECTS = [
    ("/v1/kv//a", "/v1/kv/a"),
    ("/v1/kv/a//b", "/v1/kv/a/b"),
    ("/v1/kv/a//", "/v1/kv/a/"),
    ("/v1//kv/a?recurse&x=1", "/v1/kv/a?recurse&x=1"),
    ("//v1/kv/a", "/v1/kv/a"),
    ("/v1/kv/.", "/v1/kv/"),
    ("/v1/kv/..", "/v1"),
    ("/v1/kv/a/..", "/v1/kv/"),
    ("/v1/kv/a/.", "/v1/kv/a"),
    ("/v1/kv/a/./b", "/v1/kv/a/b"),
    ("/v1/kv/a/../b/", "/v1/kv/b/"),
    ("/v1/kv/../../../..", "/"),
    ("/v1/kv/%2e%2e/status/leader", "/v1/status/leader"),
    ("/v1/kv/a%2f%2fb", "/v1/kv/a/b"),
    ("/v1/kv/%2Flead", "/v1/kv/lead"),
    ("/v1/kv//sp%20ace%C3%A9?raw", "/v1/kv/sp%20ace%C3%A9?raw"),
    ("/v1/kv//x?a=%zz", "/v1/kv/x?a=%zz"),
    ("/v1/kv//a;b", "/v1/kv/a;b"),
    ("/v1/kv//a%3Fb%23c%25d", "/v1/kv/a%3Fb%23c%25d"),
    ("/v1/kv//a+b:c@d$&,=-_.~!'()*", "/v1/kv/a+b:c@d$&,=-_.~%21%27%28%29%2A"),
    ('/v1/kv//"<a>[b]{c}|^`~\\', "/v1/kv/%22%3Ca%3E%5Bb%5D%7Bc%7D%7C%5E%60~%5C"),
    ("/v1/kv//%FF\xc3\xa9", "/v1/kv/%FF%C3%A9"),
    ("/v1/kv//a?", "/v1/kv/a?"),
    ("/nope//a", "/nope/a"),
]

SLASHLESS = ["/v1/kv", "/v1/session/info", "/v1/session/destroy", "/v1/session/renew"]


def escape_html(text: str) -> str:
    """Escape as Go's http.Redirect does."""
    for plain, entity in [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;")]:
        text = text.replace(plain, entity)
    return text.replace("'", "&#39;")


@pytest.mark.parametrize(("target", "location"), REDIRECTS)
def test_H7_get_of_an_unclean_path(store: Store, target: str, location: str) -> None:
    """GET leads to the cleaned path, re-escaped, with the raw query, and a line of HTML."""
    answer = store.ask("GET", target)
    assert (answer.status, answer.get("Location")) == (301, location)
    assert answer.text == f'<a href="{escape_html(location)}">Moved Permanently</a>.\n\n'
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    assert answer.get("Vary") is None


@pytest.mark.parametrize(("target", "location"), REDIRECTS[:4])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_H7_other_methods(store: Store, method: str, target: str, location: str) -> None:
    """HEAD is redirected like GET; methods that are nowhere allowed get no body and no type."""
    answer = store.ask(method, target)
    assert (answer.status, answer.get("Location"), answer.body) == (301, location, b"")
    if method == "HEAD":
        assert answer.get("Content-Type") == "text/html; charset=utf-8"
    else:
        assert answer.get("Content-Type") is None
        assert answer.get("Content-Length") == "0"


@pytest.mark.parametrize("path", SLASHLESS)
def test_H7_prefix_route_without_its_slash(store: Store, path: str) -> None:
    """A prefix route without its slash leads to the one with it."""
    answer = store.ask("GET", f"{path}?raw")
    assert (answer.status, answer.get("Location")) == (301, f"{path}/?raw")


@pytest.mark.parametrize(
    ("unclean", "clean"),
    [("a//b", "a/b"), ("a%2F%2Fe", "a/e"), ("f//", "f/"), ("/g///h", "g/h")],
)
def test_H8_write_to_doubled_slashes(store: Store, prefix: str, unclean: str, clean: str) -> None:
    """Consul redirects a PUT, which clients then follow as GET; ours writes the cleaned key."""
    answer = store.put(f"{prefix}{unclean}?flags=5", b"v")
    assert answer.status == by_intent(store, consul=301, kvstore=200, rule="unclean-write-in-place")
    if answer.status == 301:
        assert (answer.get("Location"), answer.body) == (f"/v1/kv/{prefix}{clean}?flags=5", b"")
        assert (answer.get("Content-Type"), answer.get("Content-Length")) == (None, "0")
        assert store.get(prefix + clean).status == 404
    else:
        assert answer.body == b"true"
        assert (store.entry(prefix + clean)["Key"], store.entry(prefix + clean)["Flags"]) == (
            prefix + clean,
            5,
        )


@pytest.mark.parametrize(
    ("unclean", "clean"), [("a/./c", "a/c"), ("a/x/../d", "a/d"), ("a//x/../e", "a/e")]
)
def test_H8_write_with_dot_segments(store: Store, prefix: str, unclean: str, clean: str) -> None:
    """Both redirect a write with dot segments, and write nothing."""
    answer = store.put(f"{prefix}{unclean}?flags=5", b"v")
    assert (answer.status, answer.body) == (301, b"")
    assert answer.get("Location") == f"/v1/kv/{prefix}{clean}?flags=5"
    assert store.get(prefix + clean).status == 404


@pytest.mark.parametrize("target", ["/v1/kv//", "/v1/kv/{p}..", "/v1/kv/{p}../../kv/", "/v1//kv/"])
def test_H8_no_delete_of_the_whole_store_by_accident(
    store: Store, prefix: str, target: str
) -> None:
    """Both redirect a recursive delete whose path only cleans up to the whole store."""
    store.write(f"{prefix}a", b"v")
    assert store.ask("DELETE", f"{target.format(p=prefix)}?recurse").status == 301
    assert store.get(f"{prefix}a").status == 200


def test_H8_delete_of_doubled_slashes(store: Store, prefix: str) -> None:
    """Consul redirects a DELETE as well; ours deletes the cleaned key."""
    store.write(f"{prefix}a/b", b"v")
    answer = store.delete(f"{prefix}a//b")
    assert answer.status == by_intent(store, consul=301, kvstore=200, rule="unclean-write-in-place")
    after = by_intent(store, consul=200, kvstore=404, rule="unclean-write-in-place")
    assert store.get(f"{prefix}a/b").status == after
