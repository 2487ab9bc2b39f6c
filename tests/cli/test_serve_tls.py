"""`kvstore serve` with several listeners: the greeting, SIGHUP, refusals, and real clients."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import consul  # type: ignore[import-untyped]  # it ships no types
import pytest
from certificates import Authority, Issued
from contract.conftest import require_consul
from contract.stores import consul_binary
from promised import lacking
from running import WITHIN_S, Launch, Process, call

from kvstore.listening import UnixAddress, open_listeners

pytestmark = pytest.mark.slow

HTTPS = "https://127.0.0.1:0"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give the CA of servers and clients."""
    return Authority(tmp_path)


@pytest.fixture
def client(authority: Authority) -> Issued:
    """Give a client's certificate."""
    return authority.issue("client")


@pytest.fixture
def tls_flags(authority: Authority) -> tuple[str, ...]:
    """Give the flags of a server that asks for client certificates."""
    server = authority.server()
    return (
        *("--tls-cert-file", str(server.certificate), "--tls-key-file", str(server.key)),
        *("--tls-client-ca-file", str(authority.file)),
    )


def refused(process: Process, code: int) -> str:
    """Return the one sentence of a server that would not start, its exit code checked."""
    assert process.wait() == code, process.printed
    assert "Traceback" not in process.printed
    (sentence,) = [one for one in process.printed.splitlines() if one.startswith("kvstore: ")]
    assert sentence.endswith(".")
    return sentence


# --- the greeting -------------------------------------------------------------------------------


def test_the_greeting_of_several(
    launch: Launch, tls_flags: tuple[str, ...], tmp_path: Path
) -> None:
    """All are named, and the line for engines has all that TLS needs."""
    flags = (
        "--listen",
        "http://127.0.0.1:0",
        "--listen",
        HTTPS,
        "--listen",
        f"unix://{tmp_path}/s",
    )
    process = launch("--dev", *flags, *tls_flags).wait_until_printed("does not say so.")
    plain, secured = process.port_of("http"), process.port_of("https")
    lines = process.printed.splitlines()
    assert f"  and on https://127.0.0.1:{secured}, only for clients with a certificate" in lines
    assert f"  and on unix://{tmp_path}/s" in lines
    assert f"    kvstore serve --host 0.0.0.0 --port {plain}" in lines
    plain_flag = f"--cluster-store=consul://127.0.0.1:{plain}"
    assert f"    dockerd {plain_flag} --cluster-advertise=ENGINE_IP:2376" in lines
    begins = lines.index(f"    dockerd --cluster-store=consul://127.0.0.1:{secured} \\")
    assert lines[begins + 1 :] == [
        "      --cluster-store-opt kv.cacertfile=CA.pem \\",
        "      --cluster-store-opt kv.certfile=ENGINE.pem \\",
        "      --cluster-store-opt kv.keyfile=ENGINE-KEY.pem \\",
        "      --cluster-advertise=ENGINE_IP:2376",
        "  With fewer than these three options it speaks plain HTTP, and does not say so.",
    ]


def test_the_greeting_on_every_interface(launch: Launch, tls_flags: tuple[str, ...]) -> None:
    """Engines are sent to the listener that they can reach, not to one of this machine only."""
    flags = ("--listen", "http://127.0.0.1:0", "--listen", "https://0.0.0.0:0")
    process = launch("--dev", *flags, *tls_flags[:4]).wait_until_printed("does not say so.")
    assert ", also for clients without a certificate" in process.printed
    assert "Only this machine" not in process.printed
    assert process.printed.count("dockerd") == 1
    leader = call(process.port_of("http"), "GET", "/v1/status/leader").json
    assert leader == f"127.0.0.1:{process.port_of('http')}"


def test_the_greeting_of_a_unix_socket(launch: Launch, tmp_path: Path) -> None:
    """Engines cannot use one, and it says what they can."""
    process = launch("--dev", "--listen", f"unix://{tmp_path}/s")
    process.wait_until_printed("--listen http://0.0.0.0:8500")
    assert f"listens on unix://{tmp_path}/s\n" in process.printed
    assert "dockerd" not in process.printed


