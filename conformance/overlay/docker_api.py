"""Docker's HTTP API over an engine's socket, for calls that must arrive at the same instant.

A client program takes a while to start; sixteen of them on two cores do not race each other.
"""

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VERSION = "v1.41"
_TIMEOUT_S = 60.0
_CREATED = 201


@dataclass(frozen=True, slots=True)
class Created:
    """What became of a wish to create: an id, or an error."""

    id: str
    error: str


def create_network(socket_file: Path, name: str) -> Created:
    """Create an overlay network just as the docker client does."""
    wish = {"Name": name, "Driver": "overlay", "CheckDuplicate": True}
    status, answer = _post(socket_file, "/networks/create", wish)
    if status == _CREATED:
        return Created(id=answer["Id"], error="")
    return Created(id="", error=answer["message"])


def _post(socket_file: Path, path: str, wish: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("engine", timeout=_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.connect(str(socket_file))
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/{_VERSION}{path}", body=json.dumps(wish), headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
