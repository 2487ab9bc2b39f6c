"""The checker of histories: what it must believe, what it must not, and what a slower one says."""

import itertools
import math

import pytest
from history import Delete, Entries, Set, as_of_death
from history_examples import BELIEVED, DISBELIEVED, KEYS, YES, History, a, get, op
from history_model import Group, State
from hypothesis import given, settings
from hypothesis import strategies as st
from linearizability import (
    UNKNOWN,
    NotLinearizable,
    Operation,
    TooConcurrent,
    linearize,
)

SET1, SET2 = Set("t/a", "1"), Set("t/a", "2")


def explain(history: History) -> frozenset[State]:
    """Return what a history leaves of an empty group; raises NotLinearizable."""
    shown = [one.outcome for one in history if isinstance(one.outcome, Entries)]
    seen = {(e.key, e.modify_index): e for one in shown for e in one.by_key.values()}
    group = Group("t/", KEYS, seen)
    return linearize(group, [group.empty], history)


@pytest.mark.parametrize("name", BELIEVED)
def test_what_has_an_order_is_believed(name: str) -> None:
    """Some order explains the history, whatever the order of its lines."""
    assert explain(BELIEVED[name])
    assert explain(BELIEVED[name]) == explain(BELIEVED[name][::-1])


@pytest.mark.parametrize("name", DISBELIEVED)
def test_what_has_no_order_is_not_believed(name: str) -> None:
    """No order explains the history; what is said names an operation of it."""
    with pytest.raises(NotLinearizable) as refused:
        explain(DISBELIEVED[name])
    assert refused.value.operation in DISBELIEVED[name]


def test_histories_follow_each_other() -> None:
    """What one history may leave is where the next begins, and nothing else is."""
    group = Group("t/", KEYS, {})
    unknown = [op(0, 5, SET1, UNKNOWN), op(0, 5, SET2, UNKNOWN)]
    states = linearize(group, [group.empty], unknown)
    assert {state.entries[0].value if state.entries[0] else None for state in states} == {
        *(None, "1", "2"),
    }
    assert linearize(group, states, [get(6, 7)]) == {group.empty}
    with pytest.raises(NotLinearizable):
        linearize(group, linearize(group, states, [get(6, 7)]), [get(8, 9, a("1", 2))])


def test_the_refusal_says_what_there_was() -> None:
    """The operation, the states that were possible, and what was under way."""
    with pytest.raises(NotLinearizable) as refused:
        explain([op(0, 1, SET1), op(2, 9, SET2), get(4, 5)])
    first, *rest = str(refused.value).splitlines()
    assert first.startswith("no order explains ReadKey(key='t/a'")
    assert [line for line in rest if "value='1'" in line]
    assert [line for line in rest if "Set(key='t/a', value='2')" in line]


def test_too_much_at_once_is_said() -> None:
    """A history that would take all memory is refused, not tried."""
    group = Group("t/", KEYS, {})
    many = [op(0, 9, Set("t/a", str(number))) for number in range(6)]
    assert linearize(group, [group.empty], many, configurations_max=6 * 2**6)
    with pytest.raises(TooConcurrent):
        linearize(group, [group.empty], many, configurations_max=20)


def test_a_dead_server_does_nothing() -> None:
    """What was unknown when it died may be done until then; what was sent after that is not."""
    told, untold = op(0, 1, SET1), op(2, math.inf, SET2, UNKNOWN)
    late = op(6, math.inf, Delete("t/a"), UNKNOWN)
    assert as_of_death([told, untold, late], 5) == [told, op(2, 5, SET2, UNKNOWN)]


# --- against every order -----------------------------------------------------------------------


class Register:
    """A register: its calls are a number to write, or None to read."""

    def is_read(self, operation: Operation) -> bool:
        """Tell whether it only reads."""
        return operation.call is None

    def step(self, state: int, operation: Operation) -> int | None:
        """Write, or compare what was read."""
        if operation.call is None:
            return state if operation.outcome == state else None
        unchanged = operation.outcome is UNKNOWN and operation.call == state
        return None if unchanged else operation.call


def some_order_explains(history: History) -> bool:
    """Try every order of every choice of the unknown operations."""
    told = [one for one in history if one.outcome is not UNKNOWN]
    untold = [one for one in history if one.outcome is UNKNOWN and one.call is not None]
    return any(
        explains(order)
        for count in range(len(untold) + 1)
        for chosen in itertools.combinations(untold, count)
        for order in itertools.permutations([*told, *chosen])
    )


def explains(order: History) -> bool:
    """Tell whether an order keeps to the times and gives every outcome."""
    if any(later.returned_ns < one.invoked_ns for one, later in pairs(order)):
        return False
    state = 0
    for one in order:
        if one.call is None and one.outcome != state:
            return False
        state = state if one.call is None else one.call
    return True


def pairs(order: History) -> list[tuple[Operation, Operation]]:
    """Return each operation with each that comes after it."""
    return list(itertools.combinations(order, 2))


times = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
numbers = st.integers(0, 2)
writes = st.tuples(times, numbers, st.sampled_from([YES, YES, UNKNOWN]))
reads = st.tuples(times, st.none(), numbers)
operations = st.one_of(writes, reads).map(lambda one: Operation(one[1], one[2], *one[0]))


@settings(max_examples=500)
@given(st.lists(operations, max_size=6))
def test_it_agrees_with_every_order_tried(history: History) -> None:
    """What the walk through time believes is what some permutation explains."""
    try:
        believed = bool(linearize(Register(), [0], history))
    except NotLinearizable:
        believed = False
    assert believed == some_order_explains(history)
