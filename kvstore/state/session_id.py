"""Session ids: looked up by their bytes, so letter case and the place of hyphens do not matter.

Source: go-memdb, UUIDFieldIndex; contract S9. The texts are Consul's, clients may match on them.
"""

from kvstore.errors import InvalidSessionId

__all__ = ["parse_session_id"]

_LENGTH = 36
_HYPHENS_MAX = 4
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def parse_session_id(text: str) -> bytes:
    """Return the bytes that a session id stands for.

    A valid form need not have 16 bytes: 36 digits without hyphens make 18, which no session has.
    `text` may carry undecodable bytes as surrogates; they count one byte each.

    Raises InvalidSessionId.
    """
    try:
        size = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # half of a surrogate pair, which only JSON can spell
        size = 0
    if size != _LENGTH:
        raise InvalidSessionId("UUID must be 36 characters")
    hyphens = text.count("-")
    if hyphens > _HYPHENS_MAX:
        raise InvalidSessionId(f'UUID should have maximum of 4 "-"; got {hyphens}')
    digits = text.replace("-", "").encode("utf-8", "surrogateescape")
    if len(digits) % 2:
        raise InvalidSessionId("Input (without hyphens) must be even length")
    for byte in digits:
        character = chr(byte)
        if character not in _HEX_DIGITS:
            shown = f" '{character}'" if character.isprintable() else ""
            raise InvalidSessionId(f"Invalid UUID: encoding/hex: invalid byte: U+{byte:04X}{shown}")
    return bytes.fromhex(digits.decode("ascii"))
