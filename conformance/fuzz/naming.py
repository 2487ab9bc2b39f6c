"""What each store calls the things of an episode: placeholders become names, names become labels.

One `Names` for each side. Both learn the same things in the same order, so that what is labelled
alike is the same thing.
"""

import json
import re
from dataclasses import dataclass, field

NOBODY = "00000000-aaaa-bbbb-cccc-000000000000"
"""A session that never was."""

UNKNOWN_INDEX = 1

_PLACEHOLDER = re.compile(r"\{(?:(P)|([sS])(\d+)|m:([^}]*)|([nN])|(archive))\}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NODE = re.compile(rb'(?<="Node":)( ?)"([^"]*)"')
_ENTRY = re.compile(
    rb'"Key":\s?("(?:[^"\\]|\\.)*")(?:(?!"Key":).)*?"ModifyIndex":\s?(\d+)', re.DOTALL
)


@dataclass
class Names:
    """What one store calls the sessions, indexes and node of one episode."""

    prefix: str
    node: str
    sessions: list[str] = field(default_factory=list)
    # By key without the prefix, as text that stands for bytes.
    modify_indexes: dict[str, int] = field(default_factory=dict)
    archive: bytes = b""
    # Whether indexes are still learned: after a restore each store has its own.
    learns: bool = True
    _labels: dict[bytes, bytes] = field(default_factory=dict)

    def add_session(self, session: str) -> None:
        """Give a new session the next label; the empty id takes a place, too."""
        if session:
            self._labels[session.lower().encode()] = b"SESSION-%03d" % len(self.sessions)
        self.sessions.append(session or NOBODY)

    def fill(self, text: str) -> str:
        """Put this store's names in the place of placeholders."""
        return _PLACEHOLDER.sub(self._name, text) if "{" in text else text

    def fill_body(self, body: bytes | None) -> bytes | None:
        """Do the same in a body."""
        if not body or b"{" not in body:
            return body
        return self.fill(body.decode("latin-1")).encode("latin-1")

    def _name(self, found: re.Match[str]) -> str:
        prefix, letter, number, key, node, _ = found.groups()
        if prefix:
            return self.prefix
        if letter:
            at = int(number)
            session = self.sessions[at] if at < len(self.sessions) else NOBODY
            return session if letter == "s" else session.upper()
        if key is not None:
            return str(self.modify_indexes.get(key, UNKNOWN_INDEX))
        if node:
            return self.node if node == "n" else self.node.upper()
        return self.archive.decode("latin-1")

    def label(self, body: bytes) -> bytes:
        """Put labels in the place of this store's session ids and node name."""
        if b'"Node":' in body:
            body = _NODE.sub(self._label_node, body)
        return _UUID.sub(self._label_session, body) if b"-" in body else body

    def _label_session(self, found: re.Match[bytes]) -> bytes:
        session = found[0]
        label = self._labels.get(session.lower())
        if label is None:
            return session
        return label if session == session.lower() else label + b"-UPPER"

    def _label_node(self, found: re.Match[bytes]) -> bytes:
        name = found[2].decode("utf-8", "replace")
        if name == self.node:
            return found[1] + b'"NODE"'
        return found[1] + b'"NODE-UPPER"' if name == self.node.upper() else found[0]

    def learn(self, body: bytes) -> None:
        """Remember the ModifyIndex of each key that an answer shows."""
        if not self.learns:
            return
        for entry in _ENTRY.finditer(body):
            key = json.loads(entry[1].decode("utf-8", "replace"), strict=False)
            if key.startswith(self.prefix):
                self.modify_indexes[key.removeprefix(self.prefix)] = int(entry[2])

    def forget_indexes(self) -> None:
        """Forget what was learned, and learn no more: a restore has changed it."""
        self.modify_indexes.clear()
        self.learns = False
