"""How stores are asked, and what their answers mean."""

import base64
import json

import pytest

from benchmarks.client import Reply
from benchmarks.dialect import CONSUL, ETCD, Dialect

DIALECTS = [CONSUL, ETCD]


def reply(body: object, status: int = 200) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_numbered_writes_have_keys_and_values_of_their_own(dialect: Dialect) -> None:
    """What the load generator fills in makes another key, and a value of 300 B or nearly."""
    template = dialect.put_template("bench/put/", "v" * 288)
    first = template.target % 1 if "%" in template.target else template.target
    second = template.target % 2 if "%" in template.target else template.target
    assert (first, template.body % (1, 7)) != (second, template.body % (2, 7))
    body = template.body % (1, 7)
    value = base64.b64decode(json.loads(body)["value"]) if dialect is ETCD else body.encode()
    assert value.endswith(b"v" * 288)
    assert 290 <= len(value) <= 300


def test_numbered_keys_of_etcd_are_below_their_prefix() -> None:
    """Base64 goes on where that of the prefix ends."""
    body = json.loads(ETCD.put_template("bench/put/", "v").body % (999, 7))
    assert base64.b64decode(body["key"]).startswith(b"bench/put/")


def test_values_of_consul() -> None:
    """An entry without a value has an empty one; a missing key has none."""
    assert CONSUL.values(reply([{"Value": "dHJ1ZQ=="}, {"Value": None}])) == [b"true", b""]
    assert CONSUL.values(Reply(404, {}, b"")) == []


def test_values_of_etcd() -> None:
    """The same from a range; an empty range has no list at all."""
    assert ETCD.values(reply({"kvs": [{"value": "dHJ1ZQ=="}, {}]})) == [b"true", b""]
    assert ETCD.values(reply({"header": {}})) == []


def test_what_was_written() -> None:
    """Refusals come with status 200, too."""
    assert CONSUL.wrote(Reply(200, {}, b"true\n"))
    assert CONSUL.wrote(Reply(200, {}, b'{"Results":[{"KV":{}}],"Errors":null}'))
    assert not CONSUL.wrote(Reply(200, {}, b"false"))
    assert not CONSUL.wrote(Reply(500, {}, b"true"))
    assert ETCD.wrote(reply({"header": {"revision": "2"}}))
    assert not ETCD.wrote(reply({"error": "etcdserver: mvcc: database space exceeded"}, 400))
