"""What finance does with a closed statement: note what the platform said, credit legs, bill anew; by plain forms."""

from datetime import date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.billing import queries
from services.billing.documents.validation import warm_up
from services.billing.domain.credit_note import Asked
from services.billing.domain.status import ToldStatus, status_of
from services.billing.pages.month import AMOUNT_IN_FRENCH, Reason, cents_in_french
from services.billing.queries import Sight
from services.billing.use_cases import credit_notes
from services.billing.use_cases.statuses import hear_status
from services.kit.http.edge import Caller, Now, Tx, needs
from services.kit.ids import new_id

router = APIRouter(include_in_schema=False)


@router.post("/finances/etats/{statement_id}/statuts")
def hear(
    statement_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    tx: Tx,
    now: Now,
    word: Annotated[str, Form(alias="statut", max_length=40)],
    day: Annotated[date, Form(alias="jour")],
    reason: Annotated[str, Form(alias="motif", max_length=500)] = "",
) -> Response:
    """Note what was read on the portal on a day."""
    statement = queries.get_statement(tx, Sight.of(caller), statement_id)
    zone = ZoneInfo(queries.get_contract(tx, Sight.of(caller), statement.contract_id).zone)
    occurred_at = datetime.combine(day, time(12), zone)
    told = ToldStatus(f"saisie-{new_id()}", status_of(word), occurred_at, reason=reason)
    hear_status(tx, statement_id, told, at=now)
    return _back(statement_id)


@router.post("/finances/etats/{statement_id}/avoirs")
def credit(
    statement_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    __: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
    leg: Annotated[str, Form(alias="trajet", pattern=r"^[0-9a-f-]{36}/\d{1,9}$")],
    reason: Reason,
    amount: Annotated[str, Form(alias="montant", pattern=rf"^\s*$|{AMOUNT_IN_FRENCH}")] = "",
    anew: Annotated[str, Form(alias="refacturer", pattern="^(oui)?$")] = "",
) -> Response:
    """Credit a leg, whole or in part."""
    queries.get_statement(tx, Sight.of(caller), statement_id)
    order_id, _, number = leg.partition("/")
    asked = Asked(order_id, int(number), cents_in_french(amount) if amount.strip() else None)
    credit_notes.credit(tx, statement_id, [asked], reason=reason, is_billed_anew=bool(anew), at=now)
    return _back(statement_id)


@router.post("/finances/etats/{statement_id}/rectificatif")
def bill_anew(
    statement_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    _: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
) -> Response:
    """Issue the corrected statement and show it."""
    queries.get_statement(tx, Sight.of(caller), statement_id)
    return _back(credit_notes.bill_anew(tx, statement_id, at=now).id)


def _back(statement_id: str) -> Response:
    return RedirectResponse(f"/finances/etats/{statement_id}", status_code=303)
