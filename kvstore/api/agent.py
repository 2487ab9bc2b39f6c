"""`/v1/agent/`: this server as the agent that Consul's clients speak to.

It describes itself, and has no cluster: what would change one is refused.
"""

import os
import platform
from collections.abc import Callable

from kvstore.api.absent import absent
from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.identity import API_VERSION, Identity
from kvstore.api.node import member
from kvstore.api.permission import grants_of, require
from kvstore.api.registrations import parse_enable
from kvstore.api.render import render_value
from kvstore.api.responses import empty, json_response, text
from kvstore.engine.engine import Engine
from kvstore.engine.events import Events

__all__ = ["AgentEndpoints"]

_NO_SEGMENTS = "Network segments are not supported in this version of Consul"
_MAINTENANCE = absent(
    "kvstore has no maintenance mode: it would hide this node from service discovery, "
    "and there is none"
)
_RELOAD = absent("this server was given nothing that it could read again: restart it instead")
_OWN_LEAVING = absent(
    "kvstore is one server and cannot leave its own cluster: stop its process instead"
)


class AgentEndpoints:
    """The endpoints of the agent itself.

    Its figures are in `upkeep.py`, its log in `monitor.py`, what it does not have in
    `registrations.py` and `absent.py`.

    `reload` reads again what can change while the server runs, and raises a KVStoreError to say
    why it did not; None when nothing can.
    """

    def __init__(
        self,
        engine: Engine,
        events: Events,
        identity: Identity,
        reload: Callable[[], None] | None,
    ) -> None:
        self._engine = engine
        self._events = events
        self._identity = identity
        self._reload = reload

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/agent/self": {"GET": self.describe},
            b"/v1/agent/members": {"GET": self.members},
            b"/v1/agent/maintenance": {"PUT": self.maintenance},
            b"/v1/agent/reload": {"PUT": self.reload},
            b"/v1/agent/force-leave/": {"PUT": self.force_leave},
        }

    def describe(self, request: Request) -> Answer:
        """Describe this server; members in Consul's order (O1)."""
        grants = grants_of(request)
        require(grants.agent_read(), grants, "agent:read")
        me, acls = self._identity, request.tokens is not None
        described = {
            "Config": {
                "Datacenter": me.datacenter,
                "NodeName": me.node,
                "NodeID": me.node_id,
                "Revision": f"kvstore-{me.version}",
                "Server": True,
                "Version": API_VERSION,
            },
            "DebugConfig": {},
            "Coord": None,
            "Member": member(me, wan=False, acls=acls),
            "Stats": self._stats(acls=acls),
            "Meta": {"consul-network-segment": ""},
        }
        return json_response(request.query, render_value(described))

    def _stats(self, *, acls: bool) -> dict[str, dict[str, str]]:
        me, state = self._identity, self._engine.state
        index = str(state.last_index)
        return {
            "agent": {"check_monitors": "0", "check_ttls": "0", "checks": "0", "services": "0"},
            "build": {
                "prerelease": "",
                "revision": f"kvstore-{me.version}",
                "version": API_VERSION,
            },
            "consul": {
                "acl": "enabled" if acls else "disabled",
                "bootstrap": "true",
                "known_datacenters": "1",
                "leader": "true",
                "leader_addr": me.address,
                "server": "true",
            },
            "kvstore": {
                "entries": str(state.entry_count),
                "index": index,
                "parked_queries": str(self._engine.parked_count + self._events.parked_count),
                "sessions": str(state.session_count),
            },
            # One server agrees with itself: what is applied is what is committed.
            "raft": {
                "applied_index": index,
                "commit_index": index,
                "last_log_index": index,
                "num_peers": "0",
                "state": "Leader",
            },
            "runtime": {
                "arch": platform.machine(),
                "cpu_count": str(os.cpu_count() or 1),
                "os": platform.system().lower(),
                "version": f"python{platform.python_version()}",
            },
            "serf_lan": {"encrypted": "false", "failed": "0", "left": "0", "members": "1"},
        }

    def members(self, request: Request) -> Answer:
        """List the members of the cluster: this server (O2)."""
        grants = grants_of(request)
        wan, segment = bool(request.query.get("wan")), request.query.get("segment")
        if segment not in ("", "_all"):
            if wan:
                return text(400, "Cannot provide a segment with wan=true")
            return text(500, _NO_SEGMENTS)
        ours = member(self._identity, wan=wan, acls=request.tokens is not None)
        return json_response(request.query, render_value([ours] if grants.node_read() else []))

    def maintenance(self, request: Request) -> Answer:
        """Put this node into maintenance, which is refused, or out of it, where it is."""
        enable = parse_enable(request)
        grants = grants_of(request)
        require(grants.agent_write(), grants, "agent:write")
        return _MAINTENANCE if enable else empty(200)

    def reload(self, request: Request) -> Answer:
        """Read again what can change while the server runs."""
        grants = grants_of(request)
        require(grants.agent_write(), grants, "agent:write")
        if self._reload is None:
            return _RELOAD
        self._reload()
        return empty(200)

    def force_leave(self, request: Request) -> Answer:
        """Take a node out of the cluster: ours cannot be, every other is unknown."""
        grants = grants_of(request)
        require(grants.agent_write(), grants, "agent:write")
        name = request.rest.decode("utf-8", "surrogateescape")
        if name == self._identity.node:
            return _OWN_LEAVING
        return text(500, f"agent: No node found with name '{name}'")
