"""Clients that double slashes: they write clean keys, and are shown keys as they asked for them."""

import json
from typing import Any

import pytest

from .calls import Calls, head

BASE = "http://10.0.0.5:8500/v1/kv/"


async def followed(calls: Calls, asked: str) -> Any:
    """Ask for a key or prefix as Go's client does: follow the redirect, say where it came from."""
    redirect = await calls("GET", f"/v1/kv/{asked}")
    assert redirect.status == 301
    response = await calls("GET", head(redirect)["Location"], Referer=BASE + asked)
    assert response.status == 200, response
    return json.loads(response.body)


@pytest.fixture(autouse=True)
async def two_keys(calls: Calls) -> None:
    """Write two keys as libnetwork does when the store's URL ends in a slash."""
    await calls.put("pfx//docker/a/", b"1")
    await calls.put("pfx//docker/b/c", b"2")


async def test_keys_are_stored_clean(calls: Calls) -> None:
    """Doubled slashes are not part of a key."""
    assert calls.engine.state.keys(b"").value == [b"pfx/docker/a/", b"pfx/docker/b/c"]


async def test_a_tree_is_shown_as_it_was_asked_for(calls: Calls) -> None:
    """A listing has the keys that the client looks for in it."""
    entries = await followed(calls, "pfx//docker/?recurse=")
    assert [entry["Key"] for entry in entries] == ["pfx//docker/a/", "pfx//docker/b/c"]
    plain = json.loads((await calls("GET", "/v1/kv/pfx/docker/?recurse")).body)
    assert [entry["Key"] for entry in plain] == ["pfx/docker/a/", "pfx/docker/b/c"]
    assert [entry["ModifyIndex"] for entry in plain] == [entry["ModifyIndex"] for entry in entries]


async def test_names_are_shown_as_they_were_asked_for(calls: Calls) -> None:
    """So are names, cut or whole."""
    assert await followed(calls, "pfx//docker/?keys&separator=/") == [
        "pfx//docker/a/",
        "pfx//docker/b/",
    ]


async def test_a_key_is_shown_as_it_was_asked_for(calls: Calls) -> None:
    """So is a single key."""
    (entry,) = await followed(calls, "pfx//docker/a/?consistent=")
    assert (entry["Key"], entry["Value"]) == ("pfx//docker/a/", "MQ==")


@pytest.mark.parametrize(
    "referer",
    [
        "http://10.0.0.5:8500/",
        f"{BASE}pfx/docker/a/",
        f"{BASE}other//docker/a/",
        f"{BASE}pfx/./docker/a/",
        f"{BASE}pfx/x/../docker/a/",
        f"{BASE}pfx//docker/a/%zz",
        "//",
        "",
        "\udcff",
    ],
)
async def test_other_referers_change_nothing(calls: Calls, referer: str) -> None:
    """Only a path that is this key but for doubled slashes says how it is spelled."""
    response = await calls("GET", "/v1/kv/pfx/docker/a/", Referer=referer)
    assert json.loads(response.body)[0]["Key"] == "pfx/docker/a/"
