"""A lab of real Docker engines in network namespaces, run against a store by one command.

Start reading at `cli.py` (the command), then `session.py` (what a run starts and ends),
`lab.py` (the verbs of a scenario), and `scenarios/` (what is expected, chapter by chapter).
"""
