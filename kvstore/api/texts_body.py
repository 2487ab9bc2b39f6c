"""A JSON body that is an object of texts, read as strictly as Consul reads registrations. Pure.

Members match in any letter case, the last of two wins, null leaves the default (H31), and one that
is unknown is an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kvstore.api.exchange import Answer, NeedBody, Refused
from kvstore.api.gojson import Members, decode, text_of, wrong_type
from kvstore.api.gotext import quote
from kvstore.api.responses import text, too_large
from kvstore.errors import InvalidRequest

__all__ = ["TEXTS_BODY_BYTES_MAX", "TextsBody"]

# What Consul keeps of a check's output is 4 KiB; whatever these bodies hold is not kept at all.
TEXTS_BODY_BYTES_MAX = 64 * 1024
_too_large = partial(too_large, max_bytes=TEXTS_BODY_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class TextsBody:
    """The members of one kind of body, and what Go calls them in its errors."""

    members: tuple[str, ...]
    # The structure whose fields they are.
    field_of: str
    # The type of the whole.
    whole: str

    def wanted(self, then: Callable[[dict[str, str]], Answer]) -> NeedBody:
        """Return that a body is to be read, and `then` given its members; "" for an absent one."""

        def parse(body: bytes) -> Answer:
            try:
                members = self.parse(body)
            except InvalidRequest as error:
                raise Refused(text(400, f"Request decode failed: {error}")) from None
            return then(members)

        return NeedBody(TEXTS_BODY_BYTES_MAX, _too_large, parse)

    def parse(self, body: bytes) -> dict[str, str]:
        """Return all members. Raises InvalidRequest with Go's text."""
        found = dict.fromkeys(self.members, "")
        value = decode(body)
        if value is None:
            return found
        if not isinstance(value, Members):
            raise wrong_type(value, "Go value", self.whole)
        names = {name.lower(): name for name in self.members}
        for spelled, one in value:
            name = names.get(spelled.lower())
            if name is None:
                raise InvalidRequest(f"json: unknown field {quote(spelled)}")
            if one is not None:
                found[name] = text_of(one, f"Go struct field {self.field_of}.{name}")
        return found
