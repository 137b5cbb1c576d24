"""What dispatch's answers and requests look like: grams and millilitres, instants with their offset, local dates."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from services.dispatch.domain.courier import Bike
from services.dispatch.domain.delivery import Delivery, DeliveryState, Load, Visit
from services.dispatch.domain.events import StopKind
from services.dispatch.domain.failure import FAILURE_REASONS, FailureReason, NextStep
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.plan import Computation, LeftOut, Plan, PlanState
from services.dispatch.domain.planning_settings import Priority
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round, RoundState, Stop, StopState
from services.dispatch.queries.reasons import RemedyTold, reasons_told, remedies_told
from services.dispatch.queries.rounds import Around, ProofFace
from services.kit.ids import is_id


def _an_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("Donnez un identifiant (UUID) complet, en minuscules.")
    return text


Id = Annotated[str, AfterValidator(_an_id), Field(examples=["019f9a4e-7a57-7d1f-8d3e-6f0a3b1c2d4e"])]
Instant = Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class WindowOut(BaseModel):
    """From when until when a stop may begin."""

    start: datetime
    end: datetime


class VisitOut(BaseModel):
    """One end of a delivery: where, when, and what is needed there."""

    site_id: str
    name: str
    address: str
    latitude: float
    longitude: float
    access_note: str
    contact: str
    window: WindowOut
    service_seconds: int

    @classmethod
    def of(cls, visit: Visit) -> Self:
        """Show a visit."""
        return cls(
            site_id=visit.site_id,
            name=visit.site_name,
            address=visit.address,
            latitude=visit.latitude,
            longitude=visit.longitude,
            access_note=visit.access_note,
            contact=visit.contact,
            window=WindowOut(start=visit.window_start, end=visit.window_end),
            service_seconds=visit.service_seconds,
        )


class LoadOut(BaseModel):
    """Units of one kind, as announced; `longest_ride_seconds` is null without a limit."""

    kind: str
    label: str
    count: int
    unit_grams: int
    unit_millilitres: int
    unit_seconds: int
    longest_ride_seconds: int | None

    @classmethod
    def of(cls, load: Load) -> Self:
        """Show a load."""
        return cls(
            kind=load.kind,
            label=load.label,
            count=load.count,
            unit_grams=load.unit_grams,
            unit_millilitres=load.unit_millilitres,
            unit_seconds=load.unit_seconds,
            longest_ride_seconds=load.longest_ride_seconds,
        )


class InstructionOut(BaseModel):
    """Who may ride a delivery and what it is worth, beyond what its order says, and why."""

    skills: list[str]
    courier_ids: list[str]
    forbidden_courier_ids: list[str]
    reason: str
    given_by: str
    given_at: datetime
    priority: Priority

    @classmethod
    def of(cls, given: Instruction) -> Self:
        """Show an instruction."""
        return cls(
            skills=list(given.skills),
            courier_ids=list(given.courier_ids),
            forbidden_courier_ids=list(given.forbidden_courier_ids),
            reason=given.reason,
            given_by=given.given_by,
            given_at=given.given_at,
            priority=given.priority,
        )


class DeliveryOut(BaseModel):
    """One leg of an order. `cooperative_id` took it; `round_id` is shown to that cooperative alone."""

    id: str
    order_id: str
    leg: int
    reference: str
    contract_id: str
    department_id: str
    service_date: date
    state: DeliveryState
    pickup: VisitOut
    drop: VisitOut
    loads: list[LoadOut]
    grams: int
    millilitres: int
    needs_trailer: bool
    note: str
    cooperative_id: str | None
    cooperative_name: str | None
    round_id: str | None
    instruction: InstructionOut | None

    @classmethod
    def of(
        cls,
        delivery: Delivery,
        reach: Reach,
        cooperative_names: Mapping[str, str],
        instruction: Instruction | None = None,
    ) -> Self:
        """Show a delivery to somebody with this reach."""
        taken_by = delivery.cooperative_id or None
        return cls(
            id=str(delivery.id),
            order_id=delivery.id.order_id,
            leg=delivery.id.leg,
            reference=delivery.reference,
            contract_id=delivery.contract_id,
            department_id=delivery.department_id,
            service_date=delivery.service_date,
            state=delivery.state,
            pickup=VisitOut.of(delivery.pickup),
            drop=VisitOut.of(delivery.drop),
            loads=[LoadOut.of(load) for load in delivery.loads],
            grams=delivery.grams,
            millilitres=delivery.millilitres,
            needs_trailer=delivery.needs_trailer,
            note=delivery.note,
            cooperative_id=taken_by,
            cooperative_name=cooperative_names.get(taken_by, taken_by) if taken_by else None,
            round_id=delivery.round_id or None if reach.covers(delivery.cooperative_id) else None,
            instruction=InstructionOut.of(instruction) if instruction else None,
        )


class CountedOut(BaseModel):
    """A load as announced and as counted at the door."""

    kind: str
    announced: int
    counted: int


class ProofOut(BaseModel):
    """A photo; `received_at` is null while it was only announced."""

    id: str
    received_at: datetime | None
    href: str

    @classmethod
    def of(cls, proof: ProofFace) -> Self:
        """Show a proof."""
        return cls(id=proof.id, received_at=proof.received_at, href=f"/v1/proofs/{proof.id}")


class StopOut(BaseModel):
    """A pickup or a drop in a round: planned times, everything needed there, and what was reported.

    `reported_at` is the device's time, `received_at` when it reached us, `ended_at` the time told to others.
    `is_photo_missing`: the failure reason asks for one and none has arrived.
    """

    id: str
    position: int
    kind: StopKind
    state: StopState
    delivery_id: str
    order_id: str
    leg: int
    reference: str
    department_id: str
    site: VisitOut
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime
    loads: list[LoadOut]
    needs_trailer: bool
    order_note: str
    aboard_grams: int
    aboard_millilitres: int
    started_at: datetime | None
    arrived_at: datetime | None
    reported_at: datetime | None
    received_at: datetime | None
    ended_at: datetime | None
    counted: list[CountedOut]
    reason_code: str | None
    reason: str | None
    note: str
    flags: list[str]
    proofs: list[ProofOut]
    is_photo_missing: bool

    @classmethod
    def of(cls, stop: Stop, position: int, around: Around) -> Self:
        """Show a stop with its delivery's terms."""
        delivery = around.deliveries[stop.delivery_id]
        announced = {load.kind: load.count for load in delivery.loads}
        proofs = around.proofs.get(stop.id, [])
        reason = FAILURE_REASONS.get(stop.reason_code)
        return cls(
            id=stop.id,
            position=position,
            kind=stop.kind,
            state=stop.state,
            delivery_id=str(stop.delivery_id),
            order_id=stop.delivery_id.order_id,
            leg=stop.delivery_id.leg,
            reference=delivery.reference,
            department_id=delivery.department_id,
            site=VisitOut.of(delivery.pickup if stop.kind is StopKind.PICKUP else delivery.drop),
            arrives_at=stop.arrives_at,
            starts_at=stop.starts_at,
            leaves_at=stop.leaves_at,
            loads=[LoadOut.of(load) for load in delivery.loads],
            needs_trailer=delivery.needs_trailer,
            order_note=delivery.note,
            aboard_grams=stop.aboard_grams,
            aboard_millilitres=stop.aboard_millilitres,
            started_at=stop.started_at,
            arrived_at=stop.arrived_at,
            reported_at=stop.reported_at,
            received_at=stop.received_at,
            ended_at=stop.ended_at,
            counted=[
                CountedOut(kind=load.kind, announced=announced[load.kind], counted=load.count) for load in stop.counted
            ],
            reason_code=stop.reason_code or None,
            reason=reason.label if reason else None,
            note=stop.note,
            flags=list(stop.flags),
            proofs=[ProofOut.of(proof) for proof in proofs],
            is_photo_missing=bool(
                reason and reason.is_photo_required and not any(proof.received_at for proof in proofs)
            ),
        )


