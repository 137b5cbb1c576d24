"""The buyer's verification over HTTP: accept, dispute, cut, reject one leg; accept a list or a month.

A decision about one leg names by If-Match what was read. A department decides about its own legs, finance about all.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from services.billing import queries
from services.billing.api.shapes import Amount, MonthText, PartyId, fresh
from services.billing.domain.acceptance import Decider, Decision
from services.billing.domain.charge import Acceptance, Charge, Cut
from services.billing.domain.errors import ListOrMonth
from services.billing.domain.money import cents, decimal_text
from services.billing.domain.statement import Month
from services.billing.queries import Sight
from services.billing.queries.month import Verification, verification_of
from services.billing.use_cases import acceptance as verifying
from services.kit.database import View
from services.kit.http.answers import check_if_match, etag_of
from services.kit.http.edge import Body, Caller, Now, Once, ReadView, Tx, needs

router = APIRouter(tags=["acceptance"])

MOST_LEGS = 500
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500), Field(examples=["Deux ballots manquants"])]
LineCode = Annotated[str, StringConstraints(min_length=1, max_length=30), Field(examples=["LINGE"])]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=36)]
LegNumber = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]


class ReasonBody(Body):
    """Why, in a sentence that stands on the record."""

    reason: Reason


class CutBody(Body):
    """What is taken off one line of the leg, excluding tax, and why."""

    code: LineCode
    cut: Amount
    reason: Reason


class ReductionBody(Body):
    """Price cuts by line."""

    lines: Annotated[list[CutBody], Field(min_length=1, max_length=200)]


class LegBody(Body):
    """One leg of an order."""

    order_id: OrderId
    leg: LegNumber


class AcceptancesBody(Body):
    """Either a list of legs, all or none of them; or all of a month about which nobody said anything."""

    legs: Annotated[list[LegBody], Field(min_length=1, max_length=MOST_LEGS)] | None = None
    month: MonthText | None = None
    department: PartyId | None = None


class CutOut(BaseModel):
    """A price cut, excluding tax."""

    code: str
    cut: str
    reason: str


class DecisionOut(BaseModel):
    """One decision; `given_back` returned to the ceiling."""

    number: int
    state: Acceptance
    reason: str
    lines: list[CutOut]
    given_back: str
    decided_by: str
    decided_at: datetime

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """Show a decision."""
        return cls(
            number=decision.number,
            state=decision.acceptance,
            reason=decision.reason,
            lines=[
                CutOut(code=cut.code, cut=decimal_text(cut.amount_cents), reason=cut.reason) for cut in decision.cuts
            ],
            given_back=decimal_text(decision.given_back_cents),
            decided_by=decision.decided_by.name,
            decided_at=decision.decided_at,
        )


class VerificationOut(BaseModel):
    """Where a leg's acceptance stands. `state` is null while nothing is settled, or when nothing is due.

    Silence accepts the leg on `silence_ends_on`. Amounts exclude tax.
    """

    order_id: str
    leg: int
    state: Acceptance | None
    silence_ends_on: date | None
    settled: str | None
    due: str
    statement_id: str | None
    decisions: list[DecisionOut]

    @classmethod
    def of(cls, found: Verification) -> Self:
        """Show where a leg stands."""
        charge = found.charge
        settlement = charge.settlement
        return cls(
            order_id=charge.order_id,
            leg=charge.leg,
            state=charge.acceptance if settlement is not None and settlement.is_billable else None,
            silence_ends_on=found.silence_ends_on,
            settled=decimal_text(settlement.amount_cents) if settlement is not None else None,
            due=decimal_text(charge.due_cents),
            statement_id=charge.statement_id or None,
            decisions=[DecisionOut.of(decision) for decision in found.decisions],
        )


class AcceptedOut(BaseModel):
    """How many legs were accepted that were not before."""

    accepted: int


@router.get("/v1/charges/{order_id}/{leg}/acceptance", response_model=VerificationOut)
def read_acceptance(
    request: Request,
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("billing:read", "charges:accept")],
    view: ReadView,
) -> Response:
    """Read what was decided about a leg."""
    charge = queries.get_charge(view, Sight.of(caller), order_id, leg)
    return fresh(request, VerificationOut.of(verification_of(view, charge)))


@router.post("/v1/charges/{order_id}/{leg}/acceptance", response_model=VerificationOut)
def accept(
    request: Request,
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Accept a leg at its full price; If-Match names the version that was read."""

    def act(charge: Charge) -> Charge:
        return verifying.accept(tx, charge, by=_by(caller), at=now)

    return _decide(request, order_id, leg, caller, tx, once, act)


