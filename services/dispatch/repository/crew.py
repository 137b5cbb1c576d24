"""Cooperatives, couriers, bikes, shifts, and which cooperatives hold a contract."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, Table, delete, insert, or_, select, update

from services.dispatch.domain.courier import (
    Bike,
    BikeTerms,
    Break,
    Cooperative,
    Courier,
    CourierTerms,
    Point,
    Share,
    Shift,
    ShiftTerms,
    shift_print,
)
from services.dispatch.domain.errors import BikeNotFound, CooperativeNotFound, CourierNotFound, ShiftNotFound
from services.dispatch.domain.events import BikeKind
from services.dispatch.domain.reach import Reach
from services.dispatch.tables import bikes, contract_holders, contract_shares, cooperatives, couriers, rounds, shifts
from services.kit.database import Transaction, View

_POINT = TypeAdapter(Point)
_BREAKS = TypeAdapter(tuple[Break, ...])


def cooperative(view: View, cooperative_id: str, *, lock: bool = False) -> Cooperative:
    """Return a cooperative. Raises CooperativeNotFound."""
    row = _one(view, cooperatives, cooperative_id, lock=lock)
    if row is None:
        raise CooperativeNotFound(cooperative_id)
    return Cooperative(row.id, row.name, row.version)


def has_cooperative(view: View, cooperative_id: str) -> bool:
    """Return whether a cooperative is registered."""
    return view.execute(select(cooperatives.c.id).where(cooperatives.c.id == cooperative_id)).first() is not None


def add_cooperative(tx: Transaction, new: Cooperative) -> None:
    """Register a cooperative."""
    tx.execute(insert(cooperatives).values(id=new.id, name=new.name, version=new.version))


def save_cooperative(tx: Transaction, changed: Cooperative) -> None:
    """Keep a changed cooperative."""
    _save(tx, cooperatives, changed.id, {"name": changed.name, "version": changed.version})


def courier(view: View, courier_id: str, reach: Reach, *, pointer: str | None = None, lock: bool = False) -> Courier:
    """Return a courier within reach. Raises CourierNotFound."""
    row = _one(view, couriers, courier_id, lock=lock)
    if row is None or not reach.covers(row.cooperative_id):
        raise CourierNotFound(courier_id, pointer)
    return courier_from_row(row)


def couriers_by_id(view: View, ids: Collection[str]) -> dict[str, Courier]:
    """Return those of these couriers that there are."""
    return {row.id: courier_from_row(row) for row in view.execute(select(couriers).where(couriers.c.id.in_(list(ids))))}


def courier_with_account(view: View, account: str) -> Courier | None:
    """Return who rides with this account, if anybody does."""
    row = view.execute(select(couriers).where(couriers.c.account == account)).one_or_none()
    return courier_from_row(row) if row else None


def add_courier(tx: Transaction, new: Courier) -> None:
    """Register a courier."""
    tx.execute(insert(couriers).values(id=new.id, cooperative_id=new.cooperative_id, **_courier_values(new)))


def save_courier(tx: Transaction, changed: Courier) -> None:
    """Keep a changed courier."""
    _save(tx, couriers, changed.id, _courier_values(changed))


def bike(view: View, bike_id: str, reach: Reach, *, pointer: str | None = None, lock: bool = False) -> Bike:
    """Return a bike within reach. Raises BikeNotFound."""
    row = _one(view, bikes, bike_id, lock=lock)
    if row is None or not reach.covers(row.cooperative_id):
        raise BikeNotFound(bike_id, pointer)
    return bike_from_row(row)


def bikes_by_id(view: View, ids: Collection[str]) -> dict[str, Bike]:
    """Return those of these bikes that there are."""
    return {row.id: bike_from_row(row) for row in view.execute(select(bikes).where(bikes.c.id.in_(list(ids))))}


def bike_kinds(view: View, ids: Collection[str]) -> dict[str, BikeKind]:
    """Return what moves those of these bikes that there are."""
    rows = view.execute(select(bikes.c.id, bikes.c.kind).where(bikes.c.id.in_(list(ids))))
    return {row.id: BikeKind(row.kind) for row in rows}


def add_bike(tx: Transaction, new: Bike) -> None:
    """Register a bike."""
    tx.execute(insert(bikes).values(id=new.id, cooperative_id=new.cooperative_id, **_bike_values(new)))


def save_bike(tx: Transaction, changed: Bike) -> None:
    """Keep a changed bike."""
    _save(tx, bikes, changed.id, _bike_values(changed))


def shift(view: View, shift_id: str, reach: Reach, *, lock: bool = False) -> Shift:
    """Return a shift within reach. Raises ShiftNotFound."""
    row = _one(view, shifts, shift_id, lock=lock)
    if row is None or not reach.covers(row.cooperative_id):
        raise ShiftNotFound(shift_id)
    return shift_from_row(row)


def shifts_by_id(view: View, ids: Collection[str]) -> dict[str, Shift]:
    """Return those of these shifts that there are."""
    return {row.id: shift_from_row(row) for row in view.execute(select(shifts).where(shifts.c.id.in_(list(ids))))}


def lock_shifts(tx: Transaction, shift_ids: Collection[str]) -> None:
    """Let nobody change or occupy these shifts until the transaction ends."""
    tx.execute(select(shifts.c.id).where(shifts.c.id.in_(list(shift_ids))).order_by(shifts.c.id).with_for_update())


def shifts_beside(view: View, terms: ShiftTerms) -> list[Shift]:
    """Return the shifts of the same courier or bike that might overlap with these terms."""
    near = or_(shifts.c.courier_id == terms.courier_id, shifts.c.bike_id == terms.bike_id)
    rows = view.execute(
        select(shifts).where(
            near,
            shifts.c.day >= terms.day - timedelta(days=2),
            shifts.c.day <= terms.day + timedelta(days=2),
        )
    )
    return [shift_from_row(row) for row in rows]


def round_in_shift(view: View, shift_id: str) -> str | None:
    """Return the id of the published round that occupies a shift."""
    return view.execute(select(rounds.c.id).where(rounds.c.occupied_shift_id == shift_id)).scalar_one_or_none()


def add_shift(tx: Transaction, new: Shift) -> None:
    """Keep a new shift."""
    tx.execute(insert(shifts).values(id=new.id, cooperative_id=new.cooperative_id, **_shift_values(new)))


def save_shift(tx: Transaction, changed: Shift) -> None:
    """Keep a changed shift."""
    _save(tx, shifts, changed.id, _shift_values(changed))


def remove_shift(tx: Transaction, shift_id: str) -> None:
    """Take a shift away."""
    tx.execute(delete(shifts).where(shifts.c.id == shift_id))


ShiftWithCrew = tuple[Shift, Courier, Bike]


def free_shifts(view: View, day: date, *, shift_ids: Collection[str] | None = None) -> list[ShiftWithCrew]:
    """Return the day's shifts that no published round occupies and that are not lost, of active couriers on active
    bikes, by id.

    `shift_ids` looks for these alone.
    """
    chosen = _shifts_with_crew().where(
        shifts.c.day == day,
        shifts.c.id.not_in(
            select(rounds.c.occupied_shift_id).where(rounds.c.day == day, rounds.c.occupied_shift_id.is_not(None))
        ),
        shifts.c.lost_since.is_(None),
        couriers.c.is_active,
        bikes.c.is_active,
    )
    if shift_ids is not None:
        chosen = chosen.where(shifts.c.id.in_(list(shift_ids)))
    return [_with_crew(row) for row in view.execute(chosen.order_by(shifts.c.id))]


def free_prints(view: View, day: date, shift_ids: Collection[str]) -> dict[str, str]:
    """Return the prints of those of these shifts that are free, by id."""
    return {found[0].id: shift_print(*found) for found in free_shifts(view, day, shift_ids=shift_ids)}


def shifts_of_day(view: View, day: date, reach: Reach) -> list[ShiftWithCrew]:
    """Return the day's shifts within reach, occupied or not, by id."""
    chosen = _shifts_with_crew().where(shifts.c.day == day).order_by(shifts.c.id)
    return [found for found in map(_with_crew, view.execute(chosen)) if reach.covers(found[0].cooperative_id)]