class CourierFaceOut(BaseModel):
    """Who rides."""

    id: str
    name: str


class BikeFaceOut(BaseModel):
    """What is ridden."""

    id: str
    name: str
    capacity_grams: int
    capacity_millilitres: int
    has_trailer: bool

    @classmethod
    def of(cls, bike: Bike) -> Self:
        """Show a bike."""
        return cls(
            id=bike.id,
            name=bike.terms.name,
            capacity_grams=bike.terms.capacity_grams,
            capacity_millilitres=bike.terms.capacity_millilitres,
            has_trailer=bike.terms.has_trailer,
        )


class BreakTakenOut(BaseModel):
    """A rest in a round, as planned."""

    starts_at: datetime
    ends_at: datetime


class RoundOut(BaseModel):
    """One courier's stops in order. A draft is seen in its plan alone; couriers see it from its publication on."""

    id: str
    plan_id: str
    date: date
    state: RoundState
    cooperative_id: str
    courier: CourierFaceOut
    bike: BikeFaceOut
    shift_id: str
    starts_at: datetime
    ends_at: datetime
    travel_seconds: int
    travel_metres: int
    deliveries: int
    most_grams: int
    most_millilitres: int
    published_at: datetime | None
    started_at: datetime | None
    closed_at: datetime | None
    withdrawn_at: datetime | None
    withdrawal_reason: str | None
    breaks: list[BreakTakenOut]
    stops: list[StopOut]

    @classmethod
    def of(cls, round_: Round, around: Around) -> Self:
        """Show a round with everything it refers to."""
        courier = around.couriers[round_.courier_id]
        return cls(
            id=round_.id,
            plan_id=round_.plan_id,
            date=round_.day,
            state=round_.state,
            cooperative_id=round_.cooperative_id,
            courier=CourierFaceOut(id=courier.id, name=courier.name),
            bike=BikeFaceOut.of(around.bikes[round_.bike_id]),
            shift_id=round_.shift_id,
            starts_at=round_.starts_at,
            ends_at=round_.ends_at,
            travel_seconds=round_.travel_seconds,
            travel_metres=round_.travel_metres,
            deliveries=len(round_.delivery_ids),
            most_grams=max((stop.aboard_grams for stop in round_.stops), default=0),
            most_millilitres=max((stop.aboard_millilitres for stop in round_.stops), default=0),
            published_at=round_.published_at,
            started_at=round_.started_at,
            closed_at=round_.closed_at,
            withdrawn_at=round_.withdrawn_at,
            withdrawal_reason=round_.withdrawal_reason or None,
            breaks=[BreakTakenOut(starts_at=rest.starts_at, ends_at=rest.ends_at) for rest in round_.breaks],
            stops=[StopOut.of(stop, position, around) for position, stop in enumerate(round_.stops, start=1)],
        )


