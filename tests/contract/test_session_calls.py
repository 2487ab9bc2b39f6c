"""Destroy, info, renew, list and node, and how an id is read (S9-S12, 7.2)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .stores import Store

UNKNOWN = "11111111-2222-3333-4444-555555555555"
BY_ID = [("PUT", "destroy"), ("GET", "info"), ("PUT", "renew")]

NOT_36 = "UUID must be 36 characters"
BAD_FORMS = [
    ("x", NOT_36),
    (UNKNOWN + "/", NOT_36),
    (UNKNOWN[:-1], NOT_36),
    ("a/b", NOT_36),
    ("%C3%A9", NOT_36),
    ("1-1-1-1-1-111111111111111111111111111", 'UUID should have maximum of 4 "-"; got 5'),
    ("1-1-1-1-1-11111111111111111111111111", 'UUID should have maximum of 4 "-"; got 5'),
    (
        "111111111-222-3333-4444-55555555555x",
        "Invalid UUID: encoding/hex: invalid byte: U+0078 'x'",
    ),
    (
        "11111111-2222-3333-4444-55555555555z",
        "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",
    ),
    ("11111111-2222-3333-444-4555555555555", None),
    ("1111111122223333444455555555555-1111", "Input (without hyphens) must be even length"),
]


@pytest.mark.parametrize(("method", "call"), BY_ID)
@pytest.mark.parametrize(("text", "said"), BAD_FORMS[:5])
def test_S9_length(store: Store, method: str, call: str, text: str, said: str) -> None:
    """Only 36 characters can be an id; S10: the rest of the path is the id, slashes included."""
    answer = store.ask(method, f"/v1/session/{call}/{text}")
    assert answer.status == 500
    assert answer.text == f"failed session lookup: index error: {said}"
    if call == "info":
        assert (answer.get("X-Consul-Index"), answer.get("X-Consul-Knownleader")) == ("1", "false")


@pytest.mark.parametrize(("method", "call"), BY_ID)
@pytest.mark.parametrize(("text", "said"), BAD_FORMS[6:])
def test_S9_form(store: Store, method: str, call: str, text: str, said: str | None) -> None:
    """36 characters must hold at most four hyphens and an even number of hex digits."""
    assert len(text) == 36
    answer = store.ask(method, f"/v1/session/{call}/{text}")
    if said is None:
        assert answer.status in {200, 404}, "hyphens may stand anywhere"
    else:
        assert answer.status == 500
        assert answer.text == f"failed session lookup: index error: {said}"


def test_S9_ids_are_sixteen_bytes(store: Store) -> None:
    """Letter case does not matter, nor where the hyphens are."""
    session = store.session(Name="S9")
    digits = session.replace("-", "")
    moved = f"{digits[:2]}-{digits[2:4]}-{digits[4:6]}-{digits[6:8]}-{digits[8:]}"
    for text in (session.upper(), moved):
        assert store.ask("GET", f"/v1/session/info/{text}").json[0]["ID"] == session
        assert store.ask("PUT", f"/v1/session/renew/{text}").json[0]["ID"] == session
    assert store.ask("PUT", f"/v1/session/destroy/{moved.upper()}").body == b"true"
    assert store.ask("GET", f"/v1/session/info/{session}").json == []


def test_S9_digits_without_hyphens_are_unknown(store: Store) -> None:
    """36 hex digits are too many for an id, but no error."""
    digits = "a" * 36
    assert store.ask("GET", f"/v1/session/info/{digits}").body == b"[]"
    assert store.ask("PUT", f"/v1/session/destroy/{digits}").body == b"true"
    assert store.ask("PUT", f"/v1/session/renew/{digits}").status == 404


@pytest.mark.parametrize(("method", "call"), BY_ID)
def test_7_2_empty_id(store: Store, method: str, call: str) -> None:
    """Without an id nothing can be looked up."""
    answer = store.ask(method, f"/v1/session/{call}/")
    assert (answer.status, answer.body) == (400, b"Missing session")


def test_7_2_unknown_id(store: Store) -> None:
    """An unknown id is destroyed gladly, shown as an empty list, and cannot be renewed."""
    assert store.ask("PUT", f"/v1/session/destroy/{UNKNOWN}").body == b"true"
    info = store.ask("GET", f"/v1/session/info/{UNKNOWN}")
    assert (info.status, info.body) == (200, b"[]")
    for text in (UNKNOWN, "ABCDEF00-2222-3333-4444-555555555555"):
        answer = store.ask("PUT", f"/v1/session/renew/{text}")
        assert (answer.status, answer.text) == (404, f"Session id '{text}' not found")


def test_7_2_destroy(store: Store, prefix: str) -> None:
    """A destroyed session is gone from every call, and its keys are free."""
    session = store.session()
    store.write(f"{prefix}k?acquire={session}", b"v")
    store.destroy(session)
    store.destroy(session)
    assert store.ask("GET", f"/v1/session/info/{session}").json == []
    assert session not in store.ask("GET", "/v1/session/list").text
    assert store.ask("PUT", f"/v1/session/renew/{session}").status == 404
    assert store.put(f"{prefix}k?acquire={session}", b"v").status == 500


def test_7_2_info_list_and_node_agree(store: Store) -> None:
    """A session looks the same in info, list, node and renew; lists are in order of id."""
    ids = [store.session(Name=f"s{number}", TTL="60s") for number in range(5)]
    listed = store.ask("GET", "/v1/session/list").json
    assert [each["ID"] for each in listed] == sorted(each["ID"] for each in listed)
    node = listed[0]["Node"]
    assert store.ask("GET", f"/v1/session/node/{node}").json == listed
    assert store.ask("GET", f"/v1/session/node/{node.upper()}").json == listed
    by_id = {each["ID"]: each for each in listed}
    for session in ids:
        assert store.ask("GET", f"/v1/session/info/{session}").json == [by_id[session]]
        assert store.ask("PUT", f"/v1/session/renew/{session}").json == [by_id[session]]
        store.destroy(session)


def test_7_2_no_sessions(fresh: Store) -> None:
    """Without sessions the lists are empty lists."""
    for target in ("list", "node/nope"):
        answer = fresh.ask("GET", f"/v1/session/{target}")
        assert (answer.status, answer.body) == (200, b"[]")


def test_7_2_node_names(store: Store) -> None:
    """An unknown node has no sessions; without a name there is nothing to ask."""
    answer = store.ask("GET", "/v1/session/node/nope/a")
    assert (answer.status, answer.body) == (200, b"[]")
    answer = store.ask("GET", "/v1/session/node/")
    assert (answer.status, answer.body) == (400, b"Missing node name")


def test_S11_renew_changes_nothing(store: Store) -> None:
    """Renewing works with and without a TTL, ignores its body, and moves no index."""
    for ttl in ("", "60s"):
        session = store.session(TTL=ttl)
        index = store.sessions_index()
        answer = store.ask("PUT", f"/v1/session/renew/{session}", b'{"TTL":"20s"}')
        assert answer.json[0]["TTL"] == ttl
        assert store.sessions_index() == index
        store.destroy(session)
