"""Who this server is: what it says of itself to clients that ask."""

from dataclasses import dataclass

__all__ = ["API_VERSION", "Identity"]

# The Consul release whose API this server speaks; clients read it to learn what they may ask for.
API_VERSION = "1.8.7"


@dataclass(frozen=True, slots=True)
class Identity:
    """The one node of the one datacenter."""

    node: str
    # Drawn when the store was made, in the form of a UUID.
    node_id: str
    datacenter: str
    # Where clients reach it.
    host: str
    port: int
    # kvstore's own version.
    version: str

    @property
    def address(self) -> str:
        """Host and port as one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
