"""What the parsers promise, as functions of any bytes; each raises when a promise is broken.

Beside "only the declared error" there is something to hold each result against: the way back, or
another implementation, mostly one of the standard library.
"""

import ast
import io
import re
from collections.abc import Callable
from fractions import Fraction
from urllib.parse import quote_from_bytes, quote_plus, unquote_to_bytes

from kvstore.api.gotext import (
    parse_uint64,
    path_escape,
    path_unescape,
    query_escape,
    query_unescape,
    quote,
)
from kvstore.api.gzip import accepts_gzip
from kvstore.api.query import ReadOptions, check_cache_control, parse_query
from kvstore.api.session_body import parse_session_body
from kvstore.api.target import parse_target, redirect_location
from kvstore.api.txn_body import parse_txn_body
from kvstore.api.txn_plain import parse_plain
from kvstore.archive.archive import read_archive, write_archive
from kvstore.archive.state_bin import decode_state
from kvstore.duration import format_duration, parse_duration
from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.errors import ArchiveUnreadable, InvalidRequest, InvalidSession, InvalidSessionId
from kvstore.journal.codec import UnreadableCommand, decode_commands
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    BadHeader,
    Damage,
    FileHeader,
    FileKind,
    Frame,
    TornTail,
    decode_file_header,
    encode_file_header,
    scan_frames,
)
from kvstore.state.command import Txn
from kvstore.state.session_id import parse_session_id
from tests.journal.encoded import encode_commands, encode_frame

__all__ = ["SEEDS", "TARGETS"]

_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_RULES = SessionRules("n1", 10_000_000_000, lambda: "id")


def _text(data: bytes) -> str:
    """Return bytes as the lane gives them to a parser."""
    return data.decode("utf-8", "surrogateescape")


def target(data: bytes) -> None:
    """Parse a request's target: decoded as urllib does, and cleaned for good."""
    try:
        parsed = parse_target(_text(data))
    except InvalidRequest:
        assert not data.startswith(b"/") or _ESCAPE.search(data.partition(b"?")[0])
        return
    if data.startswith(b"/"):
        path, mark, query = data.partition(b"?")
        assert parsed.path == unquote_to_bytes(path)
        assert parsed.raw_query == _text(mark + query)
    segments = parsed.clean.split(b"/")
    assert segments[0] == b""
    assert not {b".", b".."} & set(segments)
    assert b"" not in segments[1:-1]
    location, page = redirect_location(parsed.clean, "")
    assert location.isascii()
    assert not re.search(r"[\x00-\x20\x7f\"<>]", location)
    again = parse_target(location)
    assert (again.path, again.clean) == (parsed.clean, parsed.clean)
    assert page.startswith('<a href="')
    assert parsed.printable == parsed.path.decode("utf-8", "replace").isprintable()


def query(data: bytes) -> None:
    """Parse a query string: its pairs are as urllib decodes them, and there is a way back."""
    parsed = parse_query(_text(data))
    parts = [part for part in re.split(b"[&;]", data) if part]
    if parsed is None:
        assert _ESCAPE.search(data) or len(parts) > 10_000
        return
    pairs = [part.partition(b"=")[::2] for part in parts]
    decoded = [
        tuple(_text(unquote_to_bytes(one.replace(b"+", b" "))) for one in pair) for pair in pairs
    ]
    assert list(parsed.pairs) == decoded
    again = parse_query(parsed.encoded())
    assert again is not None
    assert sorted(again.pairs) == sorted(parsed.pairs)
    assert isinstance(parsed.consistency_error, str)
    assert isinstance(parsed.read_options, ReadOptions | str)


def gotext(data: bytes) -> None:
    """Numbers, escapes and quotes: each as another implementation has it."""
    text = _text(data)
    try:
        number = parse_uint64(text)
    except InvalidRequest as error:
        assert str(error).startswith("strconv.ParseUint: parsing ")  # noqa: PT017 - no pytest here
        assert not re.fullmatch("[0-9]{1,19}", text)
    else:
        assert number == int(text) < 2**64
    assert path_escape(data) == quote_from_bytes(data, safe="$&+,/:;=@~")
    assert query_escape(data) == quote_plus(data, safe="~")
    assert path_unescape(path_escape(data).encode()) == data
    assert query_unescape(query_escape(data).encode()) == data
    quoted = quote(text)
    assert quoted.isprintable()
    if not re.search("[\ud800-\udfff]", text):
        assert ast.literal_eval(quoted) == text


