"""What couriers report of a delivery, in whatever order it arrives, and what is told of it, once.

Rules
-----
- Start and arrive note the earliest time they are reported with, at any moment, also after the end.
- A stop ends with the first report that ends it; a later one that says otherwise is kept and changes nothing.
- A drop that is reported before its pickup proves that the load was collected, but is held: it is told after the
  pickup, when that is reported or, at the latest, when the day is closed and the pickup is deduced from it.
- A pickup that failed ends the delivery; whatever is reported of the drop changes nothing.

So the same reports of an honest device, doubled and in any order, end in the same state and tell the same facts.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import BadReport
from services.dispatch.domain.events import (
    BikeKind,
    CountedLoad,
    DeliveryLapsed,
    Fact,
    Ridden,
    StopCompleted,
    StopFailed,
    StopKind,
)
from services.dispatch.domain.failure import FAILURE_REASONS
from services.dispatch.domain.round import Counted, Stop, StopState
from services.kit.errors import DomainError, refuse_all

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a phone's clock may be off before its time is taken for impossible."""

AMENDED = "amended"
ADDED = "added"
RETIMED = "retimed"
IN_THE_FUTURE = "in-the-future"
BEFORE_PUBLICATION = "before-publication"
DROP_BEFORE_PICKUP = "drop-before-pickup"
PICKUP_DEDUCED = "pickup-deduced"


class ReportKind(StrEnum):
    """What a courier says of a stop."""

    START = "start"
    ARRIVE = "arrive"
    COMPLETE = "complete"
    FAIL = "fail"


class ReportEffect(StrEnum):
    """What a report came to."""

    RECORDED = "recorded"
    HELD = "held"  # a drop that waits for its pickup's report
    WITHOUT_EFFECT = "without_effect"  # kept; the stop had ended before


