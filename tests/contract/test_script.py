"""The minimal conformance script, on a store that has never been written to (section 14)."""

import json

from .stores import Store

ENTRY = (
    '[{{"LockIndex":{lock},"Key":"{key}","Flags":0,"Value":{value},{session}'
    '"CreateIndex":{created},"ModifyIndex":{modified}}}]'
)


def test_14_keys(fresh: Store) -> None:
    """Keys: the first steps of any client."""
    answer = fresh.get("a")
    assert (answer.status, answer.index, answer.get("Content-Length")) == (404, 1, "0")
    assert answer.get("X-Consul-Knownleader") == "true"
    assert answer.get("X-Consul-Lastcontact") == "0"
    assert (fresh.get("?keys").status, fresh.get("?keys").body) == (200, b"[]")
    assert fresh.get("?recurse").status == 404
    answer = fresh.put("a", b"v1")
    assert (answer.status, answer.body, answer.get("X-Consul-Index")) == (200, b"true", None)
    answer = fresh.get("a")
    index = answer.index
    assert answer.text == ENTRY.format(
        lock=0, key="a", value='"djE="', session="", created=index, modified=index
    )
    assert fresh.put("a", b"v1").body == b"true"
    assert fresh.get("a").index == index
    assert fresh.put("a?cas=0", b"x").body == b"false"
    assert fresh.put(f"a?cas={index}", b"v2").body == b"true"
    assert fresh.put("b?cas=7", b"x").body == b"false"
    assert fresh.delete("b?cas=7").body == b"true"
    assert fresh.delete("?recurse").body == b"true"
    assert fresh.get("?keys").body == b"[]"


def test_14_sessions_and_locks(fresh: Store) -> None:
    """Sessions and locks: one leader after another."""
    created = fresh.ask("PUT", "/v1/session/create")
    session, other = created.json["ID"], fresh.session()
    (info,) = fresh.ask("GET", f"/v1/session/info/{session}").json
    assert (info["Behavior"], info["LockDelay"]) == ("release", 15_000_000_000)
    assert fresh.put(f"l?acquire={session}", b"1").body == b"true"
    entry = fresh.entry("l")
    assert (entry["LockIndex"], entry["Session"]) == (1, session)
    assert fresh.put(f"l?acquire={other}", b"1").body == b"false"
    assert fresh.put(f"l?release={other}", b"1").body == b"false"
    with fresh.park(f"/v1/kv/l?index={entry['ModifyIndex']}") as query:
        fresh.destroy(session)
        answer = query.answer(within_s=2)
    assert answer.text == ENTRY.format(
        lock=1,
        key="l",
        value='"MQ=="',
        session="",
        created=entry["CreateIndex"],
        modified=answer.index,
    )
    assert answer.index > entry["ModifyIndex"]
    assert fresh.put(f"l?acquire={other}", b"1").body == b"false"
    renewed = fresh.ask("PUT", f"/v1/session/renew/{session}")
    assert (renewed.status, renewed.text) == (404, f"Session id '{session}' not found")
    info = fresh.ask("GET", f"/v1/session/info/{session}")
    assert (info.status, info.body) == (200, b"[]")
    fresh.destroy(session)


def test_14_txn(fresh: Store) -> None:
    """Transactions: all or nothing."""
    ops = [
        {"KV": {"Verb": "set", "Key": "x", "Value": "djE="}},
        {"KV": {"Verb": "get", "Key": "x"}},
    ]
    answer = fresh.ask("PUT", "/v1/txn", json.dumps(ops).encode())
    assert answer.status == 200
    index = fresh.modify_index("x")
    indexes = f'"CreateIndex":{index},"ModifyIndex":{index}'
    results = ",".join(
        f'{{"KV":{{"LockIndex":0,"Key":"x","Flags":0,"Value":{value},{indexes}}}}}'
        for value in ("null", '"djE="')
    )
    assert answer.text == f'{{"Results":[{results}],"Errors":null}}'
    ops = [{"KV": {"Verb": "set", "Key": "y"}}, {"KV": {"Verb": "get", "Key": "nope"}}]
    answer = fresh.ask("PUT", "/v1/txn", json.dumps(ops).encode())
    assert answer.status == 409
    assert answer.text == (
        r'{"Results":null,"Errors":[{"OpIndex":1,"What":"key \"nope\" doesn' + "'t exist\"}]}"
    )
    assert fresh.get("y").status == 404
