"""What one soak is to be, and the times that follow from it. Pure."""

from dataclasses import dataclass

# Docker's defaults, which `speed` divides.
# Source: spec/docker-cluster-store.md, sections 1.3 and 1.4.
_HEARTBEAT_S = 20.0
_SESSION_TTL_S = 30.0
_WAIT_S = 15.0

# Ours: how much is going on. Each engine starts or removes a container about this often …
_PACE_S = 120.0
# … somewhere in the fleet an engine crashes …
_CRASH_S = 30.0
# … and a network is replaced by a new one.
_RETIRE_S = 20.0

_ENGINES_PER_NETWORK = 10
_NETWORKS_MIN = 4

# The first part of a run is told, not judged: engines arrive, containers start.
_WARM_UP_PART = 0.25
_WARM_UP_MOST = 4.0
_WARM_UP_GRACE_S = 60.0
_RAMP_PART_OF_WARM_UP = 0.25
_RAMP_MAX_S = 60.0

# More at once would only be in each other's way, and a busy machine would never get through.
_ENGINES_PER_ACTION = 16
_ACTIONS_MIN = 8

_WINDOWS = 60
_WINDOW_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One soak: how many engines, for how long, and how much faster than real ones they live."""

    engines: int
    seconds: float
    speed: float = 1.0
    seed: int = 0
    # Before every key: "" or "folder/", as in `--cluster-store=consul://HOST:PORT/folder`.
    prefix: str = ""
    # The shortest session TTL that the store takes.
    ttl_min_s: float = 10.0

    def scaled(self, seconds: float) -> float:
        """Return how long something takes that takes `seconds` with real engines."""
        return seconds / self.speed

    @property
    def heartbeat_s(self) -> float:
        """Time between two heartbeats of one engine."""
        return self.scaled(_HEARTBEAT_S)

    @property
    def session_ttl_s(self) -> float:
        """The TTL that engines ask for: half of discovery's, since the store doubles it."""
        return max(self.scaled(_SESSION_TTL_S), self.ttl_min_s)

    @property
    def wait_ms(self) -> int:
        """The `wait` of every watch."""
        return round(self.scaled(_WAIT_S) * 1000)

    @property
    def pace_s(self) -> float:
        """Mean time between two actions of one engine's user."""
        return self.scaled(_PACE_S)

    @property
    def crash_s(self) -> float:
        """Time between two crashes of engines."""
        return self.scaled(_CRASH_S)

    @property
    def retire_s(self) -> float:
        """Time between two replacements of a network."""
        return self.scaled(_RETIRE_S)

    @property
    def networks(self) -> int:
        """How many networks there are, but for those about to be removed."""
        return max(_NETWORKS_MIN, self.engines // _ENGINES_PER_NETWORK)

    @property
    def actions_max(self) -> int:
        """How many users act at once; the others wait."""
        return max(_ACTIONS_MIN, self.engines // _ENGINES_PER_ACTION)

    @property
    def warm_up_s(self) -> float:
        """How long what is measured is not judged, if the machine is fast enough."""
        return self.seconds * _WARM_UP_PART

    @property
    def warm_up_max_s(self) -> float:
        """How long to wait for the first containers; the run is longer by the difference."""
        return self.warm_up_s * _WARM_UP_MOST + _WARM_UP_GRACE_S

    @property
    def judged_s(self) -> float:
        """How long the run goes on after its warm-up."""
        return self.seconds - self.warm_up_s

    @property
    def ramp_s(self) -> float:
        """How long it takes until all engines have started."""
        return min(_RAMP_MAX_S, self.warm_up_s * _RAMP_PART_OF_WARM_UP)

    @property
    def window_s(self) -> float:
        """The length of one row of figures."""
        return min(_WINDOW_MAX_S, max(1.0, self.seconds / _WINDOWS))
