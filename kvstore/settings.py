"""What the operator decides, checked and frozen."""

from dataclasses import dataclass
from pathlib import Path

from kvstore.duration import NS_PER_S

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings; `cli.py` says what each is for."""

    # Where the journal lives; None keeps everything in memory (`--dev`).
    data_dir: Path | None
    node: str
    datacenter: str = "dc1"
    # Whether a write is synced before it is acknowledged.
    sync: bool = True
    session_ttl_min_ns: int = 10 * NS_PER_S
    # Whether a check-and-set with an index that was never issued may create its key.
    adopt_lost_cas: bool = False
