"""`python -m conformance.recordings TRACE NAME ABOUT`: make a recording of a trace.

A trace is what a recording proxy saw (see trace.py); the recording is written beside this file,
from where the suite plays it from then on.
"""

import sys
from pathlib import Path

from conformance.recordings.errors import NotRecorded
from conformance.recordings.making import make_recording
from conformance.recordings.recording import HOME, SUFFIX, encode

_ARGUMENTS = 3


def main(arguments: list[str]) -> int:
    """Make one recording; return an exit code."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write(f"{__doc__}")
        return 2
    trace, name, about = arguments
    try:
        with Path(trace).open(encoding="utf-8") as lines:
            recording = make_recording(name, about, lines)
    except (OSError, NotRecorded, ValueError, KeyError) as error:
        sys.stderr.write(f"{trace}: {type(error).__name__}: {error}\n")
        return 1
    data = encode(recording)
    (HOME / f"{name}{SUFFIX}").write_bytes(data)
    sys.stdout.write(f"{name}: {len(recording.steps)} steps, {len(data)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
