"""What TOML says of tokens, and what it may not say."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.access.document import (
    Document,
    is_name,
    parse_common,
    parse_file,
    parse_token,
    remarks,
    render_token,
)
from kvstore.access.rules import SCOPES, Level, Rules
from kvstore.access.tokens import Token, TokenSet, digest_of
from kvstore.errors import TokensUnusable

PATH = Path("/etc/kvstore/tokens.toml")
SECRET = "a-secret-for-these-tests"
SHA256 = digest_of(SECRET).hex()
# Files that `secret-file` may name, by name.
FILES = {"ci.secret": f"{SECRET}\n", "short.secret": "short\n"}

WHOLE = f"""
default = "allow"
key-list-policy = true

[rules.engines]
session = "write"
[rules.engines.key-prefix]
"docker/" = "write"

[token.engine]
secret-sha256 = "{SHA256}"
rules = ["engines"]
agent = "read"
[token.engine.key]
"docker/secret" = "deny"
"é" = "list"

[token.anonymous]
key-prefix = {{ "public/" = "read" }}
"""


def read_secret(name: str) -> str:
    """Return a file's text as the floor's door would."""
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def document(text: str) -> Document:
    """Return a document of that text."""
    return Document(PATH, tomllib.loads(text))


def parse(text: str) -> TokenSet:
    """Return what a file of that text says."""
    return parse_file(document(text), read_secret)


def test_a_whole_file() -> None:
    """Defaults, a shared rule set, rules of a token's own, and the anonymous token."""
    tokens = parse(WHOLE)
    assert (tokens.default, tokens.lists_need_list) == (Level.WRITE, True)
    engine, anonymous = tokens.tokens
    assert engine == Token(
        "engine",
        digest_of(SECRET),
        Rules(
            {b"docker/secret": Level.DENY, "é".encode(): Level.LIST},
            {b"docker/": Level.WRITE},
            {"session": Level.WRITE, "agent": Level.READ},
        ),
        ("engines",),
    )
    assert anonymous == Token("anonymous", None, Rules(prefixes={b"public/": Level.READ}))


def test_an_empty_file_denies_all() -> None:
    """What is not said is not allowed."""
    assert parse("") == TokenSet([])


@pytest.mark.parametrize(
    "member",
    [f'secret-sha256 = "{SHA256.upper()}"', f'secret = "{SECRET}"', 'secret-file = "ci.secret"'],
)
def test_three_ways_to_give_a_secret(member: str) -> None:
    """Its digest, itself, or a file with it; the digest is what is kept."""
    (token,) = parse(f"[token.ci]\n{member}").tokens
    assert token.digest == digest_of(SECRET)


TOKEN = f'[token.ci]\nsecret-sha256 = "{SHA256}"\n'


@pytest.mark.parametrize(
    ("text", "where", "found", "expected"),
    [
        ("tokens = 1", "", 'a member "tokens"', "did you mean token?"),
        ('default = "maybe"', "default", '"maybe"', "deny or allow"),
        ("default = 1", "default", "1", "deny or allow"),
        ('key-list-policy = "yes"', "key-list-policy", '"yes"', "true or false"),
        ("token = 1", "token", "a number", "a table of tokens by name"),
        ('token.ci = "a-secret-misplaced"', 'token "ci"', "a text", "a table of its secret"),
        (f'[token."a b"]\nsecret-sha256 = "{SHA256}"', 'token "a b"', "such a name", "64 letters"),
        ("[token.ci]", 'token "ci"', "no secret", "one of secret-sha256, secret-file, secret"),
        (
            f'{TOKEN}secret = "{SECRET}"',
            'token "ci"',
            "secret-sha256 and secret",
            "one of secret-sha256, secret-file, secret",
        ),
        (f'{TOKEN}sesion = "write"', 'token "ci"', 'a member "sesion"', "did you mean session?"),
        ("[token.ci]\nsecret = 1", 'token "ci": secret', "a number", "a text in quotes"),
        (
            '[token.ci]\nsecret = "too-short"',
            'token "ci": secret',
            "a secret of 9 characters",
            "16 to 256 visible ASCII characters without spaces",
        ),
        (
            f'[token.ci]\nsecret-sha256 = "{SECRET}"',
            'token "ci": secret-sha256',
            "a text of 24 characters",
            "64 hexadecimal digits",
        ),
        (
            '[token.ci]\nsecret-file = "gone.secret"',
            'token "ci": secret-file',
            "gone.secret: No such file or directory",
            "a file that can be read",
        ),
        (
            '[token.ci]\nsecret-file = "short.secret"',
            'token "ci": secret-file',
            "a secret of 5 characters",
            "16 to 256",
        ),
        (
            f'[token.anonymous]\nsecret-sha256 = "{SHA256}"',
            'token "anonymous"',
            "secret-sha256",
            "none: it is for requests without a token",
        ),
        (f'{TOKEN}rules = "engines"', 'token "ci": rules', '"engines"', "a list of names"),
        (f'{TOKEN}rules = ["e"]', 'token "ci": rules', '"e"', "[rules.NAME] first"),
        (
            f'{TOKEN}rules = ["engine"]\n[rules.engines]',
            'token "ci": rules',
            '"engine"',
            "engines; did you mean engines?",
        ),
        (f'{TOKEN}session = "list"', 'token "ci": session', '"list"', "deny, read or write"),
        (
            f'{TOKEN}key-prefix = {{ "docker/" = "wirte" }}',
            'token "ci": key-prefix "docker/"',
            '"wirte"',
            "deny, read, list or write; did you mean write?",
        ),
        (f"{TOKEN}key = 1", 'token "ci": key', "a number", 'a table of rules such as "docker/"'),
        (f'{TOKEN}key = {{ "" = "read" }}', 'token "ci": key', '""', 'key-prefix "" for every key'),
        ("rules = []", "rules", "a list", "a table of rule sets"),
        ('[rules.r]\nsecret = "x"', 'rules "r"', 'a member "secret"', "key, key-prefix, session"),
        ('[rules."?"]', 'rules "?"', "such a name", "a name of up to 64"),
    ],
)
def test_a_mistake_says_where_what_and_what_else(
    text: str, where: str, found: str, expected: str
) -> None:
    """The file, the token, the member, what stands there and what may."""
    with pytest.raises(TokensUnusable) as caught:
        parse(text)
    error = caught.value
    assert (error.path, error.where) == (PATH, where)
    assert error.found == found
    assert expected in error.expected


