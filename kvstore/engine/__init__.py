"""Order, time and waiting: one writer, admission, blocking queries, session expiry.

Knows the state and a journal; knows nothing of HTTP or of how a journal keeps its promise.
"""
