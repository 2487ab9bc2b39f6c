"""Tokens in files and folders: read, read again, and written."""

import logging
import os
import stat
from pathlib import Path

import pytest

from kvstore.access.files import TokenSource, load_tokens, save
from kvstore.access.rules import Level
from kvstore.access.tokens import digest_of
from kvstore.errors import TokensUnusable

SECRET = "a-secret-for-these-tests"
OTHER = "another-secret-of-a-token"


def hashed(secret: str) -> str:
    """Return the line that has a secret's digest."""
    return f'secret-sha256 = "{digest_of(secret).hex()}"\n'


def lay_out(folder: Path, **files: str) -> Path:
    """Write files, whose names have "__" for "."; only their owner may read them."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a sound file of one token that may read everything."""
    lay_out(tmp_path, tokens__toml=f'[token.ci]\n{hashed(SECRET)}key-prefix = {{ "" = "read" }}\n')
    return tmp_path / "tokens.toml"


def mistake(path: Path) -> TokensUnusable:
    """Return the error that reading it raises."""
    with pytest.raises(TokensUnusable) as caught:
        load_tokens(path)
    return caught.value


def test_a_file(file: Path) -> None:
    """A file has tokens by name, and there is nothing to warn of."""
    loaded = load_tokens(file)
    assert [token.name for token in loaded.tokens.tokens] == ["ci"]
    assert loaded.warnings == []


def test_a_folder(tmp_path: Path) -> None:
    """Each file is a token, called as the file without its suffix; one file has the rest."""
    lay_out(
        tmp_path,
        engine__toml=f'{hashed(SECRET)}rules = ["engines"]',
        ci=hashed(OTHER),
        anonymous__toml='key-prefix = { "public/" = "read" }',
        _settings__toml='default = "allow"\n[rules.engines]\nsession = "write"',
    )
    tokens = load_tokens(tmp_path).tokens
    assert [token.name for token in tokens.tokens] == ["anonymous", "ci", "engine"]
    assert tokens.default is Level.WRITE
    engine = tokens.find(SECRET)
    assert engine is not None
    assert engine.rules.scopes == {"session": Level.WRITE}


def test_a_folder_as_kubernetes_mounts_it(tmp_path: Path) -> None:
    """Links into a hidden folder are read, hidden names are not tokens."""
    lay_out(tmp_path / "..2024_01_01", engine__toml=hashed(SECRET))
    (tmp_path / "..data").symlink_to("..2024_01_01")
    (tmp_path / "engine.toml").symlink_to("..data/engine.toml")
    lay_out(tmp_path, __engine__toml__swp="not TOML")
    assert [token.name for token in load_tokens(tmp_path).tokens.tokens] == ["engine"]


def test_an_empty_folder_denies_all(tmp_path: Path) -> None:
    """No tokens, and nothing allowed without one."""
    tokens = load_tokens(tmp_path).tokens
    assert tokens.tokens == []
    assert tokens.default is Level.DENY


def test_a_secret_beside_the_file(tmp_path: Path) -> None:
    """`secret-file` is looked for where the file is that names it."""
    lay_out(tmp_path / "run", ci__secret=f"{SECRET}\n")
    lay_out(tmp_path, tokens__toml='[token.ci]\nsecret-file = "run/ci.secret"')
    assert load_tokens(tmp_path / "tokens.toml").tokens.find(SECRET) is not None


@pytest.mark.parametrize(
    ("files", "path", "where", "found"),
    [
        ({}, "gone.toml", "", "an error: No such file or directory"),
        ({"t__toml": "[token"}, "t.toml", "", "no TOML: "),
        ({"ci__toml": f"{hashed(SECRET)}token = 1"}, "", 'token "ci"', 'a member "token"'),
        ({"ci__toml": hashed(SECRET), "ci": hashed(OTHER)}, "", 'token "ci"', "two files of this"),
        ({"a": hashed(SECRET), "b": hashed(SECRET)}, "", 'token "b"', 'the secret of token "a"'),
        ({"_settings__toml": "[token.ci]"}, "", "", 'a member "token"'),
        ({"a b__toml": hashed(SECRET)}, "", "", "a file a b.toml"),
        ({"_other__toml": hashed(SECRET)}, "", "", "a file _other.toml"),
    ],
)
def test_mistakes_of_sources(
    tmp_path: Path, files: dict[str, str], path: str, where: str, found: str
) -> None:
    """What is wrong with files, and with several of them together."""
    error = mistake(lay_out(tmp_path, **files) / path)
    assert error.path.is_relative_to(tmp_path)
    assert error.where == where
    assert error.found.startswith(found)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "tokens.toml"
    path.write_bytes(b"\xff\xfe")
    assert "no UTF-8" in mistake(path).found


