"""What every page of orders shares: who looks, the templates, and the words they use."""

from pathlib import Path
from typing import Annotated

from fastapi import Response

from services.kit.database import View
from services.kit.errors import DomainError
from services.kit.http.edge import Caller, needs
from services.kit.http.html import templates
from services.orders import queries
from services.orders.domain.contract import Contract
from services.orders.domain.load import LoadKind
from services.orders.domain.plain_french import DAYS, MONTHS, say_window
from services.orders.domain.site import Site
from services.orders.pages import words
from services.orders.pages.form import LOAD_ROWS
from services.orders.repository import LoadKinds
from services.orders.use_cases.access import department_of

Reader = Annotated[Caller, needs("orders:read")]
Writer = Annotated[Caller, needs("orders:write")]

pages = templates(Path(__file__).parents[1])
pages.environment.globals.update(
    statuses=words.STATUSES,
    flows=words.FLOWS,
    step_words=words.STEPS,
    actors=words.ACTORS,
    outcomes=words.OUTCOMES,
    verdicts=words.VERDICTS,
    holiday_policies=words.HOLIDAYS,
    weekdays=DAYS,
    months=MONTHS,
    load_rows=LOAD_ROWS,
    say_window=say_window,
)


class NoDepartment(DomainError):
    """The caller belongs to no department; forms are filled in for one's own."""

    code = "no-department"
    title = "Saisie réservée aux services"


def own_department(caller: Caller) -> str:
    """Return the department a form is filled in for. Raises NoDepartment."""
    department_id = department_of(caller)
    if not department_id:
        raise NoDepartment(
            "Les demandes se saisissent avec un compte de service ; l'administration peut passer par l'interface HTTP."
        )
    return department_id


class Choices:
    """What the lists of a form offer to a department."""

    def __init__(self, view: View, department_id: str) -> None:
        self.sites: list[Site] = queries.list_sites(view, department_id)
        self.kinds: list[LoadKind] = list(LoadKinds(view).all().values())
        self.contracts: list[Contract] = queries.list_contracts(view, department_id)


def see_other(path: str) -> Response:
    """Send the browser to a page after something was done."""
    return Response(status_code=303, headers={"Location": path})
