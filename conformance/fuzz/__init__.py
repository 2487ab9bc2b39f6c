"""The random differential test: the same drawn operations to two stores, and what differs.

`run` is the way in. `drawing.py` draws, `player.py` sends and compares, `rules.py` knows what may
differ, `shrinking.py` reduces what does, `script.py` writes it down so that it can be replayed.
"""

from conformance.fuzz.findings import Difference, Findings
from conformance.fuzz.run import replay, run

__all__ = ["Difference", "Findings", "replay", "run"]
