"""What the operator decides, checked and frozen."""

from dataclasses import dataclass
from pathlib import Path

from kvstore.api.limits import DEFAULT_LIMITS, Limits
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SESSIONS_MAX
from kvstore.journal.space import DEFAULT_SPACE, Space
from kvstore.maintenance.retention import (
    DEFAULT_RETENTION,
    DEFAULT_RULE,
    CompactionRule,
    Retention,
)
from kvstore.transport.credentials import TlsFiles
from kvstore.transport.door import CONNECTIONS_MAX

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
    sessions_max: int = SESSIONS_MAX
    # How many connections there may be (0: as many as the system allows), and of one client (0:
    # a share of them).
    connections_max: int = CONNECTIONS_MAX
    client_connections_max: int = 0
    # What clients may take of memory and patience.
    limits: Limits = DEFAULT_LIMITS
    # When the journal is compacted, how far back it is kept, and how much it may take.
    compaction: CompactionRule = DEFAULT_RULE
    history: Retention = DEFAULT_RETENTION
    space: Space = DEFAULT_SPACE
    # Whether a check-and-set with an index that was never issued may create its key.
    adopt_lost_cas: bool = False
    # What listeners with TLS need; None when there are none.
    tls: TlsFiles | None = None
    # The tokens' file or folder; None lets everybody do everything.
    tokens: Path | None = None
