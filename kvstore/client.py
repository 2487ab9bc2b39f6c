"""The commands' side of the HTTP API: one server, by its address; every failure one sentence.

Targets are sent as they are given, byte for byte: a key is not cleaned, a redirect not followed.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Self
from urllib.parse import quote_from_bytes, unquote, urlsplit

import aiohttp
from yarl import URL

from kvstore.client_tls import is_tls_default, server_name, setting, tls_context
from kvstore.errors import CallFailed

__all__ = ["DEFAULT_URL", "Answer", "Client", "default_url", "key_target", "parse_url"]

DEFAULT_URL = "http://127.0.0.1:8500"

# Seconds until a server that says nothing is given up: a large store takes its time to answer.
_CONNECT_WITHIN_S = 10.0
_SILENT_FOR_S = 300.0

_OK = (200,)
# How much of a refusal's text a sentence repeats.
_REASON_BYTES_MAX = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    # Their names as `aiohttp` compares them: without regard to case.
    headers: Mapping[str, str]
    body: bytes


def default_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the address that the environment names: KVSTORE_URL, then CONSUL_HTTP_ADDR."""
    return environ.get("KVSTORE_URL") or environ.get("CONSUL_HTTP_ADDR") or DEFAULT_URL


def parse_url(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the base URL that http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:// names.

    Without a scheme it is http, or https if the environment says so (CONSUL_HTTP_SSL). Raises
    ValueError with a sentence for anything else.
    """
    wrong = (
        f"{text!r} is no server's address; expected http://HOST:8500 or HOST:8500, or https://, "
        "or unix:///PATH"
    )
    scheme = "https" if is_tls_default(environ) else "http"
    try:
        parts = urlsplit(text if "://" in text else f"{scheme}://{text}")
        port = parts.port
    except ValueError as error:
        raise ValueError(wrong) from error
    if parts.query or parts.fragment or parts.username:
        raise ValueError(wrong)
    if parts.scheme == "unix" and not parts.netloc and parts.path.strip("/"):
        return f"unix://{parts.path}"
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(wrong)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" if port is None else f"{parts.scheme}://{host}:{port}"


def key_target(key: bytes, query: str = "") -> str:
    """Return the target of a key's endpoint, with a query such as "recurse="."""
    return f"/v1/kv/{quote_from_bytes(key, safe='/')}" + (f"?{query}" if query else "")


class Client:
    """Calls to one server, on up to `connections` connections; used as `async with`.

    `url` is what `parse_url` returns. The token goes with every call; without one given it is
    KVSTORE_HTTP_TOKEN's or CONSUL_HTTP_TOKEN's. How it speaks TLS is in `client_tls.py`.
    """

    def __init__(self, url: str, *, token: str | None = None, connections: int = 1) -> None:
        self.url = url
        token = setting(os.environ, "HTTP_TOKEN") if token is None else token
        # Not compressed: packing a large store takes longer than sending it.
        headers = {"Accept-Encoding": "identity"}
        self._headers = {**headers, "X-Consul-Token": token} if token else headers
        self._connections = connections
        # Of a unix socket, whose requests still name a host.
        self._path = unquote(url.removeprefix("unix://")) if url.startswith("unix:") else None
        self._base = url if self._path is None else "http://localhost"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_WITHIN_S, sock_read=_SILENT_FOR_S
            ),
        )
        return self

    def _connector(self) -> aiohttp.BaseConnector:
        if self._path is not None:
            return aiohttp.UnixConnector(self._path, limit=self._connections)
        context = tls_context() if self.url.startswith("https:") else True
        return aiohttp.TCPConnector(limit=self._connections, ssl=context)

    async def __aexit__(self, *exception: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(
        self,
        method: str,
        target: str,
        body: bytes | IO[bytes] | None = None,
        *,
        accept: tuple[int, ...] = _OK,
    ) -> Answer:
        """Send one request and return its whole answer; raises CallFailed as `stream` does."""
        async with self.stream(method, target, body, accept=accept) as response:
            return Answer(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        target: str,
        body: bytes | IO[bytes] | None = None,
        *,
        accept: tuple[int, ...] = _OK,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and give its answer to be read, `response.content` piece by piece.

        Raises CallFailed when the server is not reached, when it breaks off (also while the block
        reads), and when it answers with a status that is not in `accept`.
        """
        assert self._session is not None
        url = URL(self._base + target, encoded=True)
        try:
            async with self._session.request(
                method, url, data=body, allow_redirects=False, server_hostname=server_name()
            ) as response:
                if response.status not in accept:
                    raise CallFailed(await self._refusal(method, target, response))
                yield response
        except aiohttp.ServerTimeoutError as error:
            raise CallFailed(f"{self.url} does not answer {method} {_path(target)}") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallFailed(self._distrusted(error.certificate_error)) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise CallFailed(self._no_tls(error.os_error)) from error
        except aiohttp.ClientConnectorError as error:
            raise CallFailed(self._unreached(error)) from error
        except aiohttp.ClientError as error:  # not OSError: the block may write to a pipe
            if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
                raise CallFailed(self._no_tls(error)) from error
            reason = str(error) or type(error).__name__
            raise CallFailed(f"{self.url} broke off {method} {_path(target)}: {reason}") from error

    async def _refusal(self, method: str, target: str, response: aiohttp.ClientResponse) -> str:
        text = await response.content.read(_REASON_BYTES_MAX)
        reason = " ".join(text.decode("utf-8", "replace").split()) or response.reason or "no reason"
        return f"{self.url} answered {response.status} to {method} {_path(target)}: {reason}"

    def _unreached(self, error: aiohttp.ClientConnectorError) -> str:
        cause = error.os_error
        # asyncio puts words of its own into strerror; a name that is not known has no such number.
        number = cause.errno or 0
        reason = os.strerror(number) if number > 0 else cause.strerror or str(cause)
        return f"cannot reach {self.url}: {reason}. Is the server running? --url names another"

    def _distrusted(self, error: Exception) -> str:
        found = getattr(error, "verify_message", "") or str(error)
        step = "KVSTORE_CACERT names the file of the CA that has signed it"
        if "mismatch" in found:
            step = "KVSTORE_TLS_SERVER_NAME names the host that it is for"
        return f"{self.url} has a certificate that cannot be trusted: {found.rstrip('.')}. {step}"

    def _no_tls(self, error: Exception) -> str:
        reason = str(getattr(error, "reason", "") or error)
        if "WRONG_VERSION_NUMBER" in reason:
            return f"{self.url} does not speak TLS. Is it http://?"
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            wanted = "KVSTORE_CLIENT_CERT and KVSTORE_CLIENT_KEY name the files of one"
            return f"{self.url} asks for a client certificate. {wanted}"
        words = reason.replace("_", " ").lower()
        return f"{self.url} broke off the TLS handshake: {words}"


def _path(target: str) -> str:
    """Return a target as errors show it: without its query, which may hold a token."""
    return target.partition("?")[0]
