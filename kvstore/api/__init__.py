"""HTTP: from a request's bytes to a response's bytes, and the aiohttp server around it.

Endpoints are plain functions of a `Request`; only `lane.py` and `listener.py` know aiohttp.
"""
