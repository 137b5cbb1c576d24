"""Published rounds with their stops, what was reported of them, and when a courier's day last changed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, select, update

from services.dispatch.domain.errors import RoundNotFound
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.ride import Report
from services.dispatch.domain.round import BreakTaken, Counted, Round, RoundState, Stop, StopState
from services.dispatch.tables import courier_days, proofs, reports, rounds, stops
from services.kit.database import Transaction, View, insert_new

_COUNTED = TypeAdapter(tuple[Counted, ...])
_BREAKS = TypeAdapter(tuple[BreakTaken, ...])
_OPEN = [RoundState.PUBLISHED, RoundState.UNDER_WAY]


def add(tx: Transaction, new: Iterable[Round]) -> None:
    """Keep rounds that are being published."""
    for round_ in new:
        tx.execute(
            insert(rounds).values(
                id=round_.id,
                plan_id=round_.plan_id,
                cooperative_id=round_.cooperative_id,
                courier_id=round_.courier_id,
                bike_id=round_.bike_id,
                shift_id=round_.shift_id,
                shift_print=round_.shift_print,
                day=round_.day,
                starts_at=round_.starts_at,
                ends_at=round_.ends_at,
                travel_seconds=round_.travel_seconds,
                travel_metres=round_.travel_metres,
                published_at=round_.published_at,
                breaks=_BREAKS.dump_python(round_.breaks, mode="json"),
                **_progress(round_),
            )
        )
        tx.execute(
            insert(stops),
            [
                {"id": stop.id, "round_id": round_.id, **_planned(stop, position)}
                for position, stop in enumerate(round_.stops, start=1)
            ],
        )


def get(view: View, round_id: str, reach: Reach, *, lock: bool = False) -> Round:
    """Return a round within reach. Raises RoundNotFound."""
    found = by_id(view, [round_id], lock=lock)
    if round_id not in found or not reach.covers(found[round_id].cooperative_id):
        raise RoundNotFound(round_id)
    return found[round_id]


def by_id(view: View, ids: Collection[str], *, lock: bool = False) -> dict[str, Round]:
    """Return those of these rounds that there are."""
    chosen = select(rounds).where(rounds.c.id.in_(list(ids))).order_by(rounds.c.id)
    rows = view.execute(chosen.with_for_update() if lock else chosen).all()
    return {round_.id: round_ for round_ in _with_stops(view, rows)}


def of_courier(view: View, courier_id: str, day: date) -> list[Round]:
    """Return a courier's rounds of a day, withdrawn ones included, by start."""
    rows = view.execute(
        select(rounds)
        .where(rounds.c.courier_id == courier_id, rounds.c.day == day)
        .order_by(rounds.c.starts_at, rounds.c.id)
    ).all()
    return _with_stops(view, rows)


def of_day(view: View, day: date, reach: Reach) -> list[Round]:
    """Return the published rounds of a day within reach, by start."""
    chosen = select(rounds).where(rounds.c.day == day).order_by(rounds.c.starts_at, rounds.c.id)
    if not reach.is_everything:
        chosen = chosen.where(rounds.c.cooperative_id == reach.cooperative_id)
    return _with_stops(view, view.execute(chosen).all())


def open_before(view: View, day: date) -> list[str]:
    """Return the ids of rounds of days before this one that have stops to be ended."""
    return list(
        view.execute(
            select(rounds.c.id).where(rounds.c.state.in_(_OPEN), rounds.c.day < day).order_by(rounds.c.id)
        ).scalars()
    )


def save(tx: Transaction, changed: Round) -> None:
    """Keep how far a round is, its stops aside."""
    tx.execute(update(rounds).where(rounds.c.id == changed.id).values(**_progress(changed)))


