"""Which rule is about a key: examples of Consul's, and a naive model that looks at every rule."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.access.grants import Grants
from kvstore.access.ruled import RuledGrants
from kvstore.access.rules import NO_RULES, SCOPES, Level, Rules

DENY, READ, LIST, WRITE = Level.DENY, Level.READ, Level.LIST, Level.WRITE

# Few letters and short names, so that rules lie within each other.
NAMES = st.lists(st.sampled_from([b"a", b"b", b"/"]), max_size=4).map(b"".join)
LEVELS = st.sampled_from(Level)
RULES = st.builds(
    Rules, keys=st.dictionaries(NAMES, LEVELS), prefixes=st.dictionaries(NAMES, LEVELS)
)
DEFAULTS = st.sampled_from([DENY, WRITE])


def ruled(rules: Rules, default: Level = DENY, *, lists_need_list: bool = False) -> Grants:
    """Return grants by rules."""
    return RuledGrants("tester", rules, default, lists_need_list=lists_need_list)


def level_of(key: bytes, rules: Rules, default: Level) -> Level:
    """Return a key's level as one would by hand: the exact rule, else the longest prefix."""
    if key in rules.keys:
        return rules.keys[key]
    return longest(key, rules.prefixes, default)


def longest(name: bytes, prefixes: Mapping[bytes, Level], default: Level) -> Level:
    """Return the level of the longest prefix of a name."""
    fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
    return prefixes[max(fitting, key=len)] if fitting else default


def whole_tree(prefix: bytes, least: Level, rules: Rules, default: Level) -> bool:
    """Return whether no rule under a prefix, nor the one over it, allows less."""
    under = [v for n, v in [*rules.keys.items(), *rules.prefixes.items()] if n.startswith(prefix)]
    return min([longest(prefix, rules.prefixes, default), *under]) >= least


@given(RULES, DEFAULTS, NAMES)
def test_keys_as_in_the_model(rules: Rules, default: Level, key: bytes) -> None:
    """Reading and writing one key."""
    grants, level = ruled(rules, default), level_of(key, rules, default)
    assert grants.key_read(key) == (level >= READ)
    assert grants.key_write(key) == (level == WRITE)
    assert grants.key_list(key)


@given(RULES, DEFAULTS, NAMES)
def test_listing_needs_list_where_the_policy_says_so(
    rules: Rules, default: Level, prefix: bytes
) -> None:
    """With a policy for lists READ is not enough."""
    grants = ruled(rules, default, lists_need_list=True)
    assert grants.key_list(prefix) == (level_of(prefix, rules, default) >= LIST)


@given(RULES, DEFAULTS, NAMES)
def test_trees_as_in_the_model(rules: Rules, default: Level, prefix: bytes) -> None:
    """Reading and writing all that could be under a prefix."""
    grants = ruled(rules, default)
    assert grants.tree_read(prefix) == whole_tree(prefix, READ, rules, default)
    assert grants.tree_write(prefix) == whole_tree(prefix, WRITE, rules, default)


@given(RULES, DEFAULTS, NAMES, NAMES)
def test_a_whole_tree_has_no_key_apart(
    rules: Rules, default: Level, prefix: bytes, rest: bytes
) -> None:
    """Who may read or write a tree may do so with each key in it."""
    grants = ruled(rules, default)
    assert grants.key_read(prefix + rest) or not grants.tree_read(prefix)
    assert grants.key_write(prefix + rest) or not grants.tree_write(prefix)


# As a real Consul answered `DELETE ?recurse` (tests/contract/test_access.py asks it again).
NESTED = Rules(keys={b"n/secret": DENY, b"n/ro/x": WRITE}, prefixes={b"n/": WRITE, b"n/ro/": READ})


@pytest.mark.parametrize(
    ("prefix", "allowed"),
    [
        (b"n/", False),
        (b"n/ro/", False),
        # An exact rule is not one for what is under its name.
        (b"n/ro/x", False),
        (b"n/s", False),
        (b"n/z", True),
        (b"n", False),
    ],
)
def test_writing_a_tree(prefix: bytes, *, allowed: bool) -> None:
    """It takes WRITE over the prefix, and no narrower rule that allows less."""
    assert ruled(NESTED).tree_write(prefix) is allowed


@pytest.mark.parametrize("default", [DENY, WRITE])
def test_the_default_decides_where_no_rule_does(default: Level) -> None:
    """Keys, trees and scopes alike."""
    grants = ruled(NO_RULES, default)
    allowed = default is WRITE
    assert grants.key_read(b"k") is grants.tree_write(b"") is grants.session_write() is allowed
    assert grants.operator_read() is allowed


def test_no_default_hands_out_the_whole_store() -> None:
    """Snapshot and restore take a rule of their own, as in Consul."""
    assert not ruled(NO_RULES, WRITE).operator_write()
    assert ruled(Rules(scopes={"operator": WRITE})).operator_write()
    assert not ruled(Rules(scopes={"operator": READ}), WRITE).operator_write()


WRITABLE = ["session", "agent", "event", "operator"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("level", [DENY, READ, WRITE])
def test_scopes(scope: str, level: Level) -> None:
    """Each scope is asked about by its name, and no rule about one is one about another."""
    grants = ruled(Rules(scopes={scope: level}))
    for one in SCOPES:
        assert getattr(grants, f"{one}_read")() is (one == scope and level >= READ)
    for one in WRITABLE:
        assert getattr(grants, f"{one}_write")() is (one == scope and level is WRITE)


def test_the_name_is_for_logs() -> None:
    """Grants know whose they are."""
    assert ruled(NO_RULES).name == "tester"
