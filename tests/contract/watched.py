"""The response headers that a client may look at; all others are the server's own business."""

from .wire import Answer

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
"""What clients may look at; others (Date, lengths, later Consul's additions) are free."""


def watched(answer: Answer) -> dict[str, str]:
    """Return the headers clients look at, spelt as they came; any index above 1 is `N`."""
    found = {name: value for name, value in answer.headers if name.lower() in WATCHED}
    if int(found.get("X-Consul-Index", "1")) > 1:
        found["X-Consul-Index"] = "N"
    return found
