"""Penalties: a month's statement of them (état liquidatif), and what is done about each."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from services.billing.api.shapes import Amount, MonthText, PartyId, fresh
from services.billing.documents import penalties as documents
from services.billing.domain.advance import AdvanceTerms
from services.billing.domain.money import cents, decimal_text
from services.billing.domain.penalty import Cause, Penalty, PenaltyStatement, Status
from services.billing.domain.penalty_terms import CapBase, PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.statement import Month
from services.billing.queries import Sight
from services.billing.queries import penalties as queries
from services.billing.use_cases import penalties as use_cases
from services.kit.http.edge import Body, Caller, Now, Once, OwnDatabase, ReadView, Tx, needs

router = APIRouter(tags=["penalties"])

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Evidence = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=500)]], Field(max_length=20, default_factory=list)
]


class PenaltyRuleBody(Body):
    """A rule: an `amount` per delivery, or `permille_per_day` of the delivery's base price for each day late."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{0,29}$")]
    label: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    trigger: Trigger
    valid_from: date
    valid_to: date | None = None
    amount: Amount = "0"
    permille_per_day: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    grace_minutes: Annotated[int, Field(ge=0, le=60 * 24 * 31, strict=True)] = 0
    reason_codes: Annotated[list[PartyId], Field(max_length=50, default_factory=list)]


class PenaltyTermsBody(Body):
    """A contract's penalties. Up to `exemption` in all none is due; the cap is of the maximum or of each order."""

    rules: Annotated[list[PenaltyRuleBody], Field(min_length=1, max_length=50)]
    exemption: Amount = "0"
    cap_permille: Annotated[int, Field(ge=0, le=1000, strict=True)] | None = None
    cap_base: CapBase = CapBase.CONTRACT
    answer_days: Annotated[int, Field(ge=0, le=365, strict=True)] = 15

    def to_domain(self) -> PenaltyTerms:
        """Return the terms, unchecked."""
        return PenaltyTerms(
            rules=tuple(
                PenaltyRule(
                    code=rule.code,
                    label=rule.label,
                    trigger=rule.trigger,
                    valid_from=rule.valid_from,
                    valid_to=rule.valid_to,
                    amount_cents=cents(rule.amount),
                    permille_per_day=rule.permille_per_day,
                    grace_minutes=rule.grace_minutes,
                    reason_codes=tuple(rule.reason_codes),
                )
                for rule in self.rules
            ),
            exemption_cents=cents(self.exemption),
            cap_permille=self.cap_permille,
            cap_base=self.cap_base,
            answer_days=self.answer_days,
        )

    @classmethod
    def of(cls, terms: PenaltyTerms) -> Self:
        """Show the terms."""
        return cls(
            rules=[
                PenaltyRuleBody(
                    code=rule.code,
                    label=rule.label,
                    trigger=rule.trigger,
                    valid_from=rule.valid_from,
                    valid_to=rule.valid_to,
                    amount=decimal_text(rule.amount_cents),
                    permille_per_day=rule.permille_per_day,
                    grace_minutes=rule.grace_minutes,
                    reason_codes=list(rule.reason_codes),
                )
                for rule in terms.rules
            ],
            exemption=decimal_text(terms.exemption_cents),
            cap_permille=terms.cap_permille,
            cap_base=terms.cap_base,
            answer_days=terms.answer_days,
        )


class AdvanceBody(Body):
    """An advance as paid, including tax, and between which shares of the maximum it is taken back."""

    paid: Amount
    paid_on: date
    from_percent: Annotated[int, Field(strict=True)] = 65
    to_percent: Annotated[int, Field(strict=True)] = 80
    cooperative_id: PartyId | Literal[""] = ""

    def to_domain(self) -> AdvanceTerms:
        """Return the terms, unchecked."""
        return AdvanceTerms(cents(self.paid), self.paid_on, self.from_percent, self.to_percent, self.cooperative_id)

    @classmethod
    def of(cls, terms: AdvanceTerms) -> Self:
        """Show the terms."""
        return cls(
            paid=decimal_text(terms.paid_cents),
            paid_on=terms.paid_on,
            from_percent=terms.from_percent,
            to_percent=terms.to_percent,
            cooperative_id=terms.cooperative_id,
        )


