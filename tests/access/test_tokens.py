"""From a secret to its token: what is kept of it, and how it is found."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.access.rules import NO_RULES, Level, Rules
from kvstore.access.tokens import Token, TokenSet, TokenTable, digest_of, is_secret

SECRETS = [f"a-secret-of-number-{number}" for number in range(20)]
KEY = bytes(range(32))


def token(name: str, secret: str, rules: Rules = NO_RULES) -> Token:
    """Return a token."""
    return Token(name, digest_of(secret), rules)


TOKENS = TokenSet(
    [
        token(f"t{number}", secret, Rules(prefixes={b"%d/" % number: Level.READ}))
        for number, secret in enumerate(SECRETS)
    ]
)


def test_the_digest_is_sha256() -> None:
    """So that other tools can make it: `printf %s SECRET | sha256sum`."""
    assert digest_of("abc").hex() == hashlib.sha256(b"abc").hexdigest()


def test_undecodable_bytes_have_a_digest_too() -> None:
    """A client may send anything; it finds no token and breaks nothing."""
    assert TokenTable(TOKENS, KEY).grants_of("\udcff" * 20) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0123456789abcdef", True),
        ("0123456789abcde", False),
        ("f0b9c3c0-7c1e-4d3b-9a51-000000000000", True),
        ("with a space in the middle", False),
        ("line\nbreak-0123456789", False),
        ("Straße-0123456789abcdef", False),
        ("x" * 257, False),
    ],
)
def test_what_may_be_a_secret(text: str, *, good: bool) -> None:
    """Long enough not to be guessed, and the same in a query, a header and a bearer."""
    assert is_secret(text) is good


def test_each_secret_finds_its_own_token() -> None:
    """One table of many tokens."""
    table = TokenTable(TOKENS, KEY)
    for number, secret in enumerate(SECRETS):
        grants = table.grants_of(secret)
        assert grants is not None
        assert grants.name == f"t{number}"
        assert grants.key_read(b"%d/x" % number)
        assert not grants.key_write(b"%d/x" % number)


@given(st.text(max_size=40).filter(lambda text: text not in ("", "anonymous", *SECRETS)))
def test_another_secret_finds_none(text: str) -> None:
    """Also one in another letter case, or a part of one."""
    assert TokenTable(TOKENS, KEY).grants_of(text) is None


def test_a_secret_beyond_measure_is_none() -> None:
    """What is longer than any secret may be is not looked for, even if its digest is there."""
    long = "x" * 257
    assert TokenTable(TokenSet([token("long", long)]), KEY).grants_of(long) is None


@pytest.mark.parametrize("secret", [SECRETS[3].upper(), SECRETS[3][:-1], SECRETS[3] + "x"])
def test_nearly_a_secret_is_none(secret: str) -> None:
    """A secret is compared as a whole and as it is."""
    assert TokenTable(TOKENS, KEY).grants_of(secret) is None


def test_a_digest_is_no_secret() -> None:
    """Who has read the file cannot log in with what stands there."""
    digest = digest_of(SECRETS[0]).hex()
    assert TokenTable(TOKENS, KEY).grants_of(digest) is None


@pytest.mark.parametrize("secret", ["", "anonymous"])
def test_the_anonymous_token(secret: str) -> None:
    """Without one in the file it has no rules; Consul knows it by that word too."""
    unknown = TokenTable(TOKENS, KEY).grants_of(secret)
    assert unknown is not None
    assert unknown.name == "anonymous"
    assert not unknown.key_read(b"k")
    told = Token("anonymous", None, Rules(keys={b"k": Level.READ}))
    known = TokenTable(TokenSet([told]), KEY).grants_of(secret)
    assert known is not None
    assert known.key_read(b"k")


def test_defaults_reach_every_token() -> None:
    """What holds for all tokens holds for each, and for none at all."""
    tokens = TokenSet(TOKENS.tokens, Level.WRITE, lists_need_list=True)
    for secret in ("", SECRETS[1]):
        grants = TokenTable(tokens, KEY).grants_of(secret)
        assert grants is not None
        assert grants.key_write(b"elsewhere")
    grants = TokenTable(tokens, KEY).grants_of(SECRETS[1])
    assert grants is not None
    assert not grants.key_list(b"1/")


def test_people_find_tokens_too() -> None:
    """`kvstore token check` asks by secret, without a table."""
    found = TOKENS.find(SECRETS[2])
    assert found is not None
    assert found.name == "t2"
    assert TOKENS.find("no such secret at all") is None
    assert TOKENS.find("") == Token("anonymous", None, NO_RULES)


def test_nothing_secret_is_shown() -> None:
    """Neither a secret nor its digest is in what a debugger or a traceback prints."""
    shown = repr(TOKENS)
    assert SECRETS[0] not in shown
    assert digest_of(SECRETS[0]).hex() not in shown
    assert repr(digest_of(SECRETS[0])) not in shown
