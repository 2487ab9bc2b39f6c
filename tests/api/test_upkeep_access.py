"""Who may see the server's figures, and have its journal compacted."""

import pytest

from .calls import Calls
from .guarded import Guarded, table


@pytest.mark.parametrize(
    ("token", "method", "target", "status"),
    [
        ("agent", "GET", "/v1/agent/metrics", 200),
        ("agent", "GET", "/v1/agent/metrics?format=prometheus", 200),
        ("", "GET", "/v1/agent/metrics", 403),
        ("operator", "GET", "/v1/agent/metrics", 403),
        ("wrong", "GET", "/v1/agent/metrics", 403),
        ("agent", "PUT", "/v1/kvstore/compact", 403),
        ("", "PUT", "/v1/kvstore/compact", 403),
        # There is no journal in memory, which only an operator is told.
        ("operator", "PUT", "/v1/kvstore/compact", 400),
    ],
)
async def test_figures_and_compaction(
    calls: Calls, token: str, method: str, target: str, status: int
) -> None:
    """Figures are the agent's to show, a compaction is the operator's to ask for."""
    assert await Guarded(calls, table()).status(token, method, target) == status
