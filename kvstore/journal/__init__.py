"""Bytes that last: the port `Journal`, and the two ways to keep one (files, memory).

Knows the commands of `state` as values; knows nothing of what they do, of HTTP or of waiting.
"""
