"""From what a client wants to a complete command: all that needs chance or the server's settings.

What depends on writes that are still in flight is not decided here but by `state`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from kvstore.duration import NS_PER_S, InvalidDuration, format_duration, parse_duration
from kvstore.errors import InvalidSession, TooManySessions
from kvstore.state.command import CreateSession
from kvstore.state.entry import Behavior, ServiceCheck

__all__ = ["NODE_CHECK", "SESSIONS_MAX", "SessionRequest", "SessionRules", "draw_session_id"]

# The one health check there is: that this server is alive (Consul's name for it).
NODE_CHECK = "serfHealth"

# Two for each of more engines than one store serves; a session takes some 2 KiB of memory. One
# without a TTL stays for good, so a client that makes them in a loop must end somewhere.
SESSIONS_MAX = 65_536

# Source: Consul 1.8.7, structs.SessionTTLMax.
_TTL_MAX_NS = 24 * 3600 * NS_PER_S
_LOCK_DELAY_DEFAULT_NS = 15 * NS_PER_S


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A session as its creator asked for it; what was not said has the default (S1)."""

    name: str = ""
    # None: this server's node.
    node: str | None = None
    lock_delay_ns: int = _LOCK_DELAY_DEFAULT_NS
    behavior: str = "release"
    ttl: str = ""
    node_checks: tuple[str, ...] | None = (NODE_CHECK,)
    checks: tuple[str, ...] = (NODE_CHECK,)
    service_checks: tuple[ServiceCheck, ...] | None = None


def draw_session_id() -> str:
    """Draw an id: 128 random bits in Consul's form, not an RFC 4122 one (S8)."""
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What this server accepts as a session."""

    node: str
    ttl_min_ns: int
    draw_id: Callable[[], str] = field(default=draw_session_id)
    sessions_max: int = SESSIONS_MAX

    def admit(self, request: SessionRequest, session_count: int = 0) -> CreateSession:
        """Return the command that makes the session, with a fresh id.

        Raises InvalidSession with Consul's text; checks run in Consul's order (S3). Then raises
        TooManySessions when there are `session_count` already; those that are in flight are not
        counted, since this bounds memory and no more.
        """
        node = self.node if request.node is None else request.node
        if not node:
            raise InvalidSession("Must provide Node")
        behavior = _behavior(request.behavior)
        ttl_ns = self._ttl_ns(request.ttl)
        if node.lower() != self.node.lower():
            raise InvalidSession("Missing node registration")
        node_checks, checks = _merge_checks(request.node_checks, request.checks)
        services = request.service_checks or ()
        for check in (*(node_checks or ()), *checks, *(service.id for service in services)):
            if check.lower() != NODE_CHECK.lower():
                raise InvalidSession(f"Missing check '{check}' registration")
        if session_count >= self.sessions_max:
            raise TooManySessions(self.sessions_max)
        return CreateSession(
            id=self.draw_id(),
            name=request.name,
            node=node,
            lock_delay_ns=request.lock_delay_ns,
            behavior=behavior,
            ttl=request.ttl,
            ttl_ns=ttl_ns,
            node_checks=node_checks,
            service_checks=request.service_checks,
            checks=checks,
        )

    def _ttl_ns(self, ttl: str) -> int:
        if not ttl:
            return 0
        try:
            ttl_ns = parse_duration(ttl)
        except InvalidDuration as error:
            raise InvalidSession(f"Session TTL '{ttl}' invalid: {error}") from error
        if ttl_ns != 0 and not self.ttl_min_ns <= ttl_ns <= _TTL_MAX_NS:
            bounds = f"{format_duration(self.ttl_min_ns)}={format_duration(_TTL_MAX_NS)}"
            raise InvalidSession(f"Invalid Session TTL '{ttl_ns}', must be between [{bounds}]")
        return ttl_ns


def _behavior(text: str) -> Behavior:
    if text in ("", "release"):
        return "release"
    if text == "delete":
        return "delete"
    raise InvalidSession(f"Invalid Behavior setting '{text}'")


def _merge_checks(
    node_checks: tuple[str, ...] | None, checks: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Bring the two spellings of the node's checks together (S6).

    Both begin as the default, so a spelling that is empty was emptied on purpose.
    """
    if not checks:
        return (), ()
    if not node_checks or checks == (NODE_CHECK,):
        return node_checks, ()
    return node_checks, checks
