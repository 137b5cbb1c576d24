"""What dispatch says of a delivery, as the verbs of the domain return it. Instants are aware, in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class StopKind(StrEnum):
    """What happens at a stop."""

    PICKUP = "pickup"
    DROP = "drop"


class BikeKind(StrEnum):
    """What moves a bike."""

    MUSCLE = "muscle"
    ELECTRIC = "electric"


class DeliveryId(NamedTuple):
    """One leg of an order: text form `{order_id}-{leg}`."""

    order_id: str
    leg: int

    def __str__(self) -> str:
        return f"{self.order_id}-{self.leg}"

    @classmethod
    def parse(cls, text: str) -> "DeliveryId":
        """Read the text form. Raises ValueError."""
        order_id, _, leg = text.rpartition("-")
        if not order_id or not leg.isascii() or not leg.isdigit() or len(leg) > 4:
            raise ValueError(text)
        return cls(order_id, int(leg))


@dataclass(frozen=True, slots=True)
class CountedLoad:
    """A load as announced and as counted at the door, in units of its kind."""

    kind: str
    announced: int
    counted: int


@dataclass(frozen=True, slots=True)
class DeliveryPlanned:
    """The delivery stands in a published round; the instants are planned arrivals."""

    delivery_id: DeliveryId
    round_id: str
    cooperative_id: str
    pickup_at: datetime
    drop_at: datetime
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryWithdrawn:
    """Its published round was withdrawn; the delivery waits for another."""

    delivery_id: DeliveryId
    round_id: str
    reason: str
    withdrawn_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryLeftOut:
    """A published plan does not serve the delivery."""

    delivery_id: DeliveryId
    reason_codes: tuple[str, ...]
    reason: str
    left_out_at: datetime


@dataclass(frozen=True, slots=True)
class Ridden:
    """How a delivery was ridden, as far as is known at its stop; metres are planned ones.

    `direct_metres` leads from pickup to drop without a detour, None when nobody measured it; it is estimated where it
    was reckoned from the straight line. `load_grams` are counted units at the weight of their kind.
    """

    round_id: str
    round_metres: int
    direct_metres: int | None
    is_estimated: bool
    bike_kind: BikeKind | None
    load_grams: int


@dataclass(frozen=True, slots=True)
class StopCompleted:
    """A stop was carried out as planned or with a noted difference."""

    delivery_id: DeliveryId
    stop_kind: StopKind
    cooperative_id: str
    completed_at: datetime
    loads: tuple[CountedLoad, ...]
    note: str
    proof_ids: tuple[str, ...]
    ridden: Ridden | None = None


@dataclass(frozen=True, slots=True)
class StopFailed:
    """A stop could not be carried out; the delivery ends here."""

    delivery_id: DeliveryId
    stop_kind: StopKind
    cooperative_id: str
    failed_at: datetime
    reason_code: str
    reason: str
    is_billable: bool
    note: str
    proof_ids: tuple[str, ...]
    ridden: Ridden | None = None


@dataclass(frozen=True, slots=True)
class DeliveryCancelled:
    """The cancellation took effect: nothing had been collected. `cooperative_id` is empty without a published round."""

    delivery_id: DeliveryId
    cooperative_id: str
    is_late: bool
    cancelled_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryLapsed:
    """Its day passed and nobody rode it."""

    delivery_id: DeliveryId
    lapsed_at: datetime


Fact = (
    DeliveryPlanned
    | DeliveryWithdrawn
    | DeliveryLeftOut
    | StopCompleted
    | StopFailed
    | DeliveryCancelled
    | DeliveryLapsed
)
