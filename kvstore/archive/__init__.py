"""Consul's snapshot archives ⇄ images of a store."""
