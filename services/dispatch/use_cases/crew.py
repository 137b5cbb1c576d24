"""Cooperatives, couriers, bikes and shifts."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from services.dispatch.domain.courier import (
    Bike,
    BikeTerms,
    Cooperative,
    Courier,
    CourierTerms,
    Shift,
    ShiftTerms,
    agree,
)
from services.dispatch.domain.errors import (
    AccountTaken,
    CooperativeExists,
    CooperativeMissing,
    CooperativeNotFound,
    ShiftInUse,
)
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import crew
from services.kit.database import Transaction, View
from services.kit.errors import DomainError
from services.kit.ids import new_id


def register_cooperative(tx: Transaction, cooperative_id: str, name: str) -> Cooperative:
    """Register a cooperative under the code that contracts use. Raises CooperativeExists, OutOfBounds."""
    if crew.has_cooperative(tx, cooperative_id):
        raise CooperativeExists(cooperative_id)
    new = replace(Cooperative(cooperative_id, "").renamed(name), version=1)
    crew.add_cooperative(tx, new)
    return new


def rename_cooperative(tx: Transaction, known: Cooperative, name: str) -> Cooperative:
    """Give a cooperative another name. Raises OutOfBounds."""
    renamed = known.renamed(name)
    crew.save_cooperative(tx, renamed)
    return renamed


def register_courier(tx: Transaction, reach: Reach, cooperative_id: str | None, terms: CourierTerms) -> Courier:
    """Register a courier. Raises CooperativeMissing, CooperativeNotFound, OutOfBounds, AccountTaken."""
    courier = Courier(new_id(), _employer(tx, reach, cooperative_id), terms)
    _check_courier(tx, courier)
    crew.add_courier(tx, courier)
    return courier


def change_courier(tx: Transaction, known: Courier, terms: CourierTerms) -> Courier:
    """Change what is said of a courier. Raises OutOfBounds, AccountTaken."""
    courier = replace(known, terms=terms, version=known.version + 1)
    _check_courier(tx, courier)
    crew.save_courier(tx, courier)
    return courier


def register_bike(tx: Transaction, reach: Reach, cooperative_id: str | None, terms: BikeTerms) -> Bike:
    """Register a bike. Raises CooperativeMissing, CooperativeNotFound, OutOfBounds."""
    terms.check()
    bike = Bike(new_id(), _employer(tx, reach, cooperative_id), terms)
    crew.add_bike(tx, bike)
    return bike


def change_bike(tx: Transaction, known: Bike, terms: BikeTerms) -> Bike:
    """Change what is said of a bike; rounds that are published already stay. Raises OutOfBounds."""
    terms.check()
    bike = replace(known, terms=terms, version=known.version + 1)
    crew.save_bike(tx, bike)
    return bike


def agree_shift(tx: Transaction, reach: Reach, terms: ShiftTerms) -> Shift:
    """Give a courier a shift on a bike of the same cooperative.

    Raises
    ------
    CourierNotFound, BikeNotFound, OutOfBounds, OutOfService, ShiftOverlaps
        Or Refusals with several of them.
    """
    courier = crew.courier(tx, terms.courier_id, reach, pointer="/courier_id", lock=True)
    bike = crew.bike(tx, terms.bike_id, Reach(courier.cooperative_id), pointer="/bike_id", lock=True)
    shift = agree(Shift(new_id(), courier.cooperative_id, terms), courier, bike, crew.shifts_beside(tx, terms))
    crew.add_shift(tx, shift)
    return shift


def change_shift(tx: Transaction, known: Shift, terms: ShiftTerms) -> Shift:
    """Change a shift that no published round occupies; drafts that use it become stale. One that was lost is agreed
    anew, and ridden. Raises as `agree_shift`, and ShiftInUse.
    """
    _check_free(tx, known)
    reach = Reach(known.cooperative_id)
    courier = crew.courier(tx, terms.courier_id, reach, pointer="/courier_id", lock=True)
    bike = crew.bike(tx, terms.bike_id, reach, pointer="/bike_id", lock=True)
    changed = replace(known, terms=terms, version=known.version + 1, lost_since=None)
    agree(changed, courier, bike, crew.shifts_beside(tx, terms))
    crew.save_shift(tx, changed)
    return changed


def lose_shift(tx: Transaction, known: Shift, since: datetime) -> Shift:
    """Keep that nobody rides a shift from then on; its round stays as it is."""
    lost = replace(known, version=known.version + 1, lost_since=since)
    crew.save_shift(tx, lost)
    return lost


def ride_again(tx: Transaction, known: Shift) -> Shift:
    """Let a shift that was lost be ridden again; its round stays as it is. Doing it twice is harmless."""
    if known.lost_since is None:
        return known
    ridden = replace(known, version=known.version + 1, lost_since=None)
    crew.save_shift(tx, ridden)
    return ridden


def cancel_shift(tx: Transaction, known: Shift) -> None:
    """Take a shift away that no published round occupies. Raises ShiftInUse."""
    _check_free(tx, known)
    crew.remove_shift(tx, known.id)


def copy_shifts(tx: Transaction, reach: Reach, source: date, target: date, zone: ZoneInfo) -> int:
    """Agree the shifts of `source` for `target` too, at the same local times; return how many that were.

    Who or what is away, or has a shift already, is left out.
    """
    copied = 0
    for known, _, _ in crew.shifts_of_day(tx, source, reach):

        def then(instant: datetime) -> datetime:
            moment = instant.astimezone(zone)
            return datetime.combine(target + (moment.date() - source), moment.time(), zone).astimezone(UTC)

        terms = replace(
            known.terms,
            day=target,
            starts_at=then(known.terms.starts_at),
            ends_at=then(known.terms.ends_at),
            breaks=tuple(
                replace(rest, window_start=then(rest.window_start), window_end=then(rest.window_end))
                for rest in known.terms.breaks
            ),
        )
        try:
            agree_shift(tx, reach, terms)
        except DomainError:
            continue
        copied += 1
    return copied


def _employer(view: View, reach: Reach, cooperative_id: str | None) -> str:
    """Return for which cooperative a caller with this reach acts."""
    chosen = cooperative_id or reach.cooperative_id
    if chosen is None:
        raise CooperativeMissing
    if not reach.covers(chosen) or not crew.has_cooperative(view, chosen):
        raise CooperativeNotFound(chosen, "/cooperative_id")
    return chosen


def _check_courier(view: View, courier: Courier) -> None:
    courier.terms.check()
    if courier.terms.account:
        other = crew.courier_with_account(view, courier.terms.account)
        if other is not None and other.id != courier.id:
            raise AccountTaken(courier.terms.account)


def _check_free(view: View, shift: Shift) -> None:
    round_id = crew.round_in_shift(view, shift.id)
    if round_id is not None:
        raise ShiftInUse(shift.id, round_id)
