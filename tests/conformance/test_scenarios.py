"""The list of scenarios: what `--list`, `--only` and `--quick` rest on."""

from collections import Counter

import pytest

from conformance.overlay.scenario import CONSUL_DIFFERS, Chapter, Scenario, select
from conformance.overlay.scenarios import ALL


def test_every_id_is_used_once() -> None:
    """`--only` would run only the last of two scenarios with one id."""
    assert [name for name, times in Counter(one.id for one in ALL).items() if times > 1] == []


def test_the_checklist_is_covered() -> None:
    """Every row of the acceptance checklist that is the lab's has a scenario."""
    rows = "A1 A2 A3 A4 A5 A6 A7 A8 A9 B1 B2 B3 C1 C2 C3 C4 C5 D1 D2 E1 E2 E4 F3 F4 F5 F6 F7"

    assert set(rows.split()) - {one.id for one in ALL} == set()
    assert {"G1A", "G1B", "G1C", "G1D", "G2", "G3"} <= {one.id for one in ALL}


def test_the_image_is_played_in_each_of_its_uses() -> None:
    """The tutorial, an upgrade, a folder of the host, TLS; and CI plays the tutorial."""
    assert {"K1", "K2", "K3", "K4"} <= {one.id for one in ALL}
    assert "K1" in {one.id for one in select(ALL, None, quick=True)}


@pytest.mark.parametrize("one", ALL, ids=[one.id for one in ALL])
def test_every_scenario_says_what_it_expects(one: Scenario) -> None:
    """A title that fits a line, and a docstring for `--list --verbose`."""
    assert len(one.title) <= 80
    assert one.promise


def test_known_differences_belong_to_scenarios() -> None:
    """A difference whose scenario is gone would never be looked at again."""
    assert set(CONSUL_DIFFERS) <= {one.id for one in ALL}


def test_select_keeps_running_order() -> None:
    """Scenarios run in the order of the chapters, whatever the order asked for."""
    assert [one.id for one in select(ALL, ["g3", "tut"], quick=False)] == ["TUT", "G3"]


def test_select_refuses_an_unknown_id() -> None:
    """A misspelt id is an error, not an empty run."""
    with pytest.raises(KeyError, match="Z9"):
        select(ALL, ["A1", "Z9"], quick=False)


def test_quick_is_a_part_of_all() -> None:
    """`--quick` runs the marked ones, and asked for by id a scenario runs in any case."""
    chapter = Chapter()
    chapter.scenario("X1", "slow")(lambda _: None)
    chapter.scenario("X2", "quick", quick=True)(lambda _: None)

    assert [one.id for one in select(chapter, None, quick=True)] == ["X2"]
    assert [one.id for one in select(chapter, None, quick=False)] == ["X1", "X2"]
    assert [one.id for one in select(chapter, ["X1"], quick=True)] == ["X1"]
