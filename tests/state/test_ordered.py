"""The ordered table: against a dict, with pieces so small that they split and join all the time."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kvstore.errors import InvariantBroken
from kvstore.state import ordered
from kvstore.state.ordered import Ordered
from kvstore.state.prefix import cut_names

NAMES = st.binary(max_size=4).map(lambda name: bytes(b"ab/\xff"[byte % 4] for byte in name))
SEPARATORS = [b"", b"/", b"a", b"b/", b"\xff"]


class TableAgainstADict(RuleBasedStateMachine):
    """Does everything to a table and to a dict, and compares all that they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(ordered, "_PIECE_MAX", 6)
        self.patch.setattr(ordered, "_PIECE_MIN", 3)
        self.table: Ordered[int] = Ordered(int)
        self.model: dict[bytes, int] = {}
        # What was frozen, and what it should give.
        self.frozen: list[tuple[Iterator[int], list[int]]] = []

    def teardown(self) -> None:
        """See that what was frozen has not changed."""
        self.patch.undo()
        for values, meant in self.frozen:
            assert list(values) == meant

    def in_order(self) -> list[int]:
        """Return the model's values in the order of their names."""
        return [self.model[name] for name in sorted(self.model)]

    @rule(names=st.lists(NAMES, max_size=8), index=st.integers(1, 50))
    def put(self, names: list[bytes], index: int) -> None:
        """Put some values, as a transaction would."""
        for name in names:
            self.table[name] = self.model[name] = index

    @rule(items=st.dictionaries(NAMES, st.integers(1, 50), max_size=8))
    def update(self, items: dict[bytes, int]) -> None:
        """Put some at once."""
        self.table.update(items)
        self.model.update(items)

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0))
    def remove(self, pick: int) -> None:
        """Take out one that is there."""
        name = sorted(self.model)[pick % len(self.model)]
        del self.table[name], self.model[name]

    @rule(prefix=NAMES)
    def remove_under(self, prefix: bytes) -> None:
        """Take out a tree."""
        self.table.remove_under(prefix)
        self.model = {
            name: index for name, index in self.model.items() if not name.startswith(prefix)
        }

    @rule(items=st.dictionaries(NAMES, st.integers(1, 50)))
    def load(self, items: dict[bytes, int]) -> None:
        """Replace all."""
        self.table.load(items.items())
        self.model = dict(items)

    @rule()
    def freeze(self) -> None:
        """Keep what there is, to be looked at in the end."""
        self.frozen.append((self.table.frozen_values(), self.in_order()))

    @rule(prefix=NAMES)
    def read_under(self, prefix: bytes) -> None:
        """Compare what is under a prefix, and its newest index."""
        under = sorted(name for name in self.model if name.startswith(prefix))
        values = [self.model[name] for name in under]
        assert self.table.names(prefix) == under
        assert self.table.under(prefix) == values
        assert self.table.newest(prefix) == max(values, default=0)
        for separator in SEPARATORS:
            cut_ones = cut_names(under, prefix, separator)
            assert self.table.cut_names(prefix, separator) == cut_ones

    @invariant()
    def check(self) -> None:
        """Compare the whole."""
        self.table.check()
        assert list(self.table) == sorted(self.model)
        assert list(self.table.values()) == self.in_order()
        assert len(self.table) == len(self.model)
        assert all(self.table.get(name) == index for name, index in self.model.items())


TestTable = TableAgainstADict.TestCase
TestTable.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


def filled(count: int) -> Ordered[int]:
    """Return a table of so many names in many pieces."""
    table: Ordered[int] = Ordered(int)
    for index in range(1, count + 1):
        table[b"%05d" % (index * 7919 % count)] = index
    return table


def test_what_is_not_there() -> None:
    """A name without a value has none, and cannot be taken out."""
    table = filled(5)
    assert table.get(b"x") is None
    assert b"x" not in table
    assert b"00001" in table
    with pytest.raises(KeyError):
        table[b"x"]
    with pytest.raises(KeyError):
        del table[b"x"]


def test_a_large_table_of_whole_pieces() -> None:
    """With pieces of the real size all is found, and taken out, across their borders."""
    table = filled(5_000)
    table.check()
    assert table.names(b"01") == [b"%05d" % number for number in range(1_000, 2_000)]
    assert table.newest(b"01") == max(table.under(b"01"))
    table[b"01500"] = 9_999
    assert table.newest(b"01") == table.newest(b"") == 9_999
    del table[b"01500"]
    assert table.newest(b"01") == max(table.under(b"01"))
    assert table.cut_names(b"0", b"0")[:3] == [b"00", b"010", b"0110"]
    table.remove_under(b"0")
    table.check()
    assert len(table) == 0


def test_a_taken_piece_is_not_changed_by_what_follows() -> None:
    """A frozen table stays as it was under every kind of write."""
    table = filled(2_000)
    meant = list(table.values())
    frozen = table.frozen_values()
    table[b"00000"] = 5_000
    table[b"00000x"] = 5_001
    del table[b"01000"]
    table.remove_under(b"013")
    assert list(frozen) == meant


@pytest.mark.parametrize("lost", ["names", "values"])
def test_check_finds_pieces_that_differ(lost: str) -> None:
    """A name or a value that is only in the dict is found."""
    table = filled(10)
    getattr(table._pieces[0], lost).pop()
    with pytest.raises(InvariantBroken):
        table.check()