@router.post("/v1/charges/{order_id}/{leg}/dispute", response_model=VerificationOut)
def dispute(
    request: Request,
    order_id: str,
    leg: int,
    body: ReasonBody,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Dispute a leg: it waits on no statement until it is decided; If-Match names the version that was read."""

    def act(charge: Charge) -> Charge:
        return verifying.dispute(tx, charge, body.reason, by=_by(caller), at=now)

    return _decide(request, order_id, leg, caller, tx, once, act)


@router.post("/v1/charges/{order_id}/{leg}/reduction", response_model=VerificationOut)
def reduce(
    request: Request,
    order_id: str,
    leg: int,
    body: ReductionBody,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Accept a leg at a lower price, for good; If-Match names the version that was read."""
    cuts = [Cut(line.code, cents(line.cut), line.reason) for line in body.lines]

    def act(charge: Charge) -> Charge:
        return verifying.reduce(tx, charge, cuts, by=_by(caller), at=now)

    return _decide(request, order_id, leg, caller, tx, once, act)


@router.post("/v1/charges/{order_id}/{leg}/rejection", response_model=VerificationOut)
def reject(
    request: Request,
    order_id: str,
    leg: int,
    body: ReasonBody,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Reject a leg, for good: nothing is due; If-Match names the version that was read."""

    def act(charge: Charge) -> Charge:
        return verifying.reject(tx, charge, body.reason, by=_by(caller), at=now)

    return _decide(request, order_id, leg, caller, tx, once, act)


@router.post("/v1/contracts/{contract_id}/acceptances", response_model=AcceptedOut)
def accept_many(
    contract_id: str,
    body: AcceptancesBody,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    once: Once,
) -> Response:
    """Accept a list of legs, or all of a month that nobody has disputed; a department accepts its own only."""
    if (kept := once.replay()) is not None:
        return kept
    sight = Sight.of(caller)
    queries.get_contract(tx, sight, contract_id)
    department_id = sight.department_id if sight.department_id is not None else body.department
    by = _by(caller)
    if (body.legs is None) == (body.month is None):
        raise ListOrMonth()
    if body.month is not None:
        month = Month.parse(body.month)
        accepted = verifying.accept_month(tx, contract_id, month, department_id=department_id, by=by, at=now)
    else:
        legs = [(one.order_id, one.leg) for one in body.legs or ()]
        accepted = verifying.accept_list(tx, contract_id, legs, department_id=department_id, by=by, at=now)
    return once.keep(200, {}, AcceptedOut(accepted=accepted))


def _by(caller: Caller) -> Decider:
    return Decider(caller.account_id, caller.name)


def _decide(
    request: Request,
    order_id: str,
    leg: int,
    caller: Caller,
    tx: Tx,
    once: Once,
    act: Callable[[Charge], Charge],
) -> Response:
    if (kept := once.replay()) is not None:
        return kept
    queries.get_charge(tx, Sight.of(caller), order_id, leg)
    charge = verifying.lock(tx, order_id, leg)
    check_if_match(request, _etag(_shown(tx, charge)))
    shown = _shown(tx, act(charge))
    return once.keep(200, {"ETag": _etag(shown)}, shown)


def _shown(view: View, charge: Charge) -> VerificationOut:
    return VerificationOut.of(verification_of(view, charge))


def _etag(shown: VerificationOut) -> str:
    return etag_of(shown.model_dump_json().encode())
