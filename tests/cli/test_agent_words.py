"""Go's flag syntax, as Consul's agent reads its command line."""

import click
import pytest

from kvstore.cli.agent_words import parse


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("", {}),
        ("-server", {"server": ["true"]}),
        ("--server", {"server": ["true"]}),
        ("-server=1 -ui=T", {"server": ["true"], "ui": ["true"]}),
        ("-server -server=false", {}),
        ("-server=0 -server", {"server": ["true"]}),
        ("-node n1", {"node": ["n1"]}),
        ("-node=n1", {"node": ["n1"]}),
        ("--node=n1", {"node": ["n1"]}),
        ("--node n1", {"node": ["n1"]}),
        ("-node=a=b", {"node": ["a=b"]}),
        ("-node=", {"node": [""]}),
        ("-node -server", {"node": ["-server"]}),
        ("-node -- -server", {"node": ["--"], "server": ["true"]}),
        ("-join a -join=b", {"join": ["a", "b"]}),
        ("-server --", {"server": ["true"]}),
        ("-server -h -bogus", {"server": ["true"], "h": ["true"]}),
        ("--help", {"h": ["true"]}),
    ],
)
def test_words(line: str, given: dict[str, list[str]]) -> None:
    """One dash or two, a value behind = or next, switches without one; the help flag ends it."""
    assert parse(line.split()) == given


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-node"], "-node needs a value: -node=VALUE"),
        (["-server", "true"], "'true' is no flag"),
        (["-server", "x", "-bogus"], "'x' is no flag"),
        (["-server", "--", "-node"], "'-node' is no flag"),
        (["-server", "-"], "'-' is no flag"),
        (["-server", ""], "'' is no flag"),
        (["-server=yes"], "-server is true or false, not 'yes'"),
        (["-server="], "-server is true or false, not ''"),
        (["---server"], "'---server' is no flag; expected -NAME"),
        (["-=x"], "'-=x' is no flag"),
        (["--=x"], "'--=x' is no flag"),
        (["-Server"], "-Server is no flag of Consul's agent; did you mean -server?"),
        (["-bogus=SECRET"], "-bogus is no flag of Consul's agent. For the flags of kvstore's own"),
        (["-bogus", "-h"], "-bogus is no flag"),
    ],
)
def test_what_is_no_flag(words: list[str], sentence: str) -> None:
    """Each mistake has a sentence, which never shows the value of a flag that is not known."""
    with pytest.raises(click.UsageError) as raised:
        parse(words)
    assert sentence in raised.value.message
    assert "SECRET" not in raised.value.message
