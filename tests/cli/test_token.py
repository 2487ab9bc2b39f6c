"""`kvstore token`: secrets are made and shown once, and files of tokens are looked at."""

import json
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kvstore.access.files import load_tokens
from kvstore.access.rules import Level
from kvstore.access.tokens import digest_of, is_secret
from kvstore.cli import main
from kvstore.cli.exits import (
    EXIT_EXISTS,
    EXIT_FOLDER_UNUSABLE,
    EXIT_MAY_NOT,
    EXIT_TOKENS_UNUSABLE,
)

SECRET = "a-secret-for-these-tests"
WHOLE = f"""
default = "allow"
[token.ci]
secret-sha256 = "{digest_of(SECRET).hex()}"
session = "read"
key = {{ "secret" = "deny" }}
key-prefix = {{ "" = "list", "docker/" = "write" }}
[token.idle]
secret-sha256 = "{digest_of("another-secret-of-a-token").hex()}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a sound file of tokens."""
    path = tmp_path / "tokens.toml"
    path.write_text(WHOLE, encoding="utf-8")
    return path


def run(*arguments: object, stdin: str = "", **environment: str) -> Result:
    """Run `kvstore token` with arguments."""
    return CliRunner().invoke(main, ["token", *map(str, arguments)], input=stdin, env=environment)


def secret_of(result: Result) -> str:
    """Return the secret that was made: the first line of the output."""
    assert result.exit_code == 0, result.output
    secret = result.stdout.split("\n")[0]
    assert is_secret(secret)
    return secret


def test_a_token_is_printed_with_its_secret() -> None:
    """The TOML has the rules and the digest of the secret, which stands above it."""
    result = run(
        *("create", "engine", "--key-prefix", "docker/=write", "--key", "docker/x==deny"),
        *("--session", "write", "--operator", "read"),
    )
    secret = secret_of(result)
    assert result.stdout.count(secret) == 1
    assert secret not in result.stderr
    assert tomllib.loads(result.stdout.partition("\n")[2])["token"] == {
        "engine": {
            "secret-sha256": digest_of(secret).hex(),
            "session": "write",
            "operator": "read",
            "key": {"docker/x=": "deny"},
            "key-prefix": {"docker/": "write"},
        }
    }


def test_each_secret_is_another() -> None:
    """They are drawn: 256 bits in 64 digits."""
    secrets = {secret_of(run("create", "x")) for _ in range(5)}
    assert len(secrets) == 5
    assert {len(secret) for secret in secrets} == {64}


@pytest.mark.parametrize("name", ["engine", "engine.eu-1"])
def test_a_token_is_added_to_a_file(file: Path, name: str) -> None:
    """What was there stays, comments and all; the token counts at once."""
    file.write_text(f"# by hand\n{WHOLE}", encoding="utf-8")
    result = run("create", name, "--key-prefix", "docker/=write", "--file", file)
    secret = secret_of(result)
    assert result.stdout == f"{secret}\n"
    assert file.read_text(encoding="utf-8").startswith(f"# by hand\n{WHOLE}")
    found = load_tokens(file).tokens.find(secret)
    assert found is not None
    assert found.name == name
    assert found.rules.prefixes == {b"docker/": Level.WRITE}


