"""Tests of the journal: one suite for every kind, and what damage and failure do to the files."""
