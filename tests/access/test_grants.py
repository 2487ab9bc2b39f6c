"""The grants of a server without access control."""

import inspect

import pytest

from kvstore.access.grants import EVERYTHING, Grants

QUESTIONS = [
    name for name, _ in inspect.getmembers(Grants, inspect.isfunction) if not name.startswith("_")
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_everything_is_allowed(question: str) -> None:
    """Whatever can be asked of grants has the answer yes, about a key or about the server."""
    ask = getattr(EVERYTHING, question)
    about = (b"key",) if question.startswith(("key", "tree")) else ()
    assert ask(*about) is True


def test_all_questions_are_known() -> None:
    """The test above asks something."""
    assert {"key_read", "tree_write", "operator_write"} <= set(QUESTIONS)
