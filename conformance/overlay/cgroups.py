"""The one thing of a container that outlives its namespaces: its empty control groups.

All containers of the lab are below one group of its own name, in each hierarchy of cgroup v1 or in
the one of v2, so that what is left of them can be told from anybody else's.
"""

import os
from pathlib import Path

from conformance.overlay.waiting import wait_until

PARENT = "/kvstore-lab"

_ROOT = Path("/sys/fs/cgroup")
_GONE_S = 10.0


def remove(parent: str = PARENT) -> None:
    """Remove the lab's control groups, or others. Their processes must have been ended."""

    def gone() -> bool:
        name = parent.strip("/")
        for group in {*_ROOT.glob(name), *_ROOT.glob(f"*/{name}")}:
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()  # busy for a moment after its last process was killed
        return True

    wait_until(gone, _GONE_S, f"the control groups {parent} are removed")
