"""`kvstore agent`: which words become which settings, what is ignored, and what is refused.

How words are taken apart is in test_agent_words.py, the table of flags in test_agent_flags.py.
"""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from running import Process

from kvstore.cli import main
from kvstore.cli import serve as module
from kvstore.cli.agent_flags import FLAGS
from kvstore.cli.serve import serve
from kvstore.listening import Address, open_listener
from kvstore.settings import Settings

SERVER = ("-server", "-bootstrap")


class Started:
    """What the server would have been started with, and what was printed before."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.addresses: list[str] = []
        self.printed = ""

    def run(self, settings: Settings, addresses: list[Address], *_inherited: Any) -> None:
        """Stand in for the server's process."""
        self.settings = settings
        self.addresses = [str(address) for address in addresses]


Begin = Callable[..., Started]


def _must_not_start(*_arguments: Any) -> None:
    pytest.fail("the server was started")


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take settings of ours out of the environment, files out of the way, and start no server."""
    monkeypatch.setattr(module, "run", _must_not_start)
    for option in serve.params:
        monkeypatch.delenv(str(option.envvar), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Give a function that runs `kvstore` with words and returns what it would serve with."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> Started:
        started = Started()
        monkeypatch.setattr(module, "run", started.run)
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        assert started.settings is not None
        started.printed = result.output
        return started

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


def refused(*words: str, code: int = 2) -> str:
    """Return what is said about words that cannot be served with, in one line."""
    result = CliRunner().invoke(main, words, prog_name="kvstore")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    "words",
    [
        SERVER,
        ("agent", *SERVER),
        ("--server", "--bootstrap"),
        ("agent", "-server", "-bootstrap-expect=1"),
        ("-server", "-bootstrap-expect", "1"),
        ("-bootstrap=true", "-server=true", "-dev=false"),
        ("-server",),
        (*SERVER, "-http-port=8500", "-client=127.0.0.1"),
        (*SERVER, "-client="),
        (*SERVER, "--"),
    ],
)
def test_a_server_of_one(begin: Begin, words: tuple[str, ...]) -> None:
    """The ways to say "one server" start what `kvstore serve` starts, and need no word about it."""
    started = begin(*words)
    plain = begin("serve")
    assert started.settings == plain.settings
    assert started.addresses == plain.addresses == ["http://127.0.0.1:8500"]
    assert started.printed == plain.printed == ""


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["-data-dir", "/consul/data"], ["--data-dir", "/consul/data"]),
        (["-data-dir=-odd"], ["--data-dir=-odd"]),
        (["-node=n7"], ["--node", "n7"]),
        (["-datacenter=East"], ["--datacenter", "east"]),
        (["-dc", "East"], ["--datacenter", "east"]),
        (["-dev"], ["--dev"]),
        (["-client", "0.0.0.0"], ["--host", "0.0.0.0"]),
        (["-client", "::1", "-http-port", "8501"], ["--listen", "http://[::1]:8501"]),
        (["-http-port=8501"], ["--port", "8501"]),
        (["-http-port=1", "-http-port=2"], ["--port", "2"]),
        (
            ["-client", "127.0.0.1 192.0.2.7", "-http-port", "8501"],
            ["--listen", "http://127.0.0.1:8501", "--listen", "http://192.0.2.7:8501"],
        ),
    ],
)
def test_what_serve_has_too(begin: Begin, words: list[str], same: list[str]) -> None:
    """A flag that is understood does what the flag of `kvstore serve` does."""
    started = begin(*SERVER, *words)
    plain = begin("serve", *same)
    assert started.settings == plain.settings
    assert started.addresses == plain.addresses


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("trace", logging.DEBUG),
        ("debug", logging.DEBUG),
        ("INFO", logging.INFO),
        ("warn", logging.WARNING),
        ("err", logging.ERROR),
        ("ERROR", logging.ERROR),
    ],
)
def test_levels_of_the_log(begin: Begin, word: str, level: int) -> None:
    """Consul's names of levels, in any case, are ours."""
    begin("agent", *SERVER, "-log-level", word)
    assert logging.getLogger().level == level