# --- where listeners come from ------------------------------------------------------------------


def test_the_stronger_source_wins(launch: Launch, tmp_path: Path) -> None:
    """An image's KVSTORE_HOST does not hinder a flag, nor a file's list one of the environment."""
    process = launch("--dev", "--listen", "http://127.0.0.1:0", KVSTORE_HOST="0.0.0.0")
    assert process.wait_until_ready().call("GET", "/").status == 200
    (tmp_path / "kvstore.toml").write_text('listen = ["http://127.0.0.1:1"]\n')
    process = launch("--dev", "--config", "kvstore.toml", KVSTORE_PORT="0")
    assert process.wait_until_ready().call("GET", "/").status == 200


def test_one_source_cannot_say_both(launch: Launch) -> None:
    """That is a mistake, whichever source it is."""
    process = launch("--dev", KVSTORE_HOST="127.0.0.1", KVSTORE_LISTEN="http://127.0.0.1:0")
    assert process.wait() == 2
    assert "say --listen http://HOST:PORT instead" in " ".join(process.printed.split())


# --- refusals -----------------------------------------------------------------------------------


def test_one_of_several_cannot_be_had(launch: Launch, tmp_path: Path) -> None:
    """None is, then: it is named, and nothing is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        process = launch(
            *("--dev", "--listen", f"unix://{tmp_path}/s", "--listen", f"http://127.0.0.1:{port}")
        )
        assert refused(process, 3) == (
            f"kvstore: cannot listen on http://127.0.0.1:{port}: Address already in use. "
            "Another server has this port: stop it, or choose another with --port or --listen."
        )
    assert not (tmp_path / "s").exists()


def test_a_unix_socket_in_use(launch: Launch, tmp_path: Path) -> None:
    """The live server keeps it."""
    (listener,) = open_listeners([UnixAddress(tmp_path / "s")])
    sentence = refused(launch("--dev", "--listen", f"unix://{tmp_path}/s"), 3)
    assert sentence == (
        f"kvstore: cannot listen on unix://{tmp_path}/s: Address already in use. "
        "Another server listens there: stop it, or choose another path with --listen."
    )
    assert (tmp_path / "s").is_socket()
    listener.close()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("there", "File exists. There is a file that is no socket: choose another path"),
        ("no/folder", "No such file or directory. Choose a path in a folder"),
        ("x" * 108, "AF_UNIX path too long. Choose a path in a folder"),
    ],
)
def test_a_path_that_cannot_be_used(
    launch: Launch, tmp_path: Path, path: str, sentence: str
) -> None:
    """The reason and the next step are told."""
    (tmp_path / "there").touch()
    said = refused(launch("--dev", "--listen", f"unix://{tmp_path}/{path}"), 3)
    assert f"/{path}: {sentence}" in said


def test_tls_files_that_cannot_be_used(
    launch: Launch, tls_flags: tuple[str, ...], authority: Authority
) -> None:
    """One sentence names the file, what is wrong, and the flags."""
    other = authority.issue("other")
    flags = [str(other.key) if one.endswith("server-key.pem") else one for one in tls_flags]
    assert refused(launch("--listen", HTTPS, *flags), 2) == (
        f"kvstore: {other.key}: is not the key of the certificate {tls_flags[1]}. "
        "See --tls-cert-file, --tls-key-file, --tls-client-ca-file."
    )


def test_tokens_that_cannot_be_used(launch: Launch, tmp_path: Path) -> None:
    """One sentence names the file and the mistake."""
    (tmp_path / "tokens.toml").write_text("[[[")
    sentence = refused(launch("--dev", "--tokens", "tokens.toml"), 2)
    assert sentence.startswith("kvstore: tokens.toml: found no TOML: ")


# --- unix sockets -------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "mode"), [("", 0o660), ("?mode=0600", 0o600)])
def test_who_may_connect(launch: Launch, tmp_path: Path, option: str, mode: int) -> None:
    """The file's permissions say so, and it is gone when the server is."""
    process = launch("--dev", "--listen", f"unix://{tmp_path}/s{option}")
    process.wait_until_printed("listens on")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
    process.terminate()
    assert process.wait() == 0
    assert not (tmp_path / "s").exists()


