"""Packages: pinned means that no other file is ever unpacked."""

import os
import subprocess
from pathlib import Path

import pytest

from conformance.overlay import apt, packages
from conformance.overlay.errors import LabUnavailable


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    """The refusal names both hashes and the next step."""
    file = tmp_path / f"{packages.CONSUL.stem}.deb"
    file.write_bytes(b"not the package")

    with pytest.raises(
        LabUnavailable, match=f"expected {packages.CONSUL.sha256}.*KVSTORE_LAB_DEBS"
    ):
        packages.verify(packages.CONSUL, file)


def test_a_wrong_file_in_the_given_folder_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache stays empty when the package given is not the pinned one."""
    given, cache = tmp_path / "debs", tmp_path / "cache"
    given.mkdir()
    (given / f"{packages.ENGINE.stem}.deb").write_bytes(b"not the package")
    monkeypatch.setenv("KVSTORE_LAB_DEBS", str(given))
    monkeypatch.setenv("KVSTORE_LAB_CACHE", str(cache))

    with pytest.raises(LabUnavailable):
        packages.unpacked(packages.ENGINE, lambda _: None)
    assert list(cache.iterdir()) == []


def test_what_is_in_the_cache_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in the cache is complete by construction, so nothing is fetched."""
    monkeypatch.setenv("KVSTORE_LAB_CACHE", str(tmp_path))
    (tmp_path / packages.CONSUL.stem).mkdir()

    assert packages.unpacked(packages.CONSUL, pytest.fail) == tmp_path / packages.CONSUL.stem


def test_without_root_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first question is the one that cannot be helped."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(LabUnavailable, match="run it as root"):
        packages.prepare(pytest.fail)


def test_a_machine_without_apt_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of another kind gets a sentence, not a traceback."""

    def no_program(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", no_program)
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy")

    with pytest.raises(LabUnavailable, match="no apt"):
        apt.install(["containerd"])
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize("deb", [packages.CONSUL, packages.ENGINE])
def test_pins_are_whole(deb: packages.Deb) -> None:
    """A pin is a version and a SHA-256."""
    assert deb.version
    assert len(bytes.fromhex(deb.sha256)) == 32
