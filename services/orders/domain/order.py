"""An order: one or two legs asked by a department, and what becomes of each; verbs return the new state and the facts.

A leg only goes forward: requested, accepted, planned, (cancelling,) collected, and one end. Facts may come late or out
of order: one that would lead back is written into the history and changes nothing else. The one step back is a
withdrawn round, told apart from an old one by its time. The first end that is heard stays.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from services.kit.errors import DomainError, refuse_all
from services.orders.domain.contract import Contract
from services.orders.domain.errors import (
    AlreadyCollected,
    AlreadyOver,
    BadWindow,
    NotAmendable,
    OutOfBounds,
    ReturnNeedsOutbound,
    TooLateToAmend,
)
from services.orders.domain.load import Load
from services.orders.domain.window import Window, check_way_back, check_windows


class Flow(StrEnum):
    """How the load of an order travels."""

    ONE_WAY = "one_way"
    EXCHANGE = "exchange"
    LOAN = "loan"

    @property
    def legs(self) -> int:
        """How many legs an order of this flow has."""
        return 1 if self is Flow.ONE_WAY else 2


class Status(StrEnum):
    """Where a leg stands; an order stands where its first open leg does."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    PLANNED = "planned"
    CANCELLING = "cancelling"
    COLLECTED = "collected"
    DELIVERED = "delivered"
    FAILED = "failed"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"
    REFUSED = "refused"

    @property
    def is_end(self) -> bool:
        """Return whether nothing comes after it."""
        return self in _ENDS


_ENDS = (Status.FAILED, Status.LAPSED, Status.DELIVERED, Status.REFUSED, Status.CANCELLED)
"""Gravest first: what an order with several ended legs is called."""

_RANK = {Status.REQUESTED: 0, Status.ACCEPTED: 1, Status.PLANNED: 2, Status.CANCELLING: 3, Status.COLLECTED: 4}


def _rank(status: Status) -> int:
    return _RANK.get(status, 5)


class Actor(StrEnum):
    """What kind of party brought a step about; never a person's name."""

    DEPARTMENT = "department"
    RECURRENCE = "recurrence"
    BILLING = "billing"
    DISPATCH = "dispatch"
    COURIER = "courier"


@dataclass(frozen=True, slots=True)
class Visit:
    """One site visit, as the site was when the order was placed."""

    site_id: str
    site_name: str
    address: str
    latitude: float
    longitude: float
    access_note: str
    contact: str
    service_seconds: int
    window: Window


@dataclass(frozen=True, slots=True)
class Planning:
    """Where a leg stands in a published round; times are planned arrivals."""

    round_id: str
    cooperative_id: str
    pickup_at: datetime
    drop_at: datetime


