"""The one container image of the lab, made without a registry: busybox and a page to serve."""

import io
import tarfile
from pathlib import Path

NAME = "lab"
PAGE = "a page of the overlay lab"
# Port a container's web server listens on, by default.
WEB = ("httpd", "-f", "-h", "/www")

_APPLETS = ("cat", "httpd", "ip", "nc", "nslookup", "ping", "sh", "sleep", "timeout", "wget")


def build(busybox: Path) -> bytes:
    """Return the image as a tar file for `docker import`."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        _add(tar, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type = tarfile.SYMTYPE
            link.linkname = "busybox"
            tar.addfile(link)
        _add(tar, "www/index.html", f"{PAGE}\n".encode(), mode=0o644)
    return output.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = mode
    tar.addfile(info, io.BytesIO(content))
