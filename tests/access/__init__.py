"""Tests of kvstore/access."""