def test_a_file_is_made(tmp_path: Path) -> None:
    """A new file is its owner's alone, and a sound one."""
    path = tmp_path / "new.toml"
    secret = secret_of(run("create", "engine", "--file", path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_tokens(path).tokens.find(secret) is not None


def test_a_token_is_added_to_a_folder(tmp_path: Path) -> None:
    """It is a file of its own."""
    secret = secret_of(run("create", "engine", "--agent", "read", "--file", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["engine.toml"]
    assert stat.S_IMODE((tmp_path / "engine.toml").stat().st_mode) == 0o600
    assert load_tokens(tmp_path).tokens.find(secret) is not None


def test_a_name_that_is_taken(file: Path) -> None:
    """A token is never replaced, in a file or in a folder."""
    result = run("create", "ci", "--file", file)
    assert (result.exit_code, result.stdout) == (EXIT_EXISTS, "")
    assert file.read_text(encoding="utf-8") == WHOLE
    folder = file.parent / "folder"
    folder.mkdir()
    secret_of(run("create", "ci", "--file", folder))
    assert run("create", "ci", "--file", folder).exit_code == EXIT_EXISTS


@pytest.mark.parametrize("text", ["[token.wrong]", "token = { }\n"])
def test_a_file_that_cannot_be_added_to(file: Path, text: str) -> None:
    """A mistake that is there already is told, and nothing is written."""
    file.write_text(text, encoding="utf-8")
    result = run("create", "engine", "--file", file)
    assert (result.exit_code, result.stdout) == (EXIT_TOKENS_UNUSABLE, "")
    assert "Nothing was changed" in result.stderr
    assert file.read_text(encoding="utf-8") == text


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The system's reason is told, and no secret that nobody has."""
    result = run("create", "engine", "--file", tmp_path / "gone" / "tokens.toml")
    assert (result.exit_code, result.stdout) == (EXIT_FOLDER_UNUSABLE, "")
    assert "No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["anonymous"], "no token's name"),
        (["a b"], "no token's name"),
        (["x", "--key-prefix", "docker/"], "expected a name, =, and one of deny, read, list"),
        (["x", "--key", "a=wirte"], "is no rule"),
        (["x", "--key", "\udcff=write"], "is not UTF-8"),
        (["x", "--session", "list"], "is not one of"),
    ],
)
def test_wrong_usage_of_create(arguments: list[str], said: str) -> None:
    """What was wrong, and what was expected."""
    result = run("create", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


def test_a_sound_file_is_shown(file: Path) -> None:
    """Every rule has a line, and so has a token without any; no digest is shown."""
    result = run("check", file)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["token", "rule", "about", "level"],
        ["ci", "key", "secret", "deny"],
        ["ci", "key-prefix", "(every", "key)", "list"],
        ["ci", "key-prefix", "docker/", "write"],
        ["ci", "session", "read"],
        ["idle", "no", "rules"],
        f"{file} is sound: tokens: 2; what no rule is about is allowed.".split(),
    ]


def test_a_sound_file_as_json(file: Path) -> None:
    """The same for programs."""
    result = run("check", file, "--json")
    assert json.loads(result.stdout) == {
        "path": str(file),
        "sound": True,
        "default": "allow",
        "key_list_policy": False,
        "warnings": [],
        "tokens": [
            {
                "name": "ci",
                "rule_sets": [],
                "key": {"secret": "deny"},
                "key-prefix": {"": "list", "docker/": "write"},
                "session": "read",
            },
            {"name": "idle", "rule_sets": [], "key": {}, "key-prefix": {}},
        ],
        "asked": None,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_with_a_mistake(file: Path, *, as_json: bool) -> None:
    """It is told with its place, and in the exit code."""
    file.write_text('[token.ci]\nsecret = "short"', encoding="utf-8")
    result = run("check", file, *(["--json"] if as_json else []))
    assert result.exit_code == EXIT_TOKENS_UNUSABLE
    said = json.loads(result.stdout)["mistake"] if as_json else result.stderr
    assert f'{file}: token "ci": secret: found a secret of 5 characters' in said


def test_warnings_are_told(file: Path) -> None:
    """A secret that everybody can read does not make the file unsound."""
    file.write_text(f'[token.ci]\nsecret = "{SECRET}"', encoding="utf-8")
    file.chmod(0o644)
    result = run("check", file)
    assert result.exit_code == 0
    assert "everybody can read it" in result.stderr
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ([], 'This is the secret of token "ci".', 0),
        (["--key", "docker/x", "--write"], 'Token "ci" may write "docker/x".', 0),
        (["--key", "x"], 'Token "ci" may read "x".', 0),
        (["--key", "x", "--write"], 'Token "ci" may not write "x".', EXIT_MAY_NOT),
        (["--key", "secret"], 'Token "ci" may not read "secret".', EXIT_MAY_NOT),
    ],
)
@pytest.mark.parametrize("source", ["-", "env"])
def test_what_a_secret_may_do(
    file: Path, source: str, arguments: list[str], said: str, code: int
) -> None:
    """The secret comes by standard input or the environment, and is never repeated."""
    result = run(
        *("check", file, "--secret", source, *arguments),
        stdin=f"{SECRET}\n" if source == "-" else "",
        CONSUL_HTTP_TOKEN=SECRET if source == "env" else "",
    )
    assert result.stdout.splitlines()[-1] == said
    assert result.exit_code == code
    assert "idle" not in result.stdout
    assert SECRET not in result.output


def test_a_secret_that_no_token_has(file: Path) -> None:
    """It is told, with a code of its own."""
    result = run("check", file, "--secret", "-", stdin="somebody's")
    assert result.exit_code == EXIT_MAY_NOT
    assert result.stdout.splitlines()[-1] == "No token has this secret."
    asked = run("check", file, "--secret", "-", "--key", "x", "--json", stdin="somebody's")
    assert json.loads(asked.stdout)["asked"] == {
        "token": None,
        "right": "read",
        "key": "x",
        "allowed": False,
    }


def test_what_a_request_without_a_token_may_do(file: Path) -> None:
    """Without a secret the question is about everybody."""
    result = run("check", file, "--key", "x", "--write")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (
        0,
        'Token "anonymous" may write "x".',
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--write"], "name it with --key"),
        (["--secret", "-"], "no secret in standard input"),
        (["--secret", "env"], "no secret in CONSUL_HTTP_TOKEN"),
        (["--secret", SECRET], "is not one of"),
    ],
)
def test_wrong_usage_of_check(file: Path, arguments: list[str], said: str) -> None:
    """A secret is no argument: everybody can read a command line."""
    result = run("check", file, *arguments, CONSUL_HTTP_TOKEN="")
    assert result.exit_code == 2
    assert said in result.stderr


def test_help_has_the_way_for_engines() -> None:
    """From a token to the environment of dockerd."""
    output = run("--help").output
    for part in ("kvstore token create", "--tokens", "CONSUL_HTTP_TOKEN", "--cluster-store"):
        assert part in output
