"""The month to come, as finance sees it: what goes on the next statements, what waits, a button for each decision."""

from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.billing import queries
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Acceptance, Charge, Cut
from services.billing.domain.money import cents
from services.billing.domain.statement import Month
from services.billing.pages import pages
from services.billing.queries import Sight
from services.billing.queries.month import month_to_come
from services.billing.use_cases import acceptance as verifying
from services.kit.http.edge import Caller, Now, ReadView, Tx, needs

router = APIRouter(include_in_schema=False)

MOST_LEGS = 200
ACCEPTANCES = {
    Acceptance.DELIVERED: "à vérifier",
    Acceptance.ACCEPTED: "accepté",
    Acceptance.DISPUTED: "contesté",
    Acceptance.REDUCED: "réfaction",
    Acceptance.REJECTED: "rejeté",
}
ON_A_STATEMENT_TO_COME = (Acceptance.DELIVERED, Acceptance.ACCEPTED, Acceptance.DISPUTED, Acceptance.REDUCED)

MonthText = Annotated[str, Form(alias="mois", pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Reason = Annotated[str, Form(alias="motif", min_length=1, max_length=500)]
Seen = Annotated[int, Form(alias="vu", ge=0)]
AMOUNT_IN_FRENCH = r"^\s*\d{1,3}(\s?\d{3}){0,3}([.,]\d{1,2})?\s*€?\s*$"


@router.get("/finances/contrats/{contract_id}/mois")
def month(
    request: Request,
    contract_id: str,
    caller: Annotated[Caller, needs("billing:read")],
    view: ReadView,
    now: Now,
    mois: Annotated[str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] = None,
    service: Annotated[str, Query(max_length=64)] = "",
    etat: Annotated[str, Query(max_length=16)] = "",
    dit: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """Show what closing a month today would do, with a filter."""
    sight = Sight.of(caller)
    contract = queries.get_contract(view, sight, contract_id)
    today = contract.local_date(now)
    latest = queries.latest_closed(view, contract_id)
    asked = Month.parse(mois) if mois else _to_verify(latest, today)
    found = month_to_come(
        view,
        sight,
        contract,
        asked,
        department_id=service or None,
        acceptance=Acceptance(etat) if etat in set(Acceptance) else None,
        today=today,
        limit=MOST_LEGS,
    )
    return pages.render(
        request,
        "month.html",
        found=found,
        names={department.id: department.name for department in contract.departments},
        department_id=service,
        state=etat,
        states={state.value: ACCEPTANCES[state] for state in ON_A_STATEMENT_TO_COME},
        labels=ACCEPTANCES,
        disputed=Acceptance.DISPUTED,
        decided=(Acceptance.REDUCED, Acceptance.REJECTED),
        said=dit,
        is_over=asked.last_day < today,
        is_closed=latest is not None and asked <= latest,
    )


@router.post("/finances/contrats/{contract_id}/mois/acceptations")
def accept_month(
    contract_id: str,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    month: MonthText,
    service: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Accept all of the month that nobody disputed."""
    sight = Sight.of(caller)
    queries.get_contract(tx, sight, contract_id)
    department_id = sight.department_id if sight.department_id is not None else service or None
    verifying.accept_month(tx, contract_id, Month.parse(month), department_id=department_id, by=_by(caller), at=now)
    return _back(contract_id, month, service, "accepte")


@router.post("/finances/trajets/{order_id}/{leg}/acceptation")
def accept(
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    month: MonthText,
    seen: Seen,
) -> Response:
    """Accept a leg."""
    charge = _lock(tx, caller, order_id, leg)
    if charge.decisions == seen:
        verifying.accept(tx, charge, by=_by(caller), at=now)
    return _decided(charge, month, seen)


@router.post("/finances/trajets/{order_id}/{leg}/contestation")
def dispute(
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    month: MonthText,
    seen: Seen,
    reason: Reason,
) -> Response:
    """Dispute a leg."""
    charge = _lock(tx, caller, order_id, leg)
    if charge.decisions == seen:
        verifying.dispute(tx, charge, reason, by=_by(caller), at=now)
    return _decided(charge, month, seen)


@router.post("/finances/trajets/{order_id}/{leg}/refaction")
def reduce(
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    month: MonthText,
    seen: Seen,
    reason: Reason,
    code: Annotated[str, Form(alias="ligne", max_length=30)],
    cut: Annotated[str, Form(alias="montant", pattern=AMOUNT_IN_FRENCH)],
) -> Response:
    """Cut the price of a leg's line."""
    charge = _lock(tx, caller, order_id, leg)
    if charge.decisions == seen:
        verifying.reduce(tx, charge, [Cut(code, cents_in_french(cut), reason)], by=_by(caller), at=now)
    return _decided(charge, month, seen)


@router.post("/finances/trajets/{order_id}/{leg}/rejet")
def reject(
    order_id: str,
    leg: int,
    caller: Annotated[Caller, needs("charges:accept")],
    tx: Tx,
    now: Now,
    month: MonthText,
    seen: Seen,
    reason: Reason,
) -> Response:
    """Reject a leg."""
    charge = _lock(tx, caller, order_id, leg)
    if charge.decisions == seen:
        verifying.reject(tx, charge, reason, by=_by(caller), at=now)
    return _decided(charge, month, seen)


def cents_in_french(text: str) -> int:
    """Read an amount that matches AMOUNT_IN_FRENCH: « 1 234,50 € »."""
    return cents("".join(text.replace("€", "").split()).replace(",", "."))


def _to_verify(latest_closed: Month | None, today: date) -> Month:
    """Return the month that ended last, or the present one when that is closed."""
    ended = Month.of(today.replace(day=1) - timedelta(days=1))
    return ended if latest_closed is None or latest_closed < ended else Month.of(today)


def _by(caller: Caller) -> Decider:
    return Decider(caller.account_id, caller.name)


def _lock(tx: Tx, caller: Caller, order_id: str, leg: int) -> Charge:
    queries.get_charge(tx, Sight.of(caller), order_id, leg)
    return verifying.lock(tx, order_id, leg)


def _decided(charge: Charge, month: str, seen: int) -> Response:
    # Somebody decided since the page was read: nothing is done, the page shows what is.
    return _back(charge.contract_id, month, "", "decide" if charge.decisions == seen else "change")


def _back(contract_id: str, month: str, service: str, said: str) -> Response:
    query = urlencode({"mois": month, **({"service": service} if service else {}), "dit": said})
    return RedirectResponse(f"/finances/contrats/{contract_id}/mois?{query}", status_code=303)