def test_dev_alone_is_enough(begin: Begin) -> None:
    """With -dev Consul's agent is a server."""
    started = begin("agent", "-dev", "-client=0.0.0.0")
    assert started.settings is not None
    assert started.settings.data_dir is None
    assert started.addresses == ["http://0.0.0.0:8500"]


def test_the_environment_beats_a_default_and_a_flag_beats_it(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where Consul has a default an image's environment counts, as does the file."""
    (tmp_path / "kvstore.toml").write_text('node = "file"\ndatacenter = "file"\n')
    monkeypatch.setenv("KVSTORE_CONFIG", "kvstore.toml")
    monkeypatch.setenv("KVSTORE_HOST", "0.0.0.0")
    monkeypatch.setenv("KVSTORE_PORT", "8600")
    monkeypatch.setenv("KVSTORE_DATA_DIR", "/data")
    monkeypatch.setenv("KVSTORE_DATACENTER", "environment")
    started = begin(*SERVER)
    assert started.addresses == ["http://0.0.0.0:8600"]
    assert started.settings is not None
    assert str(started.settings.data_dir) == "/data"
    assert (started.settings.node, started.settings.datacenter) == ("file", "environment")
    assert begin(*SERVER, "-client=127.0.0.1").addresses == ["http://127.0.0.1:8600"]
    assert begin(*SERVER, "-http-port=8700").addresses == ["http://0.0.0.0:8700"]
    assert begin(*SERVER, "-client=127.0.0.1 127.0.0.2").addresses == [
        "http://127.0.0.1:8600",
        "http://127.0.0.2:8600",
    ]


def test_a_list_in_the_environment(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """KVSTORE_LISTEN counts until a flag says where to listen."""
    monkeypatch.setenv("KVSTORE_LISTEN", "unix:///run/kvstore.sock http://127.0.0.1:8501")
    assert begin(*SERVER).addresses == ["unix:///run/kvstore.sock", "http://127.0.0.1:8501"]
    assert begin(*SERVER, "-http-port=8500").addresses == ["http://127.0.0.1:8500"]


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        (["-https-port=8501"], ["http://127.0.0.1:8500", "https://127.0.0.1:8501"]),
        (["-https-port=8501", "-http-port=-1"], ["https://127.0.0.1:8501"]),
        (["-https-port=8501", "-http-port=0"], ["https://127.0.0.1:8501"]),
        (
            ["-https-port=8501", "-client=::1 192.0.2.7"],
            [
                *("http://[::1]:8500", "http://192.0.2.7:8500"),
                *("https://[::1]:8501", "https://192.0.2.7:8501"),
            ],
        ),
    ],
)
def test_https(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, words: list[str], addresses: list[str]
) -> None:
    """-https-port listens beside HTTP, with the certificate that the environment names."""
    monkeypatch.setenv("KVSTORE_TLS_CERT_FILE", "server.pem")
    monkeypatch.setenv("KVSTORE_TLS_KEY_FILE", "server-key.pem")
    started = begin(*SERVER, *words)
    assert started.addresses == addresses
    assert started.settings is not None
    assert started.settings.tls is not None
    assert started.settings.tls.certificate == Path("server.pem")


def test_no_https(begin: Begin) -> None:
    """A port of 0 or less is none, as in Consul."""
    assert begin(*SERVER, "-https-port=-1").addresses == ["http://127.0.0.1:8500"]


def test_tutorials(begin: Begin) -> None:
    """What tutorials said beside -server is named in one line, with reasons, and does nothing."""
    started = begin(
        *("-server", "-bootstrap-expect", "1", "-advertise", "192.0.2.7", "-ui-dir", "/ui"),
        *("-config-dir=/config", "-recursor", "8.8.8.8", "-encrypt", "SECRET", "-bind=192.0.2.7"),
    )
    (line,) = started.printed.splitlines()
    assert line.endswith(
        "flags of Consul's agent that do nothing here: "
        "-advertise, -encrypt, -bind (one server, no gossip); -ui-dir (no web UI); "
        "-recursor (no DNS); -config-dir (no settings in it)"
    )
    assert started.settings == begin("serve").settings


