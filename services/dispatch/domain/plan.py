"""A plan for a day: asked for, computed, kept as a draft, published cooperative by cooperative."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.dispatch.domain.closure import Closure, falling_in
from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import PlanNotReady, PlanNotSolving, PlanStale
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.planning_settings import PlanningSettings
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round, RoundState

MOST_COMPUTATIONS = 4
"""So often a plan is begun at most: once, and again when that broke off. Its process died or was stopped, or the
database went away.
"""

LEAD = timedelta(minutes=10)
"""Between the end of a computation and the first ride that it plans: it is looked at, published and read."""

LATE_AT_MOST = timedelta(minutes=15)
"""A round is still published when its first stop should have begun so long ago: whoever leaves at once catches up, or
the day is readjusted, and what was moved by hand is not lost for some minutes.
"""


class PlanState(StrEnum):
    """How far a plan is."""

    REQUESTED = "requested"
    SOLVING = "solving"
    DRAFT = "draft"
    FAILED = "failed"
    PUBLISHED = "published"  # all of it; a plan of which a part is published is still a draft


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """A delivery as the plan saw it: its terms, and which cooperatives may ride it."""

    id: DeliveryId
    edition: int
    cooperative_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShiftReason:
    """Why one shift does not serve a delivery."""

    code: str
    shift_id: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """The least change of one kind that would have served a delivery beside the others; `shift_id` may be empty.

    `amount` is in the unit of its code: seconds (window, shift, ride time; of detour for its price), metres (range),
    grams, millilitres or pieces as `what` says (capacity). `what` also names a skill, the priority that is enough, what
    there is too little of (equipment, or with a `stop` the site), or which end of a window or shift ("start", "end");
    `stop` is where the window is, `until` what this end becomes.
    """

    code: str
    shift_id: str
    amount: int = 0
    what: str = ""
    stop: StopKind | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A delivery that the plan does not serve: codes overall, per shift, a French sentence, and what would help.

    `is_told` once said.
    """

    delivery_id: DeliveryId
    codes: tuple[str, ...]
    sentence: str
    reasons: tuple[ShiftReason, ...] = ()
    is_told: bool = False
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """How good the best plan was after so many seconds of computing."""

    seconds: float
    rounds: int
    deliveries: int
    metres: int


