"""Transport: connections are accepted, and TLS is put between them and the protocol above.

Knows no store and no server, and of HTTP only, as bytes, what a client is told that gets no
connection: one that forgot TLS, or one too many.
"""
