"""What the contract promises, by id, and which promises no case can show."""

SECTIONS = {
    "H": 43,
    "I": 9,
    "G": 7,
    "B": 13,
    "P": 8,
    "L": 9,
    "D": 1,
    "S": 17,
    "T": 12,
    "O": 8,
    "A": 7,
    "V": 17,
}
"""How many facts each letter has; the end of NOTES.md says what the letters stand for."""

TABLES = ("1.2", "1.4", "1.8", "1.9", "3", "5", "5.1", "6", "7.2", "9", "14")
"""Sections that say more than their facts: lists and tables."""

IDS = tuple(
    [f"{letter}{number}" for letter, count in SECTIONS.items() for number in range(1, count + 1)]
    + list(TABLES)
)

_LATER = "a difference of later Consul versions that no client depends on: "

NOT_SHOWN = {
    "I8": "tombstones are forgotten after 15 minutes; no case waits that long",
    "O8": "a single server is never without a leader; it would take a cluster that lost its own",
    "V1": _LATER + "a header about the default policy",
    "V2": _LATER + "a header about the backend of a query",
    "V3": _LATER + "429 over the limit of connections; H40 shows that limit",
    "V5": "waking on creation only is rule exact-wakeups, which B6 shows",
    "V6": _LATER + "a text for unknown paths",
    "V8": "raw answers are text/plain in both; 1.4 shows it",
    "V9": _LATER + "a header about filtered lists",
    "V10": _LATER + "longer texts of refusals; A3 takes them too",
    "V11": _LATER + "admin partitions",
    "V12": "servers built with a newer Go refuse `;` in a query; H14 asks for the old reading",
    "V13": _LATER + "the address in the text of a 413; H43 takes any",
    "V14": "one version refused many keys; H10 asks for all of them",
    "V15": "some versions refuse keys with `..`; H12 and T11 ask for them",
    "V16": "the limit for chunked bodies is rule chunked-limit, which 1.8 shows",
    "V17": _LATER + "rate limits, off by default",
}
"""Ids without a case, each with the reason."""
