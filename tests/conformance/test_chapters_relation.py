"""How ids and indexes of a recording relate to those of a store."""

import pytest

from conformance.recordings.relation import Relation, Unlike


@pytest.fixture
def relation() -> Relation:
    """Return a relation of which nothing is known, for keys below `here/`."""
    return Relation("here/")


def test_index_is_kept(relation: Relation) -> None:
    """An index of the recording always stands for the same one of the store."""
    relation.see_index(7, 107, "X-Consul-Index")
    relation.see_index(7, 107, "X-Consul-Index")
    assert relation.index(7, "/v1/kv/k") == 107
    with pytest.raises(Unlike, match="X-Consul-Index 108, expected 107, which stands for 7"):
        relation.see_index(7, 108, "X-Consul-Index")


@pytest.mark.parametrize(("recorded", "index"), [(8, 107), (8, 106), (6, 107), (7, 0)])
def test_indexes_keep_their_order(relation: Relation, recorded: int, index: int) -> None:
    """A larger index of the recording is a larger one of the store."""
    relation.see_index(7, 107, "ModifyIndex")
    relation.see_index(5, 105, "ModifyIndex")
    relation.see_index(9, 109, "ModifyIndex")
    with pytest.raises(Unlike, match="expected"):
        relation.see_index(recorded, index, "ModifyIndex")


def test_unknown_index_is_none(relation: Relation) -> None:
    """An index that no answer has told is not made up."""
    assert relation.index(7, "/v1/kv/k") is None


def test_absent_index_is_of_its_path(relation: Relation) -> None:
    """The index of what is not there may be any not before what is known, and is remembered."""
    relation.see_index(7, 107, "ModifyIndex")
    relation.see_absent(8, 500, "/v1/kv/gone")
    assert relation.index(8, "/v1/kv/gone") == 500
    assert relation.index(8, "/v1/kv/other") is None
    with pytest.raises(Unlike, match="X-Consul-Index 106, expected at least 107"):
        relation.see_absent(8, 106, "/v1/kv/gone")


def test_bodies_compare_but_for_ids_and_keys(relation: Relation) -> None:
    """Keys have the store's prefix, ids and indexes are learned, the node's name is free."""
    mine = [{"Key": "a", "Value": "dg==", "Session": "s1", "Node": "x", "ModifyIndex": 5}]
    theirs = [{"Key": "here/a", "Value": "dg==", "Session": "t9", "Node": "y", "ModifyIndex": 50}]
    relation.compare(mine, theirs)
    assert relation.session("s1") == "t9"
    assert relation.text("Session id 's1' not found") == "Session id 't9' not found"
    assert relation.index(5, "") == 50


@pytest.mark.parametrize(
    ("recorded", "got", "said"),
    [
        ([], [{}], "has 1 entries, expected 0"),
        ([{"Value": "dg=="}], [{"Value": None}], r"\[0\].Value is None, expected 'dg=='"),
        ([{"Key": "a"}], [{"Key": "a"}], "Key is 'a', expected 'here/a'"),
        ({"Value": None}, {"Value": None, "Session": "s"}, "has Value, Session, expected Value"),
        ({"A": 1, "B": 2}, {"B": 2, "A": 1}, "has B, A, expected A, B"),
        (True, False, "is False, expected True"),
        (True, 1, "is 1, expected True"),
        ({"ModifyIndex": 5}, {"ModifyIndex": "5"}, "is '5', expected 5"),
    ],
)
def test_what_differs_is_named(
    relation: Relation, recorded: object, got: object, said: str
) -> None:
    """The text of a difference says where it is, and both values."""
    with pytest.raises(Unlike, match=said):
        relation.compare(recorded, got)


def test_session_is_kept(relation: Relation) -> None:
    """A session of the recording always stands for the same one of the store."""
    relation.compare({"ID": "s1"}, {"ID": "t1"})
    with pytest.raises(Unlike, match="session t2, expected t1"):
        relation.compare({"Session": "s1"}, {"Session": "t2"})
