"""A recurring request: when it falls due and what is asked each time; dated orders come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.kit.errors import DomainError
from services.orders.domain.asking import AskedLeg, AskedVisit, judge_legs
from services.orders.domain.load import AskedLoad, LoadKind
from services.orders.domain.order import Flow
from services.orders.domain.recurrence import Pause, Recurrence, check
from services.orders.domain.site import Site
from services.orders.domain.window import LocalWindow


@dataclass(frozen=True, slots=True)
class VisitTemplate:
    """A site and the wall-clock window of each visit, counted from the occurrence's day."""

    site_id: str
    window: LocalWindow


@dataclass(frozen=True, slots=True)
class LegTemplate:
    """A trip as it is asked for at each occurrence."""

    pickup: VisitTemplate
    drop: VisitTemplate
    loads: tuple[AskedLoad, ...]

    def on(self, day: date, zone: ZoneInfo) -> AskedLeg:
        """Return the trip of an occurrence done on `day`."""
        return AskedLeg(
            AskedVisit(self.pickup.site_id, self.pickup.window.on(day, zone)),
            AskedVisit(self.drop.site_id, self.drop.window.on(day, zone)),
            self.loads,
        )


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """What a department says of a recurring request; without a contract, the one that applies each day is taken."""

    title: str
    flow: Flow
    legs: tuple[LegTemplate, ...]
    recurrence: Recurrence
    contract_id: str | None = None
    note: str = ""

    def legs_on(self, day: date) -> tuple[AskedLeg, ...]:
        """Return the trips of an occurrence done on `day`."""
        return tuple(leg.on(day, self.recurrence.zone_info) for leg in self.legs)


@dataclass(frozen=True, slots=True)
class RecurringRequest:
    """A registered recurring request; `version` counts its changes from 1, `problem` is why dates are held up."""

    id: str
    department_id: str
    terms: RequestTerms
    created_at: datetime
    version: int = 1
    problem: str = ""

    def has_ended(self, today: date) -> bool:
        """Return whether its last date has passed."""
        return self.terms.recurrence.ends_on is not None and self.terms.recurrence.ends_on < today

    def paused(self, pause: Pause) -> "RecurringRequest":
        """Make no orders in a span. Raises as `Recurrence.paused`."""
        return self._with(self.terms.recurrence.paused(pause))

    def resumed(self, on: date) -> "RecurringRequest":
        """Make orders again from a day on. Raises as `Recurrence.resumed`."""
        return self._with(self.terms.recurrence.resumed(on))

    def ended(self, last: date) -> "RecurringRequest":
        """Make no orders after a day. Raises as `Recurrence.ended`."""
        return self._with(self.terms.recurrence.ended(last))

    def _with(self, recurrence: Recurrence) -> "RecurringRequest":
        return replace(self, terms=replace(self.terms, recurrence=recurrence), version=self.version + 1)


def check_terms(
    terms: RequestTerms, sites: Mapping[str, Site], catalogue: Mapping[str, LoadKind], faults: list[DomainError]
) -> None:
    """Add everything wrong with a recurring request to `faults`, pointers as in the request body."""
    check(terms.recurrence, faults)
    # Windows are judged as clock times; a day far from any clock change stands for all.
    midwinter = date(2026, 1, 15)
    zone = ZoneInfo("Europe/Paris")
    asked = tuple(leg.on(midwinter, zone) for leg in terms.legs)
    judge_legs(
        terms.flow,
        asked,
        sites,
        catalogue,
        lambda instant: instant.astimezone(zone).date(),
        at=None,
        faults=faults,
    )