def test_the_log_for_machines(begin: Begin) -> None:
    """The line is a JSON object with -log-json."""
    printed = begin(*SERVER, "-log-json", "-ui").printed
    assert printed.startswith("{")
    assert "-ui (no web UI)" in printed


@pytest.mark.parametrize("name", [name for name, flag in FLAGS.items() if flag.fate == "ignored"])
def test_what_is_ignored_is_named(begin: Begin, name: str) -> None:
    """Each such flag changes nothing, and the log says so, without its value."""
    value = () if FLAGS[name].is_switch else ("SECRET",)
    started = begin(*SERVER, f"-{name}", *value)
    plain = begin("serve")
    assert (started.settings, started.addresses) == (plain.settings, plain.addresses)
    assert f"do nothing here: -{name} ({FLAGS[name].text})" in started.printed
    assert "SECRET" not in started.printed


@pytest.mark.parametrize("name", [name for name, flag in FLAGS.items() if flag.fate == "refused"])
def test_what_is_refused(name: str) -> None:
    """Each such flag is an error that says why, without its value."""
    Path("SECRET.json").touch()
    value = () if FLAGS[name].is_switch else (".",)
    printed = refused(*SERVER, f"-{name}", *value)
    assert f"Error: -{name} is refused: {FLAGS[name].text}." in printed


@pytest.mark.parametrize("file", ["a.json", "a.hcl"])
def test_a_folder_of_settings(begin: Begin, file: str) -> None:
    """-config-dir is refused as soon as there is a file in it that Consul would have read."""
    Path("empty").mkdir()
    Path("full").mkdir()
    assert "(no settings in it)" in begin(*SERVER, "-config-dir=empty").printed
    Path("full/README").touch()
    assert "(no settings in it)" in begin(*SERVER, "-config-dir=no", "-config-dir=empty").printed
    assert "(no settings in it)" in begin(*SERVER, "-config-dir=full").printed
    Path("full", file).touch()
    for words in (["full"], ["empty", "full"], ["missing", "full"]):
        given = [f"-config-dir={word}" for word in words]
        assert "Error: -config-dir is refused" in refused(*SERVER, *given)
    assert "Error: -config-dir is refused" in refused(*SERVER, f"-config-dir=full/{file}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("agent",), "-server is missing. Without it Consul's agent passes requests on"),
        (("-bootstrap",), "-server is missing"),
        (("-server=false", "-bootstrap"), "-server is missing"),
        ((*SERVER, "-bootstrap-expect=3"), "-bootstrap-expect 3: this is one server"),
        ((*SERVER, "-bootstrap-expect=many"), "-bootstrap-expect is a number, not 'many'"),
        ((*SERVER, "-http-port=many"), "-http-port is a number, not 'many'"),
        ((*SERVER, "-http-port=70000"), "'-http-port': 70000 is not in the range"),
        ((*SERVER, "-http-port=0"), "nothing to listen on"),
        ((*SERVER, "-https-port=70000"), "'-https-port': 'https://127.0.0.1:70000' is nothing to"),
        ((*SERVER, "-https-port=8501"), "needs --tls-cert-file and --tls-key-file. Here,"),
        ((*SERVER, "-client={{ GetPrivateIP }}"), "templates are not understood; name an address"),
        ((*SERVER, "-client=::1 ::1"), "--listen names one address twice"),
        ((*SERVER, "-log-level=loud"), "-log-level is one of trace, debug, info, warn, err, error"),
        ((*SERVER, "-node="), "'-node': a name must not be empty"),
        ((*SERVER, "-dc="), "'-dc': a name must not be empty"),
        ((*SERVER, "-data-dir", __file__), "'-data-dir': Directory"),
        (("-srever", "-bootstrap"), "-srever is no flag of Consul's agent; did you mean -server?"),
        ((*SERVER, "-bind-addr=x"), "see `kvstore serve --help`"),
        ((*SERVER, "--tokens", "x"), "say KVSTORE_TOKENS in the environment"),
        ((*SERVER, "--port", "1"), "say -http-port or KVSTORE_PORT in the environment"),
        (("--port", "1"), "--port is a flag of `kvstore serve`"),
        ((*SERVER, "serve"), "'serve' is no flag"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], sentence: str) -> None:
    """What is wrong is said with the flags that were used, and what to do."""
    printed = refused(*words)
    assert sentence in printed
    assert printed.startswith("Usage: kvstore agent [FLAGS] Try 'kvstore agent --help' for help.")


