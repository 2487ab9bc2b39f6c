"""The command line: help, wrong usage, and where each setting may come from.

What a running process does is in test_serve_process.py.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kvstore import __version__
from kvstore.cli import main
from kvstore.cli.serve import serve
from kvstore.duration import NS_PER_S
from kvstore.listening import TcpAddress, parse_address

# Any: an Option has more than a Parameter, and every parameter of serve is one.
OPTIONS: dict[str, Any] = {str(param.name): param for param in serve.params}

# For each setting, how another value than the default is written, and what it then is.
VALUES: dict[str, tuple[str, Any]] = {
    "host": ("192.0.2.7", "192.0.2.7"),
    "port": ("8501", 8501),
    "listen": ("https://127.0.0.1:8501", (TcpAddress("127.0.0.1", 8501, tls=True),)),
    "tls_cert_file": ("/etc/kvstore/server.pem", Path("/etc/kvstore/server.pem")),
    "tls_key_file": ("/etc/kvstore/server-key.pem", Path("/etc/kvstore/server-key.pem")),
    "tls_client_ca_file": ("/etc/kvstore/ca.pem", Path("/etc/kvstore/ca.pem")),
    "tls_min_version": ("1.3", "1.3"),
    "tokens": ("/etc/kvstore/tokens.toml", Path("/etc/kvstore/tokens.toml")),
    "data_dir": ("/var/lib/other", Path("/var/lib/other")),
    "sync": ("never", "never"),
    "compact_min_size": ("1MiB", 1024**2),
    "compact_ratio": ("2.5", 2.5),
    "history": ("24h", 24 * 3600 * NS_PER_S),
    "history_max_size": ("0", 0),
    "data_max_size": ("1.5 GiB", 3 * 1024**3 // 2),
    "disk_free_min": ("512K", 512 * 1024),
    "node": ("n7", "n7"),
    "datacenter": ("east", "east"),
    "session_ttl_min": ("1m30s", 90 * NS_PER_S),
    "sessions_max": ("99", 99),
    "connections_max": ("0", 0),
    "client_connections_max": ("600", 600),
    "buffers_max_size": ("16MiB", 16 * 1024**2),
    "slow_client_timeout": ("5s", 5 * NS_PER_S),
    "adopt_lost_cas": ("true", True),
    "dev": ("true", True),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
}
SETTINGS = [name for name in OPTIONS if name != "config"]


def values(*arguments: str) -> dict[str, Any]:
    """Return the settings that `kvstore serve` would start with; raises click's errors."""
    above = main.make_context("kvstore", ["serve"])
    return serve.make_context("serve", list(arguments), parent=above).params


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit code and all output of `kvstore`, which must not get as far as to serve."""
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], str]:
    """Give a function that writes a settings file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "kvstore.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every setting of ours out of the environment."""
    for option in OPTIONS.values():
        monkeypatch.delenv(str(option.envvar), raising=False)


def flags_of(name: str) -> list[str]:
    """Return the arguments that give a setting its other value."""
    text, _ = VALUES[name]
    flag = OPTIONS[name].opts[0]
    return [flag] if OPTIONS[name].is_flag else [flag, text]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_flag_is_named_alike_everywhere(name: str) -> None:
    """`--some-thing` is KVSTORE_SOME_THING in the environment, has help, and is tried below."""
    option = OPTIONS[name]
    assert option.opts == [f"--{name.replace('_', '-')}"]
    assert option.envvar == f"KVSTORE_{name.upper()}"
    assert option.help
    assert option.help.endswith(".")
    assert name in VALUES or name == "config"


def test_the_defaults() -> None:
    """Without a word it serves this machine only, on Consul's port, and syncs every write."""
    defaults = values()
    assert (defaults["host"], defaults["port"]) == ("127.0.0.1", 8500)
    assert (defaults["sync"], defaults["dev"], defaults["adopt_lost_cas"]) == (
        "always",
        False,
        False,
    )
    assert defaults["data_dir"] == Path("kvstore-data")
    assert defaults["session_ttl_min"] == 10 * NS_PER_S
    assert (defaults["compact_min_size"], defaults["compact_ratio"]) == (64 * 1024**2, 1.0)
    assert defaults["history"] == 7 * 24 * 3600 * NS_PER_S
    assert defaults["history_max_size"] == 512 * 1024**2
    assert (defaults["data_max_size"], defaults["disk_free_min"]) == (0, 64 * 1024**2)
    assert defaults["node"]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_flag_sets_it(name: str) -> None:
    """Each setting can be given on the command line, and nothing else changes by it."""
    assert values(*flags_of(name)) == values() | {name: VALUES[name][1]}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_environment_sets_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting can be given as an environment variable."""
    expected = values() | {name: VALUES[name][1]}
    monkeypatch.setenv(OPTIONS[name].envvar, VALUES[name][0])
    assert values() == expected


def toml_line(name: str) -> str:
    """Return a line with a setting's other value; numbers and truths have no quotes in TOML."""
    text, _ = VALUES[name]
    option = OPTIONS[name]
    if option.multiple:
        return f'{name} = ["{text}"]\n'
    bare = option.is_flag or isinstance(option.type, click.IntRange | click.FloatRange)
    return f"{name} = {text}\n" if bare else f'{name} = "{text}"\n'