class SourceOut(BaseModel):
    """An event."""

    event_id: str
    type: str
    occurred_at: datetime


class StepOut(BaseModel):
    """What was done about a penalty, and what it stands at from then on."""

    status: Status
    at: datetime
    by: str
    amount: str
    text: str
    cause: Cause | None
    evidence: list[str]
    payment: str


class PenaltyOut(BaseModel):
    """A penalty with the facts that prove it. Outside VAT; `due` is what caps and exemption leave of it."""

    id: str
    contract_id: str
    month: str
    order_id: str
    leg: int
    reference: str
    department_id: str
    cooperative_id: str
    service_date: date
    rule_code: str
    label: str
    trigger: Trigger
    promised_until: datetime | None
    occurred_at: datetime
    minutes_late: int
    days_late: int
    reason: str
    value: str
    computed: str
    status: Status
    amount: str
    due: str | None
    sources: list[SourceOut]
    steps: list[StepOut]

    @classmethod
    def of(cls, penalty: Penalty, due_cents: int | None = None) -> Self:
        """Show a penalty."""
        return cls(
            id=penalty.id,
            contract_id=penalty.contract_id,
            month=str(penalty.month),
            order_id=penalty.order_id,
            leg=penalty.leg,
            reference=penalty.reference,
            department_id=penalty.department_id,
            cooperative_id=penalty.cooperative_id,
            service_date=penalty.service_date,
            rule_code=penalty.rule_code,
            label=penalty.label,
            trigger=penalty.trigger,
            promised_until=penalty.promised_until,
            occurred_at=penalty.occurred_at,
            minutes_late=penalty.minutes_late,
            days_late=penalty.days_late,
            reason=penalty.reason,
            value=decimal_text(penalty.value_cents),
            computed=decimal_text(penalty.computed_cents),
            status=penalty.status,
            amount=decimal_text(penalty.amount_cents),
            due=None if due_cents is None else decimal_text(due_cents),
            sources=[
                SourceOut(event_id=one.event_id, type=one.type, occurred_at=one.occurred_at) for one in penalty.sources
            ],
            steps=[
                StepOut(
                    status=step.status,
                    at=step.at,
                    by=step.by,
                    amount=decimal_text(step.amount_cents),
                    text=step.text,
                    cause=step.cause,
                    evidence=list(step.evidence),
                    payment=step.payment,
                )
                for step in penalty.steps
            ],
        )


class PenaltyStatementOut(BaseModel):
    """A month's penalties; `earlier` are those of months before that are still to apply. Outside VAT and maximum.

    `total_due` is of all the contract's penalties up to the month; `to_apply` what of those shown is still to deduct.
    """

    contract_id: str
    contract_reference: str
    month: str
    penalties: list[PenaltyOut]
    earlier: list[PenaltyOut]
    total_due: str
    to_apply: str
    is_exempt: bool
    cap: str | None
    is_cap_reached: bool

    @classmethod
    def of(cls, statement: PenaltyStatement) -> Self:
        """Show a month's penalties."""
        due = statement.liquidation
        return cls(
            contract_id=statement.contract.id,
            contract_reference=statement.contract.reference,
            month=str(statement.month),
            penalties=[PenaltyOut.of(one, due.due_cents[one.id]) for one in statement.penalties],
            earlier=[PenaltyOut.of(one, due.due_cents[one.id]) for one in statement.earlier],
            total_due=decimal_text(due.total_cents),
            to_apply=decimal_text(statement.to_apply_cents),
            is_exempt=due.is_exempt,
            cap=None if due.cap_cents is None else decimal_text(due.cap_cents),
            is_cap_reached=due.is_cap_reached,
        )


@router.get("/v1/contracts/{contract_id}/penalties", response_model=PenaltyStatementOut)
def read_penalties(
    request: Request,
    contract_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    month: Annotated[MonthText, Query()],
) -> Response:
    """Read the penalties of a closed month; a cooperative reads its own."""
    found = queries.get_statement(view, Sight.of(caller), contract_id, Month.parse(month))
    return fresh(request, PenaltyStatementOut.of(found))


