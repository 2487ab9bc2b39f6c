"""All chapters, in the order of a run: the golden scripts, then those in Python."""

import pkgutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files

import conformance.chapters
from conformance.suite.case import Case
from conformance.suite.rules import rules
from conformance.suite.script.parser import parse

SCRIPTS = (
    *("script", "routes", "paths", "redirects", "query", "headers", "json", "gzip", "bodies"),
    *("durations", "index", "kv_get", "kv_keys", "kv_put", "kv_delete", "kv_locks"),
    *("blocking_keys", "blocking_prefixes", "blocking_sessions"),
    *("session_create", "session_calls"),
    *("txn", "cluster", "agent", "snapshot", "acl", "exclusive"),
)
"""The files in cases/, without `.txt`."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Cases that belong together."""

    name: str
    title: str
    # What a reader should know first; may be empty.
    about: str
    cases: tuple[Case, ...]


class SuiteInvalid(Exception):
    """The suite itself is wrong: two cases with one id, a rule that no note explains."""


@cache
def chapters() -> tuple[Chapter, ...]:
    """Load all chapters. Raises SuiteInvalid or ScriptInvalid, which are bugs of the suite."""
    loaded = (*(_golden(name) for name in SCRIPTS), *_in_python())
    _check(loaded)
    return loaded


def cases() -> tuple[Case, ...]:
    """Return all cases of all chapters."""
    return tuple(case for chapter in chapters() for case in chapter.cases)


def _golden(name: str) -> Chapter:
    file = files("conformance").joinpath("cases", f"{name}.txt")
    script = parse(f"cases/{name}.txt", file.read_text(encoding="utf-8"), chapter=name)
    return Chapter(name, script.title, script.about, script.cases)


def _in_python() -> Iterable[Chapter]:
    for found in pkgutil.iter_modules(conformance.chapters.__path__):
        module = import_module(f"conformance.chapters.{found.name}")
        if hasattr(module, "CASES"):
            title, _, about = (module.__doc__ or found.name).strip().partition("\n")
            yield Chapter(found.name, title.rstrip("."), about.strip(), tuple(module.CASES))


def _check(loaded: tuple[Chapter, ...]) -> None:
    played = [case for chapter in loaded for case in chapter.cases]
    named = Counter([chapter.name for chapter in loaded] + [case.id for case in played])
    twice = [name for name, times in named.items() if times > 1]
    if twice:
        raise SuiteInvalid(f"more than one case or chapter is called {', '.join(twice)}")
    for case in played:
        unknown = set(case.rules) - set(rules())
        if unknown:
            raise SuiteInvalid(f"{case.id}: no rule {', '.join(unknown)} in NOTES.md")
