"""A round: one courier's stops in order, from the plan to the last report."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from services.dispatch.domain.errors import RoundStarted
from services.dispatch.domain.events import DeliveryId, StopKind


class StopState(StrEnum):
    """How far a stop is."""

    TO_DO = "to_do"
    STARTED = "started"  # the courier is on the way to it
    ARRIVED = "arrived"
    HELD = "held"  # a drop that was reported before its pickup was
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"  # nothing to drop: the pickup failed
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    MOVED = "moved"  # taken out of this round after its publication


EMPTIED = "Toutes ses livraisons sont passées à d'autres tournées."
"""Why a round is withdrawn of which a readjustment leaves nothing."""

STOPS_ENDED = frozenset(
    {
        StopState.COMPLETED,
        StopState.FAILED,
        StopState.SKIPPED,
        StopState.CANCELLED,
        StopState.LAPSED,
        StopState.MOVED,
    }
)


class RoundState(StrEnum):
    """How far a round is."""

    DRAFT = "draft"
    PUBLISHED = "published"
    UNDER_WAY = "under_way"
    CLOSED = "closed"  # every stop has ended
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many units of a kind there were at the door."""

    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A pickup or a drop in a round.

    `arrives_at`, `starts_at`, `leaves_at` are planned; `aboard_grams` and `aboard_millilitres` are on the bike after
    it. The rest is what was reported: `reported_at` is the device's time of the report that ended (or holds) it and
    `received_at` when it reached us; `ended_at` is the time we tell others, which differs from the device's when that
    one cannot be true. `flags` say what is strange.
    """

    id: str
    delivery_id: DeliveryId
    kind: StopKind
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime
    aboard_grams: int
    aboard_millilitres: int
    state: StopState = StopState.TO_DO
    started_at: datetime | None = None
    arrived_at: datetime | None = None
    reported_at: datetime | None = None
    received_at: datetime | None = None
    ended_at: datetime | None = None
    counted: tuple[Counted, ...] = ()
    reason_code: str = ""
    note: str = ""
    proof_ids: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens at it."""
        return self.state in STOPS_ENDED


@dataclass(frozen=True, slots=True)
class BreakTaken:
    """A rest in a round, at the times that are planned."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Round:
    """One courier's stops in order. `shift_print` names the shift, bike and courier as they were when it was planned;
    `aboard` and planned times of its stops hold for the order they are in.
    """

    id: str
    plan_id: str
    cooperative_id: str
    courier_id: str
    bike_id: str
    shift_id: str
    shift_print: str
    day: date
    starts_at: datetime
    ends_at: datetime
    travel_seconds: int
    travel_metres: int
    stops: tuple[Stop, ...]
    state: RoundState = RoundState.DRAFT
    published_at: datetime | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawal_reason: str = ""
    breaks: tuple[BreakTaken, ...] = ()

    @property
    def delivery_ids(self) -> tuple[DeliveryId, ...]:
        """Its deliveries, in the order of their pickups; those that were taken out of it are not its own any more."""
        return tuple(
            stop.delivery_id
            for stop in self.stops
            if stop.kind is StopKind.PICKUP and stop.state is not StopState.MOVED
        )

    @property
    def as_ridden(self) -> "Round":
        """The round without what was taken out of it after its publication."""
        return replace(self, stops=tuple(stop for stop in self.stops if stop.state is not StopState.MOVED))

    def stop_of(self, delivery_id: DeliveryId, kind: StopKind) -> Stop:
        """Return one of the two stops of a delivery of this round."""
        return next(stop for stop in self.stops if stop.delivery_id == delivery_id and stop.kind is kind)

    def publish(self, *, at: datetime) -> "Round":
        """Let the courier see it."""
        assert self.state is RoundState.DRAFT
        return replace(self, state=RoundState.PUBLISHED, published_at=at)

    def withdraw(self, reason: str, *, at: datetime) -> "Round":
        """Take it back before anything was ridden of it. Raises RoundStarted."""
        assert self.state not in (RoundState.DRAFT, RoundState.WITHDRAWN)
        if self.started_at is not None:
            raise RoundStarted(self.id, self.started_at)
        return replace(self, state=RoundState.WITHDRAWN, withdrawn_at=at, withdrawal_reason=reason)

    def readjust(
        self,
        stops: tuple[Stop, ...],
        *,
        starts_at: datetime,
        ends_at: datetime,
        travel_seconds: int,
        travel_metres: int,
        breaks: tuple[BreakTaken, ...],
        at: datetime,
    ) -> "Round":
        """Ride on through these stops; one that was closed is open again where there is something to do.

        One of which nothing is left is closed, or withdrawn if nothing was ridden. Times and travel are of all of it.
        """
        assert self.state in (RoundState.PUBLISHED, RoundState.UNDER_WAY, RoundState.CLOSED)
        changed = replace(
            self,
            stops=stops,
            state=RoundState.UNDER_WAY if self.state is RoundState.CLOSED else self.state,
            closed_at=None,
            starts_at=starts_at,
            ends_at=ends_at,
            travel_seconds=travel_seconds,
            travel_metres=travel_metres,
            breaks=breaks,
        )
        if self.started_at is None and all(stop.state is StopState.MOVED for stop in stops):
            return changed.withdraw(EMPTIED, at=at)
        return changed.with_stops(at=at)

    def ridden(self, *, at: datetime) -> "Round":
        """Note that the courier did something in it `at`."""
        started_at = min(at, self.started_at) if self.started_at else at
        state = RoundState.UNDER_WAY if self.state is RoundState.PUBLISHED else self.state
        return replace(self, state=state, started_at=started_at)

    def with_stops(self, *stops: Stop, at: datetime) -> "Round":
        """Return it with these stops in their present state; it is closed once all have ended."""
        now = {stop.id: stop for stop in stops}
        changed = replace(self, stops=tuple(now.get(stop.id, stop) for stop in self.stops))
        is_open = self.state in (RoundState.PUBLISHED, RoundState.UNDER_WAY)
        if is_open and all(stop.has_ended for stop in changed.stops):
            return replace(changed, state=RoundState.CLOSED, closed_at=at)
        return changed