@router.get(
    "/v1/contracts/{contract_id}/penalties.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def export_penalties(
    contract_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    month: Annotated[MonthText, Query()],
) -> Response:
    """Take the same as CSV."""
    found = queries.get_statement(view, Sight.of(caller), contract_id, Month.parse(month))
    name = f"penalites-{month}.csv"
    return Response(
        documents.as_csv(found),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(
    "/v1/contracts/{contract_id}/penalties.pdf",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, 503: {"description": "The machine cannot print."}},
)
def print_penalties(
    contract_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    database: OwnDatabase,
    now: Now,
    month: Annotated[MonthText, Query()],
) -> Response:
    """Take the same on paper, as it stands today."""
    with database.view() as view:  # printing takes seconds: the view is closed before
        found = queries.get_statement(view, Sight.of(caller), contract_id, Month.parse(month))
    return Response(
        documents.as_pdf(found, on=found.contract.local_date(now)),
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="penalites-{month}.pdf"'},
    )


class NotificationBody(Body):
    """What the notice says beyond amount and delay."""

    text: Annotated[str, StringConstraints(max_length=2000)] = ""


class ContestationBody(Body):
    """The cooperative's answer: the cause it names, and what shows it (ids of proofs, links, file names)."""

    text: Text
    cause: Cause
    evidence: Evidence


class DecisionBody(Body):
    """What is decided, and why; `amount` for a reduction alone."""

    decision: Literal[Status.WAIVED, Status.REDUCED, Status.CONFIRMED]
    text: Text
    amount: Amount | None = None
    cause: Cause | None = None
    evidence: Evidence


class ApplicationBody(Body):
    """From which payment it is deducted."""

    payment: Annotated[str, StringConstraints(min_length=1, max_length=100)]


@router.post("/v1/penalties/{penalty_id}/notification", status_code=201, response_model=PenaltyOut)
def notify(
    penalty_id: str,
    body: NotificationBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Tell the cooperative; it has the contract's days to answer."""
    if (answer := once.replay()) is not None:
        return answer
    queries.get_penalty(tx, Sight.of(caller), penalty_id)
    penalty = use_cases.notify(tx, penalty_id, text=body.text, by=caller.name, at=now)
    return once.keep(201, {}, PenaltyOut.of(penalty))


@router.post("/v1/penalties/{penalty_id}/contestation", status_code=201, response_model=PenaltyOut)
def contest(
    penalty_id: str,
    body: ContestationBody,
    caller: Annotated[Caller, needs("penalties:contest")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Answer for the cooperative, or record its letter."""
    if (answer := once.replay()) is not None:
        return answer
    queries.get_penalty(tx, Sight.of(caller), penalty_id)
    penalty = use_cases.contest(
        tx, penalty_id, text=body.text, cause=body.cause, evidence=body.evidence, by=caller.name, at=now
    )
    return once.keep(201, {}, PenaltyOut.of(penalty))


@router.post("/v1/penalties/{penalty_id}/decision", status_code=201, response_model=PenaltyOut)
def decide(
    penalty_id: str,
    body: DecisionBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Waive, reduce or confirm; until it is applied, another decision may follow."""
    if (answer := once.replay()) is not None:
        return answer
    queries.get_penalty(tx, Sight.of(caller), penalty_id)
    decision = use_cases.Decision(
        Status(body.decision),
        body.text,
        cents(body.amount) if body.amount is not None else None,
        body.cause,
        tuple(body.evidence),
    )
    penalty = use_cases.decide(tx, penalty_id, decision, by=caller.name, at=now)
    return once.keep(201, {}, PenaltyOut.of(penalty))


@router.post("/v1/penalties/{penalty_id}/application", status_code=201, response_model=PenaltyOut)
def apply(
    penalty_id: str,
    body: ApplicationBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Deduct what is due of it from a payment."""
    if (answer := once.replay()) is not None:
        return answer
    queries.get_penalty(tx, Sight.of(caller), penalty_id)
    penalty = use_cases.apply(tx, penalty_id, payment=body.payment, by=caller.name, at=now)
    return once.keep(201, {}, PenaltyOut.of(penalty))
