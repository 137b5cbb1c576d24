"""What comes in and goes out over HTTP, and how it becomes domain values and back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.kit.http.edge import Body
from services.orders.domain.asking import AskedLeg, AskedVisit
from services.orders.domain.contract import Contract
from services.orders.domain.load import AskedLoad, LoadKind
from services.orders.domain.order import Flow, Leg, Order, Status, Step, Visit
from services.orders.domain.plain_french import say
from services.orders.domain.recurrence import HolidayPolicy, Pause, Recurrence, Verdict
from services.orders.domain.recurring_request import LegTemplate, RecurringRequest, RequestTerms, VisitTemplate
from services.orders.domain.site import Site, SiteTerms
from services.orders.domain.window import LocalWindow, Window
from services.orders.use_cases.orders import Asked, Judged
from services.orders.use_cases.recurring_requests import Foreseen

Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime.fromisoformat("2020-01-01T00:00:00Z"), le=datetime.fromisoformat("2100-01-01T00:00:00Z")),
]
Day = Annotated[date, Field(ge=date(2020, 1, 1), le=date(2100, 1, 1))]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:30"])]
Id = Annotated[str, Field(min_length=1, max_length=36)]
DepartmentId = Annotated[str, Field(min_length=1, max_length=64)]
Note = Annotated[str, Field(max_length=1_000)]


def money(cents: int) -> str:
    """Write an amount as decimal text: 123450 -> "1234.50"."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"


# Sites, load kinds, contracts


class SiteBody(Body):
    """A site as a department describes it; WGS 84 degrees."""

    department_id: DepartmentId | None = Field(None, description="Only an administrator names another's department.")
    name: str = Field(max_length=200)
    address: str = Field(max_length=400)
    latitude: float = Field(allow_inf_nan=False)
    longitude: float = Field(allow_inf_nan=False)
    access_note: Note = ""
    contact: str = Field("", max_length=200)
    opening_note: Note = ""
    service_seconds: int = Field(180, description="Time one stop takes, loading included.")

    def terms(self) -> SiteTerms:
        """Return the domain's words."""
        return SiteTerms(**self.model_dump(exclude={"department_id"}))


class SiteOut(BaseModel):
    """A registered site."""

    id: str
    department_id: str
    name: str
    address: str
    latitude: float
    longitude: float
    access_note: str
    contact: str
    opening_note: str
    service_seconds: int
    version: int

    @classmethod
    def of(cls, site: Site) -> "SiteOut":
        """Tell a site."""
        terms = site.terms
        return cls(
            id=site.id,
            department_id=site.department_id,
            name=terms.name,
            address=terms.address,
            latitude=terms.latitude,
            longitude=terms.longitude,
            access_note=terms.access_note,
            contact=terms.contact,
            opening_note=terms.opening_note,
            service_seconds=terms.service_seconds,
            version=site.version,
        )


class LoadKindChange(Body):
    """What is said of a kind of load; grams, millilitres and seconds are per unit.

    `unit_seconds` is to load or unload one, on top of the site's time; `longest_ride_seconds` how long it may be on the
    way, null without a limit.
    """

    label: str = Field(min_length=1, max_length=100)
    unit_grams: int
    unit_millilitres: int
    needs_trailer: bool = False
    max_per_bike: int = Field(ge=1, le=1_000)
    unit_seconds: int = 0
    longest_ride_seconds: int | None = None


class LoadKindBody(LoadKindChange):
    """A new kind of load."""

    code: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)


class LoadKindOut(BaseModel):
    """A kind of load of the catalogue."""

    code: str
    label: str
    unit_grams: int
    unit_millilitres: int
    needs_trailer: bool
    max_per_bike: int
    unit_seconds: int
    longest_ride_seconds: int | None

    @classmethod
    def of(cls, kind: LoadKind) -> "LoadKindOut":
        """Tell a kind of load."""
        return cls.model_validate(kind, from_attributes=True)


