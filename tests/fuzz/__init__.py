"""Fuzzers: of the parsers, guided by coverage, and of a whole server, guided by a grammar."""
