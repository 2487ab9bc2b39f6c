"""Gather the files of the image's one layer: an interpreter, what it loads, and the server.

    python3 rootfs.py PACKAGES ROOT

Run by the Dockerfile with the base's own Python; needs the standard library, ldd, strip and dpkg.
PACKAGES is a folder that pip filled. ROOT becomes the root of the image: no shell, no package
manager, nothing that the server and its commands do not use. Modules are there compiled only: that
takes half the room, and a user who may not write a cache starts as fast as one who may.
"""

# ruff: noqa: INP001, S603, S607 - run as a file, on a system of which nothing is kept

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

# What of the standard library is for making programs, for screens or for databases; these take
# libraries of several megabytes with them.
STDLIB_LEFT_OUT = (
    *("config-*", "_sysconfigdata*", "distutils", "ensurepip", "venv", "idlelib", "lib2to3"),
    *("pydoc*", "test", "unittest", "__phello__", "*-packages", "__pycache__"),
    *("curses", "tkinter", "turtle*", "dbm", "sqlite3", "_pyrepl"),
    *("_*test*.so", "_codecs_*.so", "_crypt.*.so", "_curses*.so", "_dbm*.so", "_gdbm*.so"),
    *("_sqlite3*.so", "_tkinter*.so", "_xx*.so", "xx*.so", "nis.*.so", "ossaudiodev*.so"),
    "readline*.so",
)
# And of packages: what compiled modules were made from, declarations, and what rich loads for
# Markdown and source code only.
PACKAGES_LEFT_OUT = (
    *("*.c", "*.h", "*.pxd", "*.pxi", "*.pyi", "*.pyx", "bin", "tests"),
    *("pygments*", "markdown_it*", "mdurl*"),
)

# The C library loads it when a thread is ended, and no file says so.
LOADED_BY_NAME = ("libgcc_s.so.1",)

SITE = Path("usr/lib/python3/dist-packages")  # where a Debian Python of any version looks
USER, USER_ID = "kvstore", 8500

COMMAND = """\
#!{python} -I
from kvstore.cli import main

main(prog_name="kvstore")
"""


def main() -> None:
    """Fill ROOT from PACKAGES and from the system this runs on."""
    packages, root = map(Path, sys.argv[1:])
    python = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    copy_tree(packages, root / SITE, PACKAGES_LEFT_OUT)
    strip(root)
    copy_tree(stdlib, inside(root, stdlib), STDLIB_LEFT_OUT)
    compile_all(root)
    libraries = needed_libraries([python, *root.rglob("*.so")])
    for file in (python, *libraries):
        copy_file(file, root)
    modules = [stdlib / "os.py", *stdlib.glob("lib-dynload/_asyncio.*")]  # of its two packages
    describe_packages([python, *modules, *libraries], root)
    write_system_files(root)
    write_command(root, python)
    settle_times(root)


def copy_tree(source: Path, target: Path, left_out: Iterable[str]) -> None:
    """Copy a folder but for files and folders whose names match a pattern."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))


def copy_file(path: Path, root: Path) -> None:
    """Copy a file, or what it is a link to, under the name that programs know."""
    target = inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def inside(root: Path, path: Path) -> Path:
    """Return where a path lies under the new root; folders that are links are followed."""
    return root / (path.parent.resolve() / path.name).relative_to("/")


def strip(root: Path) -> None:
    """Take the debugger's tables out of libraries; those of Debian have none."""
    subprocess.run(["strip", "--strip-unneeded", *root.rglob("*.so")], check=True)


def compile_all(root: Path) -> None:
    """Put each module's code in the place of its source, under the path it will have."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH  # there is no source to look at
    if not compileall.compile_dir(
        root, quiet=1, legacy=True, stripdir=str(root), prependdir="/", invalidation_mode=unchecked
    ):
        sys.exit("rootfs: a module cannot be compiled; see above.")
    for source in root.rglob("*.py"):
        source.unlink()


def needed_libraries(programs: Iterable[Path]) -> list[Path]:
    """Return the shared libraries that programs and libraries load, and those that these load."""
    output = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    if "not found" in output:
        sys.exit(f"rootfs: a library is missing:\n{output}")
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", output)}
    c_library = next(path for path in found if path.name.startswith("libc.so"))
    return sorted(found | {c_library.with_name(name) for name in LOADED_BY_NAME})


def describe_packages(files: Iterable[Path], root: Path) -> None:
    """Say where scanners look which Debian packages the files are of; and keep their licences."""
    database = root / "var/lib/dpkg/status.d"
    database.mkdir(parents=True)
    for package in sorted(set(owners(files))):
        command = ["dpkg-query", "--status", package]
        status = subprocess.run(command, check=True, capture_output=True).stdout
        (database / package).write_bytes(status)
        licence = Path("/usr/share/doc", package, "copyright")
        if licence.exists():  # some bases leave them out
            copy_file(licence, root)


def owners(files: Iterable[Path]) -> Iterator[str]:
    """Yield the Debian package of each file."""
    for file in files:
        real = file.resolve()
        # By its folder's name: the database may have it under /lib, which is a link by now.
        command = ["dpkg-query", "--search", f"*/{real.parent.name}/{real.name}"]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        yield found.partition(":")[0]


def write_system_files(root: Path) -> None:
    """Write what the C library reads, the user, and the folders that it may write to."""
    for link in ("bin", "lib", "lib64"):
        if Path("/", link).is_symlink():
            (root / link).symlink_to(Path("/", link).readlink())
    etc = root / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(f"root:x:0:0:root:/:\n{USER}:x:{USER_ID}:{USER_ID}::/data:\n")
    (etc / "group").write_text(f"root:x:0:\n{USER}:x:{USER_ID}:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    (etc / "kvstore.toml").write_text('host = "0.0.0.0"\n')
    shutil.copy("/etc/os-release", etc)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "data").mkdir(mode=0o700)
    os.chown(root / "data", USER_ID, USER_ID)


def write_command(root: Path, python: Path) -> None:
    """Write the program `kvstore`."""
    (root / "usr/bin/python3").symlink_to(python.name)
    command = root / "usr/bin/kvstore"
    command.write_text(COMMAND.format(python=python))
    command.chmod(0o755)


def settle_times(root: Path) -> None:
    """Give all files one time, so that the same files are the same layer."""
    time_s = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in (root, *root.rglob("*")):
        os.utime(path, (time_s, time_s), follow_symlinks=False)


if __name__ == "__main__":
    main()