@dataclass(frozen=True, slots=True)
class CountedLoad:
    """A load as announced and as counted at the door."""

    kind: str
    announced: int
    counted: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a leg cost in the end, excluding tax; `outcome` is billing's word."""

    outcome: str
    amount_cents: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Leg:
    """One trip: loads picked up at one site and dropped at another, on a local `service_date`."""

    number: int
    service_date: date
    pickup: Visit
    drop: Visit
    loads: tuple[Load, ...]
    needs_trailer: bool
    status: Status = Status.REQUESTED
    planning: Planning | None = None
    planning_heard: datetime | None = None
    left_out: str = ""
    cooperative_id: str = ""
    collected_at: datetime | None = None
    ended_at: datetime | None = None
    counted: tuple[CountedLoad, ...] = ()
    remark: str = ""
    proof_ids: tuple[str, ...] = ()
    is_late_cancellation: bool = False
    settlement: Settlement | None = None

    def advanced(self, status: Status) -> "Leg":
        """Return the leg at this status, or as it is when that would lead back."""
        return replace(self, status=status) if _rank(status) > _rank(self.status) else self

    def ended(self, status: Status, at: datetime) -> "Leg":
        """Return the leg at its end, or as it is when it has ended."""
        return self if self.status.is_end else replace(self, status=status, ended_at=at)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the order may not be carried out, with billing's figures."""

    code: str
    reason: str
    asked_cents: int
    left_cents: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an order's history: what happened, when, to which leg (None for all), by whom; `cause` is French."""

    at: datetime
    what: str
    actor: Actor
    leg: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A dated request under a contract; `version` counts its changes from 1."""

    id: str
    reference: str
    department_id: str
    contract_id: str
    flow: Flow
    legs: tuple[Leg, ...]
    placed_at: datetime
    note: str = ""
    client_reference: str | None = None
    recurring_request_id: str | None = None
    occurrence_date: date | None = None
    held_cents: int | None = None
    refusal: Refusal | None = None
    version: int = 1

    @property
    def status(self) -> Status:
        """The status of the first open leg; when all have ended, the gravest end."""
        for leg in self.legs:
            if not leg.status.is_end:
                return leg.status
        return next(status for status in _ENDS if any(leg.status is status for leg in self.legs))

    def leg(self, number: int) -> Leg:
        """Return a leg by its number. Raises OutOfBounds when there is none."""
        if not 1 <= number <= len(self.legs):
            raise OutOfBounds(f"Cette commande n'a pas de trajet {number}.", pointer="/legs", legs=len(self.legs))
        return self.legs[number - 1]

    # What a department asks

    def cancel(
        self, numbers: Collection[int] | None, reason: str, contract: Contract, *, at: datetime, actor: Actor
    ) -> "Change":
        """Ask to cancel these legs, or whatever is still to be ridden; dispatch answers what became of them.

        Whether it is late is judged leg by leg against the contract's cut-off. In a loan only the way out is asked
        for; the way back follows when the way out is cancelled for good, so that nothing placed stays in the street.

        Raises
        ------
        AlreadyCollected
            When a courier has the load of a leg.
        AlreadyOver
            When a leg has ended, or its cancellation has been asked for.
        ReturnNeedsOutbound
            When the way back of a loan is given up while its way out is still to come.
        """
        legs = self._to_cancel(numbers)
        changed = self
        said = []
        for is_late in (False, True):
            group = [leg for leg in legs if (at > contract.cutoff_at(leg.pickup.window.start)) is is_late]
            for leg in group:
                cancelling = replace(leg.advanced(Status.CANCELLING), is_late_cancellation=is_late)
                changed = changed._with(cancelling)
            if group:
                asked = tuple(leg.number for leg in group)
                said.append(CancellationAsked(self.id, asked, reason, is_late=is_late, at=at))
        steps = [Step(at, "cancellation-asked", actor, leg.number, reason) for leg in legs]
        return changed._changed(steps, said)

    def _to_cancel(self, numbers: Collection[int] | None) -> list[Leg]:
        if numbers is None:
            open_legs = [leg for leg in self.legs if not leg.status.is_end]
            chosen = open_legs[:1] if self.flow is Flow.LOAN else open_legs
            if not chosen:
                raise AlreadyOver("Cette commande est terminée ; il n'y a plus rien à annuler.")
        else:
            chosen = [self.leg(number) for number in sorted(set(numbers))]
            if self.flow is Flow.LOAN and len(chosen) == 2:
                chosen = chosen[:1] if not chosen[0].status.is_end else chosen[1:]
        faults: list[DomainError] = []
        for leg in chosen:
            if leg.status is Status.COLLECTED:
                faults.append(AlreadyCollected(leg.number, leg.collected_at or self.placed_at))
            elif leg.status.is_end:
                faults.append(AlreadyOver(f"Le trajet {leg.number} est terminé ; il ne peut plus être annulé."))
            elif leg.status is Status.CANCELLING:
                faults.append(AlreadyOver(f"L'annulation du trajet {leg.number} est déjà demandée."))
            elif self.flow is Flow.LOAN and leg.number == 2 and self.legs[0].status is not Status.DELIVERED:
                faults.append(
                    ReturnNeedsOutbound(
                        "Ce qui est posé doit être repris : annulez l'aller, le retour suivra sans frais.", leg=2
                    )
                )
        refuse_all(faults)
        return chosen

    def amend(
        self,
        windows: Mapping[int, tuple[Window | None, Window | None]],
        note: str | None,
        contract: Contract,
        *,
        at: datetime,
        actor: Actor,
    ) -> "Change":
        """Change pickup and drop windows of legs, or the note, before the cut-off; dates, sites and loads stay.

        Raises
        ------
        NotAmendable
            When a leg is planned, under way or over.
        TooLateToAmend
            When the cut-off of a leg has passed.
        BadWindow
            When a window is impossible or on another day.
        Refusals
            When there are several of these.
        """
        faults: list[DomainError] = []
        touched = [self.leg(number) for number in windows]
        judged = touched or [leg for leg in self.legs if not leg.status.is_end][:1]
        if not judged:
            faults.append(NotAmendable("Cette commande est terminée ; elle ne change plus."))
        for leg in judged:
            cutoff_at = contract.cutoff_at(leg.pickup.window.start)
            if leg.status not in (Status.REQUESTED, Status.ACCEPTED):
                faults.append(
                    NotAmendable(
                        f"Le trajet {leg.number} est déjà planifié ou terminé ; annulez-le et commandez à nouveau.",
                        leg=leg.number,
                        status=str(leg.status),
                    )
                )
            elif at > cutoff_at:
                local = cutoff_at.astimezone(ZoneInfo(contract.zone))
                faults.append(TooLateToAmend(leg.number, cutoff_at, local=f"{local:%d/%m/%Y à %H:%M}"))
        changed = self if note is None else replace(self, note=note)
        for index, leg in enumerate(touched):
            pickup, drop = windows[leg.number]
            amended = replace(
                leg,
                pickup=replace(leg.pickup, window=pickup or leg.pickup.window),
                drop=replace(leg.drop, window=drop or leg.drop.window),
            )
            pointer = f"/legs/{index}"
            check_windows(amended.pickup.window, amended.drop.window, pointer=pointer, at=at, faults=faults)
            if contract.local_day(amended.pickup.window.start) != leg.service_date:
                faults.append(
                    BadWindow(
                        f"L'enlèvement reste le {leg.service_date:%d/%m/%Y} ; pour un autre jour, annulez et commandez "
                        "à nouveau.",
                        pointer=f"{pointer}/pickup/window/start",
                    )
                )
            changed = changed._with(amended)
        if len(changed.legs) == 2:
            check_way_back(
                changed.legs[0].drop.window,
                changed.legs[1].pickup.window,
                is_loan=self.flow is Flow.LOAN,
                pointer=f"/legs/{max(len(touched) - 1, 0)}",
                faults=faults,
            )
        refuse_all(faults)
        numbers = tuple(leg.number for leg in touched)
        steps = [Step(at, "amended", actor, number) for number in numbers] or [Step(at, "amended", actor)]
        changed = replace(changed, version=self.version + 1)
        return Change(changed, tuple(steps), (Amended(changed, numbers, at),))

    # What billing says

    def held(self, amount_cents: int, *, at: datetime) -> "Change":
        """The estimate is set aside: the order may be planned."""
        legs = tuple(leg.advanced(Status.ACCEPTED) for leg in self.legs)
        step = Step(at, "accepted", Actor.BILLING)
        return replace(self, legs=legs, held_cents=amount_cents)._changed([step])

    def awaits_approval(self, reason: str, *, at: datetime) -> "Change":
        """Somebody has to approve it before anything is set aside: it stays requested, and nobody plans it."""
        return self._changed([Step(at, "approval-requested", Actor.BILLING, cause=reason)])

    def refused(self, refusal: Refusal, *, at: datetime) -> "Change":
        """The order may not be carried out; every leg ends here."""
        legs = tuple(leg.ended(Status.REFUSED, at) for leg in self.legs)
        step = Step(at, "refused", Actor.BILLING, cause=refusal.reason)
        return replace(self, legs=legs, refusal=refusal)._changed([step])

    def settled(self, number: int, settlement: Settlement) -> "Change":
        """A leg's final price is known."""
        leg = replace(self.leg(number), settlement=settlement)
        return self._with(leg)._changed([Step(settlement.at, "settled", Actor.BILLING, number)])

    # What dispatch says

    def planned(self, number: int, planning: Planning, *, at: datetime) -> "Change":
        """The leg stands in a published round."""
        leg = self.leg(number)
        if leg.planning_heard is None or leg.planning_heard <= at:
            leg = replace(
                leg.advanced(Status.PLANNED),
                planning=planning,
                planning_heard=at,
                left_out="",
                cooperative_id=planning.cooperative_id,
            )
        return self._with(leg)._changed([Step(at, "planned", Actor.DISPATCH, number)])

    def withdrawn(self, number: int, reason: str, *, at: datetime) -> "Change":
        """The published round was taken back; the leg waits for another."""
        leg = self.leg(number)
        if leg.planning_heard is None or leg.planning_heard <= at:
            if leg.status is Status.PLANNED:
                leg = replace(leg, status=Status.ACCEPTED)
            if not leg.status.is_end:
                leg = replace(leg, planning=None, planning_heard=at)
        return self._with(leg)._changed([Step(at, "withdrawn", Actor.DISPATCH, number, reason)])

    def left_out(self, number: int, reason: str, *, at: datetime) -> "Change":
        """A published plan does not serve the leg; it may still find a place in another."""
        leg = self.leg(number)
        if (leg.planning_heard is None or leg.planning_heard <= at) and _rank(leg.status) < _RANK[Status.PLANNED]:
            leg = replace(leg, left_out=reason, planning_heard=at)
        return self._with(leg)._changed([Step(at, "left-out", Actor.DISPATCH, number, reason)])

    def collected(self, number: int, visit: "Report") -> "Change":
        """A courier has the load; a cancellation asked meanwhile has lost the race."""
        leg = self.leg(number).advanced(Status.COLLECTED)
        return self._with(visit.onto(replace(leg, collected_at=visit.at)))._changed(
            [Step(visit.at, "collected", Actor.COURIER, number, visit.remark)]
        )

    def delivered(self, number: int, visit: "Report") -> "Change":
        """The load was handed over."""
        leg = visit.onto(self.leg(number).ended(Status.DELIVERED, visit.at))
        return self._with(leg)._changed([Step(visit.at, "delivered", Actor.COURIER, number, visit.remark)])

    def failed(self, number: int, visit: "Report", reason: str) -> "Change":
        """A stop could not be carried out; the leg ends here."""
        cause = " – ".join(text for text in (reason, visit.remark) if text)
        leg = visit.onto(self.leg(number).ended(Status.FAILED, visit.at))
        changed = self._with(replace(leg, remark=cause))
        return changed._without_outbound(number, visit.at, Step(visit.at, "failed", Actor.COURIER, number, cause))

    def cancelled(self, number: int, *, is_late: bool, at: datetime) -> "Change":
        """The cancellation took effect: nothing had been collected."""
        leg = replace(self.leg(number).ended(Status.CANCELLED, at), is_late_cancellation=is_late)
        step = Step(at, "cancelled", Actor.DISPATCH, number, "annulation tardive" if is_late else "")
        return self._with(leg)._without_outbound(number, at, step)

    def lapsed(self, number: int, *, at: datetime) -> "Change":
        """Its day passed and nobody rode it."""
        leg = self.leg(number).ended(Status.LAPSED, at)
        return self._with(leg)._without_outbound(number, at, Step(at, "lapsed", Actor.DISPATCH, number))

    def _without_outbound(self, number: int, at: datetime, step: Step) -> "Change":
        """In a loan, ask to cancel the way back, free of charge, once its way out has ended without a hand-over."""
        is_moot = self.flow is Flow.LOAN and number == 1 and self.legs[0].status is not Status.DELIVERED
        back = self.legs[-1]
        if not is_moot or _rank(back.status) >= _RANK[Status.CANCELLING]:
            return self._changed([step])
        reason = "L'aller n'a pas eu lieu : il n'y a rien à reprendre."
        asked = CancellationAsked(self.id, (back.number,), reason, is_late=False, at=at)
        follow_up = Step(at, "cancellation-asked", Actor.DISPATCH, back.number, reason)
        return self._with(back.advanced(Status.CANCELLING))._changed([step, follow_up], [asked])

    def _with(self, leg: Leg) -> "Order":
        return replace(self, legs=tuple(leg if each.number == leg.number else each for each in self.legs))

    def _changed(self, steps: Sequence[Step], said: "Sequence[CancellationAsked]" = ()) -> "Change":
        return Change(replace(self, version=self.version + 1), tuple(steps), tuple(said))