class FailureReasonOut(BaseModel):
    """A reason couriers choose from when a stop cannot be carried out."""

    code: str
    label: str
    stop_kinds: list[StopKind]
    is_photo_required: bool
    is_billable: bool
    next_step: NextStep
    instruction: str

    @classmethod
    def of(cls, reason: FailureReason) -> Self:
        """Show a reason."""
        return cls(
            code=reason.code,
            label=reason.label,
            stop_kinds=sorted(reason.stop_kinds),
            is_photo_required=reason.is_photo_required,
            is_billable=reason.is_billable,
            next_step=reason.next_step,
            instruction=reason.instruction,
        )


class ShiftReasonOut(BaseModel):
    """Why one of the caller's shifts does not serve a delivery, as a code and in French."""

    shift_id: str
    courier_name: str
    code: str
    words: str


class RemedyOut(BaseModel):
    """The least change of one kind that would have served a delivery beside the others, with what it is in French.

    `amount` is in seconds (window, shift, ride-time; of riding for its price), metres (range), thousandths (share), or
    what `what` names: grams, millilitres, pieces (capacity). `what` is else a skill, the priority that is enough, what
    there is too little of (equipment, or with a `stop` the site), or the "start" or "end" of the window at `stop` or of
    the shift, which would be `until`; so long lasts the closure of a closed site. Shift and courier are null where they
    are another cooperative's.
    """

    code: str
    shift_id: str | None
    courier_name: str | None
    amount: int
    what: str
    stop: StopKind | None
    until: datetime | None
    words: str

    @classmethod
    def of(cls, told: RemedyTold) -> Self:
        """Show a remedy."""
        return cls(
            code=told.remedy.code,
            shift_id=told.shift_id or None,
            courier_name=told.courier_name or None,
            amount=told.remedy.amount,
            what=told.remedy.what,
            stop=told.remedy.stop,
            until=told.remedy.until,
            words=told.words,
        )


