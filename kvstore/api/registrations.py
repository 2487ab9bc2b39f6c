"""`/v1/agent/service/` and `/v1/agent/check/`: what is registered with this agent. Nothing is.

What is asked of a service or a check by its name is answered as for an unknown one (O5, O6); what
would register one is refused (`absent.py`).
"""

from functools import partial

from kvstore.api.exchange import Answer, Refused, Request, Response, Routes
from kvstore.api.gotext import parse_bool, quote
from kvstore.api.params import check_namespace, parse_read
from kvstore.api.permission import grants_of
from kvstore.api.render import render_value
from kvstore.api.responses import empty, json_response, text
from kvstore.api.texts_body import TextsBody
from kvstore.api.unchanging import check_filter

__all__ = ["RegistrationEndpoints", "parse_enable"]

_STATUSES = ("passing", "warning", "critical")
_UPDATE = TextsBody(("Status", "Output"), "checkUpdate", "agent.checkUpdate")


class RegistrationEndpoints:
    """The endpoints of the agent's own services and checks."""

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        no_check = partial(self.deregister, "CheckID missing")
        no_service = partial(self.deregister, "ServiceID missing")
        return {
            b"/v1/agent/checks": {"GET": self.list_all},
            b"/v1/agent/services": {"GET": self.list_all},
            b"/v1/agent/service/": {"GET": self.service},
            b"/v1/agent/service/deregister/": {"PUT": no_service},
            b"/v1/agent/service/maintenance/": {"PUT": self.maintenance},
            b"/v1/agent/health/service/id/": {"GET": self.health_by_id},
            b"/v1/agent/health/service/name/": {"GET": self.health_by_name},
            b"/v1/agent/check/deregister/": {"PUT": no_check},
            b"/v1/agent/check/pass/": {"PUT": self.report},
            b"/v1/agent/check/warn/": {"PUT": self.report},
            b"/v1/agent/check/fail/": {"PUT": self.report},
            b"/v1/agent/check/update/": {"PUT": self.update},
        }

    def list_all(self, request: Request) -> Answer:
        """List the services or the checks of this agent, by id: there are none."""
        _check(request)
        check_filter(request)
        return json_response(request.query, b"{}")

    def service(self, request: Request) -> Answer:
        """Describe a service of this agent: every one is unknown."""
        parse_read(request)
        _check(request)
        return text(404, f"unknown service ID: {_text(request.rest)}")

    def health_by_id(self, request: Request) -> Answer:
        """Tell the health of a service of this agent: every one is unknown."""
        _check(request)
        if not request.rest:
            return text(500, "Bad request: Missing serviceID")
        reason = f"ServiceId {_text(request.rest)} not found"
        value = {"AggregatedStatus": "critical", "Service": None, "Checks": None}
        shown = reason if _wants_text(request) else value
        return json_response(request.query, render_value(shown), _reason(reason), status=404)

    def health_by_name(self, request: Request) -> Answer:
        """Tell the health of the services of a name: there are none."""
        _check(request)
        if not request.rest:
            return text(500, "Bad request: Missing service Name")
        reason = f"ServiceName {_text(request.rest)} Not Found"
        if _wants_text(request):
            return text(404, reason, _reason(reason))
        return json_response(request.query, b"[]", _reason(reason), status=404)

    def deregister(self, missing: str, request: Request) -> Answer:
        """Take a service or a check out of this agent: it is not in it, as was wanted (O5, O6)."""
        if not request.rest:
            return text(500, missing)
        _check(request)
        return empty(200)

    def report(self, request: Request) -> Answer:
        """Tell the state of a check: every one is unknown (O5)."""
        _check(request)
        return _no_check(request)

    def update(self, request: Request) -> Answer:
        """Tell the state of a check in a body: every one is unknown (O5)."""

        def answer(wanted: dict[str, str]) -> Answer:
            if wanted["Status"] not in _STATUSES:
                return text(400, f"Invalid check status: '{wanted['Status']}'")
            _check(request)
            return _no_check(request)

        return _UPDATE.wanted(answer)

    def maintenance(self, request: Request) -> Answer:
        """Put a service into maintenance: every one is unknown (O6)."""
        if not request.rest:
            return text(400, "Missing service ID")
        parse_enable(request)
        _check(request)
        return text(404, f"No service registered with ID {quote(_text(request.rest))}")


def _check(request: Request) -> None:
    """Raise Refused for a namespace, or a token that does not exist."""
    check_namespace(request)
    grants_of(request)


def parse_enable(request: Request) -> bool:
    """Return whether something is to be enabled or disabled. Raises Refused."""
    if "enable" not in request.query:
        raise Refused(text(400, "Missing value for enable"))
    asked = request.query.get("enable")
    enable = parse_bool(asked)
    if enable is None:
        raise Refused(text(400, f"Invalid value for enable: {quote(asked)}"))
    return enable


def _no_check(request: Request) -> Response:
    return text(500, f"CheckID {quote(_text(request.rest))} does not have associated TTL")


def _wants_text(request: Request) -> bool:
    return request.query.get("format") == "text"


def _reason(reason: str) -> bytes:
    return f"X-Consul-Reason: {reason}\r\n".encode("utf-8", "surrogateescape")


def _text(rest: bytes) -> str:
    return rest.decode("utf-8", "surrogateescape")
