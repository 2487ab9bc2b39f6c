"""One soak from its start to its verdict: the engines, the looks at the store, the judgement."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from conformance.soak.fleet import Fleet
from conformance.soak.meter import Fault, Meter
from conformance.soak.news import LATE_S, News
from conformance.soak.plan import Plan
from conformance.soak.process import ProcessGone, Sample, sample
from conformance.soak.store import RunningStore
from conformance.soak.verdict import (
    LONG,
    SHORT,
    WINDOWS_MIN,
    Judged,
    Tolerances,
    judge,
    judge_departure,
)
from conformance.soak.windows import Recorder, Window, ask_store
from conformance.soak.wire import Wire

# From here on a run is long enough to judge how fast answers are.
LONG_S = 120.0

_LOOK_S = 1.0
_LAG_PROBE_S = 0.05
# How long a store may take to see that all engines have gone.
_DEPARTURE_S = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a soak is, for a person who watches it. `window` is set when one has just ended."""

    elapsed_s: float
    # What is being done, when it is not the soak itself.
    step: str
    requests: int
    store: Sample
    faults: int
    window: Window | None = None


@dataclass(slots=True)
class Outcome:
    """What a soak found. It is `ok` when there was no fault and every judged figure is flat."""

    plan: Plan
    store: str
    # Whether answer times and late watchers are judged.
    long: bool
    # When the warm-up was over, in seconds from the start; 0 if it never was.
    warm_at_s: float = 0.0
    windows: list[Window] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: int = 0
    # Heartbeats that our own side sent too late to keep a session.
    late_heartbeats: int = 0

    @property
    def ok(self) -> bool:
        """Whether the store stayed as it was and answered as it should."""
        return bool(self.judged) and not self.faults and all(one.flat for one in self.judged)

    @property
    def judged_windows(self) -> list[Window]:
        """The windows after the warm-up."""
        return [one for one in self.windows if self.warm_at_s and one.start_s >= self.warm_at_s]


Tell = Callable[[Progress], None]


async def soak(plan: Plan, store: RunningStore, tell: Tell) -> Outcome:
    """Run the plan against a store. Cancelled, it closes every connection it has."""
    return await _Soak(plan, store, tell).run()


class _Soak:
    """What the steps of one soak share."""

    def __init__(self, plan: Plan, store: RunningStore, tell: Tell) -> None:
        self._plan = plan
        self._store = store
        self._tell = tell
        self._meter = Meter()
        self._news = News(self._meter, monotonic)
        self._outcome = Outcome(plan, store.name, long=plan.seconds >= LONG_S)
        self._tolerances: Tolerances = LONG if self._outcome.long else SHORT
        self._wire = Wire(store.url, self._meter)
        self._fleet: Fleet | None = None

    async def run(self) -> Outcome:
        """Do it all."""
        try:
            await self._ask()  # so that its connection is there before anything is counted
            before = sample(self._store.pid)
            await self._play()
            self._judge(await self._departed(before))
        except* ProcessGone:
            self._meter.fault("store ended", self._store.log_tail())
        finally:
            gc.unfreeze()
            if self._fleet is not None:
                await self._fleet.close()
            await self._wire.close()
        self._outcome.faults = self._meter.faults
        self._outcome.requests = self._meter.requests_total
        self._outcome.late_heartbeats = self._meter.late_heartbeats
        return self._outcome

    async def _play(self) -> None:
        """Let the engines come, live and leave."""
        async with asyncio.TaskGroup() as group:
            fleet = self._fleet = Fleet(self._plan, self._store.url, self._meter, self._news, group)
            recorder = Recorder(self._store.pid, self._meter)
            probe = group.create_task(_probe_lag(recorder))
            fleet.begin()
            await self._record(recorder, fleet)
            self._step(recorder, "ending what is under way")
            await fleet.quiet()
            self._step(recorder, "waiting for watchers")
            await fleet.settle()
            self._step(recorder, "looking through the records")
            await fleet.audit()
            self._step(recorder, "leaving")
            await fleet.leave()
            probe.cancel()

    async def _record(self, recorder: Recorder, fleet: Fleet) -> None:
        """Look at the store once a second, and end a window when it is time."""
        plan, outcome = self._plan, self._outcome
        window_ends = plan.window_s
        ends = plan.warm_up_max_s
        while recorder.elapsed_s < ends or self._lacks_windows():
            await asyncio.sleep(_LOOK_S - recorder.elapsed_s % _LOOK_S)
            self._news.sweep()
            window = None
            if recorder.elapsed_s >= window_ends:
                window = recorder.cut(await self._ask())
                outcome.windows.append(window)
                window_ends = recorder.elapsed_s + plan.window_s - _LOOK_S / 2
            if not outcome.warm_at_s and fleet.filled and recorder.elapsed_s >= plan.warm_up_s:
                outcome.warm_at_s = recorder.elapsed_s
                ends = recorder.elapsed_s + plan.judged_s
                # What is there by now stays; looking for garbage in it stops us for 0.2 s.
                gc.collect()
                gc.freeze()
            self._step(recorder, "" if outcome.warm_at_s else "warming up", window)
        if not outcome.warm_at_s:
            self._meter.fault(
                "warm-up",
                f"not all engines had their first containers after {ends:.0f} s: "
                "the store or this machine is too slow for so many",
            )

    def _lacks_windows(self) -> bool:
        """Whether there are not enough windows to judge yet: on a busy machine they are longer."""
        return bool(self._outcome.warm_at_s) and len(self._outcome.judged_windows) < WINDOWS_MIN

    async def _departed(self, before: Sample) -> Judged:
        """Wait until the store has noticed that the engines are gone; judge what it kept."""
        deadline = monotonic() + _DEPARTURE_S
        while True:
            after = sample(self._store.pid)
            judged = judge_departure(before.fds, after.fds)
            if judged.flat or monotonic() > deadline:
                return judged
            await asyncio.sleep(_LOOK_S)

    def _judge(self, departure: Judged) -> None:
        outcome = self._outcome
        if not outcome.warm_at_s:
            return  # a fault, and nothing to judge
        windows = outcome.judged_windows
        outcome.judged = [*judge(windows, self._tolerances), departure]
        late = sum(one.cut.late for one in windows)
        if late and outcome.long:
            self._meter.fault("watch late", f"{late} watchers heard after more than {LATE_S:g} s")

    async def _ask(self) -> dict[str, int]:
        return await ask_store(self._wire)

    def _step(self, recorder: Recorder, step: str, window: Window | None = None) -> None:
        self._tell(
            Progress(
                elapsed_s=recorder.elapsed_s,
                step=step,
                requests=self._meter.requests_total,
                store=recorder.look(),
                faults=self._meter.fault_count,
                window=window,
            )
        )


async def _probe_lag(recorder: Recorder) -> None:
    """Tell the recorder how much later than asked we are woken."""
    while True:
        due = monotonic() + _LAG_PROBE_S
        await asyncio.sleep(_LAG_PROBE_S)
        recorder.held_up(monotonic() - due)
