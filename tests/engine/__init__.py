"""Tests of the engine: order, time and waiting, on a clock that the tests move."""
