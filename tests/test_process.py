"""What the process asks of the system, tried in processes of their own."""

import gc
import subprocess
import sys

import pytest

from kvstore.process import loading

# Frees one large block first, so that glibc raises its threshold by itself; then looks whether
# another one, which would fit into the heap now, is mapped: mapped blocks are whole pages apart.
COUNT_MAPPED = """
import ctypes, sys
from kvstore.process import map_large_blocks

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if sys.argv[1] == "set":
    map_large_blocks()
blocks = bytearray(20_000_000)
del blocks
before = libc.mallinfo2().hblks
blocks = bytearray(1_000_000)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="about glibc")
@pytest.mark.parametrize(("how", "mapped"), [("set", 1), ("as it is", 0)])
def test_large_blocks_are_mapped(how: str, mapped: int) -> None:
    """They go back to the system when they are freed, which glibc by itself stops doing."""
    printed = subprocess.run(
        [sys.executable, "-c", COUNT_MAPPED, how], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) == mapped


LIMITS = """
import resource
from kvstore.process import allow_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
allow_descriptors()
allow_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_descriptors_up_to_the_hard_limit() -> None:
    """As many as this user may have, and no error when it has them already."""
    printed = subprocess.run(
        [sys.executable, "-c", LIMITS], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["256", "256"]


def test_loading_rests_the_collector() -> None:
    """What is loaded is not searched for garbage; afterwards it goes on, also after a failure."""
    assert gc.isenabled()
    with loading():
        assert not gc.isenabled()
        with loading():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(OSError, match="broken"), loading():
        raise OSError("broken")
    assert gc.isenabled()


SETTLED = """
import gc
from kvstore.process import settle_memory
there = [[]]
settle_memory()
since = []
print(any(one is there for one in gc.get_objects()), any(one is since for one in gc.get_objects()))
"""


def test_what_is_settled_is_searched_no_more() -> None:
    """What there was is left alone, what comes later is not."""
    printed = subprocess.run(
        [sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["False", "True"]


SEARCHED = """
import gc, sys
from kvstore.process import settle_after_long_searches
settle_after_long_searches(long_s=float(sys.argv[1]))
there = [[]]
gc.collect(1)
young = any(one is there for one in gc.get_objects())
gc.collect()
print(young, any(one is there for one in gc.get_objects()))
"""


@pytest.mark.parametrize(("long_s", "after"), [("0", "False"), ("1000000", "True")])
def test_a_long_search_of_everything_is_not_done_twice(long_s: str, after: str) -> None:
    """What it leaves is left alone from then on; a short one, and one of what is young, is not."""
    printed = subprocess.run(
        [sys.executable, "-c", SEARCHED, long_s], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["True", after]


SEARCHES = """
import gc, sys
from kvstore.process import search_seldom
if sys.argv[1] == "seldom":
    search_seldom()
searches = 0
def count(phase, info):
    global searches
    searches += phase == "start"
gc.callbacks.append(count)
kept = [[] for _ in range(100_000)]
print(searches)
"""


@pytest.mark.parametrize(
    ("how", "searches"), [("seldom", range(1, 20)), ("as it is", range(50, 500))]
)
def test_many_new_values_are_searched_a_few_times(how: str, searches: range) -> None:
    """A hundred thousand that stay are searched some ten times."""
    printed = subprocess.run(
        [sys.executable, "-c", SEARCHES, how], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) in searches
