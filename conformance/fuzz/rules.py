"""What may differ: the rules of conformance/NOTES.md, each as narrow as it can be said.

A function here looks at one request and both answers and says whether its rule covers how they
differ. Mending, so that the stores are level again, is the player's.
"""

import re
from enum import StrEnum
from urllib.parse import unquote

from conformance.fuzz.comparing import Seen
from conformance.fuzz.operation import WRITES, Call
from conformance.fuzz.pairing import Pairing
from conformance.fuzz.vocabulary import SHAPED_TARGETS
from conformance.suite.wire import Answer

KV = "/v1/kv/"
CREATE = "/v1/session/create"
SNAPSHOT = "/v1/snapshot"
TXN = "/v1/txn"
VALUE_BYTES_MAX = 512 * 1024
GZIP_BYTES_MIN = 1400

OK = 200
MOVED = 301
BAD_REQUEST = 400
NOT_FOUND = 404
CONFLICT = 409
TOO_LARGE = 413

_NULL_OPERATION = re.compile(rb"^\s*\[(.*,)?\s*null\s*[],]", re.DOTALL)
_CAS_ALONE = re.compile(
    rb"""\[\{"KV":\{"Verb":"cas","Key":"([^"]*)","Value":[^,]*,"Index":(\d+|\{m:[^}]*\})\}\}\]"""
)
_CATALOG_OPERATION = re.compile(rb'\{"(?:Node|Service|Check)":\{')
_DONE = re.compile(rb'\s*(true|\{\s*"Results":\s*\[\s*\{)')
_TOO_MANY = b"Transaction contains too many operations"
_UNDECODED = (b"Request decode failed: ", b"Failed to parse body: invalid character ")
_NOT_KEYS = ("agent", "catalog", "health", "status", "operator", "coordinate", "event", "query")
_ONE_NODE = tuple(f"/v1/{each}" for each in _NOT_KEYS)
_SHAPED = frozenset(f"/v1/{each}" for each in SHAPED_TARGETS)


class Intent(StrEnum):
    """The names, as they stand in NOTES.md."""

    CAS_IDENTICAL_WAKES = "cas-identical-wakes"
    UNCLEAN_WRITE_IN_PLACE = "unclean-write-in-place"
    EXACT_WAKEUPS = "exact-wakeups"
    INDEX_NEVER_BACK = "index-never-back"
    CHUNKED_LIMIT = "chunked-limit"
    SMALL_BODIES_PLAIN = "small-bodies-plain"
    RESTORE_IS_A_WRITE = "restore-is-a-write"
    ONE_NODE = "one-node"
    DECODE_TEXTS = "decode-texts"
    TXN_NULL = "txn-null-operation"
    TXN_LARGER = "txn-larger"


def is_key(call: Call) -> bool:
    """Return whether a request is for a key or for keys."""
    return call.target.startswith(KV)


def is_tree(call: Call) -> bool:
    """Return whether a request reads a tree or its names."""
    wants = call.parameter("recurse") is not None or call.parameter("keys") is not None
    return call.method == "GET" and is_key(call) and wants


def is_one_session(call: Call) -> bool:
    """Return whether a request reads one session."""
    return call.method == "GET" and call.path.startswith("/v1/session/info/")


def deletes_trees(call: Call) -> bool:
    """Return whether a request may delete a tree."""
    if call.path == TXN:
        return b"delete-tree" in (call.body or b"")
    return call.method == "DELETE" and is_key(call) and call.parameter("recurse") is not None


def is_absent(answer: Answer) -> bool:
    """Return whether an answer says that there is nothing: no key, no tree, no session."""
    return answer.status == NOT_FOUND or (answer.status == OK and answer.body == b"[]")


def writes_in_place(call: Call, theirs: Answer, ours: Answer) -> str | None:
    """Return where Consul sends a write that we do at once (unclean-write-in-place)."""
    place = theirs.get("Location")
    covered = (
        (theirs.status, call.method in WRITES) == (MOVED, True)
        and "//" in unquote(call.path)
        and ours.status != MOVED
        and place is not None
        and place.partition("?")[0].startswith(KV)
        and place.partition("?")[0] != KV
    )
    return place if covered else None


