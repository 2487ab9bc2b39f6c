"""Images of stores that could be, drawn by Hypothesis; and a state that verifies one."""

import io
from typing import Any

from hypothesis import strategies as st

from kvstore.archive.archive import Archive, read_archive, write_archive
from kvstore.duration import parse_duration
from kvstore.state.entry import Entry, ServiceCheck, Session
from kvstore.state.image import Facts, Image, Tombstone
from kvstore.state.session_id import parse_session_id
from kvstore.state.store import State

__all__ = ["STORE_ID", "entry", "image_of", "images", "read", "session", "verify", "written"]

INDEX_MAX = 2**63 - 1
STORE_ID = "b0a1c2d3-0000-4111-8222-333344445555"
_TTLS = ["", "0s", "10s", "1m30s", "24h"]

# Texts that clients may have sent, among them some that are not UTF-8.
_texts = st.binary(max_size=12).map(lambda data: data.decode("utf-8", "surrogateescape"))
_uuids = st.uuids().map(str)


def session(session_id: str, index: int = 1, **changes: Any) -> Session:
    """Return a session as Consul's defaults would have it."""
    fields: dict[str, Any] = {
        "name": "",
        "node": "n1",
        "lock_delay_ns": 15_000_000_000,
        "behavior": "release",
        "ttl": "",
        "ttl_ns": 0,
        "node_checks": ("serfHealth",),
        "service_checks": None,
        "checks": (),
        **changes,
    }
    return Session(id=session_id, create_index=index, **fields)


def entry(key: bytes, value: bytes = b"v", index: int = 1, holder: str = "") -> Entry:
    """Return an entry that one write made."""
    return Entry(key, value, 0, holder, int(bool(holder)), index, index)


def image_of(*entries: Entry, sessions: list[Session] | None = None) -> Image:
    """Return the image of a store that holds this."""
    newest = max((one.modify_index for one in entries), default=0)
    newest_session = max((one.create_index for one in sessions or []), default=0)
    facts = Facts(STORE_ID, max(newest, newest_session, 1), newest, newest_session, 0)
    return Image(facts, sessions or [], [], list(entries))


@st.composite
def _sessions(draw: st.DrawFn, index_max: int) -> list[Session]:
    ids = draw(st.sets(_uuids, max_size=4))
    sessions = []
    for one in sorted(ids, key=parse_session_id):
        ttl = draw(st.sampled_from(_TTLS))
        checks = st.lists(_texts, max_size=2).map(tuple)
        services = st.lists(st.builds(ServiceCheck, _texts, _texts), max_size=2).map(tuple)
        sessions.append(
            session(
                one,
                draw(st.integers(1, index_max)),
                name=draw(_texts),
                node=draw(_texts),
                lock_delay_ns=draw(st.integers(-(2**63), 2**63 - 1)),
                behavior=draw(st.sampled_from(["release", "delete"])),
                ttl=ttl,
                ttl_ns=parse_duration(ttl) if ttl else 0,
                node_checks=draw(st.none() | checks),
                service_checks=draw(st.none() | services),
                checks=draw(checks),
            )
        )
    return sessions


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Draw an image of a store, as `State.image` gives one."""
    last_index = draw(st.integers(1, INDEX_MAX))
    kv_index, session_index = (draw(st.integers(0, last_index)) for _ in range(2))
    sessions = draw(_sessions(session_index)) if session_index else []
    holders = ["", *(one.id for one in sessions), *(one.id.upper() for one in sessions)]
    names = st.lists(st.binary(max_size=40), unique=True, max_size=6).map(sorted)
    entries, tombstones = [], []
    if kv_index:
        for key in draw(names):
            modify_index = draw(st.integers(1, kv_index))
            entries.append(
                Entry(
                    key,
                    draw(st.binary(max_size=300)),
                    draw(st.integers(0, 2**64 - 1)),
                    draw(st.sampled_from(holders)),
                    draw(st.integers(0, 2**64 - 1)),
                    draw(st.integers(1, modify_index)),
                    modify_index,
                )
            )
        tombstones = [
            Tombstone(name, draw(st.integers(1, kv_index)), with_tree)
            for with_tree in (False, True)
            for name in draw(names)
        ]
    store_id = draw(st.just("") | _uuids)
    floor = draw(st.integers(0, last_index))
    facts = Facts(store_id, last_index, kv_index, session_index, floor)
    return Image(facts, sessions, tombstones, entries)


def written(image: Image, made_ms: int = 1_700_000_000_000) -> bytes:
    """Return the archive of an image."""
    file = io.BytesIO()
    write_archive(image, file, made_ms=made_ms)
    return file.getvalue()


def read(archive: bytes, **limits: int) -> Archive:
    """Return what is in an archive."""
    return read_archive(io.BytesIO(archive), **limits)


def verify(image: Image) -> None:
    """Load an image into a state, which must be sound."""
    state = State()
    state.load(image)
    state.check()