@dataclass(frozen=True, slots=True)
class Report:
    """What a courier told of a stop: when it was done, what was counted, a note, photos."""

    at: datetime
    cooperative_id: str
    counted: tuple[CountedLoad, ...] = ()
    remark: str = ""
    proof_ids: tuple[str, ...] = ()

    def onto(self, leg: Leg) -> Leg:
        """Return the leg with what was reported."""
        return replace(
            leg,
            cooperative_id=self.cooperative_id or leg.cooperative_id,
            counted=self.counted or leg.counted,
            remark=self.remark or leg.remark,
            proof_ids=(*leg.proof_ids, *(proof for proof in self.proof_ids if proof not in leg.proof_ids)),
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """A dated order exists and waits for its hold."""

    order: Order


@dataclass(frozen=True, slots=True)
class Amended:
    """Windows of some legs, or the note, have changed."""

    order: Order
    legs: tuple[int, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class CancellationAsked:
    """The department gives up these legs; dispatch says what became of them."""

    order_id: str
    legs: tuple[int, ...]
    reason: str
    is_late: bool
    at: datetime


Said: TypeAlias = Placed | Amended | CancellationAsked


class Change(NamedTuple):
    """What a verb returns: the order as it is now, the new lines of its history, the facts to tell the others."""

    order: Order
    steps: tuple[Step, ...]
    said: tuple[Said, ...]


def place(order: Order, *, actor: Actor) -> Change:
    """Let a judged order exist, waiting for its hold."""
    return Change(order, (Step(order.placed_at, "placed", actor),), (Placed(order),))