def leaves_small_plain(theirs: Seen, ours: Seen) -> bool:
    """Return whether only Consul compressed, and the body is a small one (small-bodies-plain)."""
    return theirs.gzipped and not ours.gzipped and ours.body_bytes < GZIP_BYTES_MIN


def index_may_be_ahead(call: Call, theirs: Seen, ours: Seen, pairing: Pairing) -> bool:
    """Return whether Consul's index of an emptied tree went back, and ours not (index-never-back).

    An ancestor was deleted as a whole, and an older tombstone hides that one from Consul (B9).
    """
    if not (is_tree(call) and theirs.status == ours.status == NOT_FOUND):
        return False
    if not (theirs.indexes and ours.indexes):
        return False
    same_moment = pairing.theirs(ours.indexes[-1])
    return same_moment is not None and same_moment > theirs.indexes[-1]


def refuses_chunks(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Return whether only we hold the limit for a chunked value (chunked-limit)."""
    large = call.chunked and len(call.body or b"") > VALUE_BYTES_MAX
    return large and is_key(call) and theirs.status != TOO_LARGE and ours.status == TOO_LARGE


def reads_chunks(call: Call, theirs: Answer) -> bool:
    """Return whether this is a session whose body only we read (chunked-limit)."""
    return call.chunked and call.path == CREATE and theirs.status == OK


def decode_texts(theirs: Seen, ours: Seen) -> bool:
    """Return whether both could not decode a body, in other words (decode-texts, S2)."""
    if not theirs.status == ours.status == BAD_REQUEST:
        return False
    return any(theirs.body.startswith(each) and ours.body.startswith(each) for each in _UNDECODED)


def is_of_one_node(call: Call) -> bool:
    """Return whether what is read has indexes of its own (one-node)."""
    return call.target.startswith(_ONE_NODE)


def is_true_of_one_store(call: Call) -> bool:
    """Return whether what is read describes the store, or its node, itself (one-node)."""
    return call.path in _SHAPED


def has_no_catalog(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Return whether a transaction fails at both, and asks for the catalog (one-node)."""
    asks = call.path == TXN and _CATALOG_OPERATION.search(call.body or b"") is not None
    return asks and theirs.status == ours.status == CONFLICT


def answers_null(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Return whether Consul ended the connection on a null operation (txn-null-operation)."""
    null = call.path == TXN and _NULL_OPERATION.search(call.body or b"") is not None
    return null and (theirs.status, ours.status) == (0, BAD_REQUEST)


def takes_more(call: Call, theirs: Answer, ours: Answer) -> bool:
    """Return whether only the number of operations is too large, for Consul (txn-larger)."""
    many = call.path == TXN and theirs.status == TOO_LARGE
    too_many = theirs.body.startswith(_TOO_MANY)
    return many and too_many and (ours.status != TOO_LARGE or ours.body.startswith(_TOO_MANY))


def cas_index(filled: Call) -> int | None:
    """Return the index that a check-and-set gives, over /v1/kv/ or alone in a transaction."""
    if filled.path == TXN:
        alone = _CAS_ALONE.fullmatch(filled.body or b"")
        return int(alone[2]) if alone else None
    given = filled.parameter("cas")
    return int(given) if given and given.isdecimal() else None


def cas_path(call: Call) -> str | None:
    """Return the path of the key that a check-and-set is about, or None for all else."""
    if call.path == TXN:
        alone = _CAS_ALONE.fullmatch(call.body or b"")
        return KV + alone[1].decode("latin-1") if alone else None
    is_cas = call.method == "PUT" and is_key(call) and call.parameter("cas") is not None
    return call.path if is_cas else None


def has_set(answer: Answer) -> bool:
    """Return whether a check-and-set took place."""
    return answer.status == OK and _DONE.match(answer.plain) is not None
