"""The settings' file, on a command of its own; `serve` with files is in test_serve.py."""

from pathlib import Path
from typing import Any

import click
import pytest

from kvstore.cli.config_file import read_config


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=read_config,
)
@click.option("--some-name", default="n")
@click.option("--count", type=click.IntRange(0, 9), default=1)
@click.option("--ratio", type=click.FloatRange(0, 1), default=0.5)
@click.option("--on", is_flag=True)
@click.option("--place", multiple=True)
def command(**_values: Any) -> None:
    """Have an option of each kind."""


def values(tmp_path: Path, text: str, *flags: str) -> dict[str, Any]:
    """Return the values that a file and flags make."""
    path = tmp_path / "c.toml"
    path.write_text(text)
    return command.make_context("c", ["--config", str(path), *flags]).params


DEFAULTS = {"some_name": "n", "count": 1, "ratio": 0.5, "on": False, "place": ()}


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("", {}),
        ('some-name = "x"', {"some_name": "x"}),
        ('some_name = "x"', {"some_name": "x"}),
        ("count = 2", {"count": 2}),
        ("ratio = 0.1", {"ratio": 0.1}),
        ("on = true", {"on": True}),
        ('place = ["a", "b"]', {"place": ("a", "b")}),
        ("place = []", {"place": ()}),
    ],
)
def test_each_kind(tmp_path: Path, line: str, changed: dict[str, Any]) -> None:
    """Each kind of value, and both spellings of a name."""
    assert values(tmp_path, line) == DEFAULTS | changed


def test_a_flag_beats_the_file(tmp_path: Path) -> None:
    """A list, too, as a whole."""
    text = 'place = ["a", "b"]\nsome-name = "x"'
    assert values(tmp_path, text, "--place", "c")["place"] == ("c",)
    assert values(tmp_path, text, "--place", "c")["some_name"] == "x"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("some-name = 1", "expected a text in quotes"),
        ('some-name = "a\\u0000b"', "expected a text in quotes"),
        ("count = 1.0", "expected a whole number"),
        ("count = true", "expected a whole number"),
        ("ratio = 1", "expected a number with a point"),
        ('on = "yes"', "expected true or false"),
        ('place = "a"', "expected a list of texts in quotes"),
        ("place = [1]", "expected a list of texts in quotes"),
        ('place = ["a\\u0000b"]', "expected a list of texts in quotes"),
        ("plaice = 1", "unknown setting 'plaice'; did you mean place?"),
        ("config = 'x'", "unknown setting 'config'"),
        ("=", "is not TOML"),
    ],
)
def test_mistakes(tmp_path: Path, line: str, said: str) -> None:
    """What is wrong is named, and what was expected."""
    with pytest.raises(click.BadParameter, match=said):
        values(tmp_path, line)
