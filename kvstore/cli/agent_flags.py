"""The flags of Consul's agent, and what becomes of each here; the table that `agent.py` works by.

The names are those that `consul agent -h` of Consul 1.8.7 lists, and five that Consul dropped but
command lines of its first years have. docs/consul-agent.md shows the same table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["FLAGS", "SAID_AS", "Fate", "Flag"]

Fate = Literal["understood", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name without a dash, and what becomes of it.

    `text` says what an understood flag does, why ignoring one loses nothing, or why one is refused
    and what to do instead.
    """

    name: str
    fate: Fate
    text: str
    # Whether it stands alone: -server, not -node NAME.
    is_switch: bool = False


_UNDERSTOOD = {
    "server": "what this always is; needed, since Consul's agent without it only passes requests "
    "on to servers",
    "bootstrap": "what one server always does",
    "bootstrap-expect": "1; more is refused, since this server never waits for others",
    "client": "--host; several addresses, separated by spaces, are a --listen each",
    "http-port": "--port; 0 or less is no HTTP",
    "https-port": "--listen https://…, with the certificate that KVSTORE_TLS_CERT_FILE and "
    "KVSTORE_TLS_KEY_FILE name; 0 or less is no HTTPS",
    "data-dir": "--data-dir; refused when it holds the data of a Consul server",
    "node": "--node",
    "datacenter": "--datacenter, in lower case",
    "dc": "--datacenter, in lower case",
    "dev": "--dev; no -server is needed with it",
    "log-level": "--log-level; trace is debug, warn is warning, err is error",
    "log-json": "--log-format json",
}

_IGNORED = {
    "one server, no gossip": [
        *("advertise", "advertise-wan", "bind", "disable-keyring-file", "encrypt", "protocol"),
        *("raft-protocol", "rejoin", "retry-interval", "retry-interval-wan", "retry-max"),
        *("retry-max-wan", "segment", "serf-lan-allowed-cidrs", "serf-lan-bind", "serf-lan-port"),
        *("serf-wan-allowed-cidrs", "serf-wan-bind", "serf-wan-port", "server-port"),
    ],
    "no DNS": ["alt-domain", "dns-port", "domain", "recursor"],
    "no gRPC": ["grpc-port"],
    "no web UI": ["ui", "ui-content-path", "ui-dir"],
    "runs no health checks": [
        *("check_output_max_size", "enable-local-script-checks", "enable-script-checks"),
    ],
    "the node has the id of its store": ["disable-host-node-id", "node-id", "node-meta"],
    "the log goes to standard error": [
        *("log-file", "log-rotate-bytes", "log-rotate-duration", "log-rotate-max-files", "syslog"),
    ],
    "queries wait 5m, and 10m at most": ["default-query-time", "max-query-time"],
    "no file is read": ["config-format"],
    "no file is written": ["pid-file"],
    "Atlas is gone": ["atlas", "atlas-endpoint", "atlas-join", "atlas-token"],
}

_SETTINGS_NOT_READ = (
    "its settings would not be in force: give them as flags, in the environment, or in a TOML file "
    "that KVSTORE_CONFIG names; `kvstore serve --help` has them"
)
_NO_CLUSTER = (
    "there is no cluster to join, and nothing would be copied from or to other servers: start one "
    "server, without this flag, and point every client to it"
)

_REFUSED = {
    "allow-write-http-from": "everybody who reaches the port could write: let a firewall decide, "
    "or tokens (KVSTORE_TOKENS)",
    "config-dir": f"{_SETTINGS_NOT_READ}; ignored when there is no .json or .hcl file in it",
    "config-file": _SETTINGS_NOT_READ,
    "hcl": _SETTINGS_NOT_READ,
    "join": _NO_CLUSTER,
    "join-wan": _NO_CLUSTER,
    "non-voting-server": _NO_CLUSTER,
    "primary-gateway": _NO_CLUSTER,
    "retry-join": _NO_CLUSTER,
    "retry-join-wan": _NO_CLUSTER,
}

_SWITCHES = {
    *("atlas-join", "bootstrap", "dev", "disable-host-node-id", "disable-keyring-file"),
    *("enable-local-script-checks", "enable-script-checks", "log-json", "non-voting-server"),
    *("rejoin", "server", "syslog", "ui"),
}


def _table() -> Mapping[str, Flag]:
    rows: list[tuple[str, Fate, str]] = [
        *((name, "understood", text) for name, text in _UNDERSTOOD.items()),
        *((name, "ignored", reason) for reason, names in _IGNORED.items() for name in names),
        *((name, "refused", text) for name, text in _REFUSED.items()),
    ]
    return {name: Flag(name, fate, text, name in _SWITCHES) for name, fate, text in rows}


FLAGS: Mapping[str, Flag] = _table()

# Parameters of `kvstore serve`, and the flags here that set them.
SAID_AS: Mapping[str, Sequence[str]] = {
    "host": ("client",),
    "port": ("http-port",),
    "listen": ("client", "https-port", "http-port"),
    "data_dir": ("data-dir",),
    "node": ("node",),
    "datacenter": ("datacenter", "dc"),
    "log_format": ("log-json",),
}