@pytest.mark.parametrize("spelt", ["underscores", "hyphens"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_file_sets_it(name: str, spelt: str, write_config: Callable[[str], str]) -> None:
    """Each setting can be a line of the file, spelt like its flag or with underscores."""
    line = toml_line(name)
    if spelt == "hyphens":
        line = line.replace(name, name.replace("_", "-"), 1)
    assert values("--config", write_config(line)) == values() | {name: VALUES[name][1]}


def test_a_flag_beats_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, write_config: Callable[[str], str]
) -> None:
    """The nearer to the command, the stronger; what is not named keeps its default."""
    config = write_config('node = "file"\ndatacenter = "file"\nhost = "file"\n')
    monkeypatch.setenv("KVSTORE_NODE", "environment")
    monkeypatch.setenv("KVSTORE_DATACENTER", "environment")
    chosen = values("--config", config, "--node", "flag")
    assert (chosen["node"], chosen["datacenter"], chosen["host"], chosen["port"]) == (
        "flag",
        "environment",
        "file",
        8500,
    )


def test_the_file_itself_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, write_config: Callable[[str], str]
) -> None:
    """KVSTORE_CONFIG names it."""
    monkeypatch.setenv("KVSTORE_CONFIG", write_config("port = 8501\n"))
    assert values()["port"] == 8501


def test_false_in_the_file_is_false(write_config: Callable[[str], str]) -> None:
    """A switch can be off on purpose."""
    assert values("--config", write_config("dev = false\n")) == values()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('data-dri = "x"', "has an unknown setting 'data-dri'; did you mean data-dir?"),
        ('session_ttl = "x"', "did you mean session-ttl-min?"),
        ("xyzzy = 1", "has an unknown setting 'xyzzy'"),
        ('config = "x"', "has an unknown setting 'config'"),
        ("port = ", "is not TOML"),
        ("[server]\nport = 1", "has an unknown setting 'server'"),
        ('port = "many"', "expected a whole number"),
        ("port = 65536", "is not in the range"),
        ('compact-ratio = "x"', "expected a number with a point"),
        ("compact-ratio = -1.0", "is not in the range"),
        ('history = "-1s"', "is not at least 0"),
        ('disk-free-min = "much"', "expected something like 64MiB"),
        ('session-ttl-min = "10"', "missing unit in duration"),
        ('sync = "sometimes"', "is not one of"),
        ('listen = "http://h:1"', "expected a list of texts in quotes"),
        ("listen = [1]", "expected a list of texts in quotes"),
        ('listen = ["h:1"]', "'h:1' is nothing to listen on"),
    ],
)
def test_a_file_that_is_wrong(text: str, sentence: str, write_config: Callable[[str], str]) -> None:
    """The mistake is named, with the nearest right name when there is one, and the code is 2."""
    code, output = run("serve", "--config", write_config(text))
    assert code == 2
    assert sentence in " ".join(output.split())


