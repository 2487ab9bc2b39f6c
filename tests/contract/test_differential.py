"""Random operations, the same to both stores: any difference that no rule names is a failure.

KVSTORE_ORACLE_OPS sets how many operations are drawn; the default is for every run.
A failure shows the fewest operations that make the stores differ, and the KVSTORE_ORACLE_SEED
that draws them again.
"""

import os
import random
from collections.abc import Iterator

import pytest

from conformance.fuzz import run
from conformance.fuzz.drawing import Kind

from .conftest import running
from .stores import Store

OPS = int(os.environ.get("KVSTORE_ORACLE_OPS", "2000"))
SEED = int(os.environ.get("KVSTORE_ORACLE_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """Run one store of each kind that nobody else uses: all that they hold is compared."""
    with (
        running("kvstore", tmp_path_factory.mktemp("kvstore")) as kvstore,
        running("consul", tmp_path_factory.mktemp("consul")) as consul,
    ):
        yield kvstore, consul


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120 + OPS // 20)
def test_random_operations(pair: tuple[Store, Store]) -> None:
    """Any sequence of operations gets the same answers from both stores."""
    findings = run(*pair, seed=SEED, operations=OPS)
    assert findings.operations
    assert findings.agree, f"KVSTORE_ORACLE_SEED={SEED}\n{findings.text()}"


@pytest.mark.oracle
@pytest.mark.slow
def test_random_restores(pair: tuple[Store, Store]) -> None:
    """So does any sequence with saves and restores in it."""
    kinds = frozenset({Kind.KV, Kind.SESSIONS, Kind.SNAPSHOTS})
    findings = run(*pair, seed=SEED, operations=OPS // 5, kinds=kinds)
    assert findings.rules["restore-is-a-write"], "nothing was restored"
    assert findings.agree, f"KVSTORE_ORACLE_SEED={SEED}\n{findings.text()}"
