"""Who accepts gzip, and that what is compressed comes back."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import gzip
import importlib.util
import platform
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvstore.api.gzip
from kvstore.api.gzip import accepts_gzip


@pytest.mark.parametrize(
    "accept_encoding",
    [
        "gzip",
        "GZIP",
        " gzip ",
        "deflate, gzip",
        "gzip, deflate, br",
        "gzip;q=1",
        "gzip; q=0.1",
        "gzip ; q = 0.001",
        "gzip;Q=1",
        "gzip;level=9",
        "br;q=0, gzip;q=0.5",
    ],
)
def test_H32_accepted(accept_encoding: str) -> None:
    """Gzip by its name, in any letter case and place, with any quality above 0."""
    assert accepts_gzip(accept_encoding)


@pytest.mark.parametrize(
    "accept_encoding",
    [
        "",
        "*",
        "identity",
        "deflate",
        "x-gzip",
        "gzipped",
        "gzip;q=0",
        "gzip;q=0.000",
        "GZIP; q=0",
        "gzip;q=",
        "gzip;q=x",
        "gzip;q=-1",
        "gzip;q=nan",
        "identity;gzip",
        ",",
        ";",
    ],
)
def test_H32_not_accepted(accept_encoding: str) -> None:
    """Other codings, wildcards, and a quality of 0 or of no sense."""
    assert not accepts_gzip(accept_encoding)


@given(accept_encoding=st.text() | st.text("gzip;q=01., *"))
def test_any_header_gets_an_answer(accept_encoding: str) -> None:
    """Nothing a client can send raises."""
    assert accepts_gzip(accept_encoding) in (True, False)


@pytest.fixture(scope="module", params=["isal", "zlib"])
def gzip_with(request: pytest.FixtureRequest) -> ModuleType:
    """Return the module as it is with a library, and as it is where there is no isal."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "zlib":
            patch.setitem(sys.modules, "isal", None)
        spec = importlib.util.find_spec("kvstore.api.gzip")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    assert (module.igzip_lib is None) == (request.param == "zlib")
    return module


def test_the_faster_library_is_there() -> None:
    """Where there are wheels of it, it is installed, and used."""
    has_wheels = platform.machine() in ("x86_64", "aarch64")
    assert kvstore.api.gzip.igzip_lib is not None or not has_wheels


@given(body=st.binary(max_size=5000))
def test_what_is_compressed_comes_back(gzip_with: ModuleType, body: bytes) -> None:
    """Any reader of gzip gets the body."""
    assert gzip.decompress(gzip_with.compress(body)) == body


def test_a_list_of_entries_shrinks(gzip_with: ModuleType) -> None:
    """What is sent compressed is a fraction of what it was."""
    body = b",".join(b'{"Key":"docker/network/v1.0/%d","Value":"djE="}' % n for n in range(200))
    assert len(gzip_with.compress(body)) * 3 < len(body)
