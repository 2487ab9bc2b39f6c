"""The response headers that a client may look at; all others are the server's own business."""

from conformance.suite.wire import Answer

WATCHED = {
    name.lower()
    for name in (
        *("Content-Type", "Vary", "Allow", "Location", "Content-Encoding", "Server"),
        *("Cache-Control", "ETag", "Last-Modified", "Access-Control-Allow-Origin"),
        *("X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact"),
        *("X-Consul-Effective-Consistency", "X-Consul-Contenthash", "X-Consul-Reason"),
        *("X-Content-Type-Options", "Content-Security-Policy", "X-Cache", "Age"),
    )
}
"""Date, lengths and what later versions of Consul add are free."""


def watched(answer: Answer) -> dict[str, str]:
    """Return the headers clients look at, spelt as they came."""
    return {name: value for name, value in answer.headers if name.lower() in WATCHED}
