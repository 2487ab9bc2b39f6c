"""Commands as msgpack: what goes in comes out, and what is no command is said to be none."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.codec import CommandEncoder, UnreadableCommand, decode_commands
from kvstore.state.command import Command, CreateStore, DeleteKey, SetKey, Txn, TxnOp

from .batches import EVERY_COMMAND, EVERY_OP, a_command
from .encoded import encode_commands

# As in the codec: text that is no UTF-8 comes back as it was.
SURROGATES = "surrogateescape"


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_every_command_comes_back(command: Command) -> None:
    """Extremes of every field survive: text that is no UTF-8, null lists, the largest numbers."""
    assert decode_commands(encode_commands([command])) == [command]


def test_every_kind_of_command_is_tried() -> None:
    """A command that is new in `command.py` is missed here until it has an example."""
    assert {type(command) for command in EVERY_COMMAND} == set(Command.__args__)
    assert {type(op) for op in EVERY_OP} == set(TxnOp.__args__)


@given(st.lists(a_command, max_size=8))
def test_any_list_of_commands_comes_back(commands: list[Command]) -> None:
    """decode(encode(c)) == c, for batches of any length, the empty one included."""
    assert decode_commands(encode_commands(commands)) == commands


@given(st.lists(st.lists(a_command, max_size=4), max_size=5))
def test_an_encoder_encodes_one_batch_after_the_other(batches: list[list[Command]]) -> None:
    """Nothing of a batch is left in the next one, be it shorter or longer."""
    encoder = CommandEncoder()
    for commands in batches:
        with encoder.encode(commands) as body:
            assert decode_commands(bytes(body)) == commands


def test_a_body_is_given_up_before_the_next_one() -> None:
    """It is the encoder's memory; one that is very large is not."""
    encoder = CommandEncoder()
    large = encoder.encode([SetKey(b"large", bytes(9_000_000), 0)])
    small = encoder.encode([DeleteKey(b"k")])
    with pytest.raises(BufferError):
        encoder.encode([])
    small.release()
    assert bytes(encoder.encode([])) == msgpack.packb([])
    assert decode_commands(bytes(large)) == [SetKey(b"large", bytes(9_000_000), 0)]


def test_body_of_a_batch_is_one_array_of_arrays() -> None:
    """As docs/journal-format.md tells a reader of another language."""
    body = encode_commands([CreateStore("a"), DeleteKey(b"k")])
    assert msgpack.unpackb(body) == [[1, "a"], [4, b"k"]]
    assert encode_commands([SetKey(b"a", b"v1", 0)]).hex() == "919402c40161c402763100"
    txn = Txn((SetKey(b"a", b"v1", 0), DeleteKey(b"b")))
    assert msgpack.unpackb(encode_commands([txn])) == [[12, [[2, b"a", b"v1", 0], [4, b"b"]]]]
    assert encode_commands([]) == msgpack.packb([])


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        ([[0]], "opcode 0 is unknown to this version"),
        ([[99, b"k"]], "opcode 99 is unknown to this version"),
        ([["x"]], "opcode 'x' is unknown to this version"),
        ([[4]], "not a list of commands"),
        ([[4, b"k", b"more"]], "not a list of commands"),
        ([[[4], b"k"]], "not a list of commands"),
        ([[9, "id", "name"]], "not a list of commands"),
        ([[11]], "not a list of commands"),
        ([[11, [], [], []]], "not a list of commands"),
        ([[12]], "not a list of commands"),
        ([[12, [], []]], "not a list of commands"),
        ([[12, [[]]]], "not a list of commands"),
        ([[12, [4, b"k"]]], "not a list of commands"),
        ([[12, [[4]]]], "not a list of commands"),
        ([[12, 7]], "not a list of commands"),
        ([[12, [[4, b"k"], [99, b"k"]]]], "opcode 99 is unknown to this version"),
        ([[]], "not a list of commands"),
        ([7], "not a list of commands"),
        ([None], "not a list of commands"),
        # A command that is not in a list.
        ([4, b"k"], "not a list of commands"),
        (7, "not a list of commands"),
        (None, "not a list of commands"),
    ],
)
def test_what_this_version_does_not_know_is_said(packed: object, text: str) -> None:
    """An unknown opcode and a wrong number of fields are refused with the reason."""
    with pytest.raises(UnreadableCommand, match=text):
        decode_commands(msgpack.packb(packed))


@pytest.mark.parametrize("op", EVERY_OP, ids=lambda op: type(op).__name__)
def test_operations_that_only_read_are_no_commands(op: TxnOp) -> None:
    """Outside a transaction they are as unknown as what no version knows."""
    ((_txn, (packed,)),) = msgpack.unpackb(encode_commands([Txn((op,))]), unicode_errors=SURROGATES)
    body = msgpack.packb([packed], unicode_errors=SURROGATES)
    if isinstance(op, Command):
        assert decode_commands(body) == [op]
    else:
        with pytest.raises(UnreadableCommand, match=f"opcode {packed[0]} is unknown"):
            decode_commands(body)


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_commands_that_are_no_operations(command: Command) -> None:
    """Neither sessions, nor a restore, nor a transaction can be in a transaction."""
    (packed,) = msgpack.unpackb(encode_commands([command]), unicode_errors=SURROGATES)
    body = msgpack.packb([[12, [packed]]], unicode_errors=SURROGATES)
    if isinstance(command, TxnOp):
        assert decode_commands(body) == [Txn((command,))]
    else:
        with pytest.raises(UnreadableCommand, match=f"opcode {packed[0]} is unknown"):
            decode_commands(body)


def test_batch_with_one_unreadable_command_is_unreadable() -> None:
    """The commands before it do not count: a batch is read whole or not at all."""
    body = msgpack.packb([[4, b"k"], [99, b"k"], [4, b"l"]])
    with pytest.raises(UnreadableCommand, match="opcode 99"):
        decode_commands(body)


def test_bytes_behind_a_batch_are_unreadable() -> None:
    """A second list in the same body is not passed over in silence."""
    body = encode_commands([DeleteKey(b"k")])
    for more in (b"\xc1", b"\x00", body):
        with pytest.raises(UnreadableCommand):
            decode_commands(body + more)


@given(st.lists(a_command, min_size=1, max_size=3), st.data())
def test_body_that_ends_early_is_unreadable(commands: list[Command], data: st.DataObject) -> None:
    """No beginning of a batch passes for one."""
    body = encode_commands(commands)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(UnreadableCommand):
        decode_commands(body[:cut])


@given(st.binary(max_size=60))
def test_any_bytes_are_commands_or_unreadable(body: bytes) -> None:
    """No bytes raise anything else."""
    with suppress(UnreadableCommand):
        decode_commands(body)


def test_value_of_the_largest_size_comes_back() -> None:
    """The reader's own limits are those of the body, not msgpack's."""
    command = SetKey(b"k", bytes(3 * 1024 * 1024), 0)
    assert decode_commands(encode_commands([command])) == [command]
