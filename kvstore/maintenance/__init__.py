"""Work on data folders: snapshots, verifying, looking back, backup and restore.

Everything here reads files that do not change, or whose end alone does, beside a server or without
one; only `compactor.py` is a part of the server.
"""
