"""Checks of parameters that many endpoints share, each as Consul words it."""

from kvstore.api.exchange import Refused, Request
from kvstore.api.query import ReadOptions, check_cache_control
from kvstore.api.responses import text

__all__ = ["check_consistency", "check_datacenter", "check_namespace", "parse_read"]

_ENTERPRISE = "Namespaces are a Consul Enterprise feature"


def parse_read(request: Request) -> ReadOptions:
    """Return the options of a read; raises Refused for the first that is wrong (H17).

    KV writes are held to them too, though they mean nothing there.
    """
    check_consistency(request)
    options = request.query.read_options
    if isinstance(options, str):
        raise Refused(text(400, options))
    return options


def check_consistency(request: Request) -> None:
    """Raise Refused when the request is not clear about how old an answer may be (H17)."""
    if request.query.consistency_error:
        raise Refused(text(400, request.query.consistency_error))
    cache_control = request.headers.get("Cache-Control")
    if cache_control and not check_cache_control(cache_control):
        raise Refused(text(400, "Invalid Cache-Control header."))


def check_namespace(request: Request) -> None:
    """Raise Refused when the request names a namespace, the header first (H17, H18)."""
    if request.headers.get("X-Consul-Namespace"):
        name = 'header: "X-Consul-Namespace"'
    elif request.query.get("ns"):
        name = 'query parameter: "ns"'
    else:
        return
    raise Refused(text(400, f"Bad request: Invalid {name} - {_ENTERPRISE}"))


def check_datacenter(request: Request, datacenter: str, headers: bytes = b"") -> None:
    """Raise Refused, with `headers`, when the request names a datacenter that is not ours."""
    asked = request.query.get("dc")
    if asked and asked != datacenter:
        raise Refused(text(500, "No path to datacenter", headers))
