"""Draws bodies of `PUT /v1/txn`: all verbs, mixed, failing, and what is no transaction at all.

Bodies are written as text, since much of what is drawn is no JSON, or not the JSON that any
library would write.
"""

from base64 import b64encode

from conformance.fuzz.chance import Chance, Weighed
from conformance.fuzz.operation import Call
from conformance.fuzz.vocabulary import ODD

TXN = "/v1/txn"
OPERATIONS_MAX = 64
BODY_BYTES_MAX = 512 * 1024

_WEIGHTS = {
    6: ["set"],
    4: ["get", "cas"],
    3: ["get-tree", "lock"],
    2: ["unlock", "delete", "delete-cas", "check-index", "check-session", "check-not-exists"],
    1: ["delete-tree"],
    0.2: ["SET", "", "nope"],
}
VERBS = Weighed({verb: weight for weight, verbs in _WEIGHTS.items() for verb in verbs})
WRITING = {"set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"}
READING = Weighed({"get": 3, "get-tree": 2, "check-index": 1, "check-session": 1, "nope": 0.1})

KEYS = ["{P}a", "{P}a", "{P}b", "{P}b/", "{P}b/c", "{P}b/c/d", "{P}b/e", "{P}t/"]
ODD_KEYS = [
    *("/{P}x", "{P}//y", "{P}..", "{P}./a", "{P}\\u0001", "{P}\\n", "{P}\\u00e9", "{P}\xc3\xa9"),
    *(
        "{P}\xff",
        "{P}\\ud800",
        "{P}\\u2028",
        '{P}\\\\\\"',
        "{P}<&>",
        "{P}a%2Fb",
        "{P}",
        "",
        "{P}\\/z",
    ),
    *("{P}\\ud83d\\ude00", "{P}\x7f"),
]
VALUES = ['"dg=="', '"dg=="', '"dw=="', '""', "null", '"/wA="', "[118]"]
ODD_VALUES = [
    '"dg="',
    '"dg"',
    '"!"',
    '"_w=="',
    '"d\\ng=="',
    "5",
    "{}",
    "[256]",
    '["a"]',
    "true",
    "[]",
]
FLAGS = ["0", "1", "7", "18446744073709551615", "null"]
ODD_FLAGS = ['"5"', "-5", "1e3", "1.0", "18446744073709551616", "true", "[]"]
INDEXES = ["0", "1", "{m:a}", "{m:a}", "{m:b}", "{m:b/c}", "99999999999"]
ODD_INDEXES = ['"1"', "-1", "null"]
SESSIONS = ['"{s0}"', '"{s0}"', '"{s1}"', '"{s2}"', '"{S0}"', '"{s9}"', '""', '"garbage"']
ODD_SESSIONS = ["5", "null", "[]"]

MALFORMED = [
    *("", " ", "null", "{}", "[", "[]", "[] junk", "[]]", "x", '"x"', "5", "[5]", '["x"]', "[[]]"),
    *("[{}]", '[{"KV":null}]', '[{"KV":{}}]', '[{"KV":[]}]', '[{"KV":"x"}]', '[{"Foo":1}]'),
    *('[{"Session":{"ID":"x"}}]', '[{"KV":{"Verb":5,"Key":"{P}a"}}]', '[{"KV":{"Foo":1}}]'),
    *(
        '[{"kv":{"verb":"set","KEY":"{P}a"}}]',
        '[{"KV":{"Verb":"get","Key":5}}]',
        "\xff",
        "\xef\xbb\xbf[]",
    ),
    *(
        '[{"KV":{"Verb":"set","Key":"{P}a"},"KV":{"Key":"{P}b"}}]',
        '[{"KV":{"Verb":"set","Key":null}}]',
    ),
    *("[null]", '[{"KV":{"Verb":"set","Key":"{P}a"}},null]', '[{"Node":{"Verb":"x"}}]', "[,]"),
    *('[{"KV":{"Verb":"get","Key":"{P}a"}},]', '[{"KV":{"Verb":"set","Key":"{P}a"', "[{}, {}]"),
    *(
        "{'a':1}",
        '[{"KV":{"Verb":"set","Key":"{P}\x01"}}]',
        "nul",
        "tru",
        "-",
        "[01]",
        '"\\x"',
        "[1e]",
    ),
]


