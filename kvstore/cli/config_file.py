"""The file of `--config`: a TOML file whose lines are the defaults of the flags of their names."""

from pathlib import Path
from typing import Any

import click

__all__ = ["read_config"]

# What a value must be, by the name of its type in Python.
_KINDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number with a point",
    "bool": "true or false",
    "list": 'a list of texts in quotes, ["…", "…"]',
}


def read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Make the lines of a file the defaults of a command; raises BadParameter with a sentence."""
    if path is None:
        return None
    import difflib  # noqa: PLC0415 - most servers have no file
    import tomllib  # noqa: PLC0415

    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} is not TOML: {error}") from error
    known = {param.name: param for param in ctx.command.params if param.name != "config"}
    defaults: dict[str, Any] = {}
    for name, value in lines.items():
        field = name.replace("-", "_")
        if field not in known:
            near = difflib.get_close_matches(field, [str(one) for one in known], n=1)
            hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            raise click.BadParameter(f"{path} has an unknown setting {name!r}{hint}")
        kind = _kind(known[field])
        if not _is(kind, value):
            raise click.BadParameter(f"{path} has {name} = {value!r}, expected {_KINDS[kind]}")
        defaults[field] = value
    ctx.default_map = defaults
    return path


def _kind(param: click.Parameter) -> str:
    if param.multiple:
        return "list"
    if isinstance(param, click.Option) and param.is_flag:
        return "bool"
    if isinstance(param.type, click.FloatRange):
        return "float"
    return "int" if isinstance(param.type, click.IntRange) else "str"


def _is(kind: str, value: Any) -> bool:
    if type(value).__name__ != kind:
        return False
    texts = value if isinstance(value, list) else [value]
    if kind == "list" and not all(isinstance(one, str) for one in texts):
        return False
    return not any("\0" in str(one) for one in texts)
