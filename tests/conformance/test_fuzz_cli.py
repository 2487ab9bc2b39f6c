"""`python -m conformance.fuzz`: what it says and how it ends."""

from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fuzz_fakes import FakeStore, answer, changed

from conformance.fuzz import __main__ as command
from conformance.fuzz.episode import Pair
from conformance.suite.store import Store
from conformance.suite.wire import Answer


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """Put a made-up store in the place of the tested one, beside one that is right."""
    fake = FakeStore(index=70)
    running = import_module("conformance.fuzz.run")  # the package has a function of that name
    monkeypatch.setattr(running, "_open", lambda *_: (Pair(FakeStore(), fake), "f"))
    return fake


def invoke(*words: str) -> Result:
    """Run the command."""
    urls = ["--url", "http://127.0.0.1:1", "--oracle", "http://127.0.0.1:2"]
    return CliRunner().invoke(command.main, [*urls, *words])


LITTLE = ["--operations", "300", "--without", "txn", "--without", "cluster", "--without", "paths"]


def test_no_difference(store: FakeStore) -> None:
    """The figures, the seed, and success."""
    result = invoke(*LITTLE, "--seed", "7")
    assert result.exit_code == 0, result.output
    assert "300 operations in 2 episodes, seed 7: 0 differences" in result.output
    assert "operations/s" in result.output
    assert store.asked


def test_a_seed_is_always_shown(store: FakeStore) -> None:
    """Also one that nobody chose."""
    assert ", seed " in invoke(*LITTLE).output
    assert store.asked


def test_a_difference_and_its_replay(store: FakeStore, tmp_path: Path) -> None:
    """Is shown as a script with both answers, which can be played again."""
    store.tamper = changed(
        lambda call, said: call.path.endswith("/a") and bool(said.body), status=500
    )
    result = invoke(*LITTLE, "--seed", "7")
    assert result.exit_code == 1
    assert "# oracle: 200" in result.output
    assert "# store:  500" in result.output
    script = tmp_path / "script"
    script.write_text('# found\nPUT /v1/kv/{P}a "v"\n')
    again = invoke("--replay", str(script))
    assert again.exit_code == 1
    assert 'PUT /v1/kv/{P}a "v"' in again.output
    script.write_text("GET /v1/kv/{P}b\n")
    assert invoke("--replay", str(script)).output == "no difference\n"


def test_a_script_that_is_none(store: FakeStore, tmp_path: Path) -> None:
    """Is refused, with the line."""
    script = tmp_path / "script"
    script.write_text("nonsense\n")
    result = invoke("--replay", str(script))
    assert result.exit_code == 2
    assert "line 1 is no operation" in result.output
    assert not store.asked


def test_no_store() -> None:
    """A store that is not there is said, and is no difference."""
    result = invoke(*LITTLE)
    assert result.exit_code == 2
    assert "Error: " in result.output


def test_a_store_that_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused before anything is written to it."""

    def ask(_: Store, method: str, target: str) -> Answer:
        assert method == "GET"
        return answer(200, b'["k"]' if "keys" in target else b"[]", 5)

    monkeypatch.setattr(Store, "ask", ask)
    result = invoke(*LITTLE)
    assert result.exit_code == 2
    assert "give it an empty store of its own" in result.output
