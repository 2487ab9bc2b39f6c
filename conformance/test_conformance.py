"""Every case of the suite as a test: `pytest --pyargs conformance --url http://HOST:8500`."""

from collections.abc import Callable

import pytest

from conformance.suite.case import Case
from conformance.suite.chapters import cases
from conformance.suite.outcome import Verdict
from conformance.suite.pytest_plugin import stage_of
from conformance.suite.runner import Stage


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Stage:
    """Return the store of --url, ready to play on."""
    found = stage_of(request.config)
    if found is None:
        pytest.skip("no store to play on: give --url http://HOST:PORT")
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_conformance(
    stage: Stage, case: Case, record_property: Callable[[str, object], None]
) -> None:
    """The store does as Consul, or differs by a rule."""
    outcome = stage.play(case)
    if outcome.verdict is Verdict.SKIPPED:
        pytest.skip(outcome.note)
    if outcome.verdict is Verdict.FAILED:
        pytest.fail("\n\n".join([case.title, *outcome.failures]), pytrace=False)
    for rule in outcome.intents:
        record_property("differs by intent", rule)
