"""The shortest way to write to a state: commands at the next index, sessions by their id."""

from collections.abc import Callable

from kvstore.state.applied import Applied
from kvstore.state.command import Command, CreateSession
from kvstore.state.entry import Behavior
from kvstore.state.store import State

__all__ = ["S1", "S1_UPPER", "S2", "S3", "Apply", "applier", "make_session"]

S1 = "aaaaaaaa-0000-4000-8000-00000000000b"
# The same session in another spelling: it counts as live, but holds nothing that S1 holds.
S1_UPPER = S1.upper()
S2 = "bbbbbbbb-0000-4000-8000-00000000000c"
S3 = "cccccccc-0000-4000-8000-00000000000d"

Apply = Callable[[Command], Applied]


def applier(state: State) -> Apply:
    """Return a function that applies a command at the state's next index."""
    return lambda command: state.apply(state.last_index + 1, command)


def make_session(
    session_id: str, *, behavior: Behavior = "release", node: str = "n1"
) -> CreateSession:
    """Return the command that makes a session as Consul's defaults would have it."""
    return CreateSession(
        session_id,
        name="",
        node=node,
        lock_delay_ns=15_000_000_000,
        behavior=behavior,
        ttl="",
        ttl_ns=0,
        node_checks=("serfHealth",),
        service_checks=None,
        checks=(),
    )
