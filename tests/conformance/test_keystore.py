"""The image of the next version: where in an image of either kind the version is replaced."""

import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from conformance.overlay.keystore import NEXT_VERSION, make_next


@dataclass
class FakeEngine:
    """An engine with one container, whose files are an empty tar of `names`."""

    names: list[str]
    commands: list[str] = field(default_factory=list)
    copied: str = ""

    def docker(self, *words: str, **_: object) -> str:
        """Remember a command, and do what files come of it."""
        self.commands.append(" ".join(words))
        if words[0] == "export":
            with tarfile.open(words[2], "w") as tar:
                for name in self.names:
                    tar.addfile(tarfile.TarInfo(name))
        if words[0] == "cp":
            self.copied = Path(words[1]).read_text(encoding="ascii")
        return "c1"


@pytest.mark.parametrize("suffix", ["py", "pyc"])
def test_the_version_is_replaced_where_the_package_is(tmp_path: Path, suffix: str) -> None:
    """Whether the image has sources or compiled modules; other packages are left alone."""
    names = ["usr/lib/click/__init__.py", f"opt/kvstore/kvstore/__init__.{suffix}"]
    engine = FakeEngine(names)

    assert make_next(cast("Any", engine), "kvstore:lab", tmp_path) == "kvstore:next"

    assert engine.commands[0] == "create kvstore:lab"
    assert engine.commands[2].endswith("/__init__.py c1:/opt/kvstore/kvstore/")
    assert engine.commands[3:] == ["commit c1 kvstore:next", "rm --volumes c1"]
    assert f'__version__ = "{NEXT_VERSION}"' in engine.copied
