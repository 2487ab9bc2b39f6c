"""What tests need of the machine beyond Python: there in CI, perhaps not on a laptop."""

import os
from typing import NoReturn

import pytest

__all__ = ["lacking", "promised"]


def promised() -> bool:
    """Return whether everything is promised to be there, as in CI."""
    return os.environ.get("KVSTORE_REQUIRE_LAB") == "1"


def lacking(reason: str) -> NoReturn:
    """Skip the test; fail it instead where everything is promised."""
    if promised():
        pytest.fail(reason)
    pytest.skip(reason)