def readjust(tx: Transaction, changed: Round) -> None:
    """Keep a published round whose stops are others, or in another order."""
    tx.execute(
        update(rounds)
        .where(rounds.c.id == changed.id)
        .values(
            starts_at=changed.starts_at,
            ends_at=changed.ends_at,
            travel_seconds=changed.travel_seconds,
            travel_metres=changed.travel_metres,
            breaks=_BREAKS.dump_python(changed.breaks, mode="json"),
            **_progress(changed),
        )
    )
    # Out of the way first: no two stops of a round ever have the same position.
    tx.execute(update(stops).where(stops.c.round_id == changed.id).values(position=-stops.c.position))
    for position, stop in enumerate(changed.stops, start=1):
        values = _planned(stop, position)
        if not tx.execute(update(stops).where(stops.c.id == stop.id).values(**values)).rowcount:
            tx.execute(insert(stops).values(id=stop.id, round_id=changed.id, **values))


def save_stops(tx: Transaction, *changed: Stop) -> None:
    """Keep what was reported of stops."""
    for stop in changed:
        tx.execute(update(stops).where(stops.c.id == stop.id).values(**_reported(stop)))


def place_of_stops(view: View, courier_id: str, stop_ids: Collection[str]) -> dict[str, tuple[DeliveryId, str]]:
    """Return delivery and round of those of these stops that are in a round of this courier."""
    rows = view.execute(
        select(stops.c.id, stops.c.order_id, stops.c.leg, stops.c.round_id)
        .join(rounds, rounds.c.id == stops.c.round_id)
        .where(stops.c.id.in_(list(stop_ids)), rounds.c.courier_id == courier_id)
    )
    return {row.id: (DeliveryId(row.order_id, row.leg), row.round_id) for row in rows}


def day_of_stop(view: View, courier_id: str, stop_id: str) -> date | None:
    """Return the day of a stop of this courier; None when it is not one."""
    return view.execute(
        select(rounds.c.day)
        .join(stops, stops.c.round_id == rounds.c.id)
        .where(stops.c.id == stop_id, rounds.c.courier_id == courier_id)
    ).scalar_one_or_none()


def touch(tx: Transaction, courier_id: str, day: date) -> None:
    """Note that what this courier's phone shows for the day has changed."""
    here = (courier_days.c.courier_id == courier_id) & (courier_days.c.day == day)
    count_up = update(courier_days).where(here).values(version=courier_days.c.version + 1)
    if tx.execute(count_up).rowcount:
        return
    if not insert_new(tx, courier_days, [{"courier_id": courier_id, "day": day, "version": 1}]).rowcount:
        tx.execute(count_up)