class KnownContractOut(BaseModel):
    """A contract as heard from billing; `warning` tells the threshold of its ceiling that was crossed last."""

    class DepartmentOut(BaseModel):
        """A department that may order under it."""

        id: str
        name: str

    class WarningOut(BaseModel):
        """A crossed threshold; `scope` names the part of the contract it is of, empty for the whole."""

        scope: str
        threshold_percent: int
        ceiling: str
        left: str
        crossed_at: datetime

    id: str
    reference: str
    title: str
    departments: list[DepartmentOut]
    starts_on: date
    ends_on: date
    zone: str
    cutoff_minutes: int
    warning: WarningOut | None

    @classmethod
    def of(cls, contract: Contract, department_id: str | None) -> "KnownContractOut":
        """Tell a contract to a department, which is not told of the others."""
        warning = contract.warning
        return cls(
            id=contract.id,
            reference=contract.reference,
            title=contract.title,
            departments=[
                cls.DepartmentOut(id=each.id, name=each.name)
                for each in contract.departments
                if department_id in (None, each.id)
            ],
            starts_on=contract.starts_on,
            ends_on=contract.ends_on,
            zone=contract.zone,
            cutoff_minutes=contract.cutoff_minutes,
            warning=warning
            and cls.WarningOut(
                scope=warning.scope_name,
                threshold_percent=warning.threshold_percent,
                ceiling=money(warning.ceiling_cents),
                left=money(warning.left_cents),
                crossed_at=warning.crossed_at,
            ),
        )


# Orders


class WindowBody(Body):
    """From when until when a stop may begin."""

    start: Instant
    end: Instant

    def window(self) -> Window:
        """Return the domain's word, in UTC: what was asked and what was stored read the same."""
        return Window(self.start.astimezone(UTC), self.end.astimezone(UTC))


class VisitBody(Body):
    """A site and a window."""

    site_id: Id
    window: WindowBody


class LoadBody(Body):
    """A kind of the catalogue and how many."""

    kind: str = Field(min_length=1, max_length=64)
    count: int = Field(ge=1, le=10_000)


Loads = Annotated[list[LoadBody], Field(min_length=1, max_length=20)]


class LegBody(Body):
    """One trip: loads from one site to another."""

    pickup: VisitBody
    drop: VisitBody
    loads: Loads

    def asked(self) -> AskedLeg:
        """Return the domain's word."""
        return AskedLeg(
            AskedVisit(self.pickup.site_id, self.pickup.window.window()),
            AskedVisit(self.drop.site_id, self.drop.window.window()),
            tuple(AskedLoad(load.kind, load.count) for load in self.loads),
        )


class OrderBody(Body):
    """A one-off order. `one_way` has one leg; `exchange` and `loan` have two, the second from where the first ends."""

    department_id: DepartmentId | None = Field(None, description="Only an administrator names another's department.")
    contract_id: Id | None = Field(None, description="May be left out when only one contract applies.")
    flow: Flow = Flow.ONE_WAY
    legs: list[LegBody] = Field(min_length=1, max_length=2)
    client_reference: str | None = Field(None, min_length=1, max_length=100)
    note: Note = ""

    def asked(self, department_id: str) -> Asked:
        """Return the domain's words, for this department."""
        return Asked(
            department_id,
            self.flow,
            tuple(leg.asked() for leg in self.legs),
            self.contract_id,
            self.client_reference,
            self.note,
        )


class AmendedVisitBody(Body):
    """The new window of a stop."""

    window: WindowBody


class AmendedLegBody(Body):
    """New windows of one leg; its date stays."""

    number: Literal[1, 2]
    pickup: AmendedVisitBody | None = None
    drop: AmendedVisitBody | None = None


class AmendmentBody(Body):
    """What changes about an order before the cut-off; what is left out stays."""

    note: Note | None = None
    legs: list[AmendedLegBody] = Field(default=[], max_length=2)

    def windows(self) -> dict[int, tuple[Window | None, Window | None]]:
        """Return new pickup and drop windows by leg."""
        return {
            leg.number: (
                leg.pickup.window.window() if leg.pickup else None,
                leg.drop.window.window() if leg.drop else None,
            )
            for leg in self.legs
        }


class CancellationBody(Body):
    """Which legs to give up (all that are still to be ridden, when left out), and why."""

    legs: list[Literal[1, 2]] | None = Field(None, min_length=1, max_length=2)
    reason: str = Field("", max_length=500)


class WindowOut(BaseModel):
    """Two instants."""

    start: datetime
    end: datetime


class VisitOut(BaseModel):
    """A stop of a leg: `planned_at` is the planned arrival, `done_at` when the courier was done."""

    site_id: str
    site_name: str
    address: str
    window: WindowOut
    planned_at: datetime | None
    done_at: datetime | None

    @classmethod
    def of(cls, visit: Visit, planned_at: datetime | None, done_at: datetime | None) -> "VisitOut":
        """Tell a visit."""
        return cls(
            site_id=visit.site_id,
            site_name=visit.site_name,
            address=visit.address,
            window=WindowOut(start=visit.window.start, end=visit.window.end),
            planned_at=planned_at,
            done_at=done_at,
        )


