"""`/v1/query`: prepared queries, of which there are none and can be none."""

from functools import partial

from kvstore.api.absent import absent
from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.permission import grants_of
from kvstore.api.responses import NOT_LOOKED, text
from kvstore.api.unchanging import NONE_INDEX, Unchanging
from kvstore.errors import InvalidSessionId
from kvstore.state.session_id import parse_session_id

__all__ = ["PreparedEndpoints"]

_ABSENT = absent(
    "kvstore has no prepared queries: they look for services, and it has no service discovery"
)
_UNKNOWN = text(404, "Query not found")


class PreparedEndpoints:
    """The endpoints of prepared queries."""

    def __init__(self, reads: Unchanging, datacenter: str) -> None:
        self._reads = reads
        self._datacenter = datacenter

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/query": {"GET": self.list_all, "POST": self.refuse},
            b"/v1/query/": {
                "GET": self.get,
                "PUT": partial(self.change, "PUT"),
                "DELETE": partial(self.change, "DELETE"),
            },
        }

    def list_all(self, request: Request) -> Answer:
        """List them."""
        self._reads.begin(request, namespaced=False, filtered=False)
        return self._reads.answer(request, [], index=NONE_INDEX)

    def refuse(self, _request: Request) -> Answer:
        """Make one, which is refused."""
        return _ABSENT

    def get(self, request: Request) -> Answer:
        """Show, explain or execute one: every one is unknown."""
        parse_read(request)
        if _is_use(request):
            check_datacenter(request, self._datacenter)
            grants_of(request)
            return _UNKNOWN
        self._reads.begin(request, namespaced=False, filtered=False)
        wrong = _wrong_id(request)
        if wrong:
            return text(500, f"failed prepared query lookup: index error: {wrong}", NOT_LOOKED)
        return _UNKNOWN

    def change(self, method: str, request: Request) -> Answer:
        """Change or delete one: every one is unknown."""
        if _is_use(request):
            return text(405, f"method {method} not allowed", b"Allow: GET\r\n")
        check_datacenter(request, self._datacenter)
        grants_of(request)
        wrong = _wrong_id(request)
        if wrong:
            lookup = f"failed prepared query lookup: index error: {wrong}"
            return text(500, f"Prepared Query lookup failed: {lookup}")
        name = request.rest.decode("utf-8", "surrogateescape")
        return text(500, f"Cannot modify non-existent prepared query: '{name}'")


def _is_use(request: Request) -> bool:
    return request.rest.endswith((b"/execute", b"/explain"))


def _wrong_id(request: Request) -> str:
    """Return what is wrong with the form of an id; "" when nothing is."""
    try:
        parse_session_id(request.rest.decode("utf-8", "surrogateescape"))
    except InvalidSessionId as error:
        return error.reason
    return ""
