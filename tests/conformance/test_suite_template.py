"""Text with names in it: what is sent, what is matched, and what is refused."""

import pytest

from conformance.suite.script.template import Template, TemplateInvalid, Unbound

SESSION = b"01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("plain $p/k", b"plain run/1/k"),
        ("${p}x ${i1 + 2} ${i1 - 1}", b"run/1x 9 6"),
        ("${upper s1}", SESSION.upper()),
        ("${repeat ab 3}${repeat \\s 2}.", b"ababab  ."),
        ('${repeat {"a":1\\} 2}', b'{"a":1}{"a":1}'),
        ("${base64 $p}", b"cnVuLzE="),
        (r"\n\r\t\s\x00\xff\\\$\.\|", b"\n\r\t \x00\xff\\$.|"),
        ("é☃", "é☃".encode()),
        ("a...b", b"a...b"),
    ],
)
def test_what_is_sent(source: str, sent: bytes) -> None:
    """Names, calls and escapes become bytes."""
    names = {"p": b"run/1", "i1": b"7", "s1": SESSION}
    assert Template.parse(source).fill(names) == sent


@pytest.mark.parametrize("source", ["$", "a $ b", "${", "${nope nope}", "$Upper", "ends in \\"])
def test_what_is_no_template(source: str) -> None:
    """A dollar or a backslash that means nothing is refused with what to write instead."""
    with pytest.raises(TemplateInvalid):
        Template.parse(source)


def test_an_unbound_name_cannot_be_sent() -> None:
    """The name is told."""
    with pytest.raises(Unbound, match=r"\$i1"):
        Template.parse("?cas=$i1").fill({})


@pytest.mark.parametrize(
    ("source", "data", "bound"),
    [
        ("exact", b"exact", {}),
        ("exact", b"exactly", None),
        ("a.c", b"abc", None),
        ("[$i1,$i2]", b"[1,22]", {"i1": b"1", "i2": b"22"}),
        ("[$i1,$i2]", b"[1,x]", None),
        ("[$i1,$i1]", b"[5,5]", {"i1": b"5"}),
        ("[$i1,$i1]", b"[5,6]", None),
        ('{"ID":"$s1"}', b'{"ID":"%s"}' % SESSION, {"s1": SESSION}),
        ('{"ID":"$s1"}', b'{"ID":"%s"}' % SESSION.upper(), None),
        ('"$node"...', b'"n1","x"\n', {"node": b"n1"}),
        ("...b...", b"ab\nb", {}),
        (r"\...", b"abc", None),
        (r"\.\.\.", b"...", {}),
        ("$known", b"old", {}),
        ("$known", b"new", None),
        ("${i0 + 1}", b"4", {}),
        ("${i0 + 1}", b"3", None),
    ],
)
def test_what_is_matched(source: str, data: bytes, bound: dict[str, bytes] | None) -> None:
    """A name is bound where it is met first, and must be the same after that."""
    assert Template.parse(source).match(data, {"known": b"old", "i0": b"3"}) == bound


@pytest.mark.parametrize(
    ("source", "data", "nearest"),
    [
        ('{"Flags":7,"Index":$i1}', b'{"Flags":0,"Index":12}', '{"Flags":7,"Index":$i1}'),
        ('{"Index":$i1,"Flags":7}', b'{"Index":12,"Flags":0}', '{"Index":12,"Flags":7}'),
        ("[...,$i1,x,$i1]", b"[a,b,5,x,6]", "[a,b,5,x,5]"),
        ("$known", b"new", "old"),
        ("true", b"true\n", "true"),
        ("", b"\xff", ""),
    ],
)
def test_what_comes_nearest(source: str, data: bytes, nearest: str) -> None:
    """What is expected is spelt as what came, up to where the two part."""
    assert Template.parse(source).nearest(data, {"known": b"old"}) == nearest


def test_shown_to_a_person() -> None:
    """What is bound is filled in, the rest stays a name."""
    template = Template.parse("$p/$i1 ${i9 + 1} ... \\xff")
    assert template.shown({"p": b"run"}) == "run/$i1 ... ... \\xff"
