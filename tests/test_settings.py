"""Settings: the defaults of a server that was only told its name, and that they cannot change."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from kvstore.duration import NS_PER_S
from kvstore.journal.space import MIB, Space
from kvstore.maintenance.retention import CompactionRule, Retention
from kvstore.settings import Settings


def test_the_defaults_are_the_careful_ones() -> None:
    """Writes are synced, sessions are Consul's, nothing that was lost is made up for."""
    settings = Settings(Path("/data"), node="n1")
    assert settings.sync
    assert not settings.adopt_lost_cas
    assert settings.session_ttl_min_ns == 10 * NS_PER_S
    assert settings.datacenter == "dc1"


def test_the_defaults_of_upkeep() -> None:
    """A journal of 64 MiB is compacted, a week is kept, and the disk is never filled up."""
    settings = Settings(Path("/data"), node="n1")
    assert settings.compaction == CompactionRule(bytes_min=64 * MIB, ratio=1.0)
    assert settings.history == Retention(age_ms=7 * 24 * 3600 * 1000, bytes_max=512 * MIB)
    assert settings.space == Space(folder_bytes_max=0, free_bytes_min=64 * MIB)


def test_settings_cannot_change() -> None:
    """What a server was started with is what it runs with."""
    with pytest.raises(FrozenInstanceError):
        Settings(None, node="n1").sync = False  # type: ignore[misc]
