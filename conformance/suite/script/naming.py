"""Sees that every name of a script is bound before it is used, while the script is read."""

from collections.abc import Iterable

from conformance.suite.script.steps import (
    Exchange,
    Let,
    LetIndex,
    Receive,
    Send,
    SendRaw,
    Step,
    Where,
)
from conformance.suite.script.template import Template

GIVEN = frozenset({"p", "auth", "token"})
"""Names that every script has: its prefix, the token of the run, and its header line."""


def first_unbound(steps: Iterable[Step]) -> tuple[Step, str] | None:
    """Return the first step that uses a name too early, and that name."""
    bound = set(GIVEN)
    for step in steps:
        used, binds = _names(step)
        missing = [name for name in used if name not in bound]
        if missing:
            return step, missing[0]
        bound |= binds
    return None


def _names(step: Step) -> tuple[list[str], set[str]]:
    """Return the names that a step uses, and those that it binds."""
    used: list[Template] = []
    expected: list[Template] = []
    binds: set[str] = set()
    if isinstance(step, Exchange | Send):
        asked = step.asked
        used += [asked.target, *(value for _, value in asked.headers)]
        used += [asked.body] if asked.body else []
    if isinstance(step, Exchange | Receive):
        expected += [step.expected.body, *(value for _, value in step.expected.headers)]
    if isinstance(step, SendRaw):
        used.append(step.data)
    if isinstance(step, Let | LetIndex):
        used.append(step.text if isinstance(step, Let) else step.target)
        binds.add(step.name)
    if isinstance(step, Where):
        used += [step.left, step.right]
    for template in expected:
        binds |= set(template.names)
    needed = [name for template in used for name in template.names]
    made = [name for template in expected for name in template.made_of if name not in binds]
    return [*needed, *(name for template in used for name in template.made_of), *made], binds
