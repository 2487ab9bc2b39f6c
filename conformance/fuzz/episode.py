"""Two stores side by side for one episode: what is sent to both, and whether the answers agree."""

from collections import Counter
from dataclasses import dataclass, field, replace

from conformance.fuzz import rules
from conformance.fuzz.comparing import Seen, difference, see, shaped
from conformance.fuzz.naming import Names
from conformance.fuzz.operation import Call
from conformance.fuzz.pairing import Pairing
from conformance.fuzz.rules import Intent
from conformance.fuzz.side import Side
from conformance.suite.wire import Answer


class Differs(Exception):
    """The stores answered differently, and no rule allows it: how, to what, and both answers."""

    def __init__(self, why: str, call: Call, theirs: Answer | None, ours: Answer | None) -> None:
        super().__init__(why)
        self.why = why
        self.call = call
        self.theirs = theirs
        self.ours = ours


@dataclass
class Tally:
    """What has been sent, and how often each rule was needed."""

    requests: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Pair:
    """The oracle and the store, and what each calls its node."""

    oracle: Side
    store: Side
    oracle_node: str = ""
    store_node: str = ""

    def ask(self, theirs: Call, ours: Call) -> tuple[Answer, Answer]:
        """Send a request to each at the same time; return what the oracle and the store said."""
        self.oracle.send(theirs)
        self.store.send(ours)
        return self.oracle.receive(), self.store.receive()

    def close(self) -> None:
        """Close the connections to both."""
        self.oracle.close()
        self.store.close()


class Episode:
    """One episode on a prefix that nobody has used."""

    def __init__(self, pair: Pair, prefix: str, tally: Tally) -> None:
        self.pair = pair
        self.theirs = Names(prefix, pair.oracle_node)
        self.ours = Names(prefix, pair.store_node)
        self.pairing = Pairing()
        self.tally = tally

    def fill(self, call: Call) -> tuple[Call, Call]:
        """Return what is sent to each store."""
        return _filled(call, self.theirs), _filled(call, self.ours)

    def send(self, call: Call) -> tuple[Answer, Answer]:
        """Send a request to both and learn from the answers; compare nothing."""
        return self.send_filled(self.fill(call))

    def send_filled(self, filled: tuple[Call, Call]) -> tuple[Answer, Answer]:
        """Do the same with a request that has no placeholders any more."""
        theirs, ours = self.peek(filled)
        self.learn(theirs, ours)
        return theirs, ours

    def peek(self, filled: tuple[Call, Call]) -> tuple[Answer, Answer]:
        """Send a request to both, and learn nothing from the answers."""
        self.tally.requests += 1
        return self.pair.ask(*filled)

    def learn(self, theirs: Answer, ours: Answer) -> None:
        """Remember the indexes of keys that both answers show."""
        if b"ModifyIndex" in theirs.body and b"ModifyIndex" in ours.body:
            self.theirs.learn(theirs.body)
            self.ours.learn(ours.body)

    def ask(self, call: Call) -> tuple[Answer, Answer]:
        """Send a request to both, compare, and return both answers. Raises Differs."""
        theirs, ours = self.send(call)
        self.compare(call, theirs, ours)
        return theirs, ours

    def compare(self, call: Call, theirs: Answer, ours: Answer) -> None:
        """Compare two answers under all rules that need nothing but them. Raises Differs."""
        if rules.answers_null(call, theirs, ours):
            self.tally.rules[Intent.TXN_NULL] += 1
            return
        if rules.takes_more(call, theirs, ours):
            self.tally.rules[Intent.TXN_LARGER] += 1
            return
        if rules.has_no_catalog(call, theirs, ours):
            self.tally.rules[Intent.ONE_NODE] += 1
            return
        self.tally.statuses[theirs.status] += 1
        why = self._difference(call, see(theirs, self.theirs), see(ours, self.ours))
        if why is not None:
            raise Differs(why, call, theirs, ours)

    def _difference(self, call: Call, theirs: Seen, ours: Seen) -> str | None:
        if theirs.gzipped != ours.gzipped:
            if not rules.leaves_small_plain(theirs, ours):
                return "Content-Encoding"
            self.tally.rules[Intent.SMALL_BODIES_PLAIN] += 1
        if rules.is_of_one_node(call):
            return self._difference_of_nodes(call, theirs, ours)
        ahead = rules.index_may_be_ahead(call, theirs, ours, self.pairing)
        why = difference(theirs, ours, self.pairing.fits, ahead=ahead)
        if why == "body" and rules.decode_texts(theirs, ours):
            self.tally.rules[Intent.DECODE_TEXTS] += 1
            return None
        if ahead and why is None:
            self.tally.rules[Intent.INDEX_NEVER_BACK] += 1
        return why

    def _difference_of_nodes(self, call: Call, theirs: Seen, ours: Seen) -> str | None:
        """Compare what is read of nodes: equal, or of the same shape when it is about the store."""
        theirs, ours = replace(theirs, indexes=[]), replace(ours, indexes=[])
        why = difference(theirs, ours, self.pairing.fits)
        if why != "body" or theirs.status != rules.OK or not rules.is_true_of_one_store(call):
            return why
        self.tally.rules[Intent.ONE_NODE] += 1
        return difference(shaped(theirs), shaped(ours), self.pairing.fits)


def _filled(call: Call, names: Names) -> Call:
    return Call(
        call.method,
        names.fill(call.target),
        names.fill_body(call.body),
        call.headers,
        call.chunked,
    )
