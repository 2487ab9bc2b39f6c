"""Processes that have no more rights on files than their owner and mode give, also as root."""

import os
import shutil
from collections.abc import Sequence

from promised import lacking

__all__ = ["unprivileged"]


def unprivileged(command: Sequence[str]) -> list[str]:
    """Return a command line that runs the command so.

    Root stays root, so that it finds what is root's, but may not override what a mode says.
    """
    if os.geteuid() != 0:
        return [*command]
    if shutil.which("setpriv") is None:
        lacking("no setpriv (of util-linux), which takes root's rights from a process")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
