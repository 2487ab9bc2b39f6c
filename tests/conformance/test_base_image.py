"""What builds on this machine get besides the base: settings of pip, and nothing of its disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.overlay.base_image import NAME, write_settings

pytestmark = pytest.mark.slow

Written = Callable[..., dict[str, str]]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Give a function that returns what is written, by file, where pip has these settings alone."""

    def write(**settings: object) -> dict[str, str]:
        file = tmp_path / "pip.conf"
        lines = [f"{name.replace('_', '-')} = {value}" for name, value in settings.items()]
        file.write_text("\n".join(["[global]", *lines]), encoding="utf-8")
        for name in ("PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
        folder = tmp_path / "written"
        folder.mkdir()
        write_settings(folder)
        return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}

    return write


def test_certificates_and_an_index(written: Written, tmp_path: Path) -> None:
    """Both reach pip inside a build; the certificates as a file of the image."""
    ca = tmp_path / "authorities.pem"
    ca.write_text("a certificate", encoding="utf-8")
    files = written(index_url="https://packages.example/simple", cert=ca)
    assert "index-url = https://packages.example/simple\n" in files["pip.conf"]
    assert files["ca.pem"] == "a certificate"
    (copied,) = [line.split()[2] for line in files["Dockerfile"].splitlines() if "ca.pem" in line]
    assert f"cert = {copied}\n" in files["pip.conf"]
    assert files["Dockerfile"].startswith(f"FROM {NAME}\n")


def test_the_environment_counts_more(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for pip."""
    monkeypatch.setenv("PIP_TRUSTED_HOST", "ours.example")
    assert "trusted-host = ours.example\n" in written(trusted_host="theirs.example")["pip.conf"]


def test_what_is_on_this_disk(written: Written) -> None:
    """Folders of wheels are none of a build's, and a file that is not there is not named."""
    files = written(
        extra_index_url="file:///srv/wheels", find_links="/srv/more", cert="/srv/no-such.pem"
    )
    assert files.keys() == {"pip.conf", "Dockerfile"}
    assert "/srv" not in files["pip.conf"]
