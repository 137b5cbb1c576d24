"""The page of a month's penalties: facts, amounts, stages, and the buttons of finance. No script is needed."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.billing.domain.errors import STATUS_WORDS
from services.billing.domain.money import cents
from services.billing.domain.penalty import Status
from services.billing.domain.statement import Month
from services.billing.pages import pages
from services.billing.queries import Sight
from services.billing.queries import penalties as queries
from services.billing.use_cases import penalties as use_cases
from services.kit.http.edge import Caller, Now, ReadView, Tx, needs

router = APIRouter(include_in_schema=False)


@router.get("/finances/contrats/{contract_id}/penalites")
def penalties(
    request: Request,
    contract_id: str,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    mois: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")],
) -> Response:
    """Show the penalties of a closed month."""
    found = queries.get_statement(view, Sight.of(caller), contract_id, Month.parse(mois))
    return pages.render(request, "penalties.html", statement=found, words=STATUS_WORDS)


@router.post("/finances/penalites/{penalty_id}/notification")
def notify(penalty_id: str, caller: Annotated[Caller, needs("billing:write")], tx: Tx, now: Now) -> Response:
    """Tell the cooperative and show the month again."""
    penalty = queries.get_penalty(tx, Sight.of(caller), penalty_id)
    use_cases.notify(tx, penalty_id, text="", by=caller.name, at=now)
    return _back(penalty.contract_id, penalty.month)


@router.post("/finances/penalites/{penalty_id}/decision")
def decide(
    penalty_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    decision: Annotated[str, Form(pattern="^(waived|reduced|confirmed)$")],
    text: Annotated[str, Form(min_length=1, max_length=2000)],
    amount: Annotated[str, Form(pattern=r"^(\d{1,9}([.,]\d{1,2})?)?$")] = "",
) -> Response:
    """Decide and show the month again."""
    penalty = queries.get_penalty(tx, Sight.of(caller), penalty_id)
    reduced_cents = cents(amount.replace(",", ".")) if amount else None
    use_cases.decide(tx, penalty_id, use_cases.Decision(Status(decision), text, reduced_cents), by=caller.name, at=now)
    return _back(penalty.contract_id, penalty.month)


def _back(contract_id: str, month: Month) -> Response:
    return RedirectResponse(f"/finances/contrats/{contract_id}/penalites?mois={month}", status_code=303)
