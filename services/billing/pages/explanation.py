"""The page that explains one leg's amount, in French, for whoever has to justify it."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.billing.documents import month_in_french
from services.billing.documents.revision_sheet import ROUNDINGS
from services.billing.documents.revision_sheet import exact_text as before_rounding
from services.billing.domain.charge import Rule
from services.billing.domain.coefficient import exact_text
from services.billing.domain.errors import STATUS_WORDS
from services.billing.domain.ledger import Account
from services.billing.domain.month import Month
from services.billing.pages import pages
from services.billing.pages.month import ACCEPTANCES
from services.billing.queries import Sight
from services.billing.queries import explanation as queries
from services.kit.http.edge import Caller, ReadView, needs

router = APIRouter(include_in_schema=False)

EVENTS = {
    "orders.v1.OrderPlaced": "commande passée",
    "orders.v1.OrderAmended": "créneaux modifiés",
    "dispatch.v1.StopCompleted": "remise",
    "dispatch.v1.StopFailed": "échec",
    "dispatch.v1.DeliveryCancelled": "annulation",
    "dispatch.v1.DeliveryLapsed": "péremption",
}
RULES = {
    Rule.AS_COUNTED: "remis : les quantités comptées, au plus celles annoncées",
    Rule.BILLABLE_FAILURE: "échec imputable au demandeur : une part du trajet",
    Rule.LATE_CANCELLATION: "annulation tardive : une part du trajet",
    Rule.FAILURE_NOT_BILLABLE: "échec non imputable au demandeur : rien n'est dû",
    Rule.CANCELLED_IN_TIME: "annulation à temps : rien n'est dû",
    Rule.LAPSED: "personne n'est passé : rien n'est dû",
    Rule.EXPIRED: "aucun constat n'est venu : rien n'est dû",
}
ACCOUNTS = {
    Account.CEILING: "montant maximum",
    Account.AVAILABLE: "disponible",
    Account.HELD: "engagé",
    Account.OWED: "constaté",
    Account.INVOICED: "facturé",
}

CAUSES = {
    "statement": "clôture du mois",
    "credit-note": "avoir",
    "acceptance": "décision de l'acheteur",
    "price-list": "nouveau bordereau",
    "index": "nouvelle valeur d'indice",
    "revision": "révision des prix à la clôture",
    "regularisation": "régularisation",
}


@router.get("/finances/commandes/{order_id}/trajets/{leg}")
def explain_charge(
    request: Request, order_id: str, leg: int, caller: Annotated[Caller, needs("invoices:read")], view: ReadView
) -> Response:
    """Show where each cent of a leg comes from."""
    found = queries.explain_charge(view, Sight.of(caller), order_id, leg)
    return pages.render(
        request,
        "charge_explanation.html",
        found=found,
        events=EVENTS,
        rules=RULES,
        accounts=ACCOUNTS,
        roundings=ROUNDINGS,
        words=STATUS_WORDS,
        acceptances=ACCEPTANCES,
        cause=_cause,
        month_of=lambda text: month_in_french(Month.parse(text)),
        before_rounding=before_rounding,
        comma=lambda text: str(text).replace(".", ","),
        exact=lambda cents: exact_text(cents).replace(".", ","),
    )


def _cause(cause: str) -> str:
    """Say a ledger entry's cause; what follows the colon is what a program needs."""
    return EVENTS.get(cause) or CAUSES.get(cause.partition(":")[0], cause)