@dataclass(frozen=True, slots=True)
class Computation:
    """How a plan's computation went so far: from the first plan found to the best, and whether to stop there."""

    marks: tuple[Mark, ...] = ()
    is_stop_asked: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked and what came of it.

    `inputs` are all deliveries it was made from: each stands in one round or is left out. `cooperative_id` is that of
    whoever asked, empty for the administration. `shift_ids` are the shifts that could be used, `settings` what it was
    weighed by, None while it was not computed and where nobody kept them.
    """

    id: str
    day: date
    cooperative_id: str
    requested_by: str
    requested_at: datetime
    seconds: float
    state: PlanState = PlanState.REQUESTED
    began_at: datetime | None = None
    ended_at: datetime | None = None
    failure: str = ""
    inputs: tuple[PlannedDelivery, ...] = ()
    shift_ids: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    version: int = 1
    settings: PlanningSettings | None = None

    @property
    def not_before(self) -> datetime | None:
        """From when on its rounds may begin; None before somebody computes it."""
        return None if self.began_at is None else self.began_at + timedelta(seconds=self.seconds) + LEAD

    @property
    def has_begun_too_often(self) -> bool:
        """Return whether so many computations broke off that this one may end its process as well."""
        return self.version > 1 + MOST_COMPUTATIONS

    def begin(self, *, at: datetime) -> "Plan":
        """Start computing, or start again. Raises PlanNotSolving when it was computed to the end."""
        if self.state not in (PlanState.REQUESTED, PlanState.SOLVING):
            raise PlanNotSolving(self.id, self.state)
        return replace(self, state=PlanState.SOLVING, began_at=at, version=self.version + 1)

    def fail(self, failure: str, *, at: datetime) -> "Plan":
        """Give up; `failure` is a French sentence. Raises PlanNotSolving."""
        self.require_solving()
        return replace(self, state=PlanState.FAILED, failure=failure, ended_at=at, version=self.version + 1)

    def draft(
        self,
        inputs: Iterable[PlannedDelivery],
        shift_ids: Iterable[str],
        rounds: Iterable[Round],
        left_out: Iterable[LeftOut],
        settings: PlanningSettings | None = None,
        *,
        at: datetime,
    ) -> "Plan":
        """Keep what was computed. Raises PlanNotSolving, and ValueError when a delivery is lost or told twice."""
        self.require_solving()
        plan = replace(
            self,
            state=PlanState.DRAFT,
            ended_at=at,
            inputs=tuple(inputs),
            shift_ids=tuple(shift_ids),
            rounds=tuple(rounds),
            left_out=tuple(left_out),
            settings=settings,
            version=self.version + 1,
        )
        told = [delivery_id for round_ in plan.rounds for delivery_id in round_.delivery_ids]
        told += [item.delivery_id for item in plan.left_out]
        if sorted(told) != sorted(planned.id for planned in plan.inputs):
            raise ValueError("a plan must tell of each of its deliveries once")
        return plan

    def concerns(self, reach: Reach) -> bool:
        """Return whether someone with this reach has a part in it."""
        return (
            reach.covers(self.cooperative_id)
            or bool(self.inputs_within(reach))
            or any(reach.covers(round_.cooperative_id) for round_ in self.rounds)
        )

    def rounds_within(self, reach: Reach) -> tuple[Round, ...]:
        """Return the rounds of the cooperatives within reach."""
        return tuple(round_ for round_ in self.rounds if reach.covers(round_.cooperative_id))

    def drafts_within(self, reach: Reach, only: Collection[str] | None = None) -> tuple[Round, ...]:
        """Return the rounds within reach that are not published; of these alone that are named, where some are."""
        return tuple(
            round_
            for round_ in self.rounds_within(reach)
            if round_.state is RoundState.DRAFT and (only is None or round_.id in only)
        )

    def inputs_within(self, reach: Reach) -> tuple[PlannedDelivery, ...]:
        """Return the deliveries that a cooperative within reach may ride."""
        return tuple(
            planned
            for planned in self.inputs
            if reach.is_everything or any(reach.covers(id_) for id_ in planned.cooperative_ids)
        )

    def left_out_within(self, reach: Reach) -> tuple[LeftOut, ...]:
        """Return what is left out of what a cooperative within reach could have ridden."""
        reached = {planned.id for planned in self.inputs_within(reach)}
        return tuple(item for item in self.left_out if item.delivery_id in reached)

    def require_solving(self) -> None:
        """Raise PlanNotSolving unless it is being computed."""
        if self.state is not PlanState.SOLVING:
            raise PlanNotSolving(self.id, self.state)

    def require_draft(self) -> None:
        """Raise PlanNotReady unless there is something to move or publish."""
        if self.state not in (PlanState.DRAFT, PlanState.PUBLISHED):
            raise PlanNotReady(self.id, self.state)

    def publish(
        self,
        reach: Reach,
        deliveries: Mapping[DeliveryId, Delivery],
        shift_prints: Mapping[str, str],
        closures: Collection[Closure] = (),
        *,
        at: datetime,
        only: Collection[str] | None = None,
    ) -> tuple["Plan", tuple[Round, ...], tuple[LeftOut, ...]]:
        """Publish the draft rounds within reach, or `only` those with these ids: all of them, or none.

        Return the plan, those rounds, and what is now told to be left out. `deliveries` are those of the rounds as they
        are now, `shift_prints` those of shifts that are still free, `closures` those of sites at these times.
        What was published before stays as it is.

        Raises
        ------
        PlanNotReady
            When there is no draft.
        PlanStale
            With what changed since it was made, and whose first stop has passed.
        """
        self.require_draft()
        drafts = self.drafts_within(reach, only)
        changes = self.obstacles(drafts, deliveries, shift_prints, closures, at=at)
        if changes:
            raise PlanStale(self.id, changes)
        published = {round_.id: round_.publish(at=at) for round_ in drafts}
        told = tuple(item for item in self.left_out_within(reach) if not item.is_told)
        rounds = tuple(published.get(round_.id, round_) for round_ in self.rounds)
        is_done = all(round_.state is not RoundState.DRAFT for round_ in rounds)
        plan = replace(
            self,
            state=PlanState.PUBLISHED if is_done else self.state,
            rounds=rounds,
            left_out=tuple(replace(item, is_told=True) if item in told else item for item in self.left_out),
            version=self.version + 1,
        )
        return plan, tuple(published.values()), told

    def obstacles(
        self,
        drafts: Collection[Round],
        deliveries: Mapping[DeliveryId, Delivery],
        shift_prints: Mapping[str, str],
        closures: Collection[Closure],
        *,
        at: datetime,
    ) -> list[dict[str, str]]:
        """Return why these rounds cannot be published: what has changed, which site is closed, what has passed."""
        return [
            *self.changes(drafts, deliveries, shift_prints),
            *_shut(drafts, deliveries, closures),
            *_passed(drafts, deliveries, at),
        ]

    def with_rounds(self, rounds: Iterable[Round], left_out: Iterable[LeftOut]) -> "Plan":
        """Return it with these rounds and this left out instead, after a move."""
        return replace(self, rounds=tuple(rounds), left_out=tuple(left_out), version=self.version + 1)

    def changes(
        self,
        drafts: Iterable[Round],
        deliveries: Mapping[DeliveryId, Delivery],
        shift_prints: Mapping[str, str],
        *,
        beside: Iterable[DeliveryId] = (),
    ) -> list[dict[str, str]]:
        """Return what has changed about these rounds, and deliveries `beside` them, since the plan was made."""
        changes: list[dict[str, str]] = []
        concerned: set[DeliveryId] = set(beside)
        for round_ in drafts:
            concerned.update(round_.delivery_ids)
            if shift_prints.get(round_.shift_id) != round_.shift_print:
                changes.append(
                    {"kind": "shift-changed", "shift_id": round_.shift_id, "detail": "une vacation a changé"}
                )
        editions = {planned.id: planned.edition for planned in self.inputs}
        for delivery_id in sorted(concerned):
            delivery = deliveries[delivery_id]
            if delivery.state is not DeliveryState.PLANNABLE:
                detail = f"la livraison {delivery.reference} {_SINCE[delivery.state]}"
                changes.append(
                    {"kind": f"delivery-{delivery.state}", "delivery_id": str(delivery_id), "detail": detail}
                )
            elif delivery.edition != editions[delivery_id]:
                detail = f"les créneaux ou la consigne de la livraison {delivery.reference} ont changé"
                changes.append({"kind": "delivery-amended", "delivery_id": str(delivery_id), "detail": detail})
        return changes


def _shut(
    drafts: Iterable[Round], deliveries: Mapping[DeliveryId, Delivery], closures: Iterable[Closure]
) -> list[dict[str, str]]:
    """Return the stops of these rounds that fall into a closure."""
    stops = [(stop.delivery_id, stop.kind, stop.starts_at) for round_ in drafts for stop in round_.stops]
    return [
        {
            "kind": "site-closed",
            "delivery_id": str(delivery.id),
            "detail": f"« {closure.site_name} » est fermé quand la livraison {delivery.reference} y passe",
        }
        for closure, delivery in falling_in(closures, stops, deliveries)
    ]


def _passed(
    drafts: Iterable[Round], deliveries: Mapping[DeliveryId, Delivery], at: datetime
) -> Iterator[dict[str, str]]:
    """Yield the rounds whose first stop passed too long ago."""
    for round_ in drafts:
        first = min(round_.stops, key=lambda stop: stop.starts_at)
        late = at - first.starts_at
        if late > LATE_AT_MOST:
            minutes = late // timedelta(minutes=1)
            told = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
            reference = deliveries[first.delivery_id].reference
            yield {
                "kind": "time-passed",
                "shift_id": round_.shift_id,
                "detail": f"le premier arrêt d'une tournée (livraison {reference}) est passé depuis {told}",
            }


_SINCE = {
    DeliveryState.WAITING_FOR_HOLD: "attend son engagement",
    DeliveryState.REFUSED: "a été refusée",
    DeliveryState.PLANNED: "est entrée dans une autre tournée",
    DeliveryState.COLLECTED: "a été enlevée",
    DeliveryState.DELIVERED: "a été livrée",
    DeliveryState.FAILED: "a échoué",
    DeliveryState.CANCELLED: "a été annulée",
    DeliveryState.LAPSED: "est périmée",
}


def aboard(round_: Round, deliveries: Mapping[DeliveryId, Delivery]) -> Round:
    """Return the round with what is on the bike after each stop."""
    grams = millilitres = 0
    stops = []
    for stop in round_.stops:
        delivery = deliveries[stop.delivery_id]
        sign = 1 if stop.kind is StopKind.PICKUP else -1
        grams += sign * delivery.grams
        millilitres += sign * delivery.millilitres
        stops.append(replace(stop, aboard_grams=grams, aboard_millilitres=millilitres))
    return replace(round_, stops=tuple(stops))