def known_reports(view: View, courier_id: str, event_ids: Collection[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return digest and answer of those of these reports that were taken in before."""
    rows = view.execute(
        select(reports.c.event_id, reports.c.digest, reports.c.result).where(
            reports.c.courier_id == courier_id, reports.c.event_id.in_(list(event_ids))
        )
    )
    return {row.event_id: (row.digest, row.result) for row in rows}


def add_report(tx: Transaction, courier_id: str, report: Report, *, digest: str, result: dict[str, Any]) -> None:
    """Keep a report with what it was answered."""
    tx.execute(
        insert(reports).values(
            courier_id=courier_id,
            event_id=report.event_id,
            stop_id=report.stop_id,
            digest=digest,
            kind=report.kind,
            occurred_at=report.occurred_at,
            received_at=report.received_at,
            content={
                "loads": _COUNTED.dump_python(report.loads, mode="json"),
                "reason_code": report.reason_code,
                "note": report.note,
                "proof_ids": list(report.proof_ids),
            },
            result=result,
        )
    )


def stops_of_proofs(view: View, proof_ids: Collection[str]) -> dict[str, str]:
    """Return the stop of those of these proofs that are known, announced ones included."""
    rows = view.execute(select(proofs.c.id, proofs.c.stop_id).where(proofs.c.id.in_(list(proof_ids))))
    return {row.id: row.stop_id for row in rows}


def announce_proofs(tx: Transaction, stop_id: str, proof_ids: Sequence[str]) -> None:
    """Keep that these proofs belong to a stop; their pictures may come later."""
    if proof_ids:
        insert_new(
            tx,
            proofs,
            [
                {"id": id_, "stop_id": stop_id, "media_type": "", "bytes": 0, "sha256": "", "sent_sha256": ""}
                for id_ in proof_ids
            ],
        )


def proof(view: View, proof_id: str, *, lock: bool = False) -> Row[Any] | None:
    """Return the row of a proof."""
    chosen = select(proofs).where(proofs.c.id == proof_id)
    return view.execute(chosen.with_for_update() if lock else chosen).one_or_none()


def keep_proof(
    tx: Transaction,
    proof_id: str,
    *,
    received_at: datetime,
    media_type: str,
    bytes_: int,
    sha256: str,
    sent_sha256: str,
) -> None:
    """Note that the picture of an announced proof is on disk."""
    tx.execute(
        update(proofs)
        .where(proofs.c.id == proof_id)
        .values(received_at=received_at, media_type=media_type, bytes=bytes_, sha256=sha256, sent_sha256=sent_sha256)
    )


def _with_stops(view: View, rows: Sequence[Row[Any]]) -> list[Round]:
    found: defaultdict[str, list[Stop]] = defaultdict(list)
    if rows:
        chosen = select(stops).where(stops.c.round_id.in_([row.id for row in rows]))
        for stop in view.execute(chosen.order_by(stops.c.round_id, stops.c.position)):
            found[stop.round_id].append(_stop(stop))
    return [
        Round(
            id=row.id,
            plan_id=row.plan_id,
            cooperative_id=row.cooperative_id,
            courier_id=row.courier_id,
            bike_id=row.bike_id,
            shift_id=row.shift_id,
            shift_print=row.shift_print,
            day=row.day,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            travel_seconds=row.travel_seconds,
            travel_metres=row.travel_metres,
            stops=tuple(found[row.id]),
            state=RoundState(row.state),
            published_at=row.published_at,
            started_at=row.started_at,
            closed_at=row.closed_at,
            withdrawn_at=row.withdrawn_at,
            withdrawal_reason=row.withdrawal_reason,
            breaks=_BREAKS.validate_python(row.breaks),
        )
        for row in rows
    ]


def _stop(row: Row[Any]) -> Stop:
    return Stop(
        id=row.id,
        delivery_id=DeliveryId(row.order_id, row.leg),
        kind=StopKind(row.kind),
        arrives_at=row.arrives_at,
        starts_at=row.starts_at,
        leaves_at=row.leaves_at,
        aboard_grams=row.aboard_grams,
        aboard_millilitres=row.aboard_millilitres,
        state=StopState(row.state),
        started_at=row.started_at,
        arrived_at=row.arrived_at,
        reported_at=row.reported_at,
        received_at=row.received_at,
        ended_at=row.ended_at,
        counted=_COUNTED.validate_python(row.counted),
        reason_code=row.reason_code,
        note=row.note,
        proof_ids=tuple(row.proof_ids),
        flags=tuple(row.flags),
    )


def _progress(round_: Round) -> dict[str, Any]:
    return {
        "occupied_shift_id": None if round_.state is RoundState.WITHDRAWN else round_.shift_id,
        "state": round_.state,
        "started_at": round_.started_at,
        "closed_at": round_.closed_at,
        "withdrawn_at": round_.withdrawn_at,
        "withdrawal_reason": round_.withdrawal_reason,
    }


def _planned(stop: Stop, position: int) -> dict[str, Any]:
    return {
        "position": position,
        "order_id": stop.delivery_id.order_id,
        "leg": stop.delivery_id.leg,
        "kind": stop.kind,
        "arrives_at": stop.arrives_at,
        "starts_at": stop.starts_at,
        "leaves_at": stop.leaves_at,
        "aboard_grams": stop.aboard_grams,
        "aboard_millilitres": stop.aboard_millilitres,
        **_reported(stop),
    }


def _reported(stop: Stop) -> dict[str, Any]:
    return {
        "state": stop.state,
        "started_at": stop.started_at,
        "arrived_at": stop.arrived_at,
        "reported_at": stop.reported_at,
        "received_at": stop.received_at,
        "ended_at": stop.ended_at,
        "counted": _COUNTED.dump_python(stop.counted, mode="json"),
        "reason_code": stop.reason_code,
        "note": stop.note,
        "proof_ids": list(stop.proof_ids),
        "flags": list(stop.flags),
    }