class LeftOutOut(BaseModel):
    """A delivery that the plan does not serve, and why: codes overall, a French sentence, codes per shift, remedies."""

    delivery_id: str
    order_id: str
    leg: int
    reference: str
    codes: list[str]
    sentence: str
    shifts: list[ShiftReasonOut]
    remedies: list[RemedyOut]

    @classmethod
    def of(cls, item: LeftOut, around: Around, own_shifts: Mapping[str, str], zone: ZoneInfo) -> Self:
        """Show what is left out; reasons of others' shifts stay in the sentence, as counts."""
        return cls(
            delivery_id=str(item.delivery_id),
            order_id=item.delivery_id.order_id,
            leg=item.delivery_id.leg,
            reference=around.deliveries[item.delivery_id].reference,
            codes=list(item.codes),
            sentence=item.sentence,
            shifts=[
                ShiftReasonOut(shift_id=told.shift_id, courier_name=told.courier_name, code=told.code, words=told.words)
                for told in reasons_told(item, own_shifts)
            ],
            remedies=[RemedyOut.of(told) for told in remedies_told(item, own_shifts, zone)],
        )


class MarkOut(BaseModel):
    """How good the best plan was after so many seconds of computing, all cooperatives together."""

    seconds: float
    rounds: int
    deliveries: int
    metres: int


class OtherCooperativeOut(BaseModel):
    """What another cooperative takes, as a count."""

    cooperative_id: str
    cooperative_name: str
    rounds: int
    deliveries: int


class PlanOut(BaseModel):
    """A plan as its caller may see it: `deliveries` = `planned` + the number of `left_out`, always.

    `rounds` are those of the caller's cooperative; others' are counts in `others`, and in `planned`. `progress` is in
    percent; `trace` is how the best plan grew, the last mark the plan as it was found.
    """

    id: str
    date: date
    state: PlanState
    progress: int
    requested_by: str
    requested_at: datetime
    seconds: float
    began_at: datetime | None
    ended_at: datetime | None
    failure: str | None
    deliveries: int
    planned: int
    travel_seconds: int
    travel_metres: int
    rounds: list[RoundOut]
    others: list[OtherCooperativeOut]
    left_out: list[LeftOutOut]
    is_stop_asked: bool
    trace: list[MarkOut]

    @classmethod
    def of(
        cls,
        plan: Plan,
        reach: Reach,
        around: Around,
        own_shifts: Mapping[str, str],
        cooperative_names: Mapping[str, str],
        computation: Computation,
        now: datetime,
        zone: ZoneInfo,
    ) -> Self:
        """Show a plan to somebody with this reach."""
        own = plan.rounds_within(reach)
        left_out = plan.left_out_within(reach)
        reached = {planned.id for planned in plan.inputs_within(reach)}
        others: dict[str, OtherCooperativeOut] = {}
        for round_ in plan.rounds:
            taken = sum(delivery_id in reached for delivery_id in round_.delivery_ids)
            if reach.covers(round_.cooperative_id) or not taken:
                continue
            name = cooperative_names.get(round_.cooperative_id, round_.cooperative_id)
            other = others.setdefault(
                round_.cooperative_id,
                OtherCooperativeOut(
                    cooperative_id=round_.cooperative_id, cooperative_name=name, rounds=0, deliveries=0
                ),
            )
            other.rounds += 1
            other.deliveries += taken
        return cls(
            id=plan.id,
            date=plan.day,
            state=plan.state,
            progress=progress_of(plan, now),
            requested_by=plan.requested_by if reach.covers(plan.cooperative_id) else "",
            requested_at=plan.requested_at,
            seconds=plan.seconds,
            began_at=plan.began_at,
            ended_at=plan.ended_at,
            failure=plan.failure or None,
            deliveries=len(reached),
            planned=sum(len(round_.delivery_ids) for round_ in own) + sum(one.deliveries for one in others.values()),
            travel_seconds=sum(round_.travel_seconds for round_ in own),
            travel_metres=sum(round_.travel_metres for round_ in own),
            rounds=[RoundOut.of(round_, around) for round_ in own],
            others=list(others.values()),
            left_out=[LeftOutOut.of(item, around, own_shifts, zone) for item in left_out],
            is_stop_asked=computation.is_stop_asked,
            trace=[
                MarkOut(seconds=mark.seconds, rounds=mark.rounds, deliveries=mark.deliveries, metres=mark.metres)
                for mark in computation.marks
            ],
        )


def progress_of(plan: Plan, now: datetime) -> int:
    """Return how far the computation is, in percent of the time it was given."""
    if plan.state is PlanState.REQUESTED:
        return 0
    if plan.state is not PlanState.SOLVING or plan.began_at is None:
        return 100
    return max(0, min(99, int(100 * (now - plan.began_at).total_seconds() / plan.seconds)))
