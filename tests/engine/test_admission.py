"""What becomes of a wish for a session: the command, or Consul's refusal (S1 to S8)."""
# ruff: noqa: N802 - names begin with the ids of the contract, as they are written there

import re

import pytest

from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest, SessionRules, draw_session_id
from kvstore.errors import InvalidSession
from kvstore.state.command import CreateSession
from kvstore.state.entry import ServiceCheck

ID = "aaaaaaaa-0000-4000-8000-00000000000b"
HEALTH = ("serfHealth",)


@pytest.fixture
def rules() -> SessionRules:
    """Give the rules of node n1, whose ids are not drawn by chance."""
    return SessionRules("n1", 10 * NS_PER_S, lambda: ID)


def refusal(rules: SessionRules, request: SessionRequest) -> str:
    """Return the text with which a request is refused."""
    with pytest.raises(InvalidSession) as caught:
        rules.admit(request)
    return str(caught.value)


def test_S1_defaults(rules: SessionRules) -> None:
    """This node, 15 s of lock-delay, release, no TTL, the node's own health."""
    assert rules.admit(SessionRequest()) == CreateSession(
        ID, "", "n1", 15 * NS_PER_S, "release", "", 0, HEALTH, None, ()
    )


def test_S1_everything_is_kept_as_it_was_said(rules: SessionRules) -> None:
    """Name, node in its letter case, lock-delay of any size, TTL as typed, an empty list."""
    request = SessionRequest("\udc80", "N1", -(2**62), "delete", "1h30m")
    command = rules.admit(request)
    assert (command.name, command.node, command.lock_delay_ns) == ("\udc80", "N1", -(2**62))
    assert (command.behavior, command.ttl, command.ttl_ns) == ("delete", "1h30m", 5400 * NS_PER_S)
    assert rules.admit(SessionRequest(service_checks=())).service_checks == ()


@pytest.mark.parametrize(
    ("behavior", "stored"), [("", "release"), ("release", "release"), ("delete", "delete")]
)
def test_S1_behavior(rules: SessionRules, behavior: str, stored: str) -> None:
    """Nothing said is release."""
    assert rules.admit(SessionRequest(behavior=behavior)).behavior == stored


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (SessionRequest(node=""), "Must provide Node"),
        (SessionRequest(node="other"), "Missing node registration"),
        (SessionRequest(behavior="foo"), "Invalid Behavior setting 'foo'"),
        (SessionRequest(behavior="Delete"), "Invalid Behavior setting 'Delete'"),
        (
            SessionRequest(ttl="5"),
            "Session TTL '5' invalid: time: missing unit in duration \"5\"",
        ),
        (
            SessionRequest(ttl="9s"),
            "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]",
        ),
        (
            SessionRequest(ttl="-10s"),
            "Invalid Session TTL '-10000000000', must be between [10s=24h0m0s]",
        ),
        (
            SessionRequest(ttl="24h0m0.000000001s"),
            "Invalid Session TTL '86400000000001', must be between [10s=24h0m0s]",
        ),
        (SessionRequest(checks=("nope",)), "Missing check 'nope' registration"),
        (SessionRequest(node_checks=("mem",)), "Missing check 'mem' registration"),
        (SessionRequest(node_checks=("",)), "Missing check '' registration"),
        (
            SessionRequest(checks=("serfHealth", "mem")),
            "Missing check 'mem' registration",
        ),
        (
            SessionRequest(service_checks=(ServiceCheck("web", "ns"),)),
            "Missing check 'web' registration",
        ),
    ],
)
def test_S3_S5_S7_refusals(rules: SessionRules, request_: SessionRequest, text: str) -> None:
    """Each with Consul's text, which clients match on."""
    assert refusal(rules, request_) == text


def test_S3_order_of_the_refusals(rules: SessionRules) -> None:
    """A request that is wrong in every way hears of one thing after the other."""
    texts = [
        refusal(rules, SessionRequest(node=node, behavior=behavior, ttl=ttl, checks=("nope",)))
        for node, behavior, ttl in (
            ("", "foo", "1s"),
            ("other", "foo", "1s"),
            ("other", "delete", "1s"),
            ("other", "delete", "10s"),
            ("n1", "delete", "10s"),
        )
    ]
    assert [re.split(r" ['\d]", text)[0] for text in texts] == [
        "Must provide Node",
        "Invalid Behavior setting",
        "Invalid Session TTL",
        "Missing node registration",
        "Missing check",
    ]


@pytest.mark.parametrize(
    ("ttl", "ttl_ns"),
    [
        ("", 0),
        ("0", 0),
        ("0s", 0),
        ("10s", 10 * NS_PER_S),
        ("15.0s", 15 * NS_PER_S),
        ("24h", 86_400 * NS_PER_S),
    ],
)
def test_S5_ttl(rules: SessionRules, ttl: str, ttl_ns: int) -> None:
    """Stored as typed; zero in any spelling is none; both bounds are allowed."""
    command = rules.admit(SessionRequest(ttl=ttl))
    assert (command.ttl, command.ttl_ns) == (ttl, ttl_ns)


def test_S5_shortest_ttl_is_the_servers(rules: SessionRules) -> None:
    """Its setting shows in the text."""
    quick = SessionRules("n1", NS_PER_S // 2)
    assert quick.admit(SessionRequest(ttl="500ms")).ttl_ns == NS_PER_S // 2
    assert refusal(quick, SessionRequest(ttl="499ms")) == (
        "Invalid Session TTL '499000000', must be between [500ms=24h0m0s]"
    )


@pytest.mark.parametrize(
    ("node_checks", "checks", "stored"),
    [
        (HEALTH, HEALTH, (HEALTH, ())),
        (HEALTH, (), ((), ())),
        (("mem",), (), ((), ())),
        ((), HEALTH, ((), ())),
        (None, HEALTH, (None, ())),
        ((), ("a",), ((), ())),
        (("SERFHEALTH",), HEALTH, (("SERFHEALTH",), ())),
        (HEALTH, ("serfHealth", "serfhealth"), (HEALTH, ("serfHealth", "serfhealth"))),
    ],
)
def test_S6_two_spellings_of_the_checks(
    rules: SessionRules,
    node_checks: tuple[str, ...] | None,
    checks: tuple[str, ...],
    stored: tuple[tuple[str, ...] | None, tuple[str, ...]],
) -> None:
    """As the table of the contract has it; what is dropped is not looked at."""
    command = rules.admit(SessionRequest(node_checks=node_checks, checks=checks))
    assert (command.node_checks, command.checks) == stored


def test_S8_ids_are_random_lower_case_hex() -> None:
    """In groups of 8-4-4-4-12, and no RFC 4122 ones: every digit varies."""
    ids = [draw_session_id() for _ in range(500)]
    assert len(set(ids)) == 500
    form = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    assert all(form.fullmatch(one) for one in ids)
    for place in range(36):
        assert len({one[place] for one in ids}) == (1 if place in (8, 13, 18, 23) else 16)


def test_S8_each_session_has_an_id_of_its_own() -> None:
    """Drawn when it is admitted."""
    rules = SessionRules("n1", NS_PER_S)
    assert rules.admit(SessionRequest()).id != rules.admit(SessionRequest()).id
