"""The table of Consul's flags is whole, and docs/consul-agent.md shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from contract.conftest import require_consul
from contract.stores import consul_binary

from kvstore.cli.agent_flags import FLAGS, SAID_AS
from kvstore.cli.serve import serve

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "consul-agent.md"

# What `consul agent -h` of Consul 1.8.7 lists: first those without a value.
SWITCHES = """
bootstrap dev disable-host-node-id disable-keyring-file enable-local-script-checks
enable-script-checks log-json non-voting-server rejoin server syslog ui
"""
WITH_VALUE = """
advertise advertise-wan allow-write-http-from alt-domain bind bootstrap-expect
check_output_max_size client config-dir config-file config-format data-dir datacenter
default-query-time dns-port domain encrypt grpc-port hcl http-port https-port join join-wan
log-file log-level log-rotate-bytes log-rotate-duration log-rotate-max-files max-query-time node
node-id node-meta pid-file primary-gateway protocol raft-protocol recursor retry-interval
retry-interval-wan retry-join retry-join-wan retry-max retry-max-wan segment
serf-lan-allowed-cidrs serf-lan-bind serf-lan-port serf-wan-allowed-cidrs serf-wan-bind
serf-wan-port server-port ui-content-path ui-dir
"""
# What the agents of Consul 0.5 to 0.7 had beside these (command/agent/command.go).
OF_OLD = {"dc": False, "atlas": False, "atlas-token": False, "atlas-endpoint": False}
OF_OLD |= {"atlas-join": True}

_LISTED = re.compile(r"^  -([\w-]+)(=<)?", re.MULTILINE)


def test_every_flag_of_consul_is_known() -> None:
    """Each is in the table, with a value or without as in Consul, and there are no others."""
    consul = dict.fromkeys(SWITCHES.split(), True) | dict.fromkeys(WITH_VALUE.split(), False)
    assert {name: flag.is_switch for name, flag in FLAGS.items()} == consul | OF_OLD


def test_the_table_is_by_name() -> None:
    """A flag is found under its own name, and says something."""
    assert all(name == flag.name and flag.text for name, flag in FLAGS.items())


@pytest.mark.oracle
def test_the_list_is_what_consul_lists() -> None:
    """The lists above are those of the real program."""
    require_consul()
    done = subprocess.run(
        [consul_binary(), "agent", "-h"], capture_output=True, text=True, timeout=60, check=False
    )
    listed = _LISTED.findall(done.stdout + done.stderr)
    assert sorted(name for name, value in listed if not value) == sorted(SWITCHES.split())
    assert sorted(name for name, value in listed if value) == sorted(WITH_VALUE.split())


@pytest.mark.parametrize("fate", ["understood", "ignored", "refused"])
def test_the_document_shows_the_table(fate: str) -> None:
    """Each section has the flags of its kind, in the table's words, and no others."""
    rows: dict[str, list[str]] = {}
    for flag in FLAGS.values():
        if flag.fate == fate:
            rows.setdefault(flag.text, []).append(f"`-{flag.name}`")
    expected = [f"| {', '.join(names)} | {text} |" for text, names in rows.items()]
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"## {fate.capitalize()}\n")
    section, _, _ = rest.partition("\n## ")
    assert [line for line in section.splitlines() if line.startswith("| `")] == expected


def test_settings_are_said_by_flags_that_are_understood() -> None:
    """What is told to use instead of a flag of serve's is there on both sides."""
    assert set(SAID_AS) <= {param.name for param in serve.params}
    named = {name for names in SAID_AS.values() for name in names}
    assert {FLAGS[name].fate for name in named} == {"understood"}


LOADED = """
import sys
import kvstore.cli.serve
before = set(sys.modules)
import kvstore.cli.agent
print(*(set(sys.modules) - before))
"""


def test_it_loads_fast() -> None:
    """Beside what `kvstore serve` loads there is the table, the words and the command: no more."""
    ended = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    names = {"agent", "agent_flags", "agent_words"}
    assert set(ended.stdout.split()) == {f"kvstore.cli.{name}" for name in names}
