"""Lists of cooperatives, couriers, bikes and shifts."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, Select, Table, and_, bindparam, or_, select

from services.dispatch.domain.courier import Bike, Courier, Share, Shift
from services.dispatch.domain.reach import Reach
from services.dispatch.repository.crew import bike_from_row, courier_from_row, shift_from_row
from services.dispatch.settings import DispatchSettings
from services.dispatch.tables import (
    bikes,
    contract_holders,
    contract_shares,
    cooperatives,
    courier_days,
    couriers,
    shifts,
)
from services.kit.database import View

SHAPE = 1
"""Counts up when the answer to a courier's poll changes its shape without any of its data changing."""


def list_cooperatives(view: View, reach: Reach, *, after: str, limit: int) -> list[Row[Any]]:
    """Return cooperatives within reach, by id."""
    chosen = select(cooperatives).where(cooperatives.c.id > after).order_by(cooperatives.c.id).limit(limit)
    if not reach.is_everything:
        chosen = chosen.where(cooperatives.c.id == reach.cooperative_id)
    return list(view.execute(chosen))


def cooperative_names(view: View) -> dict[str, str]:
    """Return the name of each cooperative that is registered or holds a contract."""
    named = {
        row.cooperative_id: row.cooperative_name
        for row in view.execute(select(contract_holders.c.cooperative_id, contract_holders.c.cooperative_name))
    }
    return named | {row.id: row.name for row in view.execute(select(cooperatives.c.id, cooperatives.c.name))}


@dataclass(frozen=True, slots=True)
class ContractShares:
    """A contract and how much of it each holder rides, in thousandths, by the holder's name."""

    contract_id: str
    reference: str
    shares: list[tuple[str, Share]]


def list_shares(view: View) -> list[ContractShares]:
    """Return every contract with its holders' shares, by reference."""
    rows = view.execute(
        select(
            contract_holders,
            contract_shares.c.at_least_permille,
            contract_shares.c.at_most_permille,
        )
        .outerjoin(
            contract_shares,
            and_(
                contract_shares.c.contract_id == contract_holders.c.contract_id,
                contract_shares.c.cooperative_id == contract_holders.c.cooperative_id,
            ),
        )
        .order_by(
            contract_holders.c.contract_reference, contract_holders.c.contract_id, contract_holders.c.cooperative_name
        )
    )
    found: dict[str, ContractShares] = {}
    for row in rows:
        least = row.at_least_permille or 0
        most = 1000 if row.at_most_permille is None else row.at_most_permille
        contract = found.setdefault(row.contract_id, ContractShares(row.contract_id, row.contract_reference, []))
        contract.shares.append((row.cooperative_name, Share(row.cooperative_id, least, most)))
    return list(found.values())


def list_couriers(
    view: View, reach: Reach, *, is_active: bool | None, after: str = "", limit: int | None = None
) -> list[Courier]:
    """Return couriers within reach, by age of their registration."""
    return [courier_from_row(row) for row in _list(view, couriers, reach, is_active, after, limit)]


def list_bikes(
    view: View, reach: Reach, *, is_active: bool | None, after: str = "", limit: int | None = None
) -> list[Bike]:
    """Return bikes within reach, by age of their registration."""
    return [bike_from_row(row) for row in _list(view, bikes, reach, is_active, after, limit)]


@dataclass(frozen=True, slots=True)
class ShiftFilter:
    """Which shifts are looked for."""

    reach: Reach
    date_from: date | None = None
    date_to: date | None = None
    courier_id: str | None = None


def list_shifts(
    view: View, wanted: ShiftFilter, *, after: tuple[date, str] | None = None, limit: int | None = None
) -> list[tuple[Shift, str, str]]:
    """Return shifts with the names of courier and bike, by day."""
    chosen: Select[Any] = (
        select(shifts, couriers.c.name.label("courier_name"), bikes.c.name.label("bike_name"))
        .join(couriers, couriers.c.id == shifts.c.courier_id)
        .join(bikes, bikes.c.id == shifts.c.bike_id)
        .order_by(shifts.c.day, shifts.c.id)
        .limit(limit)
    )
    if not wanted.reach.is_everything:
        chosen = chosen.where(shifts.c.cooperative_id == wanted.reach.cooperative_id)
    if wanted.date_from is not None:
        chosen = chosen.where(shifts.c.day >= wanted.date_from)
    if wanted.date_to is not None:
        chosen = chosen.where(shifts.c.day <= wanted.date_to)
    if wanted.courier_id is not None:
        chosen = chosen.where(shifts.c.courier_id == wanted.courier_id)
    if after is not None:
        day, id_ = after
        chosen = chosen.where(or_(shifts.c.day > day, and_(shifts.c.day == day, shifts.c.id > id_)))
    return [(shift_from_row(row), row.courier_name, row.bike_name) for row in view.execute(chosen)]


_COURIER_DAY = (
    select(couriers.c.id, couriers.c.name, couriers.c.version.label("courier_version"), courier_days.c.version)
    .outerjoin(courier_days, and_(courier_days.c.courier_id == couriers.c.id, courier_days.c.day == bindparam("day")))
    .where(couriers.c.account == bindparam("account"))
)


@dataclass(frozen=True, slots=True)
class CourierDay:
    """Who polls, and which version of the day they would see."""

    courier_id: str
    name: str
    version: tuple[int, int]

    def day_print(self, day: date, settings: DispatchSettings) -> str:
        """Return a name for what they would see of a day; the page and the answer to a poll both carry its ETag."""
        return f"{SHAPE} {settings.poll_seconds} {settings.proof_bytes} {self.courier_id} {day} {self.version}"


def courier_day(view: View, account: str, day: date) -> CourierDay | None:
    """Return everything an unchanged poll needs, by two keys; None when nobody rides with this account."""
    row = view.execute(_COURIER_DAY, {"account": account, "day": day}).one_or_none()
    return CourierDay(row.id, row.name, (row.courier_version, row.version or 0)) if row else None


def _list(
    view: View, table: Table, reach: Reach, is_active: bool | None, after: str, limit: int | None
) -> list[Row[Any]]:
    chosen = select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
    if not reach.is_everything:
        chosen = chosen.where(table.c.cooperative_id == reach.cooperative_id)
    if is_active is not None:
        chosen = chosen.where(table.c.is_active == is_active)
    return list(view.execute(chosen))
