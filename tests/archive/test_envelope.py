"""The gzip'd tar and its sums: what is written, and that nothing broken gets through."""

import gzip
import hashlib
import io
import tarfile
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.archive.envelope import read_envelope, write_envelope
from kvstore.errors import ArchiveUnreadable

from .wrapping import GOOD, HEADER, META, STATE, SUMS, meta_json, sums, tar, wrap

LIMIT = 1_000_000
FILES = [(META, meta_json(HEADER)), (STATE, HEADER)]
GOOD_TAR = tar(*FILES, (SUMS, sums(*FILES)))


def read(archive: bytes, state_bytes_max: int = LIMIT) -> tuple[bytes, bytes]:
    """Return `meta.json` and `state.bin`."""
    return read_from(io.BytesIO(archive), state_bytes_max)


def read_from(file: IO[bytes], state_bytes_max: int = LIMIT) -> tuple[bytes, bytes]:
    """Return `meta.json` and `state.bin`."""
    state = io.BytesIO()
    meta, size_bytes = read_envelope(file, state, state_bytes_max)
    assert len(state.getvalue()) == size_bytes
    return meta, state.getvalue()


def write(meta: bytes, state: bytes) -> bytes:
    """Return the archive of two files."""
    out = io.BytesIO()
    digest = hashlib.sha256(state).hexdigest()
    write_envelope(out, meta, io.BytesIO(state), len(state), digest, 1_700_000_000)
    return out.getvalue()


@pytest.mark.parametrize("size_bytes", [0, 1, 511, 512, 513, 700_000])
def test_what_is_written_is_a_plain_tar(size_bytes: int) -> None:
    """Any tar reads it: three files with the names, the mode and the date of Consul's."""
    state = b"s" * size_bytes
    with tarfile.open(fileobj=io.BytesIO(write(b"{}", state)), mode="r:gz") as files:
        members = files.getmembers()
        contents = [files.extractfile(member) for member in members]
        read = [content.read() for content in contents if content is not None]
    assert [member.name for member in members] == [META, STATE, SUMS]
    assert {(member.mode, member.mtime) for member in members} == {(0o600, 1_700_000_000)}
    assert read == [b"{}", state, sums((META, b"{}"), (STATE, state))]


def test_nothing_is_behind_the_end() -> None:
    """Two empty blocks and no padding: a Consul refuses what is more."""
    assert gzip.decompress(write(b"{}", b"s")) == gzip.decompress(write(b"{}", b"s")).rstrip(
        b"\0"
    ) + bytes(512 - len(sums((META, b""), (STATE, b""))) % 512 + 1024)


@given(st.binary(max_size=700), st.binary(max_size=2000))
def test_what_is_written_is_read(meta: bytes, state: bytes) -> None:
    """Both files come back."""
    assert read(write(meta, state)) == (meta, state)


def test_large_files_are_read_piece_by_piece() -> None:
    """A file of many pieces is whole, and its sum is that of the whole."""
    state = bytes(range(256)) * 3000
    assert read(wrap(state))[1] == state


class OneByteAtATime(io.BytesIO):
    """A file that gives less than it is asked for, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next byte."""
        return super().read(min(1, size or 0))


def test_a_pipe_will_do() -> None:
    """The file is only read, forwards, and may give what it has."""
    assert read_from(OneByteAtATime(GOOD)) == (FILES[0][1], HEADER)


@pytest.mark.parametrize(
    "archive",
    [
        gzip.compress(GOOD_TAR[:700]) + gzip.compress(GOOD_TAR[700:]),
        gzip.compress(GOOD_TAR[:-512]),
        gzip.compress(GOOD_TAR[:-1024]),
        gzip.compress(GOOD_TAR.rstrip(b"\0")),
        gzip.compress(tar((SUMS, sums(*FILES)), *reversed(FILES))),
        gzip.compress(tar(*FILES, (SUMS, sums(*FILES).replace(b"\n", b"\r\n")))),
    ],
)
def test_what_consul_takes_is_taken(archive: bytes) -> None:
    """Streams in a row, an end that is not quite there, files in another order."""
    assert read(archive) == (FILES[0][1], HEADER)


def test_a_file_that_is_there_twice_is_refused() -> None:
    """It would not be said which of them counts."""
    archive = gzip.compress(tar(*FILES, FILES[1], (SUMS, sums(*FILES))))
    with pytest.raises(ArchiveUnreadable, match=r'file "state.bin" is there twice'):
        read(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE])
