"""`kvstore log` and `kvstore history`: what they show and what they leave out."""

import asyncio
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from maintenance.stories import SESSION, STORY, grow, ms_of
from maintenance.test_point import forget
from running import Launch

from kvstore.cli.past import shown_time
from kvstore.journal.disk import Folder
from kvstore.state.command import (
    CheckIndex,
    CheckSession,
    CreateStore,
    DeleteTree,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    Txn,
)

from .commands import folder_of, kvstore, parsed

LAST = len(STORY)


def logged(*arguments: str | int | Path) -> list[dict[str, Any]]:
    """Return the objects that `kvstore log` prints."""
    lines = kvstore("log", "--json", *arguments).stdout.splitlines()
    return [json.loads(line) for line in lines]


def indexes(*arguments: str | int | Path) -> list[int]:
    """Return the indexes of what `kvstore log` shows."""
    return [one["index"] for one in logged(*arguments)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the story and snapshots at 4 and 10."""
    return folder_of(tmp_path / "d", 4, 10)


def test_a_table(folder: Path) -> None:
    """One line for each record: when, what, and what came of it."""
    lines = kvstore("log", "--data-dir", folder).stdout.splitlines()
    assert lines[0].split() == ["index", "time", "command", "key", "value", "session", "outcome"]
    assert len(lines) == 1 + LAST
    rows = [re.split(r"  +", line.strip()) for line in lines[1:]]
    assert rows[1] == ["2", shown_time(ms_of(2)), "set", "a", "1", "done"]
    assert rows[4][2:] == ["lock", "lock", "me", SESSION, "done"]
    assert rows[6][2:] == ["check-and-set", "a", "3", "refused: expected at 2, it was at 6"]
    assert rows[7][2:] == ["delete tree", "tree/", "done: 1 keys"]
    assert rows[10][2:] == ["destroy session", SESSION, "done: 1 keys"]
    assert rows[13][3] == r"odd\xff\x00"
    assert "(50 bytes)" in rows[13][4]


def test_json_lines(folder: Path) -> None:
    """Keys and values are there to the byte."""
    odd = logged("--data-dir", folder)[13]
    assert odd["key"] == r"odd\xff\x00"
    assert b64decode(odd["key_base64"]) == b"odd\xff\x00"
    assert b64decode(odd["value_base64"]) == b"\xfe" * 50
    assert (odd["value_bytes"], odd["outcome"], odd["reason"]) == (50, "done", None)
    assert odd["time"] == "2023-11-14T22:13:34.000Z"


@pytest.fixture
def transactions(tmp_path: Path) -> Path:
    """Give a folder with a transaction that was done, an idle one, and two refused."""
    lock = LockKey(b"lock", b"me", 1, SESSION)
    commands = [
        CreateStore("s"),
        Txn((SetKey(b"a", b"1", 5), SetKey(b"tree/x", b"\xfe", 0), GetTree(b"tree/"))),
        Txn((DeleteTree(b"nothing"), CheckSession(b"a", ""))),
        Txn((SetKey(b"a", b"2", 0), CheckIndex(b"b", 9), CheckSession(b"c", SESSION))),
        Txn((lock, ImpossibleOp("unknown KV verb"))),
    ]
    asyncio.run(grow(tmp_path / "d", commands))
    return tmp_path / "d"


def test_transactions_in_a_table(transactions: Path) -> None:
    """How many operations, how many keys, and which operation failed first."""
    lines = kvstore("log", "--data-dir", transactions).stdout.splitlines()
    assert [re.split(r"  +", line.strip())[2:] for line in lines[2:]] == [
        ["transaction", "3 operations", "done: 2 keys"],
        ["transaction", "2 operations", "no change"],
        ["transaction", "3 operations", "refused: operation 2 failed: check index"],
        ["transaction", "2 operations", "refused: operation 1 failed: lock"],
    ]


def test_transactions_in_json(transactions: Path) -> None:
    """Each operation in its place, to the byte."""
    first, done, _none, refused, last = logged("--data-dir", transactions)
    assert first["operations"] is None
    assert (done["command"], done["key"], done["changed_keys"]) == ("transaction", None, 2)
    assert [(one["command"], one["key"]) for one in done["operations"]] == [
        ("set", "a"),
        ("set", "tree/x"),
        ("get tree", "tree/"),
    ]
    assert done["operations"][0]["flags"] == 5
    assert b64decode(done["operations"][1]["value_base64"]) == b"\xfe"
    assert refused["operations"][2]["session"] == SESSION
    assert (refused["outcome"], refused["changed_keys"]) == ("refused", 0)
    assert last["operations"][1]["command"] == "unknown operation"
    assert last["operations"][1]["key"] is None


def test_transactions_of_a_key(transactions: Path) -> None:
    """Those that name it, done or not, and those that changed it."""
    assert indexes("--data-dir", transactions, "--key", "a") == [2, 3, 4]
    assert indexes("--data-dir", transactions, "--key", "b") == [4]
    assert indexes("--data-dir", transactions, "--key", "tree/") == []
    assert indexes("--data-dir", transactions, "--prefix", "tree/") == [2]
    rows = kvstore("history", "a", "--data-dir", transactions).stdout.splitlines()
    assert len(rows) == 2
    assert "set in a transaction" in rows[1]


def test_a_key_and_a_prefix(folder: Path) -> None:
    """What names it, and what changed it without naming it."""
    assert indexes("--data-dir", folder, "--key", "a") == [2, 6, 7, 13, 15]
    assert indexes("--data-dir", folder, "--key", "lock") == [5, 9, 10, 11]
    assert indexes("--data-dir", folder, "--key", "tree/x") == [3, 8, 12]
    assert indexes("--data-dir", folder, "--prefix", "tree/") == [3, 8, 12]
    assert indexes("--data-dir", folder, "--prefix", "") == [2, 3, *range(5, 16)]
    said = kvstore("log", "--data-dir", folder, "--key", "a", "--prefix", "a", code=2).stderr
    assert "exclude each other" in said


def test_a_range(folder: Path) -> None:
    """By index and by time, both ends with it."""
    assert indexes("--data-dir", folder, "--from", 5, "--to", 7) == [5, 6, 7]
    since, upto = shown_time(ms_of(5)), shown_time(ms_of(7) + 1)
    assert indexes("--data-dir", folder, "--from", since, "--to", upto) == [5, 6, 7]
    assert indexes("--data-dir", folder, "--from", "2001-01-01", "--to", 2) == [1, 2]
    assert indexes("--data-dir", folder, "--from", "-1h") == []


def test_a_limit(folder: Path) -> None:
    """The newest are shown, and it is told that there are more."""
    result = kvstore("log", "--data-dir", folder, "--limit", 2)
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["14", "15"]
    assert "13 older ones are not shown: --limit 0 shows all" in result.stderr
    assert len(indexes("--data-dir", folder, "--limit", 0)) == LAST
    assert kvstore("log", "--data-dir", folder).stderr == ""


def test_what_is_not_kept(folder: Path) -> None:
    """The range that is kept is named."""
    forget(Folder(folder), 10)
    assert indexes("--data-dir", folder) == [11, 12, 13, 14, 15]
    for flags in (["--from", "10"], ["--from", "2001-01-01"], ["--to", "99"]):
        said = kvstore("log", "--data-dir", folder, *flags, code=12).stderr
        assert "it has index 10 (" in said
        assert f"to index {LAST} (" in said


def test_no_store(tmp_path: Path) -> None:
    """Neither of them finds anything in an empty folder."""
    assert "holds no store" in kvstore("log", "--data-dir", tmp_path, code=4).stderr
    assert "holds no store" in kvstore("history", "a", "--data-dir", tmp_path, code=4).stderr


def test_history(folder: Path) -> None:
    """Every change of a key, with the value from then on."""
    result = kvstore("history", "lock", "--data-dir", folder)
    rows = [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()]
    assert rows[0] == ["index", "time", "what", "value", "flags", "holder"]
    assert [row[:1] + row[2:] for row in rows[1:]] == [
        ["5", "lock", "me", "0", SESSION],
        ["9", "unlock", "free", "0"],
        ["10", "lock", "me again", "0", SESSION],
        ["11", "released: its session ended", "me again", "0"],
    ]
    assert result.stderr == f"known since the store's beginning, {shown_time(ms_of(1))}\n"


def test_history_in_json(folder: Path) -> None:
    """The same for programs."""
    told = parsed("history", "tree/x", "--data-dir", folder)
    assert told["known_since_index"] == 0
    assert [(one["index"], one["what"], one["exists"]) for one in told["changes"]] == [
        (3, "set", True),
        (8, "deleted with its tree", False),
        (12, "set", True),
    ]
    assert told["changes"][0]["flags"] == 5
    assert b64decode(told["changes"][2]["value_base64"]) == b"y"
    assert told["changes"][1]["value_base64"] is None


def test_history_that_begins_late(folder: Path) -> None:
    """Since when it is known is told."""
    forget(Folder(folder), 10)
    result = kvstore("history", "a", "--data-dir", folder)
    assert "known from a snapshot" in result.stdout
    assert result.stderr.startswith("known since index 10, ")
    assert "no change of this key" in kvstore("history", "x", "--data-dir", folder).stdout


def test_beside_a_server(tmp_path: Path, launch: Launch) -> None:
    """What was just acknowledged is there."""
    process = launch("--data-dir", "d").wait_until_ready()
    process.call("PUT", "/v1/kv/k", b"v")
    process.call("PUT", "/v1/kv/k?acquire=nobody", b"v")
    last = logged("--data-dir", tmp_path / "d")[-1]
    assert (last["key"], last["command"], last["outcome"]) == ("k", "lock", "refused")
    assert "UUID must be 36 characters" in last["reason"]
    assert [
        one["what"] for one in parsed("history", "k", "--data-dir", tmp_path / "d")["changes"]
    ] == ["set"]
