"""`kvstore export` and `kvstore import` beside the real `consul kv export` and `consul kv import`.

Each command against each store: the same bytes out, the same keys in.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from .conftest import require_consul, running
from .stores import Store, consul_binary

pytestmark = pytest.mark.oracle

FLAGS_MAX = 2**64 - 1

# Keys that a request can name, with values and flags.
ODD = [
    (b" space", b"", 0),
    (b'"quoted"\\', b"\x00\xff", 1),
    (b"%2F?#+&=", b"a" * 3000, 2),
    (b"<tag>", b"\n", FLAGS_MAX),
    (b"folder/", b"", 42),
    (b"folder/a", b"\xe2\x80\xa8", 2**63),
    ("\xe9\U0001f600\u4e2d".encode(), b"x", 0),
]
NO_TEXT = [(b"z\xff\xfe", b"1", 0), (b"z\xed\xa0\x80", b"2", 0), (b"z\xc3", b"3", 0)]

BOTH_WAYS = pytest.mark.parametrize(
    ("source", "target"), [("kvstore", "consul"), ("consul", "kvstore")]
)


def run(command: list[str], given: bytes = b"") -> tuple[int, bytes]:
    """Return the exit code of a command and its standard output."""
    names = ("CONSUL_", "KVSTORE_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    done = subprocess.run(
        command, input=given, capture_output=True, timeout=60, check=False, env=clean
    )
    return done.returncode, done.stdout


def consul(store: Store, command: str, *words: str, given: bytes = b"") -> tuple[int, bytes]:
    """Run the real `consul kv` on a store."""
    require_consul()
    address = f"-http-addr=127.0.0.1:{store.port}"
    return run([str(consul_binary()), "kv", command, address, *words], given)


def kvstore(store: Store, command: str, *words: str, given: bytes = b"") -> tuple[int, bytes]:
    """Run our command on a store."""
    url = f"http://127.0.0.1:{store.port}"
    return run([sys.executable, "-m", "kvstore", command, "--url", url, *words], given)


def fill(store: Store, prefix: str, some: list[tuple[bytes, bytes, int]]) -> None:
    """Write keys under a prefix."""
    for key, value, flags in some:
        assert store.put(f"{prefix}{quote_from_bytes(key)}?flags={flags}", value).body == b"true"


@pytest.mark.parametrize("some", [[], ODD[:1], ODD, ODD + NO_TEXT])
def test_exports_are_the_same(
    store: Store, prefix: str, some: list[tuple[bytes, bytes, int]]
) -> None:
    """Both commands print the same bytes, also for no key and for keys that are no text."""
    fill(store, prefix, some)
    code, text = kvstore(store, "export", prefix)
    assert (code, text) == consul(store, "export", prefix)
    assert code == 0
    assert len(json.loads(text)) == len(some)
    assert kvstore(store, "export", f"/{prefix}") == (0, text)


def test_a_folder_is_exported_as_its_server_is(tmp_path: Path, prefix: str) -> None:
    """What our folder shows, beside a server and without one, is what Consul's command prints."""
    with running("kvstore", tmp_path) as server:
        fill(server, prefix, ODD + NO_TEXT)
        expected = consul(server, "export", prefix)
        folder = str(tmp_path / "data")
        command = [sys.executable, "-m", "kvstore", "export", "--data-dir", folder, prefix]
        assert run(command) == expected
        server.stop()
        assert run(command) == expected


@BOTH_WAYS
def test_our_export_into_consuls_import(
    source: str, target: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    """`kvstore export | consul kv import -` moves every key, value and flag."""
    here, there = request.getfixturevalue(source), request.getfixturevalue(target)
    fill(here, prefix, ODD)
    code, text = kvstore(here, "export", prefix)
    assert code == 0
    assert consul(there, "import", "-", given=text)[0] == 0
    assert consul(there, "export", prefix) == (0, text)


@BOTH_WAYS
def test_consuls_export_into_our_import(
    source: str, target: str, prefix: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """`consul kv export | kvstore import -` does too, and so does a file."""
    here, there = request.getfixturevalue(source), request.getfixturevalue(target)
    fill(here, prefix, ODD)
    code, text = consul(here, "export", prefix)
    assert code == 0
    assert kvstore(there, "import", "-", given=text)[0] == 0
    assert consul(there, "export", prefix) == (0, text)
    file = tmp_path / "export.json"
    file.write_bytes(text.replace(b'"value": "eA=="', b'"value": "eQ=="'))
    assert kvstore(there, "import", f"@{file}")[0] == 0
    assert consul(there, "export", prefix) == (0, file.read_bytes())


@pytest.mark.parametrize(
    "members",
    [
        {"key": "{}"},
        {"Key": "{}", "Flags": 3, "Value": None, "LockIndex": 1},
        {"KEY": "{}", "flags": None, "value": "aG\r\nk="},
        {"key": "{}", "flags": FLAGS_MAX, "value": "", "other": [1]},
        {"key": "{}<&>\u00e9 %41", "value": "AP8="},
    ],
)
def test_both_imports_read_alike(store: Store, prefix: str, members: dict[str, object]) -> None:
    """What Consul takes besides its own export comes to the same key, value and flags."""
    found = []
    for command, folder in ((consul, "theirs/"), (kvstore, "ours/")):
        name = f"{prefix}{folder}key"
        text = json.dumps([members]).replace("{}", name).encode()
        assert command(store, "import", "-", given=text)[0] == 0
        (entry,) = store.get(f"{prefix}{folder}?recurse").json
        found.append((entry["Key"].removeprefix(prefix + folder), entry["Value"], entry["Flags"]))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'"a"',
        b'[{"key":"{}"}',
        b'[{"key":"{}"}] x',
        b'[{"key":"{}"},]',
        b'[{"key":7}]',
        b'[{"key":""}]',
        b'[{"key":"{}","flags":-1}]',
        b'[{"key":"{}","flags":1.5}]',
        b'[{"key":"{}","flags":18446744073709551616}]',
        b'[{"key":"{}","value":"eQ"}]',
        b'[{"key":"{}","value":"e-__"}]',
        b'[{"key":"{}","value":5}]',
        b'[{"key":"{}","namespace":"x"}]',
        b'[{"key":"/{}"}]',
        b'[{"key":"{}\\u0000"}]',
    ],
)
def test_both_imports_refuse_alike(store: Store, prefix: str, text: bytes) -> None:
    """What Consul's import fails at, ours fails at, and neither writes a key of it."""
    given = text.replace(b"{}", f"{prefix}key".encode()) if text != b"{}" else text
    for command in (consul, kvstore):
        assert command(store, "import", "-", given=given)[0] != 0
    assert store.get(f"{prefix}?recurse").status == 404
