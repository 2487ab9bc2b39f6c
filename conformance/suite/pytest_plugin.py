"""The suite under pytest: `pytest --pyargs conformance --url http://HOST:8500`.

Each case is a test; they run one after another, so a runner with workers is faster. The tests are
in `conformance/test_conformance.py`; here are the options, which pytest has to know before.
"""

import pytest

from conformance.suite.address import Address, AddressInvalid
from conformance.suite.runner import Stage
from conformance.suite.store import Store


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("conformance", "conformance suite for Consul's key-value API")
    group.addoption("--url", help="store to play on: http://HOST:PORT, https://… or unix:///PATH")
    group.addoption("--url-token", help="management token, sent with every request")
    group.addoption(
        "--url-exclusive", action="store_true", help="also cases that delete ALL DATA of the store"
    )
    group.addoption(
        "--url-restart", default="", help="command that restarts the store, for cases about that"
    )


def stage_of(config: pytest.Config) -> Stage | None:
    """Return what the options say to play on; None without --url.

    Raises pytest.UsageError for an address that is none.
    """
    url = config.getoption("--url")
    if not url:
        return None
    try:
        store = Store(Address.parse(url), token=config.getoption("--url-token"))
    except AddressInvalid as error:
        raise pytest.UsageError(str(error)) from error
    return Stage(
        store,
        exclusive=config.getoption("--url-exclusive"),
        restart=config.getoption("--url-restart"),
    )
