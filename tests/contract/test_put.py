"""Writing keys (P1-P5, P7, P8 and the table of `?cas`)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .rules import by_intent
from .stores import Store

SYNTAX = "invalid syntax"
RANGE = "value out of range"

NOT_NUMBERS = [
    ("abc", "abc", SYNTAX),
    ("", "", SYNTAX),
    ("-1", "-1", SYNTAX),
    ("1.5", "1.5", SYNTAX),
    ("0x10", "0x10", SYNTAX),
    ("%2B5", "+5", SYNTAX),
    ("+5", " 5", SYNTAX),
    ("1_000", "1_000", SYNTAX),
    ("18446744073709551616", "18446744073709551616", RANGE),
    ("99999999999999999999999", "99999999999999999999999", RANGE),
    ("99999999999999999999999x", "99999999999999999999999x", RANGE),
    ("%22%5C%0A", '\\"\\\\\\n', SYNTAX),
    ("%C3%A9%FF", "é\\xff", SYNTAX),
    ("%D9%A3", "٣", SYNTAX),
]

CONFLICTS = [
    ("cas=1&acquire=a", "acquire=a&cas=1"),
    ("cas&acquire", "acquire=&cas="),
    ("acquire=a&release=b", "acquire=a&release=b"),
    ("release=b&cas=0&flags=3&x=y%20z&b=%26", "b=%26&cas=0&flags=3&release=b&x=y+z"),
    ("cas=1&release=a&cas=2&x&x=1", "cas=1&cas=2&release=a&x=&x=1"),
    ("cas&release&acquire&z=%C3%A9~-._*'", "acquire=&cas=&release=&z=%C3%A9~-._%2A%27"),
]


def test_P1_true_and_false(store: Store, prefix: str) -> None:
    """A write that happened says `true`, a refused one says `false`, both with 200."""
    for query, said in [("", b"true"), ("?cas=0", b"false"), ("?flags=1", b"true")]:
        answer = store.put(f"{prefix}k{query}", b"v")
        assert (answer.status, answer.body) == (200, said)


def test_P2_value_and_flags_are_replaced(store: Store, prefix: str) -> None:
    """Flags and value are what this request says, or nothing."""
    store.write(f"{prefix}k?flags=42", b"v")
    assert store.entry(f"{prefix}k")["Flags"] == 42
    store.write(f"{prefix}k", b"v")
    assert store.entry(f"{prefix}k")["Flags"] == 0
    assert store.ask("PUT", f"/v1/kv/{prefix}k?flags=1").body == b"true"
    entry = store.entry(f"{prefix}k")
    assert (entry["Value"], entry["Flags"]) == (None, 1)


def test_P3_identical_put_moves_no_index(store: Store, prefix: str) -> None:
    """A PUT of the same value and flags is `true` and changes nothing."""
    index = store.write(f"{prefix}k?flags=1", b"v")
    before = store.entry(f"{prefix}k")
    assert store.write(f"{prefix}k?flags=1", b"v") == index
    assert store.entry(f"{prefix}k") == before
    assert store.write(f"{prefix}k", b"v") > index


def test_P3_identical_put_on_a_locked_key(store: Store, prefix: str) -> None:
    """The same value on a locked key resets LockIndex, so it is a change; after that it is none."""
    session = store.session()
    locked = store.write(f"{prefix}k?acquire={session}", b"v")
    assert store.write(f"{prefix}k?acquire={session}", b"v") == locked
    reset = store.write(f"{prefix}k", b"v")
    assert reset > locked
    assert store.entry(f"{prefix}k")["LockIndex"] == 0
    assert store.write(f"{prefix}k", b"v") == reset
    store.destroy(session)


def test_P3_identical_cas(store: Store, prefix: str) -> None:
    """A CAS of the same value leaves Consul's index where it was; ours moves it."""
    index = store.write(f"{prefix}k", b"v")
    assert store.put(f"{prefix}k?cas={index}", b"v").body == b"true"
    moved = by_intent(store, consul=False, kvstore=True, rule="cas-identical-wakes")
    assert (store.modify_index(f"{prefix}k") > index) == moved
    again = store.put(f"{prefix}k?cas={index}", b"v").body
    assert again == by_intent(store, consul=b"true", kvstore=b"false", rule="cas-identical-wakes")


