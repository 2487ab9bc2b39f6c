"""Every source file of a floor has its test file, and no test file outlives its source."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    "state",
    "archive",
    "journal",
    "maintenance",
    "engine",
    "access",
    "api",
    "transport",
    "cli",
]
UNMIRRORED = {"__init__.py", "__main__.py"}

# Tests of a property of a whole floor; everything else is named after the file it tests.
WHOLE_FLOOR = {
    "state/test_model.py",  # random commands against a dict
    "api/test_two_lanes.py",  # the same requests to both
}


def missing(package: Path, tests: Path) -> list[str]:
    """Name the test files that ought to be there, as paths under `tests`."""
    sources = (source for source in package.glob("*/*.py") if source.name not in UNMIRRORED)
    wanted = (f"{source.parent.name}/test_{source.name}" for source in sources)
    return sorted(name for name in wanted if not (tests / name).is_file())


def orphans(package: Path, tests: Path) -> list[str]:
    """Name the test files whose source is gone.

    A test file too long for one may be split along ideas: `test_kv_lock.py` still mirrors `kv.py`.
    """
    found = []
    for floor in FLOORS:
        for test in (tests / floor).glob("test_*.py"):
            words = test.stem.removeprefix("test_").split("_")
            sources = ("_".join(words[:count]) + ".py" for count in range(1, len(words) + 1))
            name = f"{floor}/{test.name}"
            if name not in WHOLE_FLOOR and not any(
                (package / floor / source).is_file() for source in sources
            ):
                found.append(name)
    return sorted(found)


def test_every_source_file_has_a_test_file() -> None:
    """`kvstore/x/y.py` is tested in `tests/x/test_y.py`."""
    names = missing(ROOT / "kvstore", ROOT / "tests")
    assert not names, f"no such file under tests/: {', '.join(names)}"


def test_every_test_file_has_its_source_file() -> None:
    """A test file of a floor is named after a source file of the floor."""
    names = orphans(ROOT / "kvstore", ROOT / "tests")
    assert not names, f"nothing in kvstore/ goes by the name of: {', '.join(names)}"


def lay_out(folder: Path, *names: str) -> Path:
    """Make empty files under a folder and return it."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("tested", "names"),
    [
        (["state/test_kv.py", "api/test_kv.py"], []),
        (["state/test_kv.py"], ["api/test_kv.py"]),
        (["state/test_kv_lock.py", "api/test_kv.py"], ["state/test_kv.py"]),
    ],
)
def test_a_missing_test_file_is_named(tmp_path: Path, tested: list[str], names: list[str]) -> None:
    """Each floor is looked at, and a part of a split test does not count for the whole."""
    package = lay_out(tmp_path / "kvstore", "state/__init__.py", "state/kv.py", "api/kv.py")
    tests = lay_out(tmp_path / "tests", *tested)
    assert missing(package, tests) == names


@pytest.mark.parametrize(
    ("test", "is_orphan"),
    [
        ("state/test_kv.py", False),
        ("state/test_kv_lock.py", False),
        ("state/test_session_id.py", False),
        ("state/test_model.py", False),
        ("state/apply.py", False),
        ("contract/test_headers.py", False),
        ("state/test_txn.py", True),
        ("engine/test_kv.py", True),
        ("state/test_kvs.py", True),
    ],
)
def test_an_orphan_is_named(tmp_path: Path, test: str, *, is_orphan: bool) -> None:
    """A test file without its source is found, also when another floor has such a file."""
    package = lay_out(tmp_path / "kvstore", "state/kv.py", "state/session_id.py", "engine/watch.py")
    tests = lay_out(tmp_path / "tests", test)
    assert orphans(package, tests) == ([test] if is_orphan else [])
