"""Measures this server beside what it replaces: a real Consul and etcd, on the same machine.

`python -m benchmarks --help` begins; README.md beside this file says what is measured and how.
It knows a store by its command line and its address only, and imports nothing of kvstore.
"""
