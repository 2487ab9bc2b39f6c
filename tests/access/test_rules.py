"""Rules, and several sets of them as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.access.rules import NO_RULES, Level, Rules, merge

LEVELS = st.sampled_from(Level)
RULES = st.builds(
    Rules,
    keys=st.dictionaries(st.sampled_from([b"a", b"b"]), LEVELS),
    prefixes=st.dictionaries(st.sampled_from([b"", b"a"]), LEVELS),
    scopes=st.dictionaries(st.sampled_from(["session", "agent"]), LEVELS),
)


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        (Level.DENY, Level.WRITE, Level.DENY),
        (Level.READ, Level.WRITE, Level.WRITE),
        (Level.READ, Level.LIST, Level.LIST),
        (Level.LIST, Level.LIST, Level.LIST),
    ],
)
def test_deny_wins_and_else_the_higher_level(one: Level, other: Level, merged: Level) -> None:
    """Of two rules about one thing, in either order."""
    for kind, name in (("keys", b"k"), ("prefixes", b"k"), ("scopes", "session")):
        first, second = Rules(**{kind: {name: one}}), Rules(**{kind: {name: other}})
        assert merge([first, second]) == merge([second, first]) == Rules(**{kind: {name: merged}})


def test_rules_about_different_things_stay_side_by_side() -> None:
    """A key and a prefix of the same name are two things."""
    sets = [Rules(keys={b"k": Level.DENY}), Rules(prefixes={b"k": Level.WRITE})]
    assert merge(sets) == Rules({b"k": Level.DENY}, {b"k": Level.WRITE})


def test_no_sets_are_no_rules() -> None:
    """Nothing comes of nothing."""
    assert merge([]) == NO_RULES


@given(st.lists(RULES, max_size=4))
def test_the_order_of_sets_does_not_matter(sets: list[Rules]) -> None:
    """Merged in any order, and merged once more, it is the same."""
    merged = merge(sets)
    assert merge(reversed(sets)) == merged == merge([merged, merged])
