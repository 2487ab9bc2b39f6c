"""The whole suite on both stores: a real Consul passes it, and ours differs by intent only."""

import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from certificates import Authority
from contract.conftest import has_consul, require_consul, running
from contract.guarded import guarding
from promised import promised
from running import Process

from conformance.suite.address import Address
from conformance.suite.case import Need
from conformance.suite.chapters import cases
from conformance.suite.outcome import Verdict
from conformance.suite.result import Result, differences
from conformance.suite.runner import Stage
from conformance.suite.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAMES = ["kvstore", pytest.param("consul", marks=pytest.mark.oracle)]

ACCESS = "acl"
OVER_TLS = {"docker-F1", "docker-F2"}
AT_A_RESTART = {case.id for case in cases() if Need.RESTART in case.needs}
# Played by `test_engines_over_tls` and by `test_restarts`.
NEED_ANOTHER_STORE = OVER_TLS | AT_A_RESTART


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Result]]:
    """Play on all stores at once: cases without access control, and those about it."""
    names = ["kvstore", "consul"] if has_consul() or promised() else ["kvstore"]
    opened = [case for case in cases() if case.chapter != ACCESS]
    about_access = [case for case in cases() if case.chapter == ACCESS]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        played = {}
        for name in names:
            store = stack.enter_context(running(name, tmp_path_factory.mktemp(name)))
            guarded = stack.enter_context(guarding(name, tmp_path_factory.mktemp(f"{name}-acl")))
            stage = Stage(store, exclusive=True)
            played[name] = pool.submit(stage.run, opened, lambda _: None)
            stage = Stage(guarded)
            played[f"{name}-{ACCESS}"] = pool.submit(stage.run, about_access, lambda _: None)
        yield {name: future.result() for name, future in played.items()}


def result_of(results: dict[str, Result], name: str) -> Result:
    """Return what was played on a store; skip without a Consul, where none is promised."""
    if name.startswith("consul") and name not in results:
        require_consul()
    return results[name]


@pytest.mark.parametrize("chapter", ["", f"-{ACCESS}"])
@pytest.mark.parametrize("name", NAMES)
def test_every_case_is_met(results: dict[str, Result], name: str, chapter: str) -> None:
    """No case fails, and none is left out but for those that need another kind of store."""
    result = result_of(results, f"{name}{chapter}")
    failures = [f"{one.case.id}\n{text}" for one in result.failed for text in one.failures]
    assert not failures, "\n\n".join(failures)
    skipped = {one.case.id: one.note for one in result.outcomes if one.note and not one.intents}
    assert set(skipped) == (set() if chapter else NEED_ANOTHER_STORE), skipped


@pytest.mark.oracle
def test_consul_follows_no_rule_of_ours(results: dict[str, Result]) -> None:
    """What Consul does is what a script calls Consul's."""
    result = result_of(results, "consul")
    assert not [rule for rule, sides in result.followed.items() if True in sides]


def test_ours_follows_its_rules_everywhere(results: dict[str, Result]) -> None:
    """A rule that one case sees followed is followed in every other case that meets it.

    But for those about stores that are run in another way.
    """
    result = result_of(results, "kvstore")
    not_ours = {"always-pretty", "web-interface", "adopt-lost-cas"}
    assert {rule for rule, sides in result.followed.items() if sides != {True}} == not_ours


@pytest.mark.oracle
def test_every_difference_has_a_rule(results: dict[str, Result]) -> None:
    """Where the two stores end differently, a rule of the notes says why."""
    both = [result_of(results, name) for name in ("kvstore", "consul")]
    found = differences(*both)
    assert found
    assert [one.ours.case.id for one in found if not one.explained] == []


def test_engines_over_tls(tmp_path: Path) -> None:
    """What needs a store with TLS is met by ours."""
    authority = Authority(tmp_path)
    server, client = authority.server(), authority.issue("engine")
    flags = (
        *("--dev", "--listen", "https://127.0.0.1:0"),
        *("--tls-cert-file", str(server.certificate), "--tls-key-file", str(server.key)),
        *("--tls-client-ca-file", str(authority.file)),
    )
    with Process(tmp_path, flags) as process:
        process.wait_until_ready()
        store = Store(
            Address.parse(
                f"https://127.0.0.1:{process.port_of('https')}",
                ca_file=authority.file,
                cert_file=client.certificate,
                key_file=client.key,
            )
        )
        result = Stage(store).run([one for one in cases() if one.id in OVER_TLS], lambda _: None)
    assert {one.case.id: one.verdict for one in result.outcomes} == dict.fromkeys(
        OVER_TLS, Verdict.PASSED
    )


def test_lost_data_is_adopted(tmp_path: Path) -> None:
    """With `--adopt-lost-cas` ours follows the rule of that name."""
    with Process(tmp_path, ("--dev", "--adopt-lost-cas")) as process:
        process.wait_until_ready()
        stage = Stage(Store(Address.loopback(process.port)))
        outcomes = [stage.play(one) for one in cases() if "adopt-lost-cas" in one.rules]
    assert outcomes
    assert all(one.intents == ("adopt-lost-cas",) for one in outcomes), outcomes


@pytest.mark.parametrize("name", NAMES)
def test_restarts(tmp_path: Path, name: str) -> None:
    """Cases that restart the store are met: what engines and managers know of it lives on."""
    with (
        running(name, tmp_path, session_ttl_min="1s") as store,
        commanding(store.restart) as command,
    ):
        stage = Stage(store, restart=command)
        result = stage.run([one for one in cases() if one.id in AT_A_RESTART], lambda _: None)
    assert [text for one in result.failed for text in one.failures] == []
    assert {one.case.id for one in result.outcomes if not one.note} == AT_A_RESTART
    ours = {"lock-delay-ends-with-the-process"} if name == "kvstore" else set()
    assert {rule for rule, sides in result.followed.items() if True in sides} == ours


@contextmanager
def commanding(call: Callable[[], None]) -> Iterator[str]:
    """Give a shell command that has something called here, and ends when that has returned."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            call()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            yield shlex.join(
                [sys.executable, "-c", f"import urllib.request as r; r.urlopen({url!r}).read()"]
            )
        finally:
            server.shutdown()
            thread.join()
