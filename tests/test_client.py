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
    ],
)
def test_addresses(text: str, url: str) -> None:
    """A scheme may be left out."""
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text", ["", ":1", "h:x", "h:70000", "unix:///s", "http://h/v1", "http://u@h", "http://[h"]
)
def test_what_is_no_address(text: str) -> None:
    """What cannot be meant is refused, and the form told."""
    with pytest.raises(ValueError, match=re.escape("expected http://HOST:8500 or HOST:8500")):
        parse_url(text)


def test_the_default_address() -> None:
    """Ours in the environment beats Consul's, which beats this machine's."""
    assert default_url({"KVSTORE_URL": "a:1", "CONSUL_HTTP_ADDR": "b:1"}) == "a:1"
    assert default_url({"KVSTORE_URL": "", "CONSUL_HTTP_ADDR": "b:1"}) == "b:1"
    assert default_url({}) == DEFAULT_URL
