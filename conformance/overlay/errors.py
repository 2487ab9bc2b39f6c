"""What can go wrong in the lab, split by whose fault it is.

    LabUnavailable   this machine cannot run the lab: no root, a missing package (exit code 3)
    Mismatch         the store or an engine did not do what a scenario expects (the scenario fails)
    Skipped          a scenario that has no meaning for this store; not an error

Any other exception out of the lab is a bug of the lab.
"""


class LabUnavailable(Exception):
    """The lab cannot run here; the text is one sentence that ends with the next step."""


class Mismatch(AssertionError):
    """What was expected is not what was seen; both are in the text."""


class Skipped(Exception):
    """The scenario does not apply; the text says why."""
