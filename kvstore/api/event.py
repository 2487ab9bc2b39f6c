"""`/v1/event/`: events, as `consul event` fires them and `consul watch -type=event` waits for them.

There is one node, so whoever is to get an event is decided when it is fired: it is kept if its
filters mean this node, and counted if they do not. No node runs what `consul exec` asks for.
"""

import re
import uuid
from binascii import b2a_base64
from typing import Any

import msgpack

from kvstore.api.absent import absent
from kvstore.api.exchange import Answer, NeedBody, Refused, Request, Response, Routes, Waiting
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.permission import grants_of, require
from kvstore.api.query import Query
from kvstore.api.render import render_value
from kvstore.api.responses import json_response, text
from kvstore.engine.blocking import Parked
from kvstore.engine.events import Event, Events
from kvstore.state.applied import Read

__all__ = ["EVENT_BYTES_MAX", "EventEndpoints"]

# Source: Serf 0.9, UserEventSizeLimit: an event is to fit into one packet of gossip.
EVENT_BYTES_MAX = 512
# The name of the events of `consul exec`.
_EXEC = b"_rexec"
_NO_EXEC = absent(
    "kvstore has no remote execution: no node would run the command; "
    "start it on the machines themselves"
)
# The filters that we evaluate. They mean the same to Go and to Python, and cannot take long:
# nothing is repeated.
_FILTER = re.compile(rb"[\w.^$|-]*")
_VERSION = 1


class EventEndpoints:
    """The endpoints of events."""

    def __init__(self, events: Events, node: str, datacenter: str) -> None:
        self._events = events
        self._node = node.encode("utf-8", "surrogateescape")
        self._datacenter = datacenter

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/event/fire/": {"PUT": self.fire},
            b"/v1/event/list": {"GET": self.list_all},
        }

    def fire(self, request: Request) -> Answer:
        """Fire an event, whose payload is the body; answered with the event."""
        if not request.rest:
            return text(400, "Missing name")
        query = request.query

        def fire(payload: bytes) -> Answer:
            event = Event(
                id=str(uuid.uuid4()),
                name=request.rest,
                payload=payload,
                node_filter=query.get_bytes("node"),
                service_filter=query.get_bytes("service"),
                tag_filter=query.get_bytes("tag"),
            )
            is_ours = self._is_for_this_node(event)
            check_datacenter(request, self._datacenter)
            grants = grants_of(request)
            require(grants.event_write(), grants, "event:write", request.rest)
            self._check_size(event)
            if event.name == _EXEC:
                return _NO_EXEC
            if is_ours:
                self._events.add(event)
            else:
                self._events.skip()
            return json_response(query, render_value(_shown(event)))

        return NeedBody(EVENT_BYTES_MAX, lambda _size: _too_large("before"), fire)

    def list_all(self, request: Request) -> Answer:
        """List the newest events, of one name if `name` says so, and wait for another.

        The index names the last event and does not grow; see `Event.index`.
        """
        options, query = parse_read(request), request.query
        if not grants_of(request).event_read():
            return _render(query, Read(0, []))
        read = self._events.read(query.get_bytes("name"), options.min_index, options.wait_s)
        if isinstance(read, Parked):
            return Waiting(read, lambda found: _render(query, found))
        return _render(query, read)

    def _is_for_this_node(self, event: Event) -> bool:
        """Return whether the filters mean this node, which has no services to filter by.

        Raises Refused for filters that cannot be.
        """
        filters = {
            "node": event.node_filter,
            "service": event.service_filter,
            "tag": event.tag_filter,
        }
        for name, pattern in filters.items():
            if len(pattern) > EVENT_BYTES_MAX:
                raise Refused(_too_large("before"))
            if not _FILTER.fullmatch(pattern):
                raise Refused(_unevaluated(name, pattern))
        if event.tag_filter and not event.service_filter:
            raise Refused(text(500, "Cannot provide tag filter without service filter"))
        means_node = re.search(event.node_filter, self._node) is not None
        return means_node and not event.service_filter

    def _check_size(self, event: Event) -> None:
        """Raise Refused for an event that Serf would not carry, by the sizes of its messages."""
        name = b"consul:event:" + event.name
        inner = msgpack.packb(_message(event), unicode_errors="surrogateescape")
        if len(name) + len(inner) > EVENT_BYTES_MAX:
            raise Refused(_too_large("before"))
        outer = {"LTime": self._events.next_time, "Name": name, "Payload": inner, "CC": False}
        type_bytes = 1
        if type_bytes + len(msgpack.packb(outer, use_bin_type=False)) > EVENT_BYTES_MAX:
            raise Refused(_too_large("after"))


def _message(event: Event) -> dict[str, Any]:
    """Return an event as Consul gives it to Serf; what is empty is left out."""
    optional = {
        "p": event.payload,
        "nf": _text(event.node_filter),
        "sf": _text(event.service_filter),
        "tf": _text(event.tag_filter),
    }
    return {
        "ID": event.id,
        "n": _text(event.name),
        **{name: value for name, value in optional.items() if value},
        "v": _VERSION,
    }


def _too_large(when: str) -> Response:
    subject = "user event" if when == "before" else "encoded user event"
    return text(
        500,
        '1 error occurred:\n\t* error broadcasting event to segment "": '
        f"{subject} exceeds configured limit of {EVENT_BYTES_MAX} bytes {when} encoding\n\n",
    )


def _unevaluated(name: str, pattern: bytes) -> Response:
    shown = pattern.decode("utf-8", "replace")
    return text(
        400,
        f"kvstore does not evaluate the {name} filter {shown!r}: use letters, digits, "
        '"_", "-", ".", "^", "$" and "|"; a filter matches anywhere in a name',
    )


def _render(query: Query, read: Read[list[Event]]) -> Response:
    index = (read.value[-1].index if read.value else 0) or 1
    body = render_value([_shown(event) for event in read.value])
    return json_response(query, body, b"X-Consul-Index: %d\r\n" % index)


def _shown(event: Event) -> dict[str, Any]:
    """Return an event with Consul's members in Consul's order."""
    payload = b2a_base64(event.payload, newline=False).decode("ascii")
    return {
        "ID": event.id,
        "Name": _text(event.name),
        "Payload": payload or None,
        "NodeFilter": _text(event.node_filter),
        "ServiceFilter": _text(event.service_filter),
        "TagFilter": _text(event.tag_filter),
        "Version": _VERSION,
        "LTime": event.time,
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