def draw_transaction(chance: Chance) -> Call:
    """Draw one transaction, mostly well formed."""
    if chance.one_in(12):
        body = chance.choice(MALFORMED)
    elif chance.one_in(20):
        body = _list([_cas_alone(chance)])
    elif chance.one_in(60):
        body = _many(chance)
    else:
        verbs = READING if chance.one_in(3) else VERBS
        body = _list(_operations(chance, verbs, 1 + chance.below(6)))
    query = ""
    if chance.one_in(5):
        pairs = [f"{name}={chance.choice(ODD[name])}" for name in chance.some(list(ODD), 2)]
        query = "?" + "&".join(pairs)
    encoded = body.encode("latin-1")
    return Call("PUT", TXN + query, encoded, chunked=chance.one_in(10))


def _operations(chance: Chance, verbs: Weighed[str], count: int) -> list[str]:
    """Write operations; no tree is deleted behind a write.

    Consul 1.8.7 ends itself soon after one that does so: it deletes what the same transaction has
    written without telling its watchers, and later closes their channels twice.
    """
    drawn: list[str] = []
    written = False
    for _ in range(count):
        verb = chance.weighed(verbs)
        if written and verb == "delete-tree":
            verb = "get-tree"
        written |= verb in WRITING
        drawn.append(_operation(chance, verb))
    return drawn


def _operation(chance: Chance, verb: str) -> str:
    """Write one operation: those members that its verb looks at, and sometimes others."""
    odd = chance.one_in(25)
    key = chance.choice(ODD_KEYS) if chance.one_in(6) else chance.choice(KEYS)
    members = {"Verb": f'"{verb}"', "Key": f'"{key}"'}
    extra = chance.one_in(12)
    if verb in {"set", "cas", "lock", "unlock"} or extra:
        if verb == "cas":
            members["Value"] = _new_value(chance)
        elif not chance.one_in(6):
            members["Value"] = chance.choice(VALUES + ODD_VALUES * odd)
        if chance.one_in(4):
            members["Flags"] = chance.choice(FLAGS + ODD_FLAGS * odd)
    if (verb in {"cas", "delete-cas", "check-index"} and not chance.one_in(10)) or extra:
        members["Index"] = chance.choice(INDEXES + ODD_INDEXES * odd)
    if (verb in {"lock", "unlock", "check-session"} and not chance.one_in(10)) or extra:
        members["Session"] = chance.choice(SESSIONS + ODD_SESSIONS * odd)
    if odd and chance.one_in(4):
        members[chance.choice(["Foo", "Namespace", "CreateIndex"])] = '""'
    if odd and chance.one_in(4):
        members = {name.lower(): value for name, value in members.items()}
    return '{"KV":{' + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}}"


def _cas_alone(chance: Chance) -> str:
    """Write a check-and-set that may be of an identical value, which is mended when it is alone."""
    key, value = chance.choice(["a", "b", "b/c"]), chance.choice(VALUES[:4])
    members = f'"Verb":"cas","Key":"{{P}}{key}","Value":{value},"Index":{{m:{key}}}'
    return '{"KV":{' + members + "}}"


def _new_value(chance: Chance) -> str:
    """Write a value that no key has, in base64."""
    return f'"{b64encode(b"%09d" % chance.below(10**9)).decode()}"'


def _many(chance: Chance) -> str:
    """Write as many operations, or as many bytes, as are allowed, or one more."""
    if chance.one_in(10):
        frame = '[{"KV":{"Verb":"set","Key":"{P}a","Value":"%s"}}]'
        room = BODY_BYTES_MAX - len(frame)
        return frame % ("A" * (chance.choice([room - 100, room + 100]) // 4 * 4))
    count = chance.choice(
        [OPERATIONS_MAX, OPERATIONS_MAX, OPERATIONS_MAX + 1, 2 * OPERATIONS_MAX + 1]
    )
    verbs = READING if count == OPERATIONS_MAX + 1 else VERBS  # some stores take that many
    return _list(_operations(chance, verbs, count))


def _list(operations: list[str]) -> str:
    return f"[{','.join(operations)}]"
