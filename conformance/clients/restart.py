"""Restarting the store, for those who gave the suite a way to."""

import shlex
import subprocess
import time

from conformance.suite.case import UNREACHABLE, Failed, Ground, Store

COMMAND_S = 60.0
READY_S = 30.0
PAUSE_S = 0.1
OK = 200


def restart(store: Store, ground: Ground) -> None:
    """Restart the store by the command of the run, and return when it takes writes again.

    Raises Failed when it does not.
    """
    command = ground.restart
    done = subprocess.run(
        shlex.split(command), capture_output=True, timeout=COMMAND_S, check=False, text=True
    )
    if done.returncode:
        raise Failed(command, "exit code 0", f"{done.returncode}: {done.stderr}")
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if store.put(f"{ground.prefix}ready?cas=1").status == OK:
                return
        except UNREACHABLE:
            pass
        time.sleep(PAUSE_S)
    raise Failed(f"{store.url} after {command}", f"ready in {READY_S:g} s", "it is not")