@pytest.mark.parametrize("name", ["flags", "cas"])
@pytest.mark.parametrize(("value", "quoted", "why"), NOT_NUMBERS)
def test_P4_not_a_number(
    store: Store, prefix: str, name: str, value: str, quoted: str, why: str
) -> None:
    """What is no decimal uint64 is a 500 in the words of Go's strconv."""
    answer = store.put(f"{prefix}k?{name}={value}", b"v")
    assert (answer.status, answer.text) == (500, f'strconv.ParseUint: parsing "{quoted}": {why}')
    assert store.get(f"{prefix}k").status == 404


def test_P4_bare_names_and_leading_zeros(store: Store, prefix: str) -> None:
    """`?cas` and `?flags` alone are empty numbers; leading zeros are fine."""
    for name in ("cas", "flags"):
        answer = store.put(f"{prefix}k?{name}")
        assert (answer.status, answer.text) == (500, f'strconv.ParseUint: parsing "": {SYNTAX}')
    index = store.write(f"{prefix}k?flags=007")
    assert store.entry(f"{prefix}k")["Flags"] == 7
    assert store.put(f"{prefix}k?cas=00{index}", b"v").body == b"true"


@pytest.mark.parametrize(("query", "shown"), CONFLICTS)
def test_P5_conflicting_flags(store: Store, prefix: str, query: str, shown: str) -> None:
    """Only one of cas, acquire and release; the refusal shows all parameters, sorted."""
    answer = store.put(f"{prefix}k?{query}", b"v")
    assert (answer.status, answer.text) == (400, f"Conflicting flags: {shown}")


def test_P6_missing_key_name(store: Store) -> None:
    """A PUT without a key is refused."""
    answer = store.put("", b"v")
    assert (answer.status, answer.body) == (400, b"Missing key name")


def test_P7_create_and_modify_index(store: Store, prefix: str) -> None:
    """A new key has equal indexes, an update keeps the first, a new life gets new ones."""
    created = store.write(f"{prefix}k", b"1")
    assert store.entry(f"{prefix}k")["CreateIndex"] == created
    updated = store.write(f"{prefix}k", b"2")
    entry = store.entry(f"{prefix}k")
    assert (entry["CreateIndex"], entry["ModifyIndex"]) == (created, updated)
    store.delete(f"{prefix}k")
    again = store.write(f"{prefix}k", b"2")
    entry = store.entry(f"{prefix}k")
    assert entry["CreateIndex"] == entry["ModifyIndex"] == again > updated


@pytest.mark.parametrize(
    ("exists", "offset", "said"),
    [
        (False, 0, b"true"),
        (False, 1, b"false"),
        (False, 10**15, b"false"),
        (True, None, b"false"),
        (True, 0, b"true"),
        (True, -1, b"false"),
        (True, 1, b"false"),
        (True, 10**15, b"false"),
    ],
)
def test_5_cas(store: Store, prefix: str, *, exists: bool, offset: int | None, said: bytes) -> None:
    """`?cas=0` creates, `?cas=ModifyIndex` updates, any other number is refused."""
    index = store.write(f"{prefix}k", b"old") if exists else 0
    cas = 0 if offset is None else index + offset
    answer = store.put(f"{prefix}k?cas={cas}", b"new")
    assert (answer.status, answer.body) == (200, said)
    now = store.get(f"{prefix}k?raw")
    if said == b"true":
        assert now.body == b"new"
        assert now.index > index
    else:
        assert (now.status, now.body) == ((200, b"old") if exists else (404, b""))


def test_P8_writes_ignore_locks_but_reset_lock_index(store: Store, prefix: str) -> None:
    """Anyone may write a locked key: Session stays, LockIndex is 0 again."""
    session, other = store.session(), store.session()
    key = f"{prefix}k"
    locked = store.write(f"{key}?acquire={session}", b"a")
    for query in ("", "?cas={index}"):
        index = store.write(key + query.format(index=locked), query.encode())
        entry = store.entry(key)
        assert (entry["LockIndex"], entry["Session"]) == (0, session)
        store.write(f"{key}?release={session}", b"r")
        assert store.entry(key)["LockIndex"] == 0
        locked = store.write(f"{key}?acquire={session}", b"a")
        assert store.entry(key)["LockIndex"] == 1
        assert locked > index
    store.write(key, b"plain")
    store.write(f"{key}?release={session}", b"r")
    entry = store.entry(key)
    assert (entry["LockIndex"], entry.get("Session")) == (0, None)
    store.write(f"{key}?acquire={other}", b"b")
    assert store.entry(key)["LockIndex"] == 1
    store.destroy(session)
    store.destroy(other)
