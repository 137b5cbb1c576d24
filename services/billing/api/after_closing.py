"""A statement after it was closed: credit notes, the corrected statement, the platform's statuses, the payment."""

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from services.billing import queries
from services.billing.api.acceptance import LegNumber, OrderId, Reason
from services.billing.api.contracts import ClosedStatementOut
from services.billing.api.shapes import Amount, fresh, percent_text
from services.billing.api.statements import PartyOut, TaxOut
from services.billing.documents.validation import warm_up
from services.billing.domain.credit_note import Asked, CreditNote
from services.billing.domain.money import cents, decimal_text
from services.billing.domain.payment import Clock
from services.billing.domain.status import Status, ToldStatus, status_of
from services.billing.queries import Sight, after_closing
from services.billing.use_cases import credit_notes as crediting
from services.billing.use_cases.statuses import hear_status
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs

router = APIRouter(tags=["statements"])


class CreditLegBody(Body):
    """A leg to credit; without `amount`, all that is left of it. Excluding tax."""

    order_id: OrderId
    leg: LegNumber
    amount: Amount | None = None


class CreditNoteBody(Body):
    """What to credit and why. With `is_billed_anew` whole legs are owed again and go on another statement."""

    reason: Reason
    legs: Annotated[list[CreditLegBody], Field(min_length=1, max_length=10_000)]
    is_billed_anew: bool = False


class CreditedLegOut(BaseModel):
    """What a note gives back for one leg, to the period of its `service_date`."""

    order_id: str
    leg: int
    reference: str
    department_id: str
    service_date: date
    vat_percent: str
    amount: str


class CreditNoteOut(BaseModel):
    """A credit note; amounts above zero, `net` excludes tax. An internal one is sent to nobody."""

    id: str
    number: str
    statement_id: str
    statement_number: str
    reason: str
    is_internal: bool
    is_billed_anew: bool
    seller: PartyOut
    buyer: PartyOut
    issued_on: date
    issued_at: datetime
    net: str
    tax: str
    gross: str
    taxes: list[TaxOut]
    legs: list[CreditedLegOut]

    @classmethod
    def of(cls, note: CreditNote) -> Self:
        """Show a note."""
        return cls(
            id=note.id,
            number=note.number,
            statement_id=note.statement_id,
            statement_number=note.statement_number,
            reason=note.reason,
            is_internal=note.is_internal,
            is_billed_anew=note.is_billed_anew,
            seller=PartyOut(id=note.seller.id, name=note.seller.name, siret=note.seller.siret),
            buyer=PartyOut(id=note.buyer.siret, name=note.buyer.name, siret=note.buyer.siret),
            issued_on=note.issued_on,
            issued_at=note.issued_at,
            net=decimal_text(note.net_cents),
            tax=decimal_text(note.tax_cents),
            gross=decimal_text(note.gross_cents),
            taxes=[
                TaxOut(
                    vat_percent=percent_text(tax.permille),
                    base=decimal_text(tax.base_cents),
                    tax=decimal_text(tax.tax_cents),
                )
                for tax in note.taxes
            ],
            legs=[
                CreditedLegOut(
                    order_id=leg.order_id,
                    leg=leg.leg,
                    reference=leg.reference,
                    department_id=leg.department_id,
                    service_date=leg.service_date,
                    vat_percent=percent_text(leg.vat_permille),
                    amount=decimal_text(leg.amount_cents),
                )
                for leg in note.legs
            ],
        )


class CreditNotesOut(BaseModel):
    """A statement's notes, oldest first."""

    items: list[CreditNoteOut]


class StatusBody(Body):
    """What the platform says: `id` and `occurred_at` are its own, `status` a CDAR code or a word of Chorus Pro."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    status: Annotated[str, StringConstraints(min_length=1, max_length=40), Field(examples=["203", "Suspendue"])]
    occurred_at: AwareDatetime
    reason_code: Annotated[str, StringConstraints(max_length=64), Field(examples=["JUSTIF_ABS"])] = ""
    reason: Annotated[str, StringConstraints(max_length=500)] = ""


class StatusOut(BaseModel):
    """A status as the platform told it."""

    id: str
    status: Status
    occurred_at: datetime
    reason_code: str
    reason: str


class LifeOut(BaseModel):
    """Where a statement stands, computed from all its statuses whatever the order they came in."""

    state: Status
    is_disputed: bool
    is_suspended: bool
    statuses: list[StatusOut]

    @classmethod
    def of(cls, told: after_closing.Told) -> Self:
        """Show a statement's life."""
        return cls(
            state=told.life.state,
            is_disputed=told.life.is_disputed,
            is_suspended=told.life.is_suspended,
            statuses=[
                StatusOut(
                    id=one.id,
                    status=one.status,
                    occurred_at=one.occurred_at,
                    reason_code=one.reason_code,
                    reason=one.reason,
                )
                for one in told.statuses
            ],
        )


class SuspensionOut(BaseModel):
    """When and why the clock stood still; `ended_on` is null while it does."""

    began_on: date
    ended_on: date | None
    reason: str


class InterestOut(BaseModel):
    """What a late payment costs; outside VAT. It grows each day until `is_final`."""

    days_late: int
    rate_percent: str
    interest: str
    lump_sum: str
    total: str
    is_final: bool
    sources: list[str]