_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
_UNITS |= {"m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")


def duration(data: bytes) -> None:
    """Parse a Go duration: it is the sum of its parts, each cut to nanoseconds."""
    text = _text(data)
    bare = text[1:] if text[:1] in ("+", "-") else text
    sound = re.fullmatch(
        f"(?:{_PART.pattern})+".replace("?P<amount>", "?:").replace("?P<unit>", "?:"), bare
    )
    try:
        ns = parse_duration(text)
    except InvalidRequest:
        assert bare != "0"
        if sound and len(text) < 100:
            assert _nanoseconds(bare) > 2**63 - 1
        return
    assert bare == "0" or sound
    expected = 0 if bare == "0" else _nanoseconds(bare)
    assert ns == (-expected if text.startswith("-") else expected)
    assert parse_duration(format_duration(ns)) == ns


def _nanoseconds(text: str) -> int:
    total = 0
    for part in _PART.finditer(text):
        whole, _, fraction = part["amount"].partition(".")
        scale = _UNITS[part["unit"]]
        total += int(whole or "0") * scale
        total += int(Fraction(int(fraction[:19] or "0"), 10 ** len(fraction[:19])) * scale)
    return total


def session_id(data: bytes) -> None:
    """Parse a session's id: hexadecimal digits with up to four hyphens, 36 characters in all."""
    text = _text(data)
    digits = data.replace(b"-", b"")
    sound = (
        len(data) == 36
        and data.count(b"-") <= 4
        and re.fullmatch(rb"(?:[0-9A-Fa-f]{2})*", digits) is not None
    )
    try:
        found = parse_session_id(text)
    except InvalidSessionId:
        assert not sound
        return
    assert sound
    assert found == bytes.fromhex(digits.decode())


def session_body(data: bytes) -> None:
    """Parse the body of a session: a request or the declared error, then a command or another."""
    try:
        request = parse_session_body(data)
    except InvalidRequest:
        assert data
        return
    assert isinstance(request, SessionRequest)
    try:
        command = _RULES.admit(request)
    except InvalidSession:
        return
    assert decode_commands(encode_commands([command])) == [command]


def txn_body(data: bytes) -> None:
    """Parse the body of a transaction: the journal brings its operations back as they were.

    If it is plainly written, it is read the same.
    """
    plain = parse_plain(data)
    try:
        written = parse_txn_body(data)
    except InvalidRequest:
        assert plain is None
        return
    assert plain is None or plain == written
    command = Txn(tuple(one.op for one in written if one is not None))
    assert decode_commands(encode_commands([command])) == [command]


def headers(data: bytes) -> None:
    """Look into the headers that are looked into: there is an answer, whatever they say."""
    text = _text(data)
    assert accepts_gzip(text) in {True, False}
    assert check_cache_control(text) in {True, False}
    if b"gzip" not in data.lower():
        assert not accepts_gzip(text)
    if b"=" not in data:
        assert check_cache_control(text)


def commands(data: bytes) -> None:
    """Read a batch's body: commands that are written as they were read, or the declared error."""
    try:
        found = decode_commands(data)
    except UnreadableCommand:
        return
    try:
        body = encode_commands(found)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return  # of the right number of fields, but of kinds that no command of ours has
    assert repr(decode_commands(body)) == repr(found)


def frames(data: bytes) -> None:
    """Change a file of sound frames in one place: no frame that was not written is read.

    The first three bytes say where and how it is changed, the rest is what the frames hold.
    """
    head, rest = data[:3].ljust(3, b"\0"), data[3:]
    salt = int.from_bytes(rest[:4], "little")
    header = FileHeader(7, 1000, salt)
    file = bytearray(encode_file_header(FileKind.SEGMENT, header))
    written = []
    for body in rest.split(b"\xff", 5):
        synced = len(body) % 2 == 0
        file += encode_frame(salt, 7 + len(written), 1000, 1, body, synced_before=synced)
        written.append(body)
    sound = bytes(file)
    place = int.from_bytes(head[:2], "little") % (len(file) + 1)
    if head[2] < 64:
        del file[place:]
    elif head[2] < 128:
        file[place:place] = rest[:16]
    elif place < len(file):
        file[place] ^= head[2] & 0x7F
    changed = bytes(file)
    decoded = decode_file_header(FileKind.SEGMENT, changed)
    if isinstance(decoded, BadHeader):
        assert place < FILE_HEADER_BYTES
        return
    read = list(scan_frames(changed, header))
    bodies = [one.body for one in read if isinstance(one, Frame)]
    assert bodies == written[: len(bodies)]
    assert all(isinstance(one, Frame) for one in read[:-1])
    if read and not isinstance(read[-1], Frame):
        assert isinstance(read[-1], TornTail | Damage)
    if len(changed) == len(sound) and changed != sound:
        assert len(bodies) < len(written)