def test_only_plain_files_are_read(kind: bytes) -> None:
    """A link or a folder is no `state.bin`, whatever its name."""
    member = tarfile.TarInfo(STATE)
    member.type = kind
    archive = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + GOOD_TAR)
    with pytest.raises(ArchiveUnreadable, match=r'unexpected file "state.bin'):
        read(archive)


def test_a_name_is_shown_in_plain_characters() -> None:
    """Whatever it is made of: the text goes to logs and terminals."""
    archive = gzip.compress(tar(("a\x1b[31m\udcff\n", b"")))
    with pytest.raises(ArchiveUnreadable) as caught:
        read(archive)
    assert caught.value.reason.isascii()
    assert caught.value.reason.isprintable()


def test_the_size_of_state_is_limited() -> None:
    """Both numbers are named."""
    assert read(wrap(bytes(1000)), state_bytes_max=1000)[1] == bytes(1000)
    with pytest.raises(ArchiveUnreadable, match=r'"state.bin" has 1001 bytes; expected 1000 at'):
        read(wrap(bytes(1001)), state_bytes_max=1000)


def test_a_size_below_zero_is_refused() -> None:
    """A header can say that, and nothing is read because of it."""
    member = tarfile.TarInfo(STATE)
    member.size = -512
    with pytest.raises(ArchiveUnreadable, match=r'"state.bin" has -512 bytes'):
        read(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + GOOD_TAR))


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("name", [META, STATE, SUMS])
def test_a_bomb_is_not_unpacked(name: str) -> None:
    """Each file is refused by the size in its header, before it is unpacked."""
    file = Counting(gzip.compress(tar((name, bytes(50_000_000)))))
    with pytest.raises(ArchiveUnreadable, match="has 50000000 bytes"):
        read_from(file)
    assert file.count < len(file.getvalue())


def test_a_bomb_behind_the_end_is_not_unpacked() -> None:
    """What follows the tar is read only up to a limit."""
    file = Counting(gzip.compress(GOOD_TAR + bytes(50_000_000)))
    with pytest.raises(ArchiveUnreadable, match="1048576 unread uncompressed bytes remain"):
        read_from(file)
    assert file.count < len(file.getvalue())


def test_errors_of_the_file_are_left_alone() -> None:
    """A disk that fails is no damaged archive."""

    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        read_from(Failing(GOOD))


def test_every_truncation_is_refused() -> None:
    """An archive that lacks its last byte, or more, is none."""
    for end in range(len(GOOD)):
        with pytest.raises(ArchiveUnreadable):
            read(GOOD[:end])


@pytest.mark.slow
def test_every_flipped_bit_is_seen() -> None:
    """It is refused, but for those few of gzip's head and padding that mean nothing."""
    harmless = 0
    for position in range(len(GOOD) * 8):
        archive = bytearray(GOOD)
        archive[position // 8] ^= 1 << position % 8
        try:
            found = read(bytes(archive))
        except ArchiveUnreadable:
            continue
        harmless += 1
        assert found == (FILES[0][1], HEADER)
    assert harmless < 8 * 11


@given(st.data())
def test_any_tar_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever is changed under a sound gzip: what is read has its right sums, or it is refused."""
    start = data.draw(st.integers(0, len(GOOD_TAR)))
    end = data.draw(st.integers(start, min(len(GOOD_TAR), start + 600)))
    changed = GOOD_TAR[:start] + data.draw(st.binary(max_size=600)) + GOOD_TAR[end:]
    try:
        meta, state = read(gzip.compress(changed))
    except ArchiveUnreadable:
        return
    assert (meta, state) == (FILES[0][1], HEADER)


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Bare, and as what a gzip stream unpacks to."""
    for archive in (data, GOOD[:10] + data, gzip.compress(data)):
        with pytest.raises(ArchiveUnreadable):
            read(archive)


@given(st.binary(max_size=512))
def test_any_header_is_read_or_refused(changes: bytes) -> None:
    """A tar's header with a right checksum and anything else in it."""
    block = bytearray(GOOD_TAR[:512])
    for position, change in enumerate(changes):
        block[position] ^= change
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    try:
        meta, state = read(gzip.compress(bytes(block) + GOOD_TAR[512:]))
    except ArchiveUnreadable:
        return
    assert (meta, state) == (FILES[0][1], HEADER)
