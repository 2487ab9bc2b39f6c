"""The conformance suite: cases by contract id, played on any store that speaks Consul's API.

`case.py` says what a case is, `chapters.py` has all of them, `runner.py` plays them.
Nothing here imports kvstore: the suite measures any server and is installed by itself.
"""