class PaymentOut(BaseModel):
    """A statement's payment clock on a day. `principal` includes tax, less credit notes; `missing` is a value to enter.

    `due_on` is null while the clock is suspended, and for a refused statement.
    """

    on: date
    started_on: date
    is_start_proven: bool
    delay_days: int
    suspension: SuspensionOut | None
    due_on: date | None
    paid_on: date | None
    principal: str
    interest: InterestOut | None
    missing: str

    @classmethod
    def of(cls, clock: Clock, on: date) -> Self:
        """Show a clock."""
        suspension, interest = clock.suspension, clock.interest
        return cls(
            on=on,
            started_on=clock.started_on,
            is_start_proven=clock.is_start_proven,
            delay_days=clock.delay_days,
            suspension=SuspensionOut(
                began_on=suspension.began_on, ended_on=suspension.ended_on, reason=suspension.reason
            )
            if suspension
            else None,
            due_on=clock.due_on,
            paid_on=clock.paid_on,
            principal=decimal_text(clock.principal_cents),
            interest=InterestOut(
                days_late=interest.days_late,
                rate_percent=f"{interest.rate_percent:.2f}",
                interest=decimal_text(interest.interest_cents),
                lump_sum=decimal_text(interest.lump_cents),
                total=decimal_text(interest.total_cents),
                is_final=interest.is_final,
                sources=list(interest.sources),
            )
            if interest
            else None,
            missing=clock.missing,
        )


@router.post("/v1/statements/{statement_id}/credit-notes", status_code=201, response_model=CreditNoteOut)
def credit(
    statement_id: str,
    body: CreditNoteBody,
    caller: Annotated[Caller, needs("billing:write")],
    _: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Correct a closed statement: credit legs of it, whole or in part, under the seller's next number."""
    if (kept := once.replay()) is not None:
        return kept
    queries.get_statement(tx, Sight.of(caller), statement_id)
    note = crediting.credit(
        tx,
        statement_id,
        [Asked(leg.order_id, leg.leg, None if leg.amount is None else cents(leg.amount)) for leg in body.legs],
        reason=body.reason,
        is_billed_anew=body.is_billed_anew,
        at=now,
    )
    location = f"/v1/statements/{statement_id}/credit-notes/{note.id}"
    return once.keep(201, {"Location": location}, CreditNoteOut.of(note))


@router.get("/v1/statements/{statement_id}/credit-notes", response_model=CreditNotesOut)
def list_credit_notes(
    request: Request, statement_id: str, caller: Annotated[Caller, needs("invoices:read")], view: ReadView
) -> Response:
    """List the notes that correct a statement."""
    found = after_closing.list_credit_notes(view, Sight.of(caller), statement_id)
    return fresh(request, CreditNotesOut(items=[CreditNoteOut.of(note) for note in found]))


@router.get("/v1/statements/{statement_id}/credit-notes/{note_id}", response_model=CreditNoteOut)
def read_credit_note(
    request: Request,
    statement_id: str,
    note_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
) -> Response:
    """Read a credit note."""
    note = after_closing.get_credit_note(view, Sight.of(caller), statement_id, note_id)
    return fresh(request, CreditNoteOut.of(note))


@router.post("/v1/statements/{statement_id}/corrected-statement", status_code=201, response_model=ClosedStatementOut)
def bill_anew(
    statement_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    _: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Put the legs that notes took off a statement on a corrected one, under a new number."""
    if (kept := once.replay()) is not None:
        return kept
    queries.get_statement(tx, Sight.of(caller), statement_id)
    statement = crediting.bill_anew(tx, statement_id, at=now)
    return once.keep(201, {"Location": f"/v1/statements/{statement.id}"}, ClosedStatementOut.of(statement))


@router.post(
    "/v1/statements/{statement_id}/statuses",
    status_code=201,
    response_model=LifeOut,
    responses={200: {"model": LifeOut, "description": "The status was known; nothing changed."}},
)
def hear(
    statement_id: str,
    body: StatusBody,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Hear what the platform says of a statement: 201 the first time, 200 ever after; the first refusal cancels it."""
    if (kept := once.replay()) is not None:
        return kept
    sight = Sight.of(caller)
    queries.get_statement(tx, sight, statement_id)
    told = ToldStatus(body.id, status_of(body.status), body.occurred_at, body.reason_code, body.reason)
    is_new = hear_status(tx, statement_id, told, at=now)
    answer = LifeOut.of(after_closing.told_of(tx, sight, statement_id))
    return once.keep(201 if is_new else 200, {}, answer)


@router.get("/v1/statements/{statement_id}/statuses", response_model=LifeOut)
def list_statuses(
    request: Request, statement_id: str, caller: Annotated[Caller, needs("invoices:read")], view: ReadView
) -> Response:
    """Read where a statement stands and all that the platform said."""
    return fresh(request, LifeOut.of(after_closing.told_of(view, Sight.of(caller), statement_id)))


@router.get("/v1/statements/{statement_id}/payment", response_model=PaymentOut)
def read_payment(
    request: Request,
    statement_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    now: Now,
    on: Annotated[date | None, Query(description="Le jour du calcul ; aujourd'hui si rien n'est donné")] = None,
) -> Response:
    """Read a statement's payment clock: when it started, when it is due, what being late costs."""
    sight = Sight.of(caller)
    day = on or after_closing.today_of(view, sight, statement_id, now)
    return fresh(request, PaymentOut.of(after_closing.payment_of(view, sight, statement_id, on=day), day))
