"""Run as process 1 of one lab host: keeps its namespaces alive and buries its dead.

Started by `namespaces.py` behind `unshare`, with network, mount, UTS and PID namespaces of its own.
Everything of that host (store or engine, containerd, shims, containers) runs in this PID namespace,
so when this process ends, the kernel ends all of them and drops their mounts: tearing a host down
is one signal, and nothing can be forgotten.

A store or engine is started by `nsenter` from outside, not from here: it may be killed and started
again while the namespaces live on. An engine that came back in a *fresh* mount namespace would have
lost the bind mounts of its network sandboxes.

Imports the standard library only and nothing of this package: it is run as a file, by path.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

# Where containerd and dockerd keep sockets whatever their flags say. Private ones keep a lab host
# from finding the machine's own containerd, and the machine from seeing ours.
_PRIVATE_FOLDERS = ("/run/containerd", "/run/docker")


def main() -> None:
    """Set the host up, say `ready` on standard output, then reap orphans."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 has no default handlers
    socket.sethostname(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for folder in _PRIVATE_FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711", "lab", folder], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    bury_the_dead()


def bury_the_dead() -> None:
    """Reap orphans for ever: dockerd would take a containerd that is a zombie for a running one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})


if __name__ == "__main__":
    main()
