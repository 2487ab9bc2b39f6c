"""Clients that mean harm, or might as well: what they get, and what is left of them."""
