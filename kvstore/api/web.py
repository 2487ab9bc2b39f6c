"""What the server uses of aiohttp: its server's side, loaded without its client's side.

`import aiohttp` loads the client whatever is wanted: its connector, which reads all CAs that the
system trusts, twice, its cookies, forms and traces. A server that calls nobody pays for it with
7 MB and a third of its start. So the modules of the server's side are loaded while the package
itself has not run; whoever imports aiohttp later gets all of it, made of the same modules.

The only module of the server that imports aiohttp, so this is also all that is used of it.
"""
# ruff: noqa: E402 - what is loaded first is what this module is about

import importlib
import importlib.util
import sys
from contextlib import suppress
from typing import cast

__all__ = [
    "EMPTY_PAYLOAD",
    "BadHttpMethod",
    "BaseRequest",
    "ErrInfo",
    "HttpProcessingError",
    "HttpVersion10",
    "HttpVersion11",
    "LineTooLong",
    "RawRequestMessage",
    "RequestHandler",
    "RequestPayloadError",
    "Server",
    "StreamReader",
    "StreamResponse",
    "last_words",
    "outgoing",
]


def _load_server_side() -> None:
    """Load it, unless aiohttp is there already.

    If the server's side should ever ask for more than a version, the imports below load aiohttp as
    a whole: that is slow, and nothing else.
    """
    name = "aiohttp"
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    assert spec is not None  # kvstore depends on it
    package = importlib.util.module_from_spec(spec)
    # It is shown in answers and requests that aiohttp makes up itself; the server sends none.
    vars(package)["__version__"] = ""
    sys.modules[name] = package
    try:
        with suppress(ImportError):
            importlib.import_module("aiohttp.web_server")
    finally:
        del sys.modules[name]


_load_server_side()

from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion10, HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_protocol import _ErrInfo as ErrInfo
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server


class _Outgoing:
    """Finished bytes in the place of aiohttp's response."""

    __slots__ = ("_data", "keep_alive")

    def __init__(self, data: bytes, *, keep_alive: bool) -> None:
        self._data = data
        self.keep_alive = keep_alive

    async def prepare(self, request: BaseRequest) -> None:
        """Send; waits while the client is slower than we are."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(self._data)
        await request.writer.drain()

    async def write_eof(self) -> None:
        """Do nothing: everything has been sent."""


def outgoing(data: bytes, *, keep_alive: bool) -> StreamResponse:
    """Return what aiohttp takes for a response: it asks of one what `_Outgoing` has.

    A StreamResponse's other fields are for those who build one.
    """
    return cast(StreamResponse, _Outgoing(data, keep_alive=keep_alive))


def last_words(data: bytes) -> StreamResponse:
    """Return the last response of a connection."""
    return outgoing(data, keep_alive=False)