@pytest.mark.parametrize(
    "text",
    [
        f'token.ci = "{SECRET}"',
        f'[token.ci]\nsecret-sha256 = "{SECRET}"',
        f'[token.ci]\nsecret = ["{SECRET}"]',
        f'[token.ci]\nsecret = "{SECRET} with spaces"',
        f'[token.anonymous]\nsecret = "{SECRET}"',
        f'[token.ci]\nsecret = "{SECRET}"\nsecret-file = "ci.secret"',
    ],
)
def test_no_error_tells_a_secret(text: str) -> None:
    """Errors go to logs; the secret in a wrong place does not."""
    with pytest.raises(TokensUnusable) as caught:
        parse(text)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_a_token_of_its_own_file() -> None:
    """In a folder a file's members are those of one token; what is shared comes from elsewhere."""
    common = parse_common(document(WHOLE.partition("[token.engine]")[0]))
    alone = document(f'secret-sha256 = "{SHA256}"\nrules = ["engines"]')
    token = parse_token(alone, "ci", alone.members, common, read_secret)
    assert token.name == "ci"
    assert token.rules.prefixes == {b"docker/": Level.WRITE}


@pytest.mark.parametrize(
    ("text", "good"), [("engine-1.eu_west", True), ("", False), ("-x", False), ("a" * 65, False)]
)
def test_names(text: str, *, good: bool) -> None:
    """A name is one word for logs and for files."""
    assert is_name(text) is good


def test_a_rule_that_no_key_meets_is_remarked_upon() -> None:
    """Keys never begin with a slash over /v1/kv, and people write paths."""
    tokens = parse(f'{TOKEN}key-prefix = {{ "/docker/" = "write", "docker/" = "write" }}').tokens
    (remark,) = remarks(tokens)
    assert 'token "ci"' in remark
    assert '"/docker/"' in remark


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
KEYS = st.dictionaries(NAMES.map(str.encode), st.sampled_from(Level), max_size=3)
SCOPE_LEVELS = st.sampled_from([Level.DENY, Level.READ, Level.WRITE])
RULES = st.builds(
    Rules,
    keys=KEYS,
    prefixes=KEYS,
    scopes=st.dictionaries(st.sampled_from(SCOPES), SCOPE_LEVELS, max_size=3),
)


@given(RULES)
def test_what_is_written_is_read_back(rules: Rules) -> None:
    """As a part of a file, and as a file of its own; whatever the keys are."""
    token = Token("ci", digest_of(SECRET), rules)
    assert parse(render_token(token, alone=False)).tokens == [token]
    alone = document(render_token(token, alone=True))
    common = parse_common(document(""))
    assert parse_token(alone, "ci", alone.members, common, read_secret) == token


DOCS = Path(__file__).parent.parent.parent / "docs" / "access.md"
BLOCKS = re.findall(
    r"^```toml\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def test_the_examples_of_the_docs_are_sound() -> None:
    """What people copy is read without a mistake."""
    whole, alone = BLOCKS
    tokens = parse_file(document(whole), lambda _name: SECRET).tokens
    assert [token.name for token in tokens] == ["engine", "worker", "anonymous"]
    one = document(alone)
    parse_token(one, "engine", one.members, parse_common(document("")), read_secret)
