"""What a dispatcher lets a plan weigh beside seconds ridden; every price is in seconds of riding."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.dispatch.domain.errors import OutOfBounds
from services.kit.errors import DomainError, refuse_all

DEAREST_COURIER_SECONDS = 14_400
HEAVIEST_BALANCE = 10
DEAREST_DELIVERY_SECONDS = 86_400
LONGEST_TOLERANCE_SECONDS = 3_600
HEAVIEST_LATENESS = 100
URGENT_OUTWEIGHS = 10
"""Where not all deliveries find room, an urgent one is left out only instead of more ordinary ones than this."""


class Priority(StrEnum):
    """What a delivery is worth when not everything can be ridden, or not without a long detour."""

    URGENT = "urgent"
    ORDINARY = "ordinary"
    CAN_WAIT = "can-wait"


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """What a day's plan is weighed by.

    Riding in a shift at all costs `courier_seconds`. Each second by which the longest day is longer than the shortest
    costs `balance_weight` seconds. Leaving out a delivery costs `ordinary_seconds` (None: more than any way of riding
    it) or, where it can wait, `can_wait_seconds`; an urgent one is never left out for its price.

    A stop may begin `tolerance_seconds` after its window; each second of that costs `late_weight` seconds.
    """

    courier_seconds: int = 0
    balance_weight: int = 0
    ordinary_seconds: int | None = None
    can_wait_seconds: int = 3_600
    tolerance_seconds: int = 0
    late_weight: int = 10

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        refuse_all([*self._faults()])

    def left_out_seconds(self, priority: Priority) -> int | None:
        """Return what leaving a delivery out costs; None where that is more than any way of riding it."""
        match priority:
            case Priority.URGENT:
                return None
            case Priority.ORDINARY:
                return self.ordinary_seconds
            case Priority.CAN_WAIT:
                return self.can_wait_seconds

    def enough(self, seconds: int) -> Priority:
        """Return the lowest priority with which a delivery is worth so many seconds."""
        for priority in (Priority.CAN_WAIT, Priority.ORDINARY):
            worth = self.left_out_seconds(priority)
            if worth is None or worth >= seconds:
                return priority
        return Priority.URGENT

    def _faults(self) -> Iterator[DomainError]:
        if not 0 <= self.courier_seconds <= DEAREST_COURIER_SECONDS:
            yield OutOfBounds(
                "Faire venir un coursier vaut de 0 à 240 minutes de trajet.",
                pointer="/courier_seconds",
                highest=DEAREST_COURIER_SECONDS,
            )
        if not 0 <= self.balance_weight <= HEAVIEST_BALANCE:
            yield OutOfBounds(
                "Le poids de l'équilibre des heures va de 0 à 10.", pointer="/balance_weight", highest=HEAVIEST_BALANCE
            )
        for name, seconds in (("ordinary", self.ordinary_seconds), ("can_wait", self.can_wait_seconds)):
            if seconds is not None and not 0 <= seconds <= DEAREST_DELIVERY_SECONDS:
                yield OutOfBounds(
                    "Une livraison vaut de 0 à 1 440 minutes de trajet.",
                    pointer=f"/{name}_seconds",
                    highest=DEAREST_DELIVERY_SECONDS,
                )
        if not 0 <= self.tolerance_seconds <= LONGEST_TOLERANCE_SECONDS:
            yield OutOfBounds(
                "La tolérance de retard va de 0 à 60 minutes ; au-delà, changez le créneau.",
                pointer="/tolerance_seconds",
                highest=LONGEST_TOLERANCE_SECONDS,
            )
        if not 0 <= self.late_weight <= HEAVIEST_LATENESS:
            yield OutOfBounds("Le poids du retard va de 0 à 100.", pointer="/late_weight", highest=HEAVIEST_LATENESS)
        if self.ordinary_seconds is not None and self.can_wait_seconds > self.ordinary_seconds:
            yield OutOfBounds(
                "Ce qui peut attendre ne vaut pas plus qu'une livraison ordinaire : baissez cette valeur.",
                pointer="/can_wait_seconds",
            )


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """Settings as somebody set them, for `day` or, with None, for every day that has none of its own.

    `version` counts from 1; 0 where nobody has set any.
    """

    settings: PlanningSettings
    day: date | None = None
    set_by: str = ""
    set_at: datetime | None = None
    version: int = 0
