"""Tests of the state machine, told in indexes."""
