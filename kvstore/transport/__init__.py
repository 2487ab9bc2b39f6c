"""Transport: connections are accepted, and TLS is put between them and the protocol above.

Knows nothing of HTTP but the answer to a client that forgot TLS.
"""
