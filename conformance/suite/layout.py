"""The layout of JSON: its tokens without the blanks between them.

Some servers indent everything they answer, `consul agent -dev` among them. What they say is the
same, member by member and in the same order.
"""

import re

_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*"?)|\s+', re.DOTALL)


def compact(body: bytes) -> bytes:
    """Return JSON without blanks between its tokens; their order and spelling stay."""
    return _TOKEN.sub(lambda token: token[1] or b"", body)


def is_indented(body: bytes) -> bool:
    """Return whether there are blanks between the tokens, as with `?pretty`."""
    return compact(body) != body
