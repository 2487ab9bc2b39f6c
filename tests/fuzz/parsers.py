"""Runs the coverage-guided fuzzer on one target of `targets.py`, in a process of its own.

python tests/fuzz/parsers.py NAME -runs=100000 -seed=1    as long as wanted; libFuzzer's flags
python tests/fuzz/parsers.py NAME --replay 0a0b…          what a failed test has shown
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))


def main(name: str, arguments: list[str]) -> None:
    """Replay one input, or look for one that breaks a promise."""
    if arguments[:1] == ["--replay"]:
        from fuzz.targets import TARGETS  # noqa: PLC0415 - not instrumented here, and not yet below

        TARGETS[name](bytes.fromhex(arguments[1]))
        return
    import atheris  # noqa: PLC0415 - a replay does without

    with atheris.instrument_imports(include=["kvstore"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
