"""What couriers report, the photos they take, and how a day is closed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dispatch import messages
from services.dispatch.domain.courier import Courier
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import (
    EventIdReused,
    NotACourier,
    ProofElsewhere,
    StopNotFound,
)
from services.dispatch.domain.events import BikeKind, DeliveryId, StopKind
from services.dispatch.domain.ride import Report, ReportEffect, Ride
from services.dispatch.domain.round import Round, RoundState
from services.dispatch.repository import crew, deliveries, rounds
from services.kit.database import Transaction, View
from services.kit.errors import DomainError
from services.kit.events import outbox


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report was answered; the same whenever it is sent again."""

    effect: ReportEffect
    sentence: str
    flags: tuple[str, ...]


def courier_of(view: View, account: str) -> Courier:
    """Return who rides with this account. Raises NotACourier."""
    courier = crew.courier_with_account(view, account)
    if courier is None:
        raise NotACourier
    return courier


def ride_of(round_: Round, delivery: Delivery, bike_kind: BikeKind | None = None) -> Ride:
    """Return a delivery with its stops in a published round."""
    assert round_.published_at is not None
    return Ride(
        delivery,
        round_.stop_of(delivery.id, StopKind.PICKUP),
        round_.stop_of(delivery.id, StopKind.DROP),
        round_.published_at,
        round_.id,
        round_.travel_metres,
        bike_kind,
    )


def lock_round(tx: Transaction, round_id: str) -> tuple[Round, dict[DeliveryId, Delivery]]:
    """Return a published round with its deliveries, all locked: those first, as everybody does it.

    While they are waited for, a readjustment may bring in others; once all are locked none can.
    """
    known: dict[DeliveryId, Delivery] = {}
    while missing := set(rounds.by_id(tx, [round_id])[round_id].delivery_ids) - known.keys():
        known |= deliveries.by_id(tx, missing, lock=True)
    return rounds.by_id(tx, [round_id], lock=True)[round_id], known


def record_reports(tx: Transaction, courier: Courier, given: Sequence[Report]) -> list[Answer | DomainError]:
    """Take a courier's reports in, in the order in which they happened; answer each, in the order given.

    A report that was taken in before gets the answer it got then. One that is refused changes nothing, and the others
    are taken in all the same.
    """
    places = rounds.place_of_stops(tx, courier.id, {report.stop_id for report in given})
    work = _Work(
        tx,
        courier,
        places,
        deliveries.by_id(tx, [delivery_id for delivery_id, _ in places.values()], lock=True),
        rounds.by_id(tx, {round_id for _, round_id in places.values()}, lock=True),
    )
    # After the locks, so that the same report sent twice at once is seen by one of the two.
    work.recall(given)
    answers: dict[int, Answer | DomainError] = {}
    for index in sorted(range(len(given)), key=lambda index: (given[index].occurred_at, given[index].event_id)):
        try:
            answers[index] = work.take(given[index])
        except DomainError as refusal:
            answers[index] = refusal
    work.save()
    return [answers[index] for index in range(len(given))]


def require_stop(view: View, courier: Courier, stop_id: str) -> None:
    """Raise StopNotFound unless the stop is in one of the courier's rounds."""
    if rounds.day_of_stop(view, courier.id, stop_id) is None:
        raise StopNotFound(stop_id)


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it stands on disk, and the digest of the bytes that were sent."""

    media_type: str
    bytes: int
    sha256: str
    sent_sha256: str


def kept_picture(view: View, stop_id: str, proof_id: str, sent_sha256: str) -> Picture | None:
    """Return this very picture when it is kept already. Raises ProofElsewhere when the id means another."""
    known = rounds.proof(view, proof_id)
    if known is None:
        return None
    if known.stop_id != stop_id or (known.sent_sha256 and known.sent_sha256 != sent_sha256):
        raise ProofElsewhere(proof_id)
    if not known.sent_sha256:
        return None
    return Picture(known.media_type, known.bytes, known.sha256, known.sent_sha256)


def keep_proof(
    tx: Transaction, courier: Courier, stop_id: str, proof_id: str, picture: Picture, *, at: datetime
) -> None:
    """Note that a stop's photo is on disk. Raises StopNotFound, ProofElsewhere."""
    day = rounds.day_of_stop(tx, courier.id, stop_id)
    if day is None:
        raise StopNotFound(stop_id)
    rounds.announce_proofs(tx, stop_id, [proof_id])
    rounds.proof(tx, proof_id, lock=True)
    if kept_picture(tx, stop_id, proof_id, picture.sent_sha256) is not None:
        return
    rounds.keep_proof(
        tx,
        proof_id,
        received_at=at,
        media_type=picture.media_type,
        bytes_=picture.bytes,
        sha256=picture.sha256,
        sent_sha256=picture.sent_sha256,
    )
    rounds.touch(tx, courier.id, day)


