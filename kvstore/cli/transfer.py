"""`kvstore export` and `kvstore import`: keys out and in, in the JSON of `consul kv export`.

Both go pair by pair: neither holds the store, but for an export of a folder or a backup.
"""

import asyncio
import codecs
import errno
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from kvstore.cli.exits import (
    EXIT_DISK_FULL,
    EXIT_SERVER,
    give_up,
)
from kvstore.cli.output import Advance, progress
from kvstore.cli.pairs import Pair, PairReader, PairWriter, WrongPairs, show_key
from kvstore.cli.params import ServerUrl, default_server
from kvstore.cli.past import ends_in_a_sentence, state_at
from kvstore.errors import ArchiveUnreadable, CallFailed
from kvstore.journal.space import format_bytes

if TYPE_CHECKING:
    from kvstore.client import Client

__all__ = ["export", "import_"]

# click's code for wrong usage; also for a file that is not what it should be.
_EXIT_WRONG_INPUT = 2

# Enough to keep a server's disk busy: it syncs what came in together at once.
_CONNECTIONS = 16
# Pairs that wait for a connection, so that one slow write does not hold up the others.
_WAITING_PER_CONNECTION = 32

# What a read of keys may be answered with: keys, or that there are none.
_READ = (200, 404)

_PIECE_BYTES = 1024 * 1024
# Standard input that is larger waits on disk, where the system keeps temporary files.
_SPOOL_MEMORY_BYTES = 64 * 1024 * 1024


_url_option = click.option(
    "--url",
    type=ServerUrl(),
    help="The server, ours or a real Consul: http://HOST:8500 or HOST:8500. Default: KVSTORE_URL, "
    "then CONSUL_HTTP_ADDR, then this machine's. A token comes from CONSUL_HTTP_TOKEN.",
)


# --- export ---------------------------------------------------------------------------------


