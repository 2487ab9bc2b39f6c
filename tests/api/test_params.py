"""Checks of parameters that many endpoints share."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from multidict import CIMultiDict

from kvstore.api.exchange import Refused, Request
from kvstore.api.params import check_datacenter, check_namespace, parse_read
from kvstore.api.query import ReadOptions
from kvstore.api.responses import NOT_LOOKED

from .calls import head, read_query


def request(raw_query: str, **headers: str) -> Request:
    """Return a read of a key with a query and headers, "_" for "-"."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(b"a", read_query(raw_query), named)


def test_parse_read_gives_the_options() -> None:
    """A good request's options are those of its query."""
    assert parse_read(request("index=7&wait=1s&stale")) == ReadOptions(7, 1.0)


@pytest.mark.parametrize(
    ("raw_query", "cache_control", "body"),
    [
        ("max_stale=x&stale&consistent", "max-age=x", 'Invalid max_stale value "x"'),
        (
            "stale&consistent&wait=x",
            "max-age=x",
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        (
            "cached&consistent&wait=x",
            "max-age=x",
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        ),
        ("wait=x&index=x", "max-age=x", "Invalid Cache-Control header."),
        ("wait=x&index=x", "no-cache", "Invalid wait time"),
        ("index=x", "", "Invalid index"),
    ],
)
def test_H17_the_first_wrong_option_is_named(raw_query: str, cache_control: str, body: str) -> None:
    """Options are looked at in Consul's order, and the first that is wrong is a 400."""
    with pytest.raises(Refused) as caught:
        parse_read(request(raw_query, Cache_Control=cache_control))
    assert (caught.value.response.status, caught.value.response.body.decode()) == (400, body)


@pytest.mark.parametrize("raw_query", ["", "ns=", "partition=x", "NS=x"])
def test_H18_no_namespace(raw_query: str) -> None:
    """An empty namespace is none."""
    check_namespace(request(raw_query))
    check_namespace(request(raw_query, X_Consul_Namespace=""))


ENTERPRISE = "Namespaces are a Consul Enterprise feature"


@pytest.mark.parametrize(
    ("raw_query", "header", "named"),
    [
        ("ns=x", "", 'query parameter: "ns"'),
        ("ns=x", "x", 'header: "X-Consul-Namespace"'),
        ("", "x", 'header: "X-Consul-Namespace"'),
    ],
)
def test_H17_a_namespace_is_refused(raw_query: str, header: str, named: str) -> None:
    """A namespace, wherever it is named, is not ours to have."""
    with pytest.raises(Refused) as caught:
        check_namespace(request(raw_query, x_consul_namespace=header))
    assert caught.value.response.body.decode() == f"Bad request: Invalid {named} - {ENTERPRISE}"
    assert caught.value.response.status == 400


@pytest.mark.parametrize("raw_query", ["", "dc=", "dc=dc1"])
def test_H18_our_datacenter(raw_query: str) -> None:
    """No datacenter, an empty one and ours are all ours."""
    check_datacenter(request(raw_query), "dc1")


@pytest.mark.parametrize("raw_query", ["dc=other", "dc=DC1", "dc=dc1+", "dc=other&dc=dc1"])
def test_H17_another_datacenter(raw_query: str) -> None:
    """Any other name, also in other letters, is a 500 with the headers that were asked for."""
    with pytest.raises(Refused) as caught:
        check_datacenter(request(raw_query), "dc1", NOT_LOOKED)
    response = caught.value.response
    assert (response.status, response.body) == (500, b"No path to datacenter")
    assert head(response)["X-Consul-Knownleader"] == "false"
