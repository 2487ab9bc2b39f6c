"""How values are kept from being changed: at run time, or by the type checker where it counts."""

from dataclasses import FrozenInstanceError, fields
from typing import Any, Final, get_origin

import pytest

__all__ = ["assert_unchanging"]


def assert_unchanging(value: Any) -> None:
    """See that no field of a dataclass can be assigned to, or that mypy says so of each."""
    if all(get_origin(field.type) is Final for field in fields(value)):
        return
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, b"2")
