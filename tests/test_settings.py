"""Settings: the defaults of a server that was only told its name, and that they cannot change."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from kvstore.duration import NS_PER_S
from kvstore.settings import Settings


def test_the_defaults_are_the_careful_ones() -> None:
    """Writes are synced, sessions are Consul's, nothing that was lost is made up for."""
    settings = Settings(Path("/data"), node="n1")
    assert settings.sync
    assert not settings.adopt_lost_cas
    assert settings.session_ttl_min_ns == 10 * NS_PER_S
    assert settings.datacenter == "dc1"


def test_settings_cannot_change() -> None:
    """What a server was started with is what it runs with."""
    with pytest.raises(FrozenInstanceError):
        Settings(None, node="n1").sync = False  # type: ignore[misc]