class LoadOut(BaseModel):
    """A load as announced; `counted` is what the courier counted at the last stop, if told."""

    kind: str
    label: str
    count: int
    counted: int | None


class SettlementOut(BaseModel):
    """What a leg cost in the end, excluding tax; outcome is `delivered`, `failed-charged`, `cancelled-charged` or
    `released`.
    """

    outcome: str
    amount: str
    at: datetime


class LegOut(BaseModel):
    """One trip and where it stands; until `free_until` it can be cancelled for nothing."""

    number: int
    status: Status
    service_date: date
    pickup: VisitOut
    drop: VisitOut
    loads: list[LoadOut]
    grams: int
    millilitres: int
    needs_trailer: bool
    cooperative_id: str | None
    left_out_reason: str | None
    remark: str | None
    proof_ids: list[str]
    free_until: datetime | None
    is_late_cancellation: bool
    settled: SettlementOut | None

    @classmethod
    def of(cls, leg: Leg, contract: Contract | None) -> "LegOut":
        """Tell a leg."""
        counted = {each.kind: each.counted for each in leg.counted}
        planning, settlement = leg.planning, leg.settlement
        is_open = contract is not None and not leg.status.is_end
        return cls(
            number=leg.number,
            status=leg.status,
            service_date=leg.service_date,
            pickup=VisitOut.of(leg.pickup, planning.pickup_at if planning else None, leg.collected_at),
            drop=VisitOut.of(
                leg.drop,
                planning.drop_at if planning else None,
                leg.ended_at if leg.status is Status.DELIVERED else None,
            ),
            loads=[
                LoadOut(kind=load.kind, label=load.label, count=load.count, counted=counted.get(load.kind))
                for load in leg.loads
            ],
            grams=sum(load.grams for load in leg.loads),
            millilitres=sum(load.millilitres for load in leg.loads),
            needs_trailer=leg.needs_trailer,
            cooperative_id=leg.cooperative_id or None,
            left_out_reason=leg.left_out or None,
            remark=leg.remark or None,
            proof_ids=list(leg.proof_ids),
            free_until=contract.cutoff_at(leg.pickup.window.start) if contract and is_open else None,
            is_late_cancellation=leg.is_late_cancellation,
            settled=settlement
            and SettlementOut(outcome=settlement.outcome, amount=money(settlement.amount_cents), at=settlement.at),
        )


class RefusalOut(BaseModel):
    """Why the order may not be carried out, with the figures, excluding tax."""

    code: str
    reason: str
    asked: str
    left: str


class OrderOut(BaseModel):
    """An order and where it stands; `held` is what is set aside for it under the contract, excluding tax."""

    id: str
    reference: str
    status: Status
    department_id: str
    contract_id: str
    flow: Flow
    client_reference: str | None
    recurring_request_id: str | None
    occurrence_date: date | None
    placed_at: datetime
    note: str
    held: str | None
    refusal: RefusalOut | None
    legs: list[LegOut]
    version: int

    @classmethod
    def of(cls, order: Order, contracts: Mapping[str, Contract]) -> "OrderOut":
        """Tell an order."""
        refusal = order.refusal
        return cls(
            id=order.id,
            reference=order.reference,
            status=order.status,
            department_id=order.department_id,
            contract_id=order.contract_id,
            flow=order.flow,
            client_reference=order.client_reference,
            recurring_request_id=order.recurring_request_id,
            occurrence_date=order.occurrence_date,
            placed_at=order.placed_at,
            note=order.note,
            held=None if order.held_cents is None else money(order.held_cents),
            refusal=refusal
            and RefusalOut(
                code=refusal.code,
                reason=refusal.reason,
                asked=money(refusal.asked_cents),
                left=money(refusal.left_cents),
            ),
            legs=[LegOut.of(leg, contracts.get(order.contract_id)) for leg in order.legs],
            version=order.version,
        )


class StepOut(BaseModel):
    """One line of an order's history; `leg` is absent when it concerns all, `actor` is a kind of party."""

    at: datetime
    what: str
    actor: str
    leg: int | None
    cause: str

    @classmethod
    def of(cls, step: Step) -> "StepOut":
        """Tell a step."""
        return cls(at=step.at, what=step.what, actor=str(step.actor), leg=step.leg, cause=step.cause)


