"""A delivery: one leg of an order as dispatch sees it, from its order to what became of it."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from services.dispatch.domain.events import (
    DeliveryCancelled,
    DeliveryId,
    DeliveryLapsed,
    DeliveryLeftOut,
    DeliveryPlanned,
    DeliveryWithdrawn,
)


class DeliveryState(StrEnum):
    """How far a delivery is."""

    WAITING_FOR_HOLD = "waiting_for_hold"
    REFUSED = "refused"  # no money is held for it: not to be ridden
    PLANNABLE = "plannable"
    PLANNED = "planned"  # it stands in a published round
    COLLECTED = "collected"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


ENDED = frozenset(
    {
        DeliveryState.REFUSED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.CANCELLED,
        DeliveryState.LAPSED,
    }
)
"""Nothing more happens to a delivery in one of these."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One end of a delivery, with what a courier needs there: degrees in WGS 84, aware instants, seconds on site."""

    site_id: str
    site_name: str
    address: str
    latitude: float
    longitude: float
    access_note: str
    contact: str
    window_start: datetime
    window_end: datetime
    service_seconds: int


@dataclass(frozen=True, slots=True)
class Load:
    """Units of one kind; weight and volume are per unit, and so is the time to load or unload, beside the visit's.

    `longest_ride_seconds` is how long it may be on the way, None without a limit.
    """

    kind: str
    label: str
    count: int
    unit_grams: int
    unit_millilitres: int
    unit_seconds: int = 0
    longest_ride_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancellation asked before the hold was decided: answered once it is."""

    is_late: bool
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One leg of an order. `edition` counts the times its terms changed; `round_id` and `cooperative_id` are those of
    its published round, empty without one. `direct_metres` leads from pickup to drop without a detour, None until its
    day was planned; it is estimated where no street network backs it.
    """

    id: DeliveryId
    reference: str
    contract_id: str
    department_id: str
    service_date: date
    pickup: Visit
    drop: Visit
    loads: tuple[Load, ...]
    needs_trailer: bool
    note: str
    state: DeliveryState = DeliveryState.WAITING_FOR_HOLD
    edition: int = 1
    cancellation: Cancellation | None = None
    round_id: str = ""
    cooperative_id: str = ""
    direct_metres: int | None = None
    is_direct_estimated: bool = False

    @property
    def grams(self) -> int:
        """What it weighs, all loads."""
        return sum(load.count * load.unit_grams for load in self.loads)

    @property
    def millilitres(self) -> int:
        """What room it takes, all loads."""
        return sum(load.count * load.unit_millilitres for load in self.loads)

    @property
    def pieces(self) -> int:
        """How many units of load there are, all kinds."""
        return sum(load.count for load in self.loads)

    @property
    def loading_seconds(self) -> int:
        """How long all its units take to load, or to unload, on top of a visit's service."""
        return sum(load.count * load.unit_seconds for load in self.loads)

    @property
    def longest_ride_seconds(self) -> int | None:
        """How long its most delicate load may be on the way, from the end of the pickup to the drop's beginning."""
        return min((s for load in self.loads if (s := load.longest_ride_seconds) is not None), default=None)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    def hold(self) -> tuple["Delivery", DeliveryCancelled | None]:
        """Money is held: it may be planned, unless its cancellation was asked meanwhile."""
        if self.state is not DeliveryState.WAITING_FOR_HOLD:
            return self, None
        held = replace(self, state=DeliveryState.PLANNABLE)
        if self.cancellation is None:
            return held, None
        return held.cancel(is_late=self.cancellation.is_late, at=self.cancellation.asked_at)

    def refuse_hold(self) -> "Delivery":
        """No money is held: it will not be ridden, and orders knows that from billing."""
        return replace(self, state=DeliveryState.REFUSED) if self.state is DeliveryState.WAITING_FOR_HOLD else self

    def amend(self, pickup: Visit, drop: Visit, note: str) -> "Delivery":
        """Take new windows over; a delivery that was collected or has ended stays as it is."""
        if self.has_ended or self.state is DeliveryState.COLLECTED:
            return self
        return replace(self, pickup=pickup, drop=drop, note=note, edition=self.edition + 1)

    def cancel(self, *, is_late: bool, at: datetime) -> tuple["Delivery", DeliveryCancelled | None]:
        """Cancel what nobody has collected.

        Before the hold is decided the wish is remembered. Once collected the ride goes on and wins; after the end there
        is nothing to cancel. Both are told by no event: the one that ends the delivery answers.
        """
        if self.state is DeliveryState.WAITING_FOR_HOLD:
            return replace(self, cancellation=Cancellation(is_late, at)), None
        if self.state not in (DeliveryState.PLANNABLE, DeliveryState.PLANNED):
            return self, None
        cancelled = replace(self, state=DeliveryState.CANCELLED, cancellation=Cancellation(is_late, at))
        return cancelled, DeliveryCancelled(self.id, self.cooperative_id, is_late, at)

    def plan(
        self, round_id: str, cooperative_id: str, *, pickup_at: datetime, drop_at: datetime, at: datetime
    ) -> tuple["Delivery", DeliveryPlanned]:
        """Put it in a round that is being published; it must be plannable."""
        assert self.state is DeliveryState.PLANNABLE
        planned = replace(self, state=DeliveryState.PLANNED, round_id=round_id, cooperative_id=cooperative_id)
        return planned, DeliveryPlanned(self.id, round_id, cooperative_id, pickup_at, drop_at, at)

    def readjust(
        self, round_id: str, cooperative_id: str, *, pickup_at: datetime, drop_at: datetime, at: datetime
    ) -> tuple["Delivery", DeliveryPlanned]:
        """Ride it in this published round, at these times, instead of as planned; one aboard stays in its own."""
        assert self.state is DeliveryState.PLANNED or (
            self.state is DeliveryState.COLLECTED and round_id == self.round_id
        )
        planned = replace(self, round_id=round_id, cooperative_id=cooperative_id)
        return planned, DeliveryPlanned(self.id, round_id, cooperative_id, pickup_at, drop_at, at)

    def withdraw(self, reason: str, *, at: datetime) -> tuple["Delivery", DeliveryWithdrawn | None]:
        """Take it out of its round, which is being withdrawn; one that has ended in it stays ended."""
        if self.state is not DeliveryState.PLANNED:
            return self, None
        free = replace(self, state=DeliveryState.PLANNABLE, round_id="", cooperative_id="")
        return free, DeliveryWithdrawn(self.id, self.round_id, reason, at)

    def leave_out(self, reason_codes: tuple[str, ...], reason: str, *, at: datetime) -> DeliveryLeftOut | None:
        """Tell that a published plan does not serve it; nothing to tell when it is not waiting for a round."""
        if self.state is not DeliveryState.PLANNABLE:
            return None
        return DeliveryLeftOut(self.id, reason_codes, reason, at)

    def lapse(self, *, at: datetime) -> tuple["Delivery", DeliveryLapsed | None]:
        """End it: its day has passed and nobody rode it. What was collected, or not decided, does not lapse."""
        if self.state not in (DeliveryState.PLANNABLE, DeliveryState.PLANNED):
            return self, None
        return replace(self, state=DeliveryState.LAPSED), DeliveryLapsed(self.id, at)
