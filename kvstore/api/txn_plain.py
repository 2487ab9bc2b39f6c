"""Bodies of `/v1/txn` as clients' libraries write them, read in a quarter of the time. Pure.

What is in any way unusual is left to `txn_body.py`, and so is all that Go would refuse: another
letter case, an escape, a member twice, null, a line break in a value. So this is never the place
where something is decided, and what it takes it takes as that does: tests hold one against the
other.

A module of its own, which is loaded when it is first needed: msgspec takes 5 MB, and the store of
an engine never sees a transaction.
"""

import re
from typing import Annotated

import msgspec

from kvstore.api.txn_body import WrittenOp, written_op

__all__ = ["parse_plain"]

# msgspec takes a number below 0 as it takes others, and -0 for 0. In a key this is no number, and
# not usual.
_SIGN = re.compile(rb":\s*-")
# As high as msgspec can be told to go.
_Uint = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _KV(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, gc=False):
    """The members of a KV operation; the defaults are Go's zero values."""

    verb: str = ""
    key: str = ""
    value: bytes = b""
    flags: _Uint = 0
    index: _Uint = 0
    session: str = ""


class _Op(msgspec.Struct, rename="upper", forbid_unknown_fields=True, gc=False):
    kv: _KV


_DECODER = msgspec.json.Decoder(list[_Op])


def parse_plain(body: bytes) -> list[WrittenOp] | None:
    """Return the operations of a transaction; None when they are not plainly written."""
    if b"\\" in body or (b"-" in body and _SIGN.search(body)):
        return None
    try:
        ops = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # Of two KV objects in one operation the second adds to the first; msgspec forgets the first.
    if body.count(b'"KV"') != len(ops):
        return None
    return [written_op(one.kv) for one in ops]
