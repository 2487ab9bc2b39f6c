"""What is taken for the same: labels for names, order for indexes, and nothing else."""

import json

import pytest
from fuzz_fakes import answer
from hypothesis import given
from hypothesis import strategies as st

from conformance.fuzz.comparing import difference, see
from conformance.fuzz.naming import NOBODY, Names
from conformance.fuzz.pairing import Pairing
from conformance.suite.wire import Answer

SESSIONS = ["f5d3b8e2-0000-1111-2222-333344445555", "01234567-89ab-cdef-0123-456789abcdef"]


def names(side: int) -> Names:
    """Return the names of one of two sides: the same things, called otherwise."""
    named = Names("p/", ["n1", "vm"][side])
    for session in [SESSIONS, SESSIONS[::-1]][side]:
        named.add_session(session)
    return named


def differ(theirs: Answer, ours: Answer) -> str | None:
    """Return in what two answers differ, given those names."""
    seen = see(theirs, names(0)), see(ours, names(1))
    return difference(*seen, Pairing().fits)


def said(body: object, **headers: str) -> Answer:
    """Return an answer with this JSON."""
    return answer(200, json.dumps(body, separators=(",", ":")).encode(), **headers)


SAME: list[tuple[object, object]] = [
    ({"Session": SESSIONS[0]}, {"Session": SESSIONS[1]}),
    ({"Session": SESSIONS[0].upper()}, {"Session": SESSIONS[1].upper()}),
    ({"Node": "n1"}, {"Node": "vm"}),
    ({"Node": "N1"}, {"Node": "VM"}),
    ({"CreateIndex": 5, "ModifyIndex": 9}, {"CreateIndex": 50, "ModifyIndex": 51}),
    ([{"ID": SESSIONS[0]}, {"ID": SESSIONS[1]}], [{"ID": SESSIONS[0]}, {"ID": SESSIONS[1]}]),
    ({"What": "current modify index 413 != 1"}, {"What": "current modify index 99 != 1"}),
]
OTHER: list[tuple[object, object]] = [
    ({"Session": SESSIONS[0]}, {"Session": SESSIONS[0]}),
    ({"Session": SESSIONS[0]}, {"Session": SESSIONS[1].upper()}),
    ({"Session": NOBODY}, {"Session": SESSIONS[0]}),
    ({"Node": "n1"}, {"Node": "n1"}),
    ({"Node": "n1"}, {"Node": "VM"}),
    ({"Name": "n1"}, {"Name": "vm"}),
    ({"Key": "a"}, {"Key": "b"}),
    ({"LockIndex": 1}, {"LockIndex": 2}),
    ({"CreateIndex": 5, "ModifyIndex": 9}, {"CreateIndex": 50, "ModifyIndex": 50}),
    ({"CreateIndex": 9, "ModifyIndex": 9}, {"CreateIndex": 50, "ModifyIndex": 51}),
    ([{"ID": SESSIONS[0]}, {"ID": SESSIONS[1]}], [{"ID": SESSIONS[0]}]),
    ([{"ID": SESSIONS[0], "TTL": ""}, {"ID": SESSIONS[1], "TTL": "5s"}],) * 2,
]


@pytest.mark.parametrize(("theirs", "ours"), SAME)
def test_the_same_by_other_names(theirs: object, ours: object) -> None:
    """Sessions, nodes and indexes are what each store calls them."""
    assert differ(said(theirs), said(ours)) is None


@pytest.mark.parametrize(("theirs", "ours"), OTHER)
def test_not_the_same(theirs: object, ours: object) -> None:
    """A session of the one is not any session of the other, and the rest is compared as it is."""
    assert differ(said(theirs), said(ours)) is not None


@pytest.mark.parametrize("name", ["Content-Type", "Vary", "X-Consul-Reason", "Server", "ETag"])
def test_headers_are_compared(name: str) -> None:
    """Those that a client may look at; not Date."""
    theirs = said([], **{name: "x", "Date": "today"})
    assert differ(theirs, said([], **{name: "x", "Date": "tomorrow"})) is None
    assert differ(theirs, said([], **{name: "y"})) == f"header {name}"
    assert differ(theirs, said([])) == f"header {name}"


def test_pretty_is_compared() -> None:
    """Spaces are, too, but for those of session lists in another order."""
    assert differ(said({"a": 1}), answer(200, b'{"a": 1}')) == "body"


def test_indexes_keep_their_order() -> None:
    """A pair is the same each time, and between the pairs that it was between."""
    pairing = Pairing()
    assert pairing.fits(10, 100)
    assert pairing.fits(30, 300)
    assert pairing.fits(20, 200)
    assert pairing.fits(20, 200)
    for pair in [(20, 201), (21, 200), (15, 250), (25, 150), (5, 150), (40, 250), (5, 100)]:
        assert not pairing.fits(*pair), pair
    assert (pairing.theirs(200), pairing.theirs(201)) == (20, None)
    pairing.suspended = True
    assert pairing.fits(40, 1)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9))
def test_equal_orders_always_fit(seen: list[int], factor: int) -> None:
    """Whatever is seen, and in whatever order."""
    pairing = Pairing()
    assert all(pairing.fits(number, number * factor + 7) for number in seen)


def test_placeholders() -> None:
    """Each side has its own words for the same thing; JSON braces are left alone."""
    named = names(0)
    named.learn(b'[{"Key":"p/b\\u002fc","Flags":0,"CreateIndex":3,"ModifyIndex":12}]')
    filled = named.fill("/v1/kv/{P}x?cas={m:b/c}&a={s0}&b={S1}&c={s7}&d={m:no}&e={n}{N}{x}")
    assert filled == (
        f"/v1/kv/p/x?cas=12&a={SESSIONS[0]}&b={SESSIONS[1].upper()}&c={NOBODY}&d=1&e=n1N1{{x}}"
    )
    assert named.fill_body(b'{"LockDelay":0}\xff{P}') == b'{"LockDelay":0}\xffp/'
    assert named.fill_body(None) is None
    named.forget_indexes()
    assert named.fill("{m:b/c}") == "1"
