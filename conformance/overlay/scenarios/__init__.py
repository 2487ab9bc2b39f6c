"""The scenarios, one file per chapter.

If you add a chapter: add it here, where it should run.
"""

from conformance.overlay.scenario import Scenario
from conformance.overlay.scenarios import (
    crowds,
    engines_lost,
    faults,
    networks,
    secured,
    settings,
    store_lost,
    tutorial,
)

CHAPTERS = (tutorial, networks, engines_lost, store_lost, crowds, settings, secured, faults)

ALL: tuple[Scenario, ...] = tuple(one for chapter in CHAPTERS for one in chapter.CHAPTER)