@pytest.mark.parametrize(
    "line",
    [
        "port = 8501.5",
        "port = true",
        "session-ttl-min = 10",
        "session-ttl-min = -5",
        "dev = 2",
        "data-dir = true",
        "data-dir = 5",
        'host = ["a"]',
        "[node]",
        "log-level = 3",
    ],
)
def test_a_file_with_a_value_of_another_kind(line: str, write_config: Callable[[str], str]) -> None:
    """A number, a truth or a list where another kind belongs is refused, not made to fit."""
    with pytest.raises(click.UsageError):
        values("--config", write_config(line))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file, and one that is no text, are wrong usage too."""
    code, output = run("serve", "--config", str(tmp_path / "nope.toml"))
    assert code == 2
    assert "No such file or directory" in output
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    code, output = run("serve", "--config", str(tmp_path / "bytes.toml"))
    assert code == 2
    assert "is not TOML" in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "x"], "'x' is not a valid integer range"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--compact-min-size", "-1"], "'-1' is no size; expected something like 64MiB or 1GiB"),
        (["--compact-ratio", "-1"], "-1.0 is not in the range"),
        (["--history", "1"], "missing unit in duration"),
        (["--history", "-1s"], "'-1s' is not at least 0"),
        (["--session-ttl-min", "10"], "missing unit in duration"),
        (["--session-ttl-min", "0s"], "'0s' is not more than 0"),
        (["--session-ttl-min", "-5s"], "'-5s' is not more than 0"),
        (["--sync", "x"], "is not one of 'always', 'never'"),
        (["--log-format", "x"], "is not one of 'text', 'json'"),
        (["--log-level", "x"], "is not one of 'debug'"),
        (["--listen", "127.0.0.1:8500"], "expected http://HOST:PORT, https://HOST:PORT or unix:"),
        (["--tls-min-version", "1.1"], "is not one of '1.2', '1.3'"),
        (
            ["--listen", "http://127.0.0.1:1", "--port", "2"],
            "--listen and --host or --port together: say --listen http://HOST:PORT instead",
        ),
        (
            ["--listen", "http://127.0.0.1:1", "--listen", "http://127.0.0.1:1"],
            "--listen names one address twice",
        ),
        (
            ["--listen", "https://127.0.0.1:1", "--tls-cert-file", "server.pem"],
            "--listen https://… needs --tls-cert-file and --tls-key-file",
        ),
        (
            ["--tls-client-ca-file", "ca.pem"],
            "TLS files without a listener that uses them: add --listen https://HOST:PORT",
        ),
        (["--data-dir", __file__], "is a file"),
        (["--prot", "1"], "No such option '--prot'"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage(arguments: list[str], sentence: str) -> None:
    """What is wrong is said in a sentence, and the code is 2."""
    code, output = run("serve", *arguments)
    assert code == 2
    assert sentence in " ".join(output.split())
    assert "Traceback" not in output


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(flag: str) -> None:
    """Help says what this is for, each flag, each exit code, and how to begin."""
    code, output = run(flag)
    assert code == 0
    assert "Consul's KV HTTP API" in output
    code, output = run("serve", flag)
    assert code == 0
    for option in OPTIONS.values():
        assert f"{option.opts[0]} " in output
    assert "kvstore serve --dev" in output
    exit_codes = re.search(r"Exit codes: (.*)\.", " ".join(output.split()))
    assert exit_codes is not None
    named = [int(part.split(" ")[0]) for part in exit_codes[1].split(", ")]
    assert named == [0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_flags_in_help_can_be_copied() -> None:
    """The one flag that engines need stands on one line, however narrow the terminal is."""
    assert "--cluster-store=consul://HOST:8500" in run("--help")[1]
    assert "--cluster-store=consul://THIS_HOST:8500" in run("serve", "--help")[1]


def test_version() -> None:
    """The version is the package's."""
    assert run("--version") == (0, f"kvstore, version {__version__}\n")


def test_a_group_without_a_command_shows_help() -> None:
    """Who types the bare name is shown what there is."""
    code, output = run()
    assert code in (0, 2)
    assert "serve" in output


# What there is only when it is named.
OPTIONAL = {"tls_cert_file", "tls_key_file", "tls_client_ca_file", "tokens"}


def test_every_setting_has_a_default() -> None:
    """No flag and no file is ever needed."""
    missing = {name for name, value in values().items() if value is None}
    assert missing <= OPTIONAL


def test_several_listeners(
    monkeypatch: pytest.MonkeyPatch, write_config: Callable[[str], str]
) -> None:
    """The flag may be repeated; the environment has spaces and the file a list."""
    urls = ["http://127.0.0.1:8500", "https://[::1]:8501", "unix:///run/my%20kvstore?mode=0600"]
    expected = tuple(parse_address(url) for url in urls)
    assert values(*(part for url in urls for part in ("--listen", url)))["listen"] == expected
    config = write_config(f"listen = {urls!r}\n")
    assert values("--config", config)["listen"] == expected
    monkeypatch.setenv("KVSTORE_LISTEN", " ".join(urls))
    assert values()["listen"] == expected
