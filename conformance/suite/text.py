"""Text that any file and any terminal can hold.

What a store answers may have any bytes in it, and a failure shows them: control characters could
move a terminal's cursor, and XML has no way at all to spell some of them.
"""


def clean(text: str) -> str:
    r"""Return the text with all that cannot be seen written as `\x1b` or `\ud800`.

    Lines and tabs stay. What is left is text of every XML and HTML.
    """
    return "".join(one if one.isprintable() or one in "\n\t" else _spelt(one) for one in text)


def one_line(text: str) -> str:
    r"""Return clean text on one line, its line ends and tabs written as `\n` and `\t`."""
    return "".join(one if one.isprintable() else _spelt(one) for one in text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