@click.command(
    epilog="Exit codes: 0 done, 2 wrong usage or an unusable file, 4 data folder unusable, "
    "6 journal damaged, 8 disk full, 10 server not reached or refused."
)
@click.argument("prefix", default="")
@_url_option
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Read this folder instead of a server; one may be running on it.",
)
@click.option(
    "--file",
    "backup",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read this backup instead, of kvstore or of `consul snapshot save`.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write this file, as a whole or not at all, instead of standard output.",
)
def export(
    *, prefix: str, url: str | None, data_dir: Path | None, backup: Path | None, output: Path | None
) -> None:
    """Print the keys that begin with PREFIX (all, without one) as `consul kv export` does.

    \b
      kvstore export docker/ -o docker.json
      kvstore export --data-dir /var/lib/kvstore | consul kv import -
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    if sum(source is not None for source in (url, data_dir, backup)) > 1:
        raise click.UsageError("--url, --data-dir and --file exclude each other: name one source")
    # As Consul's: no key begins with a slash, people do.
    name = os.fsencode(prefix.removeprefix("/"))
    if data_dir is None and backup is None:
        url = url or default_server()
    with _writing(output) as file:
        writer = PairWriter(file)
        if data_dir is not None:
            writer.write(_folder_pairs(data_dir, name))
        elif backup is not None:
            writer.write(_backup_pairs(backup, name))
        else:
            assert url is not None
            asyncio.run(_write_server(url, name, writer))
        writer.close()
    if writer.inexact:
        click.echo(
            f"kvstore: keys with bytes that are no UTF-8: {writer.inexact:,}. They are shown with "
            "U+FFFD, as by Consul: an import makes other keys of them. A backup keeps them.",
            err=True,
        )


@contextmanager
def _writing(path: Path | None) -> Iterator[IO[bytes]]:
    """Give the file to write: standard output, or one that takes its name when it is whole."""
    try:
        if path is None:
            file = sys.stdout.buffer
            yield file
            file.flush()
        elif path.exists() and not path.is_file():  # a device or a pipe keeps its name
            with path.open("wb") as file:
                yield file
        else:
            from kvstore.durable import new_file  # noqa: PLC0415 - slow to load

            with new_file(path, replace=True) as file:
                yield file
    except BrokenPipeError:
        raise  # who reads has enough; click ends quietly
    except OSError as error:
        code = EXIT_DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else _EXIT_WRONG_INPUT
        where = "standard output" if path is None else path
        give_up(code, f"cannot write {where}: {error.strerror or error}. -o names another file.")


def _folder_pairs(folder: Path, prefix: bytes) -> Iterator[Pair]:
    """Give the pairs of a data folder, in the order of their keys."""
    with ends_in_a_sentence(folder):
        state, _ = state_at(folder, None)
    for entry in state.get_tree(prefix).value:
        yield Pair(entry.key, entry.flags, entry.value)


def _backup_pairs(path: Path, prefix: bytes) -> Iterator[Pair]:
    """Give the pairs of a snapshot archive, in the order of their keys."""
    from kvstore.archive.archive import read_archive  # noqa: PLC0415 - as above

    try:
        with path.open("rb") as file:
            image = read_archive(file).image
    except ArchiveUnreadable as error:
        give_up(_EXIT_WRONG_INPUT, f"{path} is no backup that can be read: {error}.")
    except OSError as error:
        give_up(_EXIT_WRONG_INPUT, f"cannot read {path}: {error.strerror or error}.")
    for entry in image.entries:
        if entry.key.startswith(prefix):
            yield Pair(entry.key, entry.flags, entry.value)


async def _write_server(url: str, prefix: bytes, writer: PairWriter) -> None:
    """Write the pairs of a server as its answer comes in."""
    from kvstore.client import Client, key_target  # noqa: PLC0415 - aiohttp is heavy

    reader = PairReader()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    target = key_target(prefix, "recurse=")
    try:
        async with Client(url) as client, client.stream("GET", target, accept=_READ) as response:
            if "X-Consul-Index" not in response.headers:
                give_up(EXIT_SERVER, f"{url} does not speak Consul's API. --url names another.")
            if response.status != _READ[0]:
                return
            with progress(f"reading {url}", response.content_length) as advance:
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    writer.write(reader.feed(decoder.decode(piece)))
                    advance(len(piece))
            reader.close()
    except CallFailed as error:
        give_up(EXIT_SERVER, f"{error}.")
    except WrongPairs as error:
        give_up(EXIT_SERVER, f"the answer of {url} is no list of keys: {error}.")


# --- import ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counts:
    """What a text of pairs comes to."""

    pairs: int = 0
    value_bytes: int = 0
    with_flags: int = 0

    def __str__(self) -> str:
        values = format_bytes(self.value_bytes)
        return f"keys: {self.pairs:,}, with flags: {self.with_flags:,}, values: {values}"


@click.command(
    "import",
    epilog="Nothing is written unless all of FILE can be. Writing is repeatable: after a failure "
    "run it again.\n\n"
    "Exit codes: 0 done, 2 wrong usage or not such JSON, 10 server not reached or refused.",
)
@click.argument("source", metavar="[FILE|-]", default="-")
@_url_option
@click.option("--prefix", default="", help="Put this in front of each key.")
@click.option("--dry-run", is_flag=True, help="Read all of FILE, say what is in it, write nothing.")
def import_(*, source: str, url: str | None, prefix: str, dry_run: bool) -> None:
    """Write the keys of FILE, or of standard input, which is what an export printed.

    Keys that are there already get the value and the flags of FILE; other keys stay.

    \b
      kvstore import docker.json
      consul kv export | kvstore import - --url http://HOST:8500
    """  # noqa: D301 - as above
    before = os.fsencode(prefix.removeprefix("/"))
    name = "standard input" if source == "-" else source.removeprefix("@")
    address = "" if dry_run else url or default_server()
    with _reading(source) as file:
        try:
            counts = _count(file, name, before)
        except WrongPairs as error:
            give_up(_EXIT_WRONG_INPUT, f"{name}, {error}. Nothing was written.")
        except OSError as error:
            give_up(_EXIT_WRONG_INPUT, f"cannot read {name}: {error.strerror or error}.")
        if dry_run:
            click.echo(f"{name}: {counts}; nothing was written")
            return
        file.seek(0)
        asyncio.run(_import_to(address, file, before, counts))
    click.echo(f"written to {address}: {counts}")


@contextmanager
def _reading(source: str) -> Iterator[IO[bytes]]:
    """Give a file that can be read twice; "-" is standard input, "@" before a name is Consul's."""
    name = "standard input" if source == "-" else source.removeprefix("@")
    with ExitStack() as stack:
        try:
            if source == "-":
                file: IO[bytes] = sys.stdin.buffer
                if file.isatty():
                    raise click.UsageError("name a FILE, or send what an export printed")
            else:
                file = stack.enter_context(Path(name).open("rb"))
            if not file.seekable():
                spool = tempfile.SpooledTemporaryFile(_SPOOL_MEMORY_BYTES)  # noqa: SIM115 - it is
                shutil.copyfileobj(file, stack.enter_context(spool), _PIECE_BYTES)
                file = spool
        except OSError as error:
            give_up(_EXIT_WRONG_INPUT, f"cannot read {name}: {error.strerror or error}.")
        yield file


