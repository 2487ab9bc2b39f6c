"""What the operator decides, checked and frozen."""

from dataclasses import dataclass
from pathlib import Path

from kvstore.duration import NS_PER_S
from kvstore.journal.space import MIB, Space
from kvstore.maintenance.retention import CompactionRule, Retention

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings; `cli/serve.py` says what each is for."""

    # Where the journal lives; None keeps everything in memory (`--dev`).
    data_dir: Path | None
    node: str
    datacenter: str = "dc1"
    # Whether a write is synced before it is acknowledged.
    sync: bool = True
    session_ttl_min_ns: int = 10 * NS_PER_S
    # When the journal is compacted, how far back it is kept, and how much it may take.
    compaction: CompactionRule = CompactionRule(bytes_min=64 * MIB, ratio=1.0)  # noqa: RUF009
    history: Retention = Retention(age_ms=7 * 24 * 3600 * 1000, bytes_max=512 * MIB)  # noqa: RUF009
    space: Space = Space(folder_bytes_max=0, free_bytes_min=64 * MIB)  # noqa: RUF009
    # Whether a check-and-set with an index that was never issued may create its key.
    adopt_lost_cas: bool = False
