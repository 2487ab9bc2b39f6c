"""The commands' client: addresses. What it does with servers is in cli/test_transfer.py."""

import re

import pytest

from kvstore.client import DEFAULT_URL, default_url, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("h:8500", "http://h:8500"),
        ("http://h:8500/", "http://h:8500"),
        ("https://h", "https://h"),
        ("10.0.0.1", "http://10.0.0.1"),
        ("[::1]:8500", "http://[::1]:8500"),
        ("unix:///run/kvstore.sock", "unix:///run/kvstore.sock"),
        ("unix:///run/my%20kvstore", "unix:///run/my%20kvstore"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    """A scheme may be left out."""
    assert parse_url(text, {}) == url


@pytest.mark.parametrize("name", ["KVSTORE_HTTP_SSL", "CONSUL_HTTP_SSL"])
def test_addresses_where_tls_is_usual(name: str) -> None:
    """What has no scheme is https then; what has one is what it says."""
    assert parse_url("h:8500", {name: "true"}) == "https://h:8500"
    assert parse_url("h:8500", {name: "false"}) == "http://h:8500"
    assert parse_url("http://h:8500", {name: "true"}) == "http://h:8500"


@pytest.mark.parametrize(
    "text",
    [
        *("", ":1", "h:x", "h:70000", "http://h/v1", "http://u@h", "http://[h", "ftp://h"),
        *("unix://", "unix:///", "unix://h/s", "unix:///s?x"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    """What cannot be meant is refused, and the form told."""
    with pytest.raises(ValueError, match=re.escape("expected http://HOST:8500 or HOST:8500")):
        parse_url(text, {})


def test_the_default_address() -> None:
    """Ours in the environment beats Consul's, which beats this machine's."""
    assert default_url({"KVSTORE_URL": "a:1", "CONSUL_HTTP_ADDR": "b:1"}) == "a:1"
    assert default_url({"KVSTORE_URL": "", "CONSUL_HTTP_ADDR": "b:1"}) == "b:1"
    assert default_url({}) == DEFAULT_URL