def close_round(tx: Transaction, round_id: str, *, at: datetime) -> int:
    """Close the day of a published round: what nobody collected lapses; return how much was told."""
    round_, known = lock_round(tx, round_id)
    bike_kinds = crew.bike_kinds(tx, {round_.bike_id})
    told = 0
    for delivery_id in round_.delivery_ids:
        before = ride_of(round_, known[delivery_id], bike_kinds.get(round_.bike_id))
        ride, facts = before.close(at=at)
        if ride == before:
            continue
        deliveries.save(tx, ride.delivery)
        rounds.save_stops(tx, ride.pickup, ride.drop)
        round_ = round_.with_stops(ride.pickup, ride.drop, at=at)
        for fact in facts:
            outbox.add(tx, messages.message(fact))
        told += len(facts)
    if told:
        rounds.save(tx, round_)
        rounds.touch(tx, round_.courier_id, round_.day)
    return told


class _Work:
    """Reports being taken in, with everything they may change."""

    def __init__(
        self,
        tx: Transaction,
        courier: Courier,
        places: dict[str, tuple[DeliveryId, str]],
        known: dict[DeliveryId, Delivery],
        rounds_: dict[str, Round],
    ) -> None:
        self._tx = tx
        self._courier = courier
        self._places = places
        self._deliveries = known
        self._rounds = rounds_
        self._bike_kinds = crew.bike_kinds(tx, {round_.bike_id for round_ in rounds_.values()})
        self._answered: dict[str, tuple[str, Answer]] = {}
        self._changed_deliveries: set[DeliveryId] = set()
        self._changed_rounds: set[str] = set()

    def recall(self, given: Sequence[Report]) -> None:
        """Look up what was answered before."""
        known = rounds.known_reports(self._tx, self._courier.id, {report.event_id for report in given})
        self._answered = {
            event_id: (
                digest,
                Answer(ReportEffect(result["effect"]), result["sentence"], tuple(result["flags"])),
            )
            for event_id, (digest, result) in known.items()
        }

    def take(self, report: Report) -> Answer:
        """Take one report in. Raises StopNotFound, EventIdReused, ProofElsewhere, BadReport."""
        digest = _digest(report)
        if report.event_id in self._answered:
            seen, answer = self._answered[report.event_id]
            if seen != digest:
                raise EventIdReused(report.event_id, "/event_id")
            return answer
        if report.stop_id not in self._places:
            raise StopNotFound(report.stop_id, "/stop_id")
        for proof_id, stop_id in rounds.stops_of_proofs(self._tx, report.proof_ids).items():
            if stop_id != report.stop_id:
                raise ProofElsewhere(proof_id, "/proof_ids")
        answer = self._ride(report)
        self._answered[report.event_id] = digest, answer
        rounds.announce_proofs(self._tx, report.stop_id, report.proof_ids)
        rounds.add_report(
            self._tx,
            self._courier.id,
            report,
            digest=digest,
            result={"effect": answer.effect, "sentence": answer.sentence, "flags": list(answer.flags)},
        )
        return answer

    def save(self) -> None:
        """Keep what has changed."""
        for delivery_id in sorted(self._changed_deliveries):
            deliveries.save(self._tx, self._deliveries[delivery_id])
        for round_id in sorted(self._changed_rounds):
            round_ = self._rounds[round_id]
            rounds.save(self._tx, round_)
            rounds.touch(self._tx, round_.courier_id, round_.day)

    def _ride(self, report: Report) -> Answer:
        delivery_id, round_id = self._places[report.stop_id]
        round_ = self._rounds[round_id]
        assert round_.published_at is not None
        flags = report.time_flags(round_.published_at)
        if round_.state is RoundState.WITHDRAWN:
            return Answer(ReportEffect.WITHOUT_EFFECT, _WITHDRAWN, flags)
        bike_kind = self._bike_kinds.get(round_.bike_id)
        recorded = ride_of(round_, self._deliveries[delivery_id], bike_kind).record(report)
        ride = recorded.ride
        self._deliveries[delivery_id] = ride.delivery
        self._rounds[round_id] = round_.ridden(at=report.happened_at(round_.published_at)).with_stops(
            ride.pickup, ride.drop, at=report.received_at
        )
        self._changed_deliveries.add(delivery_id)
        self._changed_rounds.add(round_id)
        rounds.save_stops(self._tx, ride.pickup, ride.drop)
        for fact in recorded.facts:
            outbox.add(self._tx, messages.message(fact))
        return Answer(recorded.effect, recorded.sentence, flags)


_WITHDRAWN = "Cette tournée avait été retirée : appelez la régulation si vous l'aviez commencée."


def _digest(report: Report) -> str:
    """Return a name for what a report says, whenever it was received."""
    said = (
        report.stop_id,
        report.kind.value,
        report.occurred_at.timestamp(),
        tuple((load.kind, load.count) for load in report.loads),
        report.reason_code,
        report.note,
        report.proof_ids,
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]