def test_a_secret_that_is_no_text(tmp_path: Path) -> None:
    """Nor may a secret be anything but characters."""
    lay_out(tmp_path, tokens__toml='[token.ci]\nsecret-file = "key"')
    (tmp_path / "key").write_bytes(b"\xff" * 20)
    assert mistake(tmp_path / "tokens.toml").found == "no text in key"


@pytest.mark.parametrize("method", ["is_dir", "iterdir"])
def test_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The system's reason is told, wherever it comes up."""

    def refuse(_path: Path) -> object:
        raise PermissionError(13, "Permission denied", "/etc/kvstore")

    monkeypatch.setattr(Path, method, refuse)
    error = mistake(tmp_path)
    assert (error.path, error.found) == (Path("/etc/kvstore"), "an error: Permission denied")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o604])
def test_secrets_that_everybody_can_read(tmp_path: Path, mode: int) -> None:
    """A warning names the file; a group may read it."""
    lay_out(tmp_path / "folder", ci__toml=f'secret = "{SECRET}"')
    lay_out(tmp_path, tokens__toml='[token.ci]\nsecret-file = "ci.secret"', ci__secret=SECRET)
    lay_out(tmp_path, plain__toml=f'[token.ci]\nsecret = "{SECRET}"')
    for source, told in (
        ("folder", "folder/ci.toml"),
        ("tokens.toml", "ci.secret"),
        ("plain.toml", "plain.toml"),
    ):
        (tmp_path / told).chmod(mode)
        warnings = load_tokens(tmp_path / source).warnings
        assert [str(tmp_path / told) in warning for warning in warnings] == [True] * bool(mode & 4)


def test_digests_may_be_read_by_everybody(file: Path) -> None:
    """Nothing can be done with them."""
    file.chmod(0o644)
    assert load_tokens(file).warnings == []


def test_a_source_tells_what_it_read(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line with counts, one for each warning; nothing secret in any of them."""
    file.write_text(f'[token.ci]\nsecret = "{SECRET}"\n', encoding="utf-8")
    file.chmod(0o644)
    caplog.set_level(logging.DEBUG)
    TokenSource(file)
    warning, summary = caplog.messages
    assert str(file) in warning
    assert summary == f"tokens from {file}: 1; what no rule is about is denied"
    assert SECRET not in caplog.text
    assert digest_of(SECRET).hex() not in caplog.text


def test_reload_takes_all_or_nothing(file: Path) -> None:
    """A changed file is in force as a whole; a wrong one not at all."""
    source = TokenSource(file)
    before = source.grants_of(SECRET)
    assert before is not None
    sound = file.read_text(encoding="utf-8")
    file.write_text(f"{sound}\n[token.wrong]\n", encoding="utf-8")
    with pytest.raises(TokensUnusable, match="wrong"):
        source.reload()
    assert source.grants_of(SECRET) is before
    file.write_text(f"[token.other]\n{hashed(OTHER)}", encoding="utf-8")
    source.reload()
    assert source.grants_of(SECRET) is None
    assert source.grants_of(OTHER) is not None


def test_a_source_that_is_gone_keeps_its_tokens(file: Path) -> None:
    """A reload during a deployment locks nobody out."""
    source = TokenSource(file)
    file.unlink()
    with pytest.raises(TokensUnusable):
        source.reload()
    assert source.grants_of(SECRET) is not None


def test_a_new_file_is_for_its_owner(tmp_path: Path) -> None:
    """Written whole, mode 0600, and nothing else left in the folder."""
    save(tmp_path / "tokens.toml", "é = 1\n")
    assert (tmp_path / "tokens.toml").read_text(encoding="utf-8") == "é = 1\n"
    assert stat.S_IMODE((tmp_path / "tokens.toml").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.toml"]


def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    """Whoever could read it, such as the server's group, still can."""
    lay_out(tmp_path, real__toml="old = 1")
    (tmp_path / "real.toml").chmod(0o640)
    (tmp_path / "link.toml").symlink_to("real.toml")
    save(tmp_path / "link.toml", "new = 1")
    assert (tmp_path / "link.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text(encoding="utf-8") == "new = 1"
    assert stat.S_IMODE((tmp_path / "real.toml").stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed write changes nothing and leaves nothing."""
    lay_out(tmp_path, tokens__toml="old = 1")

    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path / "tokens.toml", "new = 1")
    assert (tmp_path / "tokens.toml").read_text(encoding="utf-8") == "old = 1"
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.toml"]
