"""kvstore: a lightweight key-value server that speaks Consul's KV HTTP API."""

__version__ = "0.1.0"