@dataclass(frozen=True, slots=True)
class Report:
    """One thing a courier says. `occurred_at` is the device's time, `received_at` ours; `loads` only where counted."""

    event_id: str
    stop_id: str
    kind: ReportKind
    occurred_at: datetime
    received_at: datetime
    loads: tuple[Counted, ...] = ()
    reason_code: str = ""
    note: str = ""
    proof_ids: tuple[str, ...] = ()

    def time_flags(self, published_at: datetime) -> tuple[str, ...]:
        """Return what is impossible about the device's time for a round published then."""
        flags = []
        if self.occurred_at > self.received_at + CLOCK_TOLERANCE:
            flags.append(IN_THE_FUTURE)
        if self.occurred_at < published_at - CLOCK_TOLERANCE:
            flags.append(BEFORE_PUBLICATION)
        return tuple(flags)

    def happened_at(self, published_at: datetime) -> datetime:
        """Return the time that is told: the device's, or when that cannot be true, that of the receipt."""
        return self.received_at if self.time_flags(published_at) else self.occurred_at


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report did: the ride afterwards, what there is to tell, and in words when it did nothing."""

    ride: "Ride"
    facts: tuple[Fact, ...]
    effect: ReportEffect
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Ride:
    """A delivery in a published round, with its two stops; `round_metres` are those of the whole round."""

    delivery: Delivery
    pickup: Stop
    drop: Stop
    published_at: datetime
    round_id: str = ""
    round_metres: int = 0
    bike_kind: BikeKind | None = None

    def record(self, report: Report) -> Recorded:
        """Take a report in.

        Raises
        ------
        BadReport
            Or Refusals with several: a failure without a known reason, a difference without a word, an unknown load.
        """
        stop = self.pickup if report.stop_id == self.pickup.id else self.drop
        self._check(report, stop)
        flags = report.time_flags(self.published_at)
        happened_at = report.happened_at(self.published_at)
        if report.kind is ReportKind.START:
            return self._on_the_way(stop, started_at=_earlier(stop.started_at, happened_at))
        if report.kind is ReportKind.ARRIVE:
            return self._on_the_way(stop, arrived_at=_earlier(stop.arrived_at, happened_at))
        if stop.has_ended or stop.state is StopState.HELD:
            return Recorded(self, (), ReportEffect.WITHOUT_EFFECT, _WHY_NOTHING[stop.state])
        reported = replace(
            stop,
            reported_at=report.occurred_at,
            received_at=report.received_at,
            ended_at=happened_at,
            counted=self._counted(report) if report.kind is ReportKind.COMPLETE else (),
            reason_code=report.reason_code if report.kind is ReportKind.FAIL else "",
            note=report.note,
            proof_ids=tuple(sorted(report.proof_ids)),
            flags=tuple(sorted({*stop.flags, *flags})),
        )
        if stop.kind is StopKind.DROP:
            return self._dropped(reported)
        return self._picked_up(reported)

    def cancelled(self, delivery: Delivery) -> "Ride":
        """Take over that the delivery was cancelled."""
        return replace(
            self,
            delivery=delivery,
            pickup=_ended_otherwise(self.pickup, StopState.CANCELLED),
            drop=_ended_otherwise(self.drop, StopState.CANCELLED),
        )

    def amended(self, delivery: Delivery) -> "Ride":
        """Take over that the delivery has other windows; its stops show that."""
        return replace(self, delivery=delivery, pickup=_amended(self.pickup), drop=_amended(self.drop))

    def close(self, *, at: datetime) -> tuple["Ride", tuple[Fact, ...]]:
        """Close the day: deduce a pickup whose drop is held; let lapse what nobody collected."""
        if self.drop.state is StopState.HELD:
            deduced = replace(
                self.pickup,
                reported_at=self.drop.reported_at,
                received_at=self.drop.received_at,
                ended_at=self.drop.ended_at,
                counted=self.drop.counted or self._announced(),
                flags=tuple(sorted({*self.pickup.flags, PICKUP_DEDUCED})),
            )
            recorded = self._picked_up(deduced)
            return recorded.ride, recorded.facts
        delivery, lapsed = self.delivery.lapse(at=at)
        if lapsed is None:
            return self, ()
        ride = replace(
            self,
            delivery=delivery,
            pickup=_ended_otherwise(self.pickup, StopState.LAPSED),
            drop=_ended_otherwise(self.drop, StopState.LAPSED),
        )
        facts: tuple[DeliveryLapsed, ...] = (lapsed,)
        return ride, facts

    def _on_the_way(self, stop: Stop, **times: datetime) -> Recorded:
        stop = replace(stop, **times)  # type: ignore[arg-type]
        if not stop.has_ended and stop.state is not StopState.HELD:
            stop = replace(stop, state=StopState.ARRIVED if stop.arrived_at else StopState.STARTED)
        return Recorded(self._with(stop), (), ReportEffect.RECORDED)

    def _picked_up(self, pickup: Stop) -> Recorded:
        if pickup.reason_code:
            ride = replace(
                self,
                delivery=replace(self.delivery, state=DeliveryState.FAILED),
                pickup=replace(pickup, state=StopState.FAILED),
                drop=_ended_otherwise(self.drop, StopState.SKIPPED),
            )
            return Recorded(ride, (ride._fact(ride.pickup),), ReportEffect.RECORDED)
        ride = replace(
            self,
            delivery=replace(self.delivery, state=DeliveryState.COLLECTED),
            pickup=replace(pickup, state=StopState.COMPLETED),
        )
        facts = (ride._fact(ride.pickup),)
        if self.drop.state is StopState.HELD:
            released = ride._dropped(self.drop)
            return Recorded(released.ride, (*facts, *released.facts), ReportEffect.RECORDED)
        return Recorded(ride, facts, ReportEffect.RECORDED)

    def _dropped(self, drop: Stop) -> Recorded:
        if not self.pickup.has_ended:
            ride = replace(
                self,
                delivery=replace(self.delivery, state=DeliveryState.COLLECTED),
                drop=replace(drop, state=StopState.HELD),
            )
            return Recorded(ride, (), ReportEffect.HELD, _HELD)
        is_early = self.pickup.ended_at and drop.ended_at and drop.ended_at < self.pickup.ended_at
        drop = replace(
            drop,
            state=StopState.FAILED if drop.reason_code else StopState.COMPLETED,
            # Not counted at the door: what was collected is what was handed over.
            counted=() if drop.reason_code else drop.counted or self.pickup.counted,
            flags=tuple(sorted({*drop.flags, DROP_BEFORE_PICKUP})) if is_early else drop.flags,
        )
        outcome = DeliveryState.FAILED if drop.reason_code else DeliveryState.DELIVERED
        ride = replace(self, delivery=replace(self.delivery, state=outcome), drop=drop)
        return Recorded(ride, (ride._fact(drop),), ReportEffect.RECORDED)

    def _with(self, stop: Stop) -> "Ride":
        return replace(self, pickup=stop) if stop.kind is StopKind.PICKUP else replace(self, drop=stop)

    def _fact(self, stop: Stop) -> StopCompleted | StopFailed:
        delivery = self.delivery
        assert stop.ended_at is not None
        if stop.state is StopState.COMPLETED:
            counted = {load.kind: load.count for load in stop.counted}
            loads = tuple(CountedLoad(load.kind, load.count, counted[load.kind]) for load in delivery.loads)
            return StopCompleted(
                delivery.id,
                stop.kind,
                delivery.cooperative_id,
                stop.ended_at,
                loads,
                stop.note,
                stop.proof_ids,
                self._ridden(stop.counted),
            )
        reason = FAILURE_REASONS[stop.reason_code]
        return StopFailed(
            delivery.id,
            stop.kind,
            delivery.cooperative_id,
            stop.ended_at,
            reason.code,
            reason.label,
            reason.is_billable,
            stop.note,
            stop.proof_ids,
            # A drop that failed was ridden with what had been collected.
            self._ridden(self.pickup.counted if stop.kind is StopKind.DROP else ()),
        )

    def _ridden(self, aboard: tuple[Counted, ...]) -> Ridden:
        unit_grams = {load.kind: load.unit_grams for load in self.delivery.loads}
        return Ridden(
            self.round_id,
            self.round_metres,
            self.delivery.direct_metres,
            self.delivery.is_direct_estimated,
            self.bike_kind,
            sum(load.count * unit_grams[load.kind] for load in aboard),
        )

    def _announced(self) -> tuple[Counted, ...]:
        return tuple(Counted(load.kind, load.count) for load in self.delivery.loads)

    def _counted(self, report: Report) -> tuple[Counted, ...]:
        """Return a count for every announced kind; nothing for a drop at which nothing was counted."""
        if not report.loads and report.stop_id == self.drop.id:
            return ()
        counted = {load.kind: load.count for load in report.loads}
        return tuple(Counted(load.kind, counted.get(load.kind, load.count)) for load in self.delivery.loads)

    def _check(self, report: Report, stop: Stop) -> None:
        faults: list[DomainError] = []
        announced = {load.kind: load.count for load in self.delivery.loads}
        if report.kind is not ReportKind.COMPLETE and report.loads:
            faults.append(
                BadReport("Les quantités se comptent à la fin d'un arrêt réussi : retirez-les.", pointer="/loads")
            )
        elif report.kind is ReportKind.COMPLETE:
            faults += [
                BadReport(f"« {load.kind} » n'est pas une charge de cet arrêt.", pointer=f"/loads/{index}/kind")
                for index, load in enumerate(report.loads)
                if load.kind not in announced
            ]
            kinds = [load.kind for load in report.loads]
            if len(set(kinds)) < len(kinds):
                faults.append(BadReport("Donnez une seule quantité par type de charge.", pointer="/loads"))
            differs = any(load.count != announced.get(load.kind, load.count) for load in report.loads)
            if differs and not report.note.strip():
                faults.append(
                    BadReport("La quantité diffère de l'annonce : expliquez l'écart en une phrase.", pointer="/note")
                )
        if report.kind is ReportKind.FAIL:
            reason = FAILURE_REASONS.get(report.reason_code)
            if reason is None or stop.kind not in reason.stop_kinds:
                choices = ", ".join(
                    reason.code for reason in FAILURE_REASONS.values() if stop.kind in reason.stop_kinds
                )
                faults.append(BadReport(f"Choisissez un motif parmi : {choices}.", pointer="/reason_code"))
        elif report.reason_code:
            faults.append(BadReport("Un motif accompagne un échec seulement : retirez-le.", pointer="/reason_code"))
        refuse_all(faults)


_HELD = "La livraison est notée ; elle sera transmise dès que l'enlèvement aura été signalé."
_WHY_NOTHING = {
    StopState.HELD: "Cet arrêt était déjà signalé : rien ne change.",
    StopState.COMPLETED: "Cet arrêt était déjà fait : rien ne change.",
    StopState.FAILED: "Cet arrêt était déjà signalé en échec : appelez la régulation pour le corriger.",
    StopState.SKIPPED: "L'enlèvement a échoué : il n'y avait rien à livrer ici.",
    StopState.CANCELLED: "La commande était annulée : appelez la régulation si la charge est à bord.",
    StopState.LAPSED: "La journée était close : appelez la régulation pour régulariser.",
    StopState.MOVED: "Cet arrêt n'est plus dans votre tournée : appelez la régulation si la charge est à bord.",
}


def _earlier(known: datetime | None, new: datetime) -> datetime:
    return min(known, new) if known else new


def _amended(stop: Stop) -> Stop:
    return stop if stop.has_ended else replace(stop, flags=tuple(sorted({*stop.flags, AMENDED})))


def _ended_otherwise(stop: Stop, state: StopState) -> Stop:
    """Return the stop ended without a report of its own; what a held one said is kept in its reports only."""
    if stop.has_ended:
        return stop
    return replace(
        stop,
        state=state,
        reported_at=None,
        received_at=None,
        ended_at=None,
        counted=(),
        reason_code="",
        note="",
        proof_ids=(),
        flags=(),
    )