def test_a_setting_that_is_wrong_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the environment is not blamed on a flag."""
    monkeypatch.setenv("KVSTORE_PORT", "many")
    assert "Invalid value for '--port'" in refused(*SERVER).replace(
        " (env var: 'KVSTORE_PORT')", ""
    )


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_the_folder_of_a_consul(begin: Begin, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """An empty store is not started where the data of a Consul server lies; a store of ours is."""
    folder = Path("data")
    (folder / "raft").mkdir(parents=True)
    words = (*SERVER, "-data-dir=data") if by == "flag" else SERVER
    monkeypatch.setenv("KVSTORE_DATA_DIR", "data" if by == "environment" else "other")
    sentence = refused(*words, code=4)
    assert sentence.startswith("kvstore: data holds the data of a Consul server (raft), which ")
    assert "(`consul snapshot save` there, `kvstore restore` here)" in sentence
    assert sentence.endswith("or choose another folder with -data-dir.")
    assert [one.name for one in folder.iterdir()] == ["raft"]
    assert begin(*words, "-dev").settings is not None
    assert begin(*SERVER, "-data-dir=.").settings is not None
    (folder / f"{1:020d}.journal").touch()
    assert begin(*words).settings is not None


@pytest.mark.parametrize("words", [("agent", "-h"), ("agent", "--help"), ("-server", "-help")])
def test_help(words: tuple[str, ...]) -> None:
    """Help shows how to begin, every flag whole, and what becomes of it."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    assert "docker run -d -p 8500:8500 -h consul IMAGE -server -bootstrap" in result.output
    whole = " ".join(result.output.split())
    for name, flag in FLAGS.items():
        assert len(re.findall(rf"(?<![\w-])-{name}[,:]", result.output)) == 1, name
        assert f": {flag.text}" in whole


def test_words_that_are_not_for_it() -> None:
    """Flags of `kvstore` itself and names of commands mean what they meant."""
    runner = CliRunner()
    assert runner.invoke(main, ["--version"]).output.startswith("kvstore, version ")
    assert "Commands:" in runner.invoke(main, ["-h"]).output
    assert "Commands:" in runner.invoke(main, []).output
    assert "No such command 'serv'" in runner.invoke(main, ["serv"]).output
    assert "No such command '-'" in runner.invoke(main, ["-"]).output


@pytest.mark.slow
def test_the_command_of_the_tutorial(tmp_path: Path) -> None:
    """The real server starts with Consul's flags, stores a key in its folder, and stops."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    words = (*SERVER, "-http-port", str(port), "-data-dir", "data", "-ui-dir", "/ui")
    # The port in the environment would be any free one: the flag is stronger.
    around = {"KVSTORE_PORT": "0"}
    with Process(tmp_path, words, around, command=()) as process:
        process.wait_until_ready()
        assert process.port == port
        assert process.call("PUT", "/v1/kv/a", b"v").body == b"true"
        process.terminate()
        assert process.wait() == 0
        first = process.printed.splitlines()[0]
        assert first.endswith("that do nothing here: -ui-dir (no web UI)")
    words = (*SERVER, "-data-dir=data", "-client=127.0.0.1")
    with Process(tmp_path, words, around, command=("agent",)) as process:
        process.wait_until_ready()
        assert process.call("GET", "/v1/kv/a?raw").body == b"v"
