"""Stores that ask for tokens: the same tokens with the same rules on a real Consul and on ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from conformance.suite.wire import Answer

from .conftest import require_consul
from .stores import CONSUL_NODE, Store

# By name: the rules, as Consul writes them and as we do.
RULES: dict[str, tuple[str, str]] = {
    "reader": (
        """
        key_prefix "ro/" { policy = "read" }
        key_prefix "ls/" { policy = "list" }
        session_prefix "" { policy = "read" }
        """,
        """
        session = "read"
        key-prefix = { "ro/" = "read", "ls/" = "list" }
        """,
    ),
    "engine": (
        """
        key_prefix "docker/" { policy = "write" }
        session_prefix "" { policy = "write" }
        """,
        """
        session = "write"
        key-prefix = { "docker/" = "write" }
        """,
    ),
    "narrow": (
        """
        key_prefix "n/" { policy = "write" }
        key "n/secret" { policy = "deny" }
        key_prefix "n/ro/" { policy = "read" }
        key "n/ro/x" { policy = "write" }
        """,
        """
        key = { "n/secret" = "deny", "n/ro/x" = "write" }
        key-prefix = { "n/" = "write", "n/ro/" = "read" }
        """,
    ),
    "hidden": ('key_prefix "n/" { policy = "deny" }', 'key-prefix = { "n/" = "deny" }'),
    "agent": ('agent_prefix "" { policy = "read" }', 'agent = "read"'),
    "node": ('node_prefix "" { policy = "read" }', 'node = "read"'),
    # Consul keeps snapshots for who may manage its ACLs.
    "operator": ('operator = "write" acl = "write"', 'operator = "write"'),
    "powerless": ("", ""),
}
# Tokens of several rule sets.
SHARED: dict[str, list[str]] = {
    "several": ["reader", "engine", "narrow"],
    "crossed": ["narrow", "hidden"],
}
NAMES = [*RULES, *SHARED, "master"]
SECRETS = {name: f"00000000-1111-2222-3333-{number:012d}" for number, name in enumerate(NAMES)}
WRONG = "99999999-1111-2222-3333-000000000000"

Default = Literal["deny", "allow"]


class GuardedStore(Store):
    """One running store with access control; its owner's token goes with every plain `ask`."""

    def __init__(self, name: str, folder: Path, *, default: Default, lists_need_list: bool) -> None:
        super().__init__(name, folder)
        self.token = SECRETS["master"]
        self._default = default
        self._lists_need_list = lists_need_list

    def command(self, ports: list[int]) -> list[str]:
        """Return its command line, after writing what it says of tokens."""
        command = super().command(ports)
        if self.name == "consul":
            path = self.folder / "acl.json"
            acl = {
                "enabled": True,
                "default_policy": self._default,
                "enable_key_list_policy": self._lists_need_list,
                "tokens": {"master": SECRETS["master"], "agent": SECRETS["master"]},
            }
            path.write_text(json.dumps({"acl": acl}))
            return [*command, f"-config-file={path}"]
        path = self.folder / "tokens.toml"
        path.write_text(self._toml())
        return [*command, "--tokens", str(path), "--node", CONSUL_NODE]

    def _toml(self) -> str:
        parts = [
            f'default = "{self._default}"\nkey-list-policy = {str(self._lists_need_list).lower()}'
        ]
        parts += [f"[rules.{name}]\n{ours}" for name, (_, ours) in RULES.items()]
        parts += [
            f'[token.{name}]\nsecret = "{SECRETS[name]}"\nrules = {json.dumps(sets)}'
            for name, sets in self._sets()
        ]
        scopes = ("session", "agent", "node", "service", "event", "operator")
        everything = [f'{scope} = "write"' for scope in scopes]
        parts.append(
            f'[token.master]\nsecret = "{SECRETS["master"]}"\n'
            + "\n".join([*everything, 'key-prefix = { "" = "write" }'])
        )
        return "\n\n".join(parts)

    def _sets(self) -> Iterator[tuple[str, list[str]]]:
        yield from ((name, [name]) for name in RULES)
        yield from SHARED.items()

    def wait_until_ready(self) -> None:
        """Wait as ever, then tell Consul of the tokens."""
        super().wait_until_ready()
        if self.name != "consul":
            return
        for name, (rules, _) in RULES.items():
            self._make_policy(name, rules)
        for name, sets in self._sets():
            self._make_token(sets, SecretID=SECRETS[name])

    def make_token(self, names: list[str], rules: list[str]) -> str:
        """Make a token of new policies, on a Consul, and return its secret."""
        for name, text in zip(names, rules, strict=True):
            self._make_policy(name, text)
        return self._make_token(names)

    def _make_policy(self, name: str, rules: str) -> None:
        self._tell("/v1/acl/policy", {"Name": name, "Rules": rules})

    def _make_token(self, policies: list[str], **members: str) -> str:
        named = {"Policies": [{"Name": one} for one in policies], **members}
        return str(self._tell("/v1/acl/token", named)["SecretID"])

    def _tell(self, target: str, body: object) -> dict[str, Any]:
        answer = self.ask("PUT", target, json.dumps(body).encode())
        assert answer.status == 200, answer
        return dict(answer.json)

    def ask_as(self, token: str, method: str, target: str, body: bytes | None = None) -> Answer:
        """Send a request with the token of a name; "" sends none, "wrong" one that is not there."""
        secret = WRONG if token == "wrong" else SECRETS.get(token, "")
        return self.ask(method, target, body, headers=[("X-Consul-Token", secret)])


@contextmanager
def guarding(
    name: str, folder: Path, *, default: Default = "deny", lists_need_list: bool = False
) -> Iterator[GuardedStore]:
    """Run a store with access control on an empty folder."""
    if name == "consul":
        require_consul()
    store = GuardedStore(name, folder, default=default, lists_need_list=lists_need_list)
    try:
        store.start()
        yield store
    finally:
        store.kill()
