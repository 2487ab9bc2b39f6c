"""What can go wrong in a soak, split by whose fault it is.

    Broken        a request failed; the meter has it as a fault, and its action cannot go on
    SoakRefused   the soak cannot run here or was asked for nonsense

Any other exception out of the soak is a bug of the soak.
"""


class Broken(Exception):
    """A request got no answer or one that it should not get; already told to the meter."""


class SoakRefused(Exception):
    """The soak cannot run; the text is one sentence that ends with the next step."""