class OrderDetailOut(OrderOut):
    """An order with its history, oldest first."""

    history: list[StepOut]


class CheckedOrderOut(BaseModel):
    """What an order would be made of: every check passed and nothing was created."""

    dry_run: Literal[True] = True
    department_id: str
    contract_id: str
    flow: Flow
    legs: list[LegOut]

    @classmethod
    def of(cls, asked: Asked, judged: Judged) -> "CheckedOrderOut":
        """Tell what was judged."""
        return cls(
            department_id=asked.department_id,
            contract_id=judged.contract.id,
            flow=asked.flow,
            legs=[LegOut.of(leg, judged.contract) for leg in judged.legs],
        )


# Recurring requests


class LocalWindowBody(Body):
    """Wall-clock times; an end not after the start is on the following day."""

    start: ClockTime
    end: ClockTime


class VisitTemplateBody(Body):
    """A site, a window, and how many days after the occurrence (-1: the evening before)."""

    site_id: Id
    window: LocalWindowBody
    day_offset: int = Field(0, ge=-7, le=90)

    def template(self) -> VisitTemplate:
        """Return the domain's word."""
        window = LocalWindow(
            time.fromisoformat(self.window.start), time.fromisoformat(self.window.end), self.day_offset
        )
        return VisitTemplate(self.site_id, window)

    @classmethod
    def of(cls, visit: VisitTemplate) -> "VisitTemplateBody":
        """Tell a visit."""
        window = visit.window
        return cls(
            site_id=visit.site_id,
            window=LocalWindowBody(start=f"{window.start:%H:%M}", end=f"{window.end:%H:%M}"),
            day_offset=window.day_offset,
        )


class LegTemplateBody(Body):
    """One trip of each occurrence."""

    pickup: VisitTemplateBody
    drop: VisitTemplateBody
    loads: Loads

    @classmethod
    def of(cls, leg: LegTemplate) -> "LegTemplateBody":
        """Tell a leg."""
        return cls(
            pickup=VisitTemplateBody.of(leg.pickup),
            drop=VisitTemplateBody.of(leg.drop),
            loads=[LoadBody(kind=load.kind, count=load.count) for load in leg.loads],
        )


class RecurringRequestBody(Body):
    """A recurring request. `rule` is an RFC 5545 RRULE without its name, for example `FREQ=WEEKLY;BYDAY=TU,FR`.

    Supported: FREQ (DAILY, WEEKLY, MONTHLY, YEARLY), INTERVAL, COUNT, UNTIL (a date), BYDAY, BYMONTHDAY, BYMONTH,
    BYSETPOS, WKST. Any other part is refused by its name. `holidays` says what becomes of a public holiday or closed
    day: `keep`, `skip`, or move to the `previous` or `next` working day. Windows keep their wall-clock time.
    """

    department_id: DepartmentId | None = Field(None, description="Only an administrator names another's department.")
    title: str = Field(min_length=1, max_length=200)
    flow: Flow = Flow.ONE_WAY
    contract_id: Id | None = Field(None, description="Left out, the one that applies on each day is taken.")
    note: Note = ""
    legs: list[LegTemplateBody] = Field(min_length=1, max_length=2)
    start_on: Day
    zone: str = Field("Europe/Paris", max_length=64)
    rule: str = Field(max_length=300)
    holidays: HolidayPolicy = HolidayPolicy.SKIP
    alsace_moselle: bool = False
    closed_days: list[Day] = Field(default=[])
    exception_dates: list[Day] = Field(default=[])
    extra_dates: list[Day] = Field(default=[])
    ends_on: Day | None = None

    def terms(self) -> RequestTerms:
        """Return the domain's words."""
        recurrence = Recurrence(
            start_on=self.start_on,
            zone=self.zone,
            rule=self.rule,
            holidays=self.holidays,
            alsace_moselle=self.alsace_moselle,
            closed_days=tuple(self.closed_days),
            exception_dates=tuple(self.exception_dates),
            extra_dates=tuple(self.extra_dates),
            ends_on=self.ends_on,
        )
        legs = tuple(
            LegTemplate(
                leg.pickup.template(),
                leg.drop.template(),
                tuple(AskedLoad(load.kind, load.count) for load in leg.loads),
            )
            for leg in self.legs
        )
        return RequestTerms(self.title, self.flow, legs, recurrence, self.contract_id, self.note)


