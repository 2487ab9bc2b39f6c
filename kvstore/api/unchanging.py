"""Reads of what never changes: the catalog of a server that discovers nothing (rule one-node).

The order of checks is that of Consul's catalog and health: namespace, options of reads, the name,
datacenter, token, filter.
"""

from typing import Any

from kvstore.access.grants import Grants
from kvstore.api.exchange import Answer, Refused, Request, Response, Waiting
from kvstore.api.node import NODE_INDEX
from kvstore.api.params import check_datacenter, check_namespace, parse_read
from kvstore.api.permission import grants_of
from kvstore.api.query import Query
from kvstore.api.render import render_value
from kvstore.api.responses import NOT_LOOKED, index_headers, json_response, text
from kvstore.duration import parse_duration
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import CATALOG
from kvstore.state.applied import Read

__all__ = ["NONE_INDEX", "Unchanging", "check_filter", "has_node_meta"]

# Index of what there is none of.
NONE_INDEX = 1


class Unchanging:
    """Answers reads whose answer depends on the request alone."""

    def __init__(self, engine: Engine, datacenter: str) -> None:
        self._engine = engine
        self._datacenter = datacenter

    def begin(
        self,
        request: Request,
        missing: str = "",
        *,
        namespaced: bool = True,
        filtered: bool = True,
    ) -> Grants:
        """Check all that is alike in these reads and return what the sender may see.

        `missing` is the text for a request without a name, where one is needed; `namespaced` and
        `filtered` say whether Consul looks at `ns` and `filter` there. Raises Refused.
        """
        if namespaced:
            check_namespace(request)
        parse_read(request)
        if missing and not request.rest:
            raise Refused(text(400, missing))
        check_datacenter(request, self._datacenter, NOT_LOOKED)
        grants = grants_of(request, NOT_LOOKED)
        if filtered:
            check_filter(request)
        return grants

    def answer(
        self,
        request: Request,
        value: Any,
        *,
        index: int = NODE_INDEX,
        says_consistency: bool = True,
    ) -> Answer:
        """Answer a value; a blocking query of it waits its whole time."""
        options, query = parse_read(request), request.query
        headers = index_headers(index)
        if says_consistency:
            headers += b"X-Consul-Effective-Consistency: %s\r\n" % _consistency(query)

        def render(read: Read[Any]) -> Response:
            return json_response(query, render_value(read.value), headers)

        unchanging = Read(index, value)
        read = self._engine.read(lambda: unchanging, CATALOG, options.min_index, options.wait_s)
        return Waiting(read, render) if isinstance(read, Parked) else render(read)


def check_filter(request: Request) -> None:
    """Raise Refused when the request filters its answer by an expression: we evaluate none.

    An answer that is not filtered would be taken for one that is.
    """
    if request.query.get("filter"):
        sentence = "kvstore evaluates no filter expressions: ask without the parameter filter"
        raise Refused(text(400, sentence))


def has_node_meta(query: Query) -> bool:
    """Return whether our node has all the metadata that `node-meta=NAME:VALUE` asks for.

    It has one member, without a value. Of two values for one name the last counts, as in Consul.
    """
    texts = (value.partition(":") for name, value in query.pairs if name == "node-meta")
    wanted = {name: value for name, _, value in texts}
    return wanted in ({}, {"consul-network-segment": ""})


def _consistency(query: Query) -> bytes:
    if "consistent" in query:
        return b"consistent"
    max_stale = query.get("max_stale")
    is_stale = "stale" in query or (max_stale and parse_duration(max_stale) > 0)
    return b"stale" if is_stale else b"leader"
