"""How the server names itself."""

from dataclasses import replace

import pytest

from .calls import IDENTITY


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.5", "10.0.0.5:8500"),
        ("store.example", "store.example:8500"),
        ("fd00::5", "[fd00::5]:8500"),
    ],
)
def test_address_is_host_and_port(host: str, address: str) -> None:
    """An IPv6 address stands in brackets, so that its port can be told from it."""
    assert replace(IDENTITY, host=host).address == address
