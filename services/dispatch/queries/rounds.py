"""Rounds with everything that is shown of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from services.dispatch.domain.courier import Bike
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.plan import Plan
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round
from services.dispatch.repository import crew, deliveries
from services.dispatch.repository import plans as stored_plans
from services.dispatch.repository import rounds as stored_rounds
from services.dispatch.tables import couriers, plans, proofs, rounds, stops
from services.dispatch.tables import deliveries as delivery_rows
from services.kit.database import View


class CourierFace(NamedTuple):
    """Who rides, as the cooperative knows them."""

    id: str
    name: str
    phone: str


class ProofFace(NamedTuple):
    """A photo of a stop; `received_at` is None while it was only announced."""

    id: str
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Around:
    """What rounds refer to by id."""

    deliveries: dict[DeliveryId, Delivery]
    couriers: dict[str, CourierFace]
    bikes: dict[str, Bike]
    proofs: dict[str, list[ProofFace]]


def around(view: View, shown: Sequence[Round], more: Iterable[DeliveryId] = ()) -> Around:
    """Return what these rounds refer to, and `more` deliveries."""
    wanted = {stop.delivery_id for round_ in shown for stop in round_.stops} | set(more)
    faces = view.execute(
        select(couriers.c.id, couriers.c.name, couriers.c.phone).where(
            couriers.c.id.in_({round_.courier_id for round_ in shown})
        )
    )
    return Around(
        deliveries.by_id(view, wanted),
        {row.id: CourierFace(row.id, row.name, row.phone) for row in faces},
        crew.bikes_by_id(view, {round_.bike_id for round_ in shown}),
        proofs_of(view, {round_.id for round_ in shown}),
    )


def proofs_of(view: View, round_ids: Collection[str]) -> dict[str, list[ProofFace]]:
    """Return the proofs of these rounds' stops, by stop."""
    rows = view.execute(
        select(proofs.c.stop_id, proofs.c.id, proofs.c.received_at)
        .join(stops, stops.c.id == proofs.c.stop_id)
        .where(stops.c.round_id.in_(list(round_ids)))
        .order_by(proofs.c.id)
    )
    found: defaultdict[str, list[ProofFace]] = defaultdict(list)
    for row in rows:
        found[row.stop_id].append(ProofFace(row.id, row.received_at))
    return dict(found)


@dataclass(frozen=True, slots=True)
class RoundFilter:
    """Which published rounds are looked for."""

    reach: Reach
    date_from: date | None = None
    date_to: date | None = None
    states: Sequence[str] = ()
    courier_id: str | None = None


def list_rounds(view: View, wanted: RoundFilter, *, after: tuple[date, str] | None, limit: int) -> list[Round]:
    """Return published rounds by day, then age."""
    chosen = select(rounds.c.id).order_by(rounds.c.day, rounds.c.id).limit(limit)
    if not wanted.reach.is_everything:
        chosen = chosen.where(rounds.c.cooperative_id == wanted.reach.cooperative_id)
    if wanted.date_from is not None:
        chosen = chosen.where(rounds.c.day >= wanted.date_from)
    if wanted.date_to is not None:
        chosen = chosen.where(rounds.c.day <= wanted.date_to)
    if wanted.states:
        chosen = chosen.where(rounds.c.state.in_(wanted.states))
    if wanted.courier_id is not None:
        chosen = chosen.where(rounds.c.courier_id == wanted.courier_id)
    if after is not None:
        day, id_ = after
        chosen = chosen.where(or_(rounds.c.day > day, and_(rounds.c.day == day, rounds.c.id > id_)))
    found = stored_rounds.by_id(view, list(view.execute(chosen).scalars()))
    return sorted(found.values(), key=lambda round_: (round_.day, round_.id))


def list_plans(view: View, reach: Reach, day: date | None, *, before: str | None, limit: int) -> list[Plan]:
    """Return plans in which somebody with this reach has a part, the newest first."""
    chosen = select(plans).order_by(plans.c.id.desc()).limit(limit)
    if day is not None:
        chosen = chosen.where(plans.c.day == day)
    found: list[Plan] = []
    # Who has a part in a plan is written inside it: read on, so many at a time, until there are enough.
    while len(found) < limit:
        rows = view.execute(chosen if before is None else chosen.where(plans.c.id < before)).all()
        found += [plan for plan in map(stored_plans.from_row, rows) if plan.concerns(reach)]
        if len(rows) < limit:
            break
        before = rows[-1].id
    return found[:limit]


def latest_plan(view: View, reach: Reach, day: date) -> Plan | None:
    """Return the newest plan of a day, if somebody with this reach has a part in one."""
    return next(iter(list_plans(view, reach, day, before=None, limit=1)), None)


@dataclass(frozen=True, slots=True)
class Proof:
    """A photo that is on disk, and everybody it concerns."""

    id: str
    media_type: str
    sha256: str
    cooperative_id: str
    department_id: str
    account: str


def proof(view: View, proof_id: str) -> Proof | None:
    """Return a photo that has arrived."""
    row = view.execute(
        select(
            proofs.c.id,
            proofs.c.media_type,
            proofs.c.sha256,
            rounds.c.cooperative_id,
            delivery_rows.c.department_id,
            couriers.c.account,
        )
        .join(stops, stops.c.id == proofs.c.stop_id)
        .join(rounds, rounds.c.id == stops.c.round_id)
        .join(couriers, couriers.c.id == rounds.c.courier_id)
        .join(
            delivery_rows,
            and_(delivery_rows.c.order_id == stops.c.order_id, delivery_rows.c.leg == stops.c.leg),
        )
        .where(proofs.c.id == proof_id, proofs.c.received_at.is_not(None))
    ).one_or_none()
    if row is None:
        return None
    return Proof(row.id, row.media_type, row.sha256, row.cooperative_id, row.department_id, row.account or "")
