"""Tests of the HTTP floor: pure parts by tables, endpoints by dispatch, the lane by its socket."""