def holders(view: View, contract_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the cooperatives of each of these contracts; a contract nobody told of yet is absent."""
    found: dict[str, set[str]] = {}
    rows = view.execute(
        select(contract_holders.c.contract_id, contract_holders.c.cooperative_id).where(
            contract_holders.c.contract_id.in_(list(contract_ids))
        )
    )
    for row in rows:
        found.setdefault(row.contract_id, set()).add(row.cooperative_id)
    return {contract_id: frozenset(ids) for contract_id, ids in found.items()}


def save_holders(tx: Transaction, contract_id: str, reference: str, parties: Sequence[tuple[str, str]]) -> None:
    """Keep who holds a contract now, by ids and names, and what it is called."""
    tx.execute(delete(contract_holders).where(contract_holders.c.contract_id == contract_id))
    if parties:
        tx.execute(
            insert(contract_holders),
            [
                {
                    "contract_id": contract_id,
                    "contract_reference": reference,
                    "cooperative_id": id_,
                    "cooperative_name": name,
                }
                for id_, name in dict(parties).items()
            ],
        )


def shares(view: View, contract_ids: Collection[str]) -> dict[str, tuple[Share, ...]]:
    """Return the shares kept for each of these contracts; one without any is absent."""
    found: dict[str, tuple[Share, ...]] = {}
    rows = view.execute(
        select(contract_shares)
        .where(contract_shares.c.contract_id.in_(list(contract_ids)))
        .order_by(contract_shares.c.contract_id, contract_shares.c.cooperative_id)
    )
    for row in rows:
        share = Share(row.cooperative_id, row.at_least_permille, row.at_most_permille)
        found[row.contract_id] = (*found.get(row.contract_id, ()), share)
    return found


def save_shares(tx: Transaction, contract_id: str, agreed: Sequence[Share]) -> None:
    """Keep a contract's shares now."""
    tx.execute(delete(contract_shares).where(contract_shares.c.contract_id == contract_id))
    if agreed:
        tx.execute(
            insert(contract_shares),
            [
                {
                    "contract_id": contract_id,
                    "cooperative_id": share.cooperative_id,
                    "at_least_permille": share.at_least_permille,
                    "at_most_permille": share.at_most_permille,
                }
                for share in agreed
            ],
        )


def is_holder(contract_id: ColumnElement[str], reach: Reach) -> ColumnElement[bool]:
    """Return the condition that a cooperative within reach holds the contract of a row; not for everything's reach."""
    return contract_id.in_(
        select(contract_holders.c.contract_id).where(contract_holders.c.cooperative_id == reach.cooperative_id)
    )


def _one(view: View, table: Table, id_: str, *, lock: bool) -> Row[Any] | None:
    chosen = select(table).where(table.c.id == id_)
    return view.execute(chosen.with_for_update() if lock else chosen).one_or_none()


def _save(tx: Transaction, table: Table, id_: str, values: Mapping[str, Any]) -> None:
    tx.execute(update(table).where(table.c.id == id_).values(**values))


def courier_from_row(row: Row[Any]) -> Courier:
    """Make a courier of a row with all columns."""
    terms = CourierTerms(row.name, row.phone, row.account or "", row.is_active, tuple(row.skills))
    return Courier(row.id, row.cooperative_id, terms, row.version)


def _courier_values(courier: Courier) -> dict[str, Any]:
    terms = courier.terms
    return {
        "name": terms.name,
        "phone": terms.phone,
        "account": terms.account or None,
        "is_active": terms.is_active,
        "skills": list(terms.skills),
        "version": courier.version,
    }


def bike_from_row(row: Row[Any]) -> Bike:
    """Make a bike of a row with all columns."""
    terms = BikeTerms(
        row.name,
        row.capacity_grams,
        row.capacity_millilitres,
        row.has_trailer,
        row.is_active,
        row.capacity_pieces,
        row.speed_percent,
        row.range_metres,
        tuple(row.skills),
        BikeKind(row.kind),
    )
    return Bike(row.id, row.cooperative_id, terms, row.version)


def _bike_values(bike: Bike) -> dict[str, Any]:
    terms = bike.terms
    return {
        "name": terms.name,
        "capacity_grams": terms.capacity_grams,
        "capacity_millilitres": terms.capacity_millilitres,
        "has_trailer": terms.has_trailer,
        "is_active": terms.is_active,
        "capacity_pieces": terms.capacity_pieces,
        "speed_percent": terms.speed_percent,
        "range_metres": terms.range_metres,
        "kind": terms.kind,
        "skills": list(terms.skills),
        "version": bike.version,
    }


def shift_from_row(row: Row[Any]) -> Shift:
    """Make a shift of a row with all columns."""
    terms = ShiftTerms(
        row.courier_id,
        row.bike_id,
        row.day,
        row.starts_at,
        row.ends_at,
        _POINT.validate_python(row.start),
        _POINT.validate_python(row.end),
        _BREAKS.validate_python(row.breaks),
    )
    return Shift(row.id, row.cooperative_id, terms, row.version, row.lost_since)


def _shift_values(shift: Shift) -> dict[str, Any]:
    terms = shift.terms
    return {
        "courier_id": terms.courier_id,
        "bike_id": terms.bike_id,
        "day": terms.day,
        "starts_at": terms.starts_at,
        "ends_at": terms.ends_at,
        "start": _POINT.dump_python(terms.start),
        "end": _POINT.dump_python(terms.end),
        "breaks": _BREAKS.dump_python(terms.breaks, mode="json"),
        "lost_since": shift.lost_since,
        "version": shift.version,
    }


def _shifts_with_crew() -> Any:
    return (
        select(
            shifts,
            couriers.c.name.label("courier_name"),
            couriers.c.phone.label("courier_phone"),
            couriers.c.account.label("courier_account"),
            couriers.c.is_active.label("courier_is_active"),
            couriers.c.version.label("courier_version"),
            couriers.c.skills.label("courier_skills"),
            bikes.c.name.label("bike_name"),
            bikes.c.capacity_grams,
            bikes.c.capacity_millilitres,
            bikes.c.has_trailer,
            bikes.c.capacity_pieces,
            bikes.c.speed_percent,
            bikes.c.range_metres,
            bikes.c.skills.label("bike_skills"),
            bikes.c.kind.label("bike_kind"),
            bikes.c.is_active.label("bike_is_active"),
            bikes.c.version.label("bike_version"),
        )
        .join(couriers, couriers.c.id == shifts.c.courier_id)
        .join(bikes, bikes.c.id == shifts.c.bike_id)
    )


def _with_crew(row: Row[Any]) -> ShiftWithCrew:
    courier = Courier(
        row.courier_id,
        row.cooperative_id,
        CourierTerms(
            row.courier_name,
            row.courier_phone,
            row.courier_account or "",
            row.courier_is_active,
            tuple(row.courier_skills),
        ),
        row.courier_version,
    )
    bike = Bike(
        row.bike_id,
        row.cooperative_id,
        BikeTerms(
            row.bike_name,
            row.capacity_grams,
            row.capacity_millilitres,
            row.has_trailer,
            row.bike_is_active,
            row.capacity_pieces,
            row.speed_percent,
            row.range_metres,
            tuple(row.bike_skills),
            BikeKind(row.bike_kind),
        ),
        row.bike_version,
    )
    return shift_from_row(row), courier, bike
