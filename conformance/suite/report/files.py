"""A run for machines: JSON, and JUnit XML as CI systems read it."""

import json
from pathlib import Path
from typing import Any

from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.result import Result, differences
from conformance.suite.text import clean


def write_json(file: Path, result: Result, oracle: Result | None = None) -> None:
    """Write a run, and that on the oracle, as one JSON object."""
    found: dict[str, Any] = _run(result)
    if oracle is not None:
        found["oracle"] = _run(oracle)
        found["differences"] = [
            {"case": one.ours.case.id, "explained": one.explained}
            for one in differences(result, oracle)
        ]
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def write_junit(file: Path, result: Result) -> None:
    """Write a run as JUnit XML, a suite for each chapter. A difference by intent is a pass.

    Needs the package junitparser.
    """
    from junitparser import (  # noqa: PLC0415 - of an optional extra
        Failure,
        JUnitXml,
        Skipped,
        TestCase,
        TestSuite,
    )

    xml = JUnitXml(clean(f"conformance of {result.url}"))
    for chapter, outcomes in result.by_chapter().items():
        suite = TestSuite(chapter)
        suite.timestamp = result.began.isoformat(timespec="seconds")
        for one in outcomes:
            name = clean(f"{one.case.id} {one.case.title}")
            case = TestCase(name, chapter, round(one.seconds, 3))
            if one.verdict is Verdict.FAILED:
                failure = Failure(clean(one.case.title))
                failure.text = clean("\n\n".join(one.failures))
                case.result = [failure]
            elif one.verdict is Verdict.SKIPPED:
                case.result = [Skipped(clean(one.note))]
            elif one.intents:
                case.system_out = f"differs by intent: {', '.join(one.intents)}"
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.write(str(file), pretty=True)


def _run(result: Result) -> dict[str, Any]:
    return {
        "url": result.url,
        "version": result.version,
        "began": result.began.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "counts": {str(verdict): number for verdict, number in result.counts.items()},
        "cases": [_case(one) for one in result.outcomes],
    }


def _case(one: Outcome) -> dict[str, Any]:
    return {
        "id": one.case.id,
        "chapter": one.case.chapter,
        "title": one.case.title,
        "contract": list(one.case.contract_ids),
        "verdict": str(one.verdict),
        "seconds": round(one.seconds, 3),
        "rules": list(one.intents),
        "note": one.note,
        "failures": list(one.failures),
    }
