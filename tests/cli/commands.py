"""Running commands in the test's own process."""

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from maintenance.stories import grow

from kvstore.cli import main

__all__ = ["folder_of", "kvstore", "parsed"]


def kvstore(*arguments: str | int | Path, code: int = 0, port: int = 1) -> Result:
    """Run a command, whose default server is on `port`; it must end with this exit code."""
    env = {
        "KVSTORE_URL": f"127.0.0.1:{port}",
        "CONSUL_HTTP_TOKEN": "",
        "KVSTORE_DATA_DIR": "",
        "TZ": "UTC",
    }
    result = CliRunner(env=env).invoke(main, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def parsed(*arguments: str | int | Path, code: int = 0, port: int = 1) -> Any:
    """Run a command with `--json` and return what it prints."""
    return json.loads(kvstore(*arguments, "--json", code=code, port=port).stdout)


def folder_of(path: Path, *snapshots: int) -> Path:
    """Make a folder with the story of maintenance/stories.py, and return it."""
    asyncio.run(grow(path, snapshots=snapshots))
    return path
