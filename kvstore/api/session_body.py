"""The JSON body of `/v1/session/create` → SessionRequest, as leniently as Go reads it. Pure.

Members match in any letter case, unknown ones are ignored, null leaves the default, the last of
two wins, and whatever follows the first JSON value is ignored (H31, S1).
"""

import math
from collections.abc import Callable
from typing import Any

from kvstore.api.gojson import Members, Number, decode, text_of, wrong_type
from kvstore.duration import NS_PER_S, InvalidDuration, parse_duration
from kvstore.engine.admission import SessionRequest
from kvstore.errors import InvalidRequest
from kvstore.state.entry import ServiceCheck

__all__ = ["parse_session_body"]

_INT64_MAX = 2**63 - 1
# Source: Consul 1.8.7, lockDelayMinThreshold: smaller numbers are taken for seconds (S4).
_LOCK_DELAY_THRESHOLD_NS = 1000


def parse_session_body(body: bytes) -> SessionRequest:
    """Return the session that a body asks for; an empty body asks for the defaults.

    Raises InvalidRequest with the text behind "Request decode failed: ".
    """
    if not body:
        return SessionRequest()
    members = decode(body)
    if members is None:
        return SessionRequest()
    if not isinstance(members, Members):
        raise wrong_type(members, "Go value", "structs.Session")
    fields: dict[str, Any] = {}
    lock_delay: Any = None
    for name, value in members:
        if name.casefold() == "lockdelay":
            lock_delay = value  # only the last is looked at, and that at the end, as in Go
            continue
        member = _MEMBERS.get(name.casefold())
        if member is None:
            continue
        field, go_name, parse = member
        if value is None:
            if field in _NULLABLE:
                fields[field] = _NULLABLE[field]
        else:
            fields[field] = parse(go_name, value)
    if lock_delay is not None:
        fields["lock_delay_ns"] = _lock_delay_ns("LockDelay", lock_delay)
    return SessionRequest(**fields)


def _place(name: str) -> str:
    return f"Go struct field .{name}"


def _text(name: str, value: Any) -> str:
    return text_of(value, _place(name))


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, Members) or not isinstance(value, list):
        raise wrong_type(value, _place(name), "[]string")
    return tuple("" if one is None else _text(name, one) for one in value)


def _service_checks(name: str, value: Any) -> tuple[ServiceCheck, ...]:
    if isinstance(value, Members) or not isinstance(value, list):
        raise wrong_type(value, _place(name), "[]structs.ServiceCheck")
    return tuple(_service_check(name, one) for one in value)


def _service_check(name: str, value: Any) -> ServiceCheck:
    if value is None:
        return ServiceCheck("", "")
    if not isinstance(value, Members):
        raise wrong_type(value, _place(name), "structs.ServiceCheck")
    fields = {"id": "", "namespace": ""}
    for member, one in value:
        if member.casefold() in fields and one is not None:
            fields[member.casefold()] = _text(f"{name}.{member}", one)
    return ServiceCheck(fields["id"], fields["namespace"])


def _lock_delay_ns(name: str, value: Any) -> int:
    """Return a lock-delay in nanoseconds (S4): a small number was meant as seconds."""
    if isinstance(value, Number):
        number = float(value)  # as Go reads one it has no type for
        if math.isinf(number):
            wanted = f"number {value} into {_place(name)} of type float64"
            raise InvalidRequest(f"json: cannot unmarshal {wanted}")
        ns = int(max(-_INT64_MAX, min(number, _INT64_MAX)))
    elif isinstance(value, str):
        try:
            ns = parse_duration(value)
        except InvalidDuration as error:
            raise InvalidRequest(str(error)) from error
    else:
        ns = 0
    if ns < _LOCK_DELAY_THRESHOLD_NS:
        ns = max(-_INT64_MAX, ns * NS_PER_S)
    return ns


_Parse = Callable[[str, Any], Any]
# By lower-case name: our field, Go's name of it, and how it is read.
_MEMBERS: dict[str, tuple[str, str, _Parse]] = {
    "name": ("name", "Name", _text),
    "node": ("node", "Node", _text),
    "behavior": ("behavior", "Behavior", _text),
    "ttl": ("ttl", "TTL", _text),
    "nodechecks": ("node_checks", "NodeChecks", _texts),
    "checks": ("checks", "Checks", _texts),
    "servicechecks": ("service_checks", "ServiceChecks", _service_checks),
}
# What null means where it is not "leave the default" (S6).
_NULLABLE: dict[str, Any] = {"node_checks": None, "checks": (), "service_checks": None}
