"""The JSON body of `/v1/session/create` → SessionRequest, as leniently as Go reads it. Pure.

Members match in any letter case, unknown ones are ignored, null leaves the default, the last of
two wins, and whatever follows the first JSON value is ignored (H31, S1).
"""

import json
import re
from collections.abc import Callable
from typing import Any

from kvstore.duration import NS_PER_S, InvalidDuration, parse_duration
from kvstore.engine.admission import SessionRequest
from kvstore.errors import InvalidRequest
from kvstore.state.entry import ServiceCheck

__all__ = ["parse_session_body"]

_INT64_MAX = 2**63 - 1
# Go reads a number it has no type for as a float64, and more digits do not fit.
_FLOAT64_DIGITS = 309
_WHITESPACE = " \t\r\n"
# Half of a surrogate pair, which JSON can spell and UTF-8 cannot.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Source: Consul 1.8.7, lockDelayMinThreshold: smaller numbers are taken for seconds (S4).
_LOCK_DELAY_THRESHOLD_NS = 1000


# How Go says what Python's decoder says.
_GO_REASONS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
}


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in their order; a class, so that a list is not taken for one."""


def parse_session_body(body: bytes) -> SessionRequest:
    """Return the session that a body asks for; an empty body asks for the defaults.

    Raises InvalidRequest with the text behind "Request decode failed: ".
    """
    if not body:
        return SessionRequest()
    members = _decode(body)
    if members is None:
        return SessionRequest()
    if not isinstance(members, _Members):
        raise InvalidRequest(
            f"json: cannot unmarshal {_kind(members)} into Go value of type structs.Session"
        )
    fields: dict[str, Any] = {}
    for name, value in members:
        member = _MEMBERS.get(name.lower())
        if member is None:
            continue
        field, go_name, parse = member
        if value is None:
            if field in _NULLABLE:
                fields[field] = _NULLABLE[field]
        else:
            fields[field] = parse(go_name, value)
    return SessionRequest(**fields)


def _decode(body: bytes) -> Any:
    text = body.decode("utf-8", "replace").lstrip(_WHITESPACE)
    if not text:
        raise InvalidRequest("EOF")
    decoder = json.JSONDecoder(
        object_pairs_hook=_Members, parse_int=_parse_int, parse_constant=_refuse_constant
    )
    try:
        value, _end = decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or "Unterminated" in error.msg:
            raise InvalidRequest("unexpected EOF") from error
        where = _GO_REASONS.get(error.msg, error.msg.lower())
        raise InvalidRequest(f"invalid character {text[error.pos]!r} {where}") from error
    except RecursionError as error:
        raise InvalidRequest("exceeded max depth") from error
    return value


def _parse_int(digits: str) -> int:
    if len(digits) > _FLOAT64_DIGITS:
        raise InvalidRequest("json: cannot unmarshal number into Go value of type float64")
    return int(digits)


def _refuse_constant(name: str) -> Any:
    raise InvalidRequest(f"invalid character {name[0]!r} looking for beginning of value")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, _Members) else "array"


def _wrong_type(name: str, value: Any, wanted: str) -> InvalidRequest:
    return InvalidRequest(
        f"json: cannot unmarshal {_kind(value)} into Go struct field .{name} of type {wanted}"
    )


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, value, "string")
    return _LONE_SURROGATE.sub("\ufffd", value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, _Members) or not isinstance(value, list):
        raise _wrong_type(name, value, "[]string")
    return tuple("" if one is None else _text(name, one) for one in value)


def _service_checks(name: str, value: Any) -> tuple[ServiceCheck, ...]:
    if isinstance(value, _Members) or not isinstance(value, list):
        raise _wrong_type(name, value, "[]structs.ServiceCheck")
    return tuple(_service_check(name, one) for one in value)


def _service_check(name: str, value: Any) -> ServiceCheck:
    if value is None:
        return ServiceCheck("", "")
    if not isinstance(value, _Members):
        raise _wrong_type(name, value, "structs.ServiceCheck")
    fields = {"id": "", "namespace": ""}
    for member, one in value:
        if member.lower() in fields and one is not None:
            fields[member.lower()] = _text(f"{name}.{member}", one)
    return ServiceCheck(fields["id"], fields["namespace"])


def _lock_delay_ns(_name: str, value: Any) -> int:
    """Return a lock-delay in nanoseconds (S4): a small number was meant as seconds."""
    if isinstance(value, str):
        try:
            ns = parse_duration(value)
        except InvalidDuration as error:
            raise InvalidRequest(str(error)) from error
    elif isinstance(value, bool) or not isinstance(value, int | float):
        ns = 0
    else:
        ns = int(max(-_INT64_MAX, min(value, _INT64_MAX)))
    if ns < _LOCK_DELAY_THRESHOLD_NS:
        ns = max(-_INT64_MAX, ns * NS_PER_S)
    return ns


_Parse = Callable[[str, Any], Any]
# By lower-case name: our field, Go's name of it, and how it is read.
_MEMBERS: dict[str, tuple[str, str, _Parse]] = {
    "name": ("name", "Name", _text),
    "node": ("node", "Node", _text),
    "lockdelay": ("lock_delay_ns", "LockDelay", _lock_delay_ns),
    "behavior": ("behavior", "Behavior", _text),
    "ttl": ("ttl", "TTL", _text),
    "nodechecks": ("node_checks", "NodeChecks", _texts),
    "checks": ("checks", "Checks", _texts),
    "servicechecks": ("service_checks", "ServiceChecks", _service_checks),
}
# What null means where it is not "leave the default" (S6).
_NULLABLE: dict[str, Any] = {"node_checks": None, "checks": (), "service_checks": None}
