"""Words of a command line → flags and their values, by the rules of Go's `flag` package.

One dash or two; a value behind `=` or in the next word; a switch takes a value behind `=` only;
`--` and the first word that is no flag end the flags, and Consul's agent takes nothing behind them.
"""

from collections.abc import Mapping, Sequence

import click

from kvstore.cli.agent_flags import FLAGS, SAID_AS
from kvstore.cli.serve import serve

__all__ = ["HELP", "Given", "parse"]

# The flags that ask for help, as Go has them; the words behind them do not count.
HELP = ("h", "help")

# The values of each flag that was given, in order; a switch is "true" or not there.
Given = Mapping[str, Sequence[str]]

# As strconv.ParseBool takes them.
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def parse(words: Sequence[str]) -> Given:
    """Return the flags that the words give; `HELP[0]` is among them when help was asked for.

    Raises UsageError with a sentence for what is no flag, or lacks its value.
    """
    given: dict[str, list[str]] = {}
    rest = list(words)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = _taken_apart(word)
        if name in HELP:
            return {**given, HELP[0]: ["true"]}
        _require_known(name)
        if FLAGS[name].is_switch:
            given[name] = _switched(name, value if equals else _TRUE[0])
        else:
            if not equals:
                value = _next_of(name, rest)
            given.setdefault(name, []).append(value)
    if rest:
        raise click.UsageError(
            f"{rest[0]!r} is no flag, and flags are all that is taken here; "
            "a switch has its value behind an =, as in -ui=false"
        )
    return {name: values for name, values in given.items() if values}


def _taken_apart(word: str) -> tuple[str, str, str]:
    """Return name, "=" or "", and value."""
    body = word.removeprefix("-").removeprefix("-")
    if body.startswith(("-", "=")):
        raise click.UsageError(f"{word!r} is no flag; expected -NAME, -NAME=VALUE or -NAME VALUE")
    return body.partition("=")


def _next_of(name: str, rest: list[str]) -> str:
    if not rest:
        raise click.UsageError(f"-{name} needs a value: -{name}=VALUE")
    return rest.pop(0)


def _switched(name: str, value: str) -> list[str]:
    """Return what a switch holds from now on; one that is off is as if it were not there."""
    if value not in _TRUE + _FALSE:
        raise click.UsageError(f"-{name} is true or false, not {value!r}")
    return ["true"] if value in _TRUE else []


def _require_known(name: str) -> None:
    """Raise UsageError, with what may have been meant, unless this is one of the agent's."""
    if name in FLAGS:
        return
    own = {option.opts[0].removeprefix("--"): option for option in serve.params}
    if name in own:
        flags = [f"-{one}" for one in SAID_AS.get(str(own[name].name), ())]
        raise click.UsageError(
            f"--{name} is a flag of `kvstore serve`, not of Consul's agent: here, say "
            f"{' or '.join([*flags, f'{own[name].envvar} in the environment'])}."
        )
    import difflib  # noqa: PLC0415 - slow to load, and most words are right

    near = difflib.get_close_matches(name, FLAGS, n=1)
    hint = f"; did you mean -{near[0]}?" if near else "."
    raise click.UsageError(
        f"-{name} is no flag of Consul's agent{hint} For the flags of kvstore's own see "
        "`kvstore serve --help`."
    )