def raw_frames(data: bytes) -> None:
    """Any bytes behind a sound header: a tail that was torn off, or damage."""
    file = encode_file_header(FileKind.SEGMENT, FileHeader(1, 0, 0)) + data
    read = list(scan_frames(file, FileHeader(1, 0, 0)))
    assert [type(one) for one in read[:-1]] == [Frame] * len(read[:-1])
    assert bool(read) == bool(data)
    for kind in FileKind:
        assert isinstance(decode_file_header(kind, data), FileHeader | BadHeader)


def archive(data: bytes) -> None:
    """Read an archive: an image that can be archived again, or the declared error."""
    try:
        found = read_archive(io.BytesIO(data), state_bytes_max=1 << 20, records_max=1000)
    except ArchiveUnreadable:
        return
    file = io.BytesIO()
    write_archive(found.image, file, made_ms=0)


def state_bin(data: bytes) -> None:
    """Read what is inside an archive, where no sum protects it: the same."""
    try:
        found = decode_state(io.BytesIO(data), len(data), 1000)
    except ArchiveUnreadable:
        return
    file = io.BytesIO()
    write_archive(found.image, file, made_ms=0)
    file.seek(0)
    again = read_archive(file)
    assert list(again.image.entries) == list(found.image.entries)
    assert again.image.sessions == found.image.sessions


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        target,
        query,
        gotext,
        duration,
        session_id,
        session_body,
        txn_body,
        headers,
        commands,
        frames,
        raw_frames,
        archive,
        state_bin,
    )
}

_SESSION = (
    b'{"Name":"n","Node":"n1","LockDelay":"15s","Behavior":"delete","TTL":"30s",'
    b'"NodeChecks":["serfHealth"],"Checks":null,"ServiceChecks":[{"ID":"a","Namespace":""}]}'
)
_TXN = (
    b'[{"KV":{"Verb":"cas","Key":"a","Value":"dg==","Flags":7,"Index":3,"Session":"s"}},'
    b'{"kv":{"verb":"get-or-empty","key":"a"}},{"Node":{"Verb":"get","Node":{}}},{}]'
)

# Where the fuzzer begins; it finds the rest.
SEEDS: dict[str, list[bytes]] = {
    "target": [b"/v1/kv/a%2Fb?raw", b"http://h:1/v1/kv//a/../b/", b"/%C3%A9%ff//.", b"*"],
    "query": [b"recurse&index=007&wait=1m30s;stale=", b"max_stale=5s&consistent&cached", b"%zz"],
    "gotext": [b"18446744073709551615", b"007", b'a b/\xff"\\\n\x7f', b"%41+%2f"],
    "duration": [b"1h15m30.918273645s", b"-1.5ms", b"0", b"+.5us", "1µs".encode(), b"9999999h"],
    "session_id": [b"12345678-9abc-def0-1234-56789abcdef0", b"1234567890" * 3 + b"123456"],
    "session_body": [_SESSION, b'{"LockDelay":1e3}', b"null", b'{"Name":"\\ud800"} junk', b"[]"],
    "txn_body": [_TXN, b"[]", b"null", b'[{"KV":null}]', b'[{"KV":{"Value":"!"}}]'],
    "headers": [b"gzip;q=0.5, *;q=0", b"max-age=10, must-revalidate", b"GZIP;q=nan"],
    "commands": [
        bytes.fromhex("919402c40161c4017600"),
        bytes.fromhex("91920cc0"),
        bytes.fromhex("91920c91930dc40161c2"),
    ],
    "frames": [
        b"\0\0\x80abcdefgh\xffij\xff",
        b"\x40\0\0" + b"x" * 40,
        b"\x50\0\x41KVBt" + b"y" * 40,
    ],
    "raw_frames": [b"", b"\0" * 50, b"KVBt" + b"\0" * 60],
    "archive": [],
    "state_bin": [b"\x81\xa9LastIndex\x07"],
}
