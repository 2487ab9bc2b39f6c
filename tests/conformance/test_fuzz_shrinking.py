"""Shrinking: the fewest and simplest operations, on predicates whose least is known."""

from collections.abc import Callable, Sequence

import pytest

from conformance.fuzz.drawing import draw_episode
from conformance.fuzz.operation import Call, Operation, Park
from conformance.fuzz.shrinking import shrink, simpler

Predicate = Callable[[Sequence[Operation]], bool]


def least(
    operations: Sequence[Operation], fails: Predicate, tries_max: int = 2000
) -> list[Operation]:
    """Return what is left of the operations."""
    assert fails(operations)
    found, _ = shrink(operations, found=True, fails=lambda o: fails(o) or None, tries_max=tries_max)
    assert fails(found)
    return found


def has(*marks: str) -> Predicate:
    """Fail when there are operations with these marks in this order."""

    def fails(operations: Sequence[Operation]) -> bool:
        left = list(marks)
        for each in operations:
            if left and left[0] in str(each):
                left.pop(0)
        return not left

    return fails


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_one_culprit_among_many(count: int) -> None:
    """All others go."""
    operations: list[Operation] = [Call("GET", f"/{number}") for number in range(count)]
    culprit = Call("PUT", "/culprit")
    operations.insert(count // 2, culprit)
    assert least(operations, has("culprit")) == [culprit]


def test_two_far_apart_in_their_order() -> None:
    """What is needed stays, in its order, whatever lies between."""
    operations: list[Operation] = [Call("GET", f"/{number}") for number in range(50)]
    operations[3], operations[47] = Call("PUT", "/first"), Call("PUT", "/second")
    assert least(operations, has("first", "second")) == [operations[3], operations[47]]


def test_an_operation_is_made_simpler() -> None:
    """Parameters, headers, chunks and bodies that do not matter go; the key becomes `a`."""
    call = Call(
        "PUT",
        "/v1/kv/{P}x%20y/z?pretty;flags=7&cas=0",
        b"\xff" * 1000,
        headers=(("A", "b"), ("Accept-Encoding", "gzip")),
        chunked=True,
    )
    assert least([call], has("cas=0")) == [Call("PUT", "/v1/kv/{P}a?cas=0")]
    assert least([call], has("gzip")) == [
        Call("PUT", "/v1/kv/{P}a", headers=(("Accept-Encoding", "gzip"),))
    ]


def test_a_transaction_is_made_simpler() -> None:
    """Operations and members that do not matter go."""
    body = b'[{"KV":{"Verb":"get","Key":"x"}},{"KV":{"Verb":"set","Key":"y","Flags":3}},{}]'
    (found,) = least([Call("PUT", "/v1/txn", body)], has('"set"', *[]))
    assert isinstance(found, Call)
    assert found.body == b'[{"KV":{"Verb":"set"}}]'


def test_the_value_of_a_check_and_set_stays() -> None:
    """Without it, it might be one that stores may treat differently."""
    body = b'[{"KV":{"Verb":"cas","Value":"dg=="}}]'
    assert all(
        isinstance(each, Call)
        and (b"Value" in (each.body or b"") or b"cas" not in (each.body or b""))
        for each in simpler(Call("PUT", "/v1/txn", body))
    )


def test_a_parked_query_stays_parked() -> None:
    """Its parameters and its offset go."""
    park = Park("/v1/kv/{P}b/c?recurse&x", "10ms", 1000)
    assert least([park], lambda operations: isinstance(operations[0], Park)) == [
        Park("/v1/kv/{P}a", "10ms")
    ]


@pytest.mark.parametrize("number", range(8))
def test_every_step_is_simpler(number: int) -> None:
    """Shrinking a drawn episode on a predicate that is always true ends with one bare operation."""
    (left,) = least(draw_episode(1, number), lambda operations: len(operations) > 0)
    assert not list(simpler(left))


def test_it_gives_up_in_time() -> None:
    """After so many tries what was found so far is returned."""
    operations: list[Operation] = [Call("GET", f"/{number}") for number in range(1000)]
    tried = []

    def fails(smaller: Sequence[Operation]) -> bool | None:
        tried.append(smaller)
        return has("999")(smaller) or None

    found, _ = shrink(operations, found=True, fails=fails, tries_max=5)
    assert len(tried) == 5
    assert has("999")(found)
