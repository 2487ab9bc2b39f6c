"""The command line: what it lists, what it refuses, and how it ends when the lab cannot run."""

import pytest
from click.testing import CliRunner

from conformance.overlay import cli
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.scenarios import ALL


def run(*arguments: str) -> tuple[int, str]:
    """Run `conformance overlay` and return its exit status and output."""
    result = CliRunner().invoke(cli.overlay, arguments)
    return result.exit_code, result.output


def test_list_names_every_scenario_and_starts_nothing() -> None:
    """`--list` needs no root and no engine."""
    status, output = run("--list")

    assert status == 0
    assert [line.split()[0] for line in output.splitlines()] == [one.id for one in ALL]


@pytest.mark.parametrize("store", ["kvstore", "image", "consul", "consul://host:8500"])
def test_every_kind_of_store_is_known(store: str) -> None:
    """Whether it can be had here is found out when it is started."""
    status, _ = run("--store", store, "--list")

    assert status == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "Z9"], "no scenario Z9; see --list"),
        (["--store", "consul://host"], "expected consul://HOST:PORT"),
        (["--store", "/no/such/program"], "no such program"),
        (["--nonsense"], "No such option"),
    ],
)
def test_usage_errors_end_with_two(arguments: list[str], words: str) -> None:
    """A command line that can mean nothing is told so before anything starts."""
    status, output = run(*arguments)

    assert status == 2
    assert words in output


def test_a_machine_that_cannot_run_the_lab_ends_with_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason is one sentence, and no traceback."""

    def prepare(_: object) -> None:
        raise LabUnavailable("run it as root.")

    monkeypatch.setattr(cli, "prepare", prepare)

    status, output = run("--only", "G3")

    assert status == cli.EXIT_UNAVAILABLE
    assert "The lab cannot run: run it as root." in output
    assert "Traceback" not in output
