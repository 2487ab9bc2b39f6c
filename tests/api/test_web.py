"""What is loaded of aiohttp, tried in processes of their own: this one has all of it."""

import subprocess
import sys

import pytest

SERVER_SIDE_FIRST = """
import sys
from kvstore.api import web
print("aiohttp.client" in sys.modules)
import aiohttp.web
print("aiohttp.client" in sys.modules, bool(aiohttp.ClientSession))
print(aiohttp.web.Server is web.Server, aiohttp.web.StreamResponse is web.StreamResponse)
"""

WHOLE_FIRST = """
import aiohttp.web
from kvstore.api import web
print(aiohttp.web.Server is web.Server, bool(aiohttp.__version__))
"""

# An aiohttp whose server's side takes something out of the package.
ASKS_FOR_MORE = """
import sys

class Asks:
    def find_spec(self, name, path=None, target=None):
        if name == "aiohttp.web_server":
            from aiohttp import ClientSession
        return None

sys.meta_path.insert(0, Asks())
from kvstore.api import web
print("aiohttp.client" in sys.modules, web.Server.__module__)
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (SERVER_SIDE_FIRST, "False\nTrue True\nTrue True\n"),
        (WHOLE_FIRST, "True True\n"),
        (ASKS_FOR_MORE, "True aiohttp.web_server\n"),
    ],
    ids=["server side first", "whole first", "asks for more"],
)
def test_aiohttp_is_one_however_it_is_loaded(program: str, printed: str) -> None:
    """The server loads no client, and whoever wants one has it, with the same classes."""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == printed