def _count(file: IO[bytes], name: str, before: bytes) -> _Counts:
    """Read all pairs and return their counts; raises WrongPairs when not all can be written."""
    counts, reader = _Counts(), PairReader()
    with progress(f"reading {name}", _size_bytes(file)) as advance:
        for pair in _read_pairs(file, reader, advance):
            if not _keeps_its_name(before + pair.key):
                raise reader.refuse(
                    f"the key {show_key(before + pair.key)} would be another one on its way over "
                    "HTTP, expected no slash in front, no empty segment, and none of . or .."
                )
            counts.pairs += 1
            counts.value_bytes += len(pair.value)
            counts.with_flags += pair.flags != 0
    return counts


def _size_bytes(file: IO[bytes]) -> int:
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size_bytes


def _keeps_its_name(key: bytes) -> bool:
    """Return whether servers take this key as it is: they clean the path that it is part of."""
    from kvstore.api.target import parse_target  # noqa: PLC0415 - for an import only
    from kvstore.client import key_target  # noqa: PLC0415 - aiohttp is heavy

    target = parse_target(key_target(key))
    return target.clean == target.path


def _read_pairs(
    file: IO[bytes], reader: PairReader, advance: Advance = lambda _: None
) -> Iterator[Pair]:
    """Give the pairs of a file; raises WrongPairs."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while piece := file.read(_PIECE_BYTES):
        yield from reader.feed(decoder.decode(piece))
        advance(len(piece))
    yield from reader.feed(decoder.decode(b"", final=True))
    reader.close()


async def _import_to(url: str, file: IO[bytes], before: bytes, counts: _Counts) -> None:
    """Write the pairs of a file that was found sound; end the process when one cannot be."""
    from kvstore.client import Client  # noqa: PLC0415 - aiohttp is heavy

    with progress(f"writing to {url}", counts.pairs, unit="keys") as advance:
        async with Client(url, connections=_CONNECTIONS) as client:
            writers = _Writers(client, before, advance)
            await writers.write(_read_pairs(file, PairReader()))
    if writers.failure is not None:
        give_up(
            EXIT_SERVER,
            f"wrote {writers.written:,} of {counts.pairs:,} keys, then {writers.failure}. "
            "Run it again when that is mended: what was written does no harm.",
        )


class _Writers:
    """Writes pairs on several connections; those of one key on one, so in their order."""

    def __init__(self, client: "Client", before: bytes, advance: Advance) -> None:
        self.written = 0
        # The first failure, as a clause; nothing is begun after it.
        self.failure: str | None = None
        self._client = client
        self._before = before
        self._advance = advance

    async def write(self, pairs: Iterator[Pair]) -> None:
        """Return when all are written, or when one failed and all that were begun are done."""
        queues = [asyncio.Queue[Pair | None](_WAITING_PER_CONNECTION) for _ in range(_CONNECTIONS)]
        async with asyncio.TaskGroup() as group:
            for queue in queues:
                group.create_task(self._work(queue))
            for pair in pairs:
                if self.failure is not None:
                    break
                await queues[zlib.crc32(pair.key) % _CONNECTIONS].put(pair)
            for queue in queues:
                await queue.put(None)

    async def _work(self, queue: asyncio.Queue[Pair | None]) -> None:
        while (pair := await queue.get()) is not None:
            if self.failure is None:
                await self._put(pair)

    async def _put(self, pair: Pair) -> None:
        from kvstore.client import key_target  # noqa: PLC0415 - aiohttp is heavy

        key = self._before + pair.key
        query = f"flags={pair.flags}" if pair.flags else ""
        try:
            answer = await self._client.call("PUT", key_target(key, query), pair.value)
        except CallFailed as error:
            self._fail(key, str(error))
            return
        if answer.body.strip() != b"true":
            self._fail(key, f"the server answered {answer.body[:60]!r}, expected true")
            return
        self.written += 1
        self._advance(1)

    def _fail(self, key: bytes, reason: str) -> None:
        if self.failure is None:
            self.failure = f"{show_key(key)} failed: {reason}"
