"""The scenarios, one file per chapter.

If you add a chapter: add it here, where it should run.
"""

from conformance.overlay.scenario import Scenario
from conformance.overlay.scenarios import (
    activation,
    crowds,
    engines_lost,
    faults,
    image,
    moving,
    networks,
    secured,
    settings,
    store_lost,
    tutorial,
)

CHAPTERS = (
    tutorial, networks, engines_lost, store_lost, activation, crowds, settings, secured, faults,
    image, moving,
)  # fmt: skip

ALL: tuple[Scenario, ...] = tuple(one for chapter in CHAPTERS for one in chapter.CHAPTER)
