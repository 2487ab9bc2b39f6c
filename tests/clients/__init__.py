"""Clients that others wrote, unmodified, on our server and on a real Consul."""