class PauseBody(Body):
    """From which day until which day no orders are made, both included; without `until`, until it is resumed."""

    since: Day
    until: Day | None = None

    def pause(self) -> Pause:
        """Return the domain's word."""
        return Pause(self.since, self.until)


class ResumptionBody(Body):
    """From which day on orders are made again."""

    on: Day


class EndBody(Body):
    """The last day on which an occurrence may fall."""

    last_date: Day


class PauseOut(BaseModel):
    """A span without orders."""

    since: date
    until: date | None


class OccurrenceOut(BaseModel):
    """A date of the rule: `kept`, `moved` (to `day`) or `skipped`, and why; `problem` holds it up for now."""

    occurrence_date: date
    verdict: Verdict
    day: date | None
    cause: str
    problem: str
    pickup_windows: list[WindowOut]

    @classmethod
    def of(cls, foreseen: Foreseen, terms: RequestTerms) -> "OccurrenceOut":
        """Tell a date to come, with the pickup window of each leg."""
        occurrence = foreseen.occurrence
        legs = () if occurrence.day is None else terms.legs_on(occurrence.day)
        return cls(
            occurrence_date=occurrence.due_on,
            verdict=occurrence.verdict,
            day=occurrence.day,
            cause=occurrence.cause,
            problem=foreseen.problem,
            pickup_windows=[WindowOut(start=leg.pickup.window.start, end=leg.pickup.window.end) for leg in legs],
        )


class PreviewOut(BaseModel):
    """A recurring request said in French, and its next dates."""

    sentence: str
    dates: list[OccurrenceOut]

    @classmethod
    def of(cls, terms: RequestTerms, foreseen: Sequence[Foreseen]) -> "PreviewOut":
        """Tell what is to come."""
        return cls(sentence=sentence_of(terms), dates=[OccurrenceOut.of(each, terms) for each in foreseen])


class RecurringRequestOut(BaseModel):
    """A registered recurring request; `problem` tells in French why dates within the horizon have no order."""

    id: str
    department_id: str
    title: str
    sentence: str
    flow: Flow
    contract_id: str | None
    note: str
    legs: list[LegTemplateBody]
    start_on: date
    zone: str
    rule: str
    holidays: HolidayPolicy
    alsace_moselle: bool
    closed_days: list[date]
    exception_dates: list[date]
    extra_dates: list[date]
    pauses: list[PauseOut]
    ends_on: date | None
    problem: str
    created_at: datetime
    version: int

    @classmethod
    def of(cls, request: RecurringRequest) -> "RecurringRequestOut":
        """Tell a recurring request."""
        terms, recurrence = request.terms, request.terms.recurrence
        return cls(
            id=request.id,
            department_id=request.department_id,
            title=terms.title,
            sentence=sentence_of(terms),
            flow=terms.flow,
            contract_id=terms.contract_id,
            note=terms.note,
            legs=[LegTemplateBody.of(leg) for leg in terms.legs],
            start_on=recurrence.start_on,
            zone=recurrence.zone,
            rule=recurrence.rule,
            holidays=recurrence.holidays,
            alsace_moselle=recurrence.alsace_moselle,
            closed_days=list(recurrence.closed_days),
            exception_dates=list(recurrence.exception_dates),
            extra_dates=list(recurrence.extra_dates),
            pauses=[PauseOut(since=pause.since, until=pause.until) for pause in recurrence.pauses],
            ends_on=recurrence.ends_on,
            problem=request.problem,
            created_at=request.created_at,
            version=request.version,
        )


class OrderRefOut(BaseModel):
    """An order named in an answer about its recurring request."""

    id: str
    reference: str
    occurrence_date: date | None

    @classmethod
    def of(cls, order: Order) -> "OrderRefOut":
        """Name an order."""
        return cls(id=order.id, reference=order.reference, occurrence_date=order.occurrence_date)


class CreatedRequestOut(RecurringRequestOut):
    """A recurring request just registered or resumed, with the orders it made at once."""

    orders: list[OrderRefOut]


class InterruptedRequestOut(RecurringRequestOut):
    """A recurring request just paused or ended: `cancelled` orders cost nothing; for those `kept` it was too late."""

    cancelled: list[OrderRefOut]
    kept: list[OrderRefOut]


def sentence_of(terms: RequestTerms) -> str:
    """Say a recurring request in plain French."""
    return say(terms.recurrence, terms.legs[0].pickup.window)
