"""What can be wrong with a trace or with a recording; whatever else is raised is a bug."""


class NotRecorded(Exception):
    """No recording can be made of a trace, or what should be a recording is none."""