def test_a_socket_that_was_left_behind(launch: Launch, tmp_path: Path) -> None:
    """Is replaced by the next server, which serves on it."""
    url = f"unix://{tmp_path}/s"
    first = launch("--dev", "--listen", url).wait_until_printed("listens on")
    first.terminate(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert (tmp_path / "s").is_socket()
    launch("--dev", "--listen", url).wait_until_printed("listens on")
    assert curl("--unix-socket", f"{tmp_path}/s", "http://x/v1/kv/?keys") == "[]"


# --- SIGHUP -------------------------------------------------------------------------------------


def test_hangup_reads_certificates_again(
    launch: Launch, tls_flags: tuple[str, ...], authority: Authority, client: Issued, tmp_path: Path
) -> None:
    """A bad file is logged and changes nothing; a good one counts from then on."""
    process = launch("--dev", "--listen", HTTPS, *tls_flags).wait_until_printed("does not say so.")
    url = f"https://127.0.0.1:{process.port_of('https')}"
    key = Path(tls_flags[3])
    good = key.read_text()
    key.write_text("")
    process.terminate(signal.SIGHUP)
    process.wait_until_printed("what was read before stays in force")
    assert f"{key}: is empty; expected a private key in PEM" in process.printed
    key.write_text(good)
    assert curl(*identity(authority, client), f"{url}/v1/kv/?keys") == "[]"
    renewed = Authority(tmp_path)
    renewed.server()
    process.terminate(signal.SIGHUP)
    process.wait_until_printed("the certificate was read again")
    assert curl(*identity(renewed, renewed.issue("client")), f"{url}/v1/kv/?keys") == "[]"
    process.terminate()
    assert process.wait() == 0


def test_hangup_reads_tokens_again(launch: Launch, tmp_path: Path) -> None:
    """As it does certificates: a mistake is logged, and what was in force stays."""
    (tmp_path / "tokens.toml").write_text("")
    process = launch("--dev", "--tokens", "tokens.toml").wait_until_ready()
    (tmp_path / "tokens.toml").write_text("[[[")
    process.terminate(signal.SIGHUP)
    process.wait_until_printed("what was read before stays in force")
    assert "tokens.toml: found no TOML" in process.printed


def test_hangup_without_anything(launch: Launch) -> None:
    """Is said, and the server goes on."""
    process = launch("--dev").wait_until_ready()
    process.terminate(signal.SIGHUP)
    process.wait_until_printed("there is nothing to read again")
    assert process.call("GET", "/").status == 200


# --- real clients -------------------------------------------------------------------------------


def curl(*arguments: str) -> str:
    """Run it, and return what it printed."""
    if shutil.which("curl") is None:
        lacking("no curl: apt-get install curl")
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", str(WITHIN_S), *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def identity(authority: Authority, client: Issued) -> tuple[str, ...]:
    """Return curl's flags for a client's certificate."""
    return (
        *("--cacert", str(authority.file)),
        *("--cert", str(client.certificate), "--key", str(client.key)),
    )


def consul_environment(authority: Authority, client: Issued) -> dict[str, str]:
    """Return the variables that Consul's clients read."""
    return {
        "CONSUL_CACERT": str(authority.file),
        "CONSUL_CLIENT_CERT": str(client.certificate),
        "CONSUL_CLIENT_KEY": str(client.key),
    }


def run_consul(environment: Mapping[str, str], *arguments: str) -> str:
    """Run the real command, and return what it printed."""
    require_consul()
    done = subprocess.run(
        [consul_binary(), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.oracle
def test_the_real_consul_command(
    launch: Launch, tls_flags: tuple[str, ...], authority: Authority, client: Issued, tmp_path: Path
) -> None:
    """`consul kv` works over TLS with a client certificate, and on a unix socket."""
    flags = ("--listen", HTTPS, "--listen", f"unix://{tmp_path}/s")
    process = launch("--dev", *flags, *tls_flags).wait_until_printed("does not say so.")
    by_tls = {
        "CONSUL_HTTP_ADDR": f"https://127.0.0.1:{process.port_of('https')}",
        **consul_environment(authority, client),
    }
    by_path = {"CONSUL_HTTP_ADDR": f"unix://{tmp_path}/s"}
    assert run_consul(by_tls, "kv", "put", "a/b", "v") == "Success! Data written to: a/b\n"
    assert run_consul(by_path, "kv", "get", "a/b") == "v\n"
    assert run_consul(by_path, "kv", "put", "a/c", "w") == "Success! Data written to: a/c\n"
    assert run_consul(by_tls, "kv", "get", "-keys", "a/") == "a/b\na/c\n"


def test_curl(
    launch: Launch, tls_flags: tuple[str, ...], authority: Authority, client: Issued
) -> None:
    """Over TLS of both versions; and plain HTTP gets a clear answer (F2)."""
    process = launch("--dev", "--listen", HTTPS, *tls_flags).wait_until_printed("does not say so.")
    port = process.port_of("https")
    who = identity(authority, client)
    url = f"https://127.0.0.1:{port}/v1/kv/a"
    assert curl(*who, "--tls-max", "1.2", "--upload-file", tls_flags[1], url) == "true"
    assert curl(*who, "--tlsv1.3", f"{url}?raw") == Path(tls_flags[1]).read_text()
    answer = curl("--include", "--http1.0", f"http://127.0.0.1:{port}/v1/kv/a")
    assert answer.splitlines() == [
        "HTTP/1.0 400 Bad Request",
        "",
        "Client sent an HTTP request to an HTTPS server.",
    ]
    process.wait_until_printed("it speaks plain HTTP; a Docker engine does unless it has all three")


def test_py_consul(
    launch: Launch, tls_flags: tuple[str, ...], authority: Authority, client: Issued
) -> None:
    """An independent library, over TLS with a client certificate."""
    process = launch("--dev", "--listen", HTTPS, *tls_flags).wait_until_printed("does not say so.")
    library = consul.Consul(
        "127.0.0.1",
        process.port_of("https"),
        scheme="https",
        verify=str(authority.file),
        cert=(str(client.certificate), str(client.key)),
    )
    assert library.kv.put("a", "v")
    _, entry = library.kv.get("a")
    assert entry["Value"] == b"v"
    library.http.session.close()


def test_the_documented_commands(launch: Launch, tmp_path: Path) -> None:
    """What docs/tls.md says makes certificates does, and they serve."""
    text = (Path(__file__).parents[2] / "docs" / "tls.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert commands is not None
    subprocess.run(["sh", "-e", "-c", commands[1]], cwd=tmp_path, check=True, capture_output=True)
    flags = (
        *("--tls-cert-file", "server.pem", "--tls-key-file", "server-key.pem"),
        *("--tls-client-ca-file", "ca.pem"),
    )
    process = launch("--dev", "--listen", HTTPS, *flags).wait_until_printed("does not say so.")
    assert "WARNING" not in process.printed
    engine = ("--cert", f"{tmp_path}/engine.pem", "--key", f"{tmp_path}/engine-key.pem")
    url = f"https://127.0.0.1:{process.port_of('https')}/v1/kv/?keys"
    assert curl("--cacert", f"{tmp_path}/ca.pem", *engine, url) == "[]"


# --- our own commands ---------------------------------------------------------------------------


def kvstore(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run a command of ours; return its exit code and all that it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KVSTORE_", "CONSUL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "kvstore", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def secured(launch: Launch, tls_flags: tuple[str, ...], tmp_path: Path) -> Process:
    """Give a server with a TLS listener and a unix socket."""
    flags = ("--listen", HTTPS, "--listen", f"unix://{tmp_path}/s")
    return launch("--dev", *flags, *tls_flags).wait_until_printed("does not say so.")


@pytest.mark.parametrize("names", ["CONSUL", "KVSTORE"])
def test_commands_over_tls(
    secured: Process, authority: Authority, client: Issued, names: str
) -> None:
    """As the environment says, by Consul's names or by ours."""
    environment = {
        name.replace("CONSUL", names): value
        for name, value in consul_environment(authority, client).items()
    }
    address = f"127.0.0.1:{secured.port_of('https')}"
    code, printed = kvstore(environment, "export", "--url", f"https://{address}")
    assert (code, json.loads(printed)) == (0, [])
    with_ssl = {**environment, "CONSUL_HTTP_ADDR": address, f"{names}_HTTP_SSL": "true"}
    code, printed = kvstore(with_ssl, "export")
    assert (code, json.loads(printed)) == (0, [])


def test_commands_on_a_unix_socket(secured: Process, tmp_path: Path) -> None:
    """By the flag, and by Consul's variable."""
    url = f"unix://{tmp_path}/s"
    for environment, flags in (({}, ("--url", url)), ({"CONSUL_HTTP_ADDR": url}, ())):
        code, printed = kvstore(environment, "export", *flags)
        assert (code, json.loads(printed)) == (0, [])
    code, printed = kvstore({}, "export", "--url", f"unix://{tmp_path}/nobody")
    assert code == 10
    assert f"cannot reach unix://{tmp_path}/nobody: No such file or directory." in printed


def test_commands_that_are_not_let_in(
    secured: Process, authority: Authority, client: Issued, tmp_path: Path
) -> None:
    """Each reason is one sentence with the next step."""
    url = f"https://127.0.0.1:{secured.port_of('https')}"
    good = consul_environment(authority, client)

    def said(changes: Mapping[str, str], to: str = url) -> str:
        code, printed = kvstore({**good, **changes}, "export", "--url", to)
        assert code == 10
        assert "Traceback" not in printed
        return " ".join(printed.split())

    assert "asks for a client certificate. KVSTORE_CLIENT_CERT and KVSTORE_CLIENT_KEY name" in said(
        {"CONSUL_CLIENT_CERT": "", "CONSUL_CLIENT_KEY": ""}
    )
    other = Authority(tmp_path, "other")
    distrusted = said({"CONSUL_CACERT": str(other.file)})
    assert " has a certificate that cannot be trusted: " in distrusted
    assert "KVSTORE_CACERT names the file of the CA that has signed it" in distrusted
    assert "KVSTORE_TLS_SERVER_NAME names the host" in said({"CONSUL_TLS_SERVER_NAME": "other"})
    assert "(KVSTORE_CACERT): No such file or directory" in said({"CONSUL_CACERT": "/nope"})
    assert "(KVSTORE_CACERT) has no certificate in PEM" in said({"CONSUL_CACERT": str(client.key)})
    assert "KVSTORE_CLIENT_CERT is not" in said({"CONSUL_CLIENT_CERT": ""})
    stranger = other.issue("stranger")
    assert "key values mismatch" in said({"CONSUL_CLIENT_KEY": str(stranger.key)})
    assert "cannot read /nope (KVSTORE_CLIENT_CERT)" in said({"CONSUL_CLIENT_CERT": "/nope"})
    plain = f"http://127.0.0.1:{secured.port_of('https')}"
    assert "Client sent an HTTP request to an HTTPS server." in said({}, plain)


def test_commands_that_do_not_look(secured: Process, authority: Authority, client: Issued) -> None:
    """HTTP_SSL_VERIFY=false trusts anybody, and a name can be given that is looked at."""
    url = f"https://localhost:{secured.port_of('https')}"
    good = consul_environment(authority, client)
    careless = {**good, "CONSUL_CACERT": "", "CONSUL_HTTP_SSL_VERIFY": "false"}
    assert kvstore(careless, "export", "--url", url)[0] == 0
    named = {**good, "CONSUL_TLS_SERVER_NAME": "127.0.0.1"}
    assert kvstore(named, "export", "--url", url)[0] == 0


def test_https_to_a_plain_server(launch: Launch) -> None:
    """Is told as what it is."""
    process = launch("--dev").wait_until_ready()
    code, printed = kvstore({}, "export", "--url", f"https://127.0.0.1:{process.port}")
    assert code == 10
    assert "does not speak TLS. Is it http://?" in printed
