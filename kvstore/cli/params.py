"""Kinds of values that flags take."""

import re
from typing import Any

import click

from kvstore.duration import InvalidDuration, parse_duration
from kvstore.listening import Address, parse_address

__all__ = ["GoDuration", "ListenAddress", "Name", "ServerUrl", "Size", "default_server"]

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(b|[kmgt]i?b?)?", re.IGNORECASE)
_POWERS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class GoDuration(click.ParamType[int]):
    """A Go duration such as 10s or 1m30s, in nanoseconds; not negative."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return nanoseconds."""
        if isinstance(value, int):  # the default
            return value
        try:
            ns = parse_duration(str(value))
        except InvalidDuration as error:
            self.fail(f"{error}; expected something like 10s or 1m30s", param, ctx)
        if ns < 0 or (ns == 0 and not self._zero):
            least = "at least 0" if self._zero else "more than 0"
            self.fail(f"{value!r} is not {least}", param, ctx)
        return ns


class Name(click.ParamType[str]):
    """A text that is not empty."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        if not value:
            self.fail("a name must not be empty", param, ctx)
        return str(value)


class Size(click.ParamType[int]):
    """A number of bytes such as 64MiB or 1GiB; K, M, G and T are powers of 1024 too."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        if isinstance(value, int):  # the default
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no size; expected something like 64MiB or 1GiB", param, ctx)
        unit = (match[2] or "b")[0].lower()
        return int(float(match[1]) * 1024 ** _POWERS[unit])


class ListenAddress(click.ParamType[Address]):
    """What to listen on: http://HOST:PORT, https://HOST:PORT or unix:///PATH."""

    name = "url"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Return the address."""
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ServerUrl(click.ParamType[str]):
    """The address of a server: http://HOST:8500 or HOST:8500."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the base URL."""
        from kvstore.client import parse_url  # noqa: PLC0415 - aiohttp is heavy

        try:
            return parse_url(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def default_server() -> str:
    """Return the base URL of the server that a command means when none is named."""
    from kvstore.client import default_url  # noqa: PLC0415 - aiohttp is heavy

    try:
        return ServerUrl().convert(default_url(), None, None)
    except click.BadParameter as error:
        error.param_hint = "--url"
        raise
