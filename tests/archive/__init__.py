"""Tests of Consul's snapshot archives: what is written, what is read, and what is refused."""
