"""Finance's pages: the gauge of each contract, statements, and a form to register a contract. No script is needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from services.billing import documents, queries, use_cases
from services.billing.documents import revision_sheet
from services.billing.documents.month import missing_of
from services.billing.documents.validation import warm_up
from services.billing.domain.approval import Approval
from services.billing.domain.ceiling import Scope
from services.billing.domain.charge import BEYOND_CODE, Outcome
from services.billing.domain.contract import (
    DEFAULT_ALERT_PERCENTS,
    Buyer,
    ChargeRules,
    Contract,
    Cooperative,
    Department,
    VatRate,
)
from services.billing.domain.forecast import Forecast
from services.billing.domain.money import cents
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.domain.statement import REGULARISATION, Month
from services.billing.domain.status import WORDS, french
from services.billing.pages import approvals
from services.billing.queries import Sight
from services.billing.queries import after_closing as following
from services.billing.queries.approvals import list_approvals
from services.billing.queries.forecast import get_forecast
from services.billing.queries.scopes import ScopeUse, list_scopes
from services.kit.database import Database
from services.kit.errors import DomainError, Refusals
from services.kit.http.edge import Caller, Now, OwnDatabase, ReadView, Tx, needs
from services.kit.http.html import templates
from services.kit.ids import new_id

router = APIRouter(include_in_schema=False)
router.include_router(approvals.router)
pages = templates(Path(__file__).parents[1])
pages.environment.globals.update(
    month_in_french=documents.month_in_french,
    rate_in_french=documents.rate_in_french,
    units=documents.UNITS,
    outcomes=documents.OUTCOMES,
    DELIVERED=Outcome.DELIVERED,
    status_in_french=french,
)

MOST_CONTRACTS = 200
MOST_STATEMENTS = 200
MOST_REFUSALS = 10
MOST_LEGS = 500
MOST_WAITING = 50

COOPERATIVE_ROWS = 4
DEPARTMENT_ROWS = 6
PRICE_ROWS = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ContractPanel:
    """What the page says of one contract."""

    use: queries.Consumption
    refusals: list[queries.RefusedOrder]
    latest_closed: Month | None
    month_to_close: Month | None
    scopes: tuple[ScopeUse, ...]
    waiting: list[Approval]
    forecast: Forecast
    missing: tuple[str, ...] = ()
    """What e-invoices need and the contract does not say yet: no month is closed before."""

    @property
    def is_balanced(self) -> bool:
        """Whether ledger, lines and every gauge agree."""
        return self.use.is_balanced and all(part.is_balanced for part in self.scopes)

    @property
    def full(self) -> list[Scope]:
        """The parts under which nothing is left."""
        return [part.scope for part in self.scopes if part.scope.left_cents <= 0]

    def name_of(self, department_id: str) -> str:
        """Return what a department is called."""
        names = {one.id: one.name for one in self.use.contract.departments}
        return names.get(department_id, department_id)


@router.get("/finances")
def finances(
    request: Request,
    caller: Annotated[Caller, needs("invoices:read")],
    view: ReadView,
    now: Now,
    clos: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$")] = None,
    nouveau: Annotated[str | None, Query(max_length=36)] = None,
    accord: Annotated[str | None, Query(pattern="^(donne|refuse)$")] = None,
) -> Response:
    """Show the gauge of every contract and the statements the caller may see."""
    sight = Sight.of(caller)
    panels = []
    if caller.has("billing:read"):
        for contract in queries.list_contracts(view, sight, limit=MOST_CONTRACTS):
            latest = queries.latest_closed(view, contract.id)
            today = contract.local_date(now)
            gaps = (gap for seller in contract.cooperatives for gap in missing_of(contract.buyer, seller, today))
            use = queries.get_consumption(view, sight, contract.id)
            panels.append(
                ContractPanel(
                    use=use,
                    refusals=queries.list_refusals(view, contract.id, limit=MOST_REFUSALS),
                    latest_closed=latest,
                    month_to_close=_month_to_close(contract, latest, today),
                    missing=tuple(dict.fromkeys(gaps)),
                    scopes=list_scopes(view, contract),
                    waiting=list_approvals(view, contract.id, is_waiting=True, limit=MOST_WAITING),
                    forecast=get_forecast(view, use, today=today),
                )
            )
    return pages.render(
        request,
        "finances.html",
        panels=panels,
        statements=queries.list_statements(view, sight, limit=MOST_STATEMENTS),
        closed=Month.parse(clos) if clos else None,
        registered=nouveau,
        answered=accord,
    )


def _month_to_close(contract: Contract, latest: Month | None, today: date) -> Month | None:
    """Return the oldest open month that is over, to be offered in the form."""
    month = latest.next if latest else Month.of(contract.starts_on)
    return month if month.last_day < today else None


@router.post("/finances/contrats/{contract_id}/clotures")
def close_month(
    contract_id: str,
    caller: Annotated[Caller, needs("billing:write")],
    _: Annotated[None, Depends(warm_up)],  # before the transaction is open
    tx: Tx,
    now: Now,
    month: Annotated[str, Form(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")],
) -> Response:
    """Close a month and show the finance page again."""
    queries.get_contract(tx, Sight.of(caller), contract_id)
    use_cases.close_month(tx, contract_id, Month.parse(month), at=now)
    return RedirectResponse(f"/finances?clos={month}", status_code=303)


@router.get("/finances/etats/{statement_id}")
def statement(
    request: Request, statement_id: str, caller: Annotated[Caller, needs("invoices:read")], view: ReadView, now: Now
) -> Response:
    """Show a closed statement, its legs, what became of it since, and who took it."""
    sight = Sight.of(caller)
    found = queries.get_statement(view, sight, statement_id)
    charges = queries.lines_of(view, statement_id, limit=MOST_LEGS)
    return pages.render(
        request,
        "statement.html",
        statement=found,
        charges=charges,
        is_revised=revision_sheet.is_revised(found),
        BEYOND=BEYOND_CODE,
        REGULARISATION=REGULARISATION,
        exports=queries.list_exports(view, statement_id, limit=MOST_STATEMENTS),
        told=following.told_of(view, sight, statement_id),
        clock=following.payment_of(view, sight, statement_id, on=following.today_of(view, sight, statement_id, now)),
        notes=following.list_credit_notes(view, sight, statement_id),
        with_invoice=following.with_invoice(view, statement_id),
        corrected=following.corrected_by(view, statement_id),
        status_words=tuple(WORDS),
    )


class ContractForm(BaseModel):
    """The form as it was sent: text, row by row; blank rows are left out."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reference: str = ""
    title: str = ""
    buyer_name: str = ""
    buyer_siret: str = ""
    service_code: str = ""
    engagement_number: str = ""
    starts_on: str = ""
    ends_on: str = ""
    ceiling: str = ""
    zone: str = "Europe/Paris"
    cutoff_hours: str = "12"
    failure_percent: str = "50"
    late_cancellation_percent: str = "50"
    vat_percent: str = "20"
    vat_source: str = ""
    alert_percents: str = " ".join(str(level) for level in DEFAULT_ALERT_PERCENTS)
    cooperative_id: list[str] = []
    cooperative_name: list[str] = []
    cooperative_siret: list[str] = []
    cooperative_address: list[str] = []
    department_id: list[str] = []
    department_name: list[str] = []
    price_code: list[str] = []
    price_label: list[str] = []
    price_unit: list[str] = []
    price_load_kind: list[str] = []
    price_amount: list[str] = []


@router.get("/finances/contrats/nouveau")
def new_contract(request: Request, _: Annotated[Caller, needs("billing:admin")]) -> Response:
    """Show the empty form."""
    return _contract_form(request, ContractForm(), {})


@router.post("/finances/contrats/nouveau")
def register_contract(
    request: Request,
    _: Annotated[Caller, needs("billing:admin")],
    database: OwnDatabase,
    now: Now,
    form: Annotated[ContractForm, Form()],
) -> Response:
    """Register the contract of the form, or show the form again with every fault beside its field."""
    reading = _Reading(form)
    contract = reading.contract(new_id(), at=now)
    lines = reading.price_lines()
    if not reading.faults:
        try:
            _register(database, contract, lines, now)
        except DomainError as refusal:
            reading.refused(refusal)
        else:
            return RedirectResponse(f"/finances?nouveau={contract.id}", status_code=303)
    return _contract_form(request, form, reading.faults)


def _register(database: Database, contract: Contract, lines: list[PriceLine], now: datetime) -> None:
    with database.transaction() as tx:
        use_cases.register_contract(tx, contract)
        if lines:
            use_cases.publish_price_list(tx, contract.id, valid_from=contract.starts_on, lines=lines, at=now)


def _contract_form(request: Request, form: ContractForm, faults: dict[str, str]) -> Response:
    return pages.render(
        request,
        "contract_form.html",
        status=422 if faults else 200,
        form=form,
        faults=faults,
        rows={"cooperative": COOPERATIVE_ROWS, "department": DEPARTMENT_ROWS, "price": PRICE_ROWS},
        unit_labels=UNIT_LABELS,
    )


UNIT_LABELS = {
    Unit.LEG: "par trajet",
    Unit.TRAILER: "par trajet avec remorque",
    Unit.LOAD: "par unité de charge",
    Unit.ORDER: "par commande",
    Unit.STOP: "par arrêt",
    Unit.SATURDAY_OR_SUNDAY: "par trajet, samedi ou dimanche",
    Unit.PUBLIC_HOLIDAY: "par trajet, jour férié",
}
"""What the form offers; prices by band are published through the interface for programs."""


@dataclass
class _Reading:
    """Reads a form; faults are kept by the id of the field they belong to."""

    form: ContractForm
    faults: dict[str, str] = field(default_factory=dict)

    def contract(self, contract_id: str, *, at: datetime) -> Contract:
        """Return the contract; what could not be read is in `faults`."""
        form = self.form
        starts_on = self._date("starts_on")
        return Contract(
            id=contract_id,
            reference=self._text("reference", 50),
            title=self._text("title", 200),
            buyer=Buyer(self._text("buyer_name", 99), form.buyer_siret, form.service_code, form.engagement_number),
            cooperatives=tuple(
                Cooperative(
                    self._row("cooperative_id", index),
                    self._row("cooperative_name", index),
                    self._row("cooperative_siret", index),
                    self._row("cooperative_address", index),
                )
                for index in self._filled("cooperative_id", "cooperative_name", "cooperative_siret")
            ),
            departments=tuple(
                Department(self._row("department_id", index), self._row("department_name", index))
                for index in self._filled("department_id", "department_name")
            ),
            starts_on=starts_on,
            ends_on=self._date("ends_on"),
            ceiling_cents=self._cents("ceiling", form.ceiling),
            zone=form.zone,
            cutoff_minutes=60 * self._whole("cutoff_hours", 0, 24 * 31),
            rules=ChargeRules(self._whole("failure_percent", 0, 100), self._whole("late_cancellation_percent", 0, 100)),
            vat_rates=(VatRate(starts_on, self._vat_permille(), self._text("vat_source", 200)),),
            alert_percents=self._alert_percents(),
            registered_at=at,
        )

    def price_lines(self) -> list[PriceLine]:
        """Return the price list's lines; what could not be read is in `faults`."""
        lines = []
        for index in self._filled("price_code", "price_label", "price_amount"):
            unit_text = self._row("price_unit", index)
            lines.append(
                PriceLine(
                    self._row("price_code", index),
                    self._row("price_label", index),
                    Unit(unit_text) if unit_text in set(Unit) else Unit.LEG,
                    self._cents(f"price_amount-{index}", self._cell("price_amount", index)),
                    self._cell("price_load_kind", index),
                )
            )
        return lines

    def refused(self, refusal: DomainError) -> None:
        """Keep a refusal's faults beside the fields their pointers mean."""
        for fault in refusal.errors if isinstance(refusal, Refusals) else (refusal,):
            self.faults[self._field_of(fault.pointer or "")] = fault.detail

    def _field_of(self, pointer: str) -> str:
        parts = pointer.strip("/").split("/")
        match parts:
            case ["cooperatives" | "departments" as party, index, name]:
                prefix = party.removesuffix("s")
                filled = self._filled(
                    f"{prefix}_id", f"{prefix}_name", *["cooperative_siret"][: party == "cooperatives"]
                )
                return f"{prefix}_{name}-{filled[int(index)]}"
            case ["lines", index, name]:
                return f"price_{name}-{self._filled('price_code', 'price_label', 'price_amount')[int(index)]}"
            case ["buyer", name]:
                return f"buyer_{name}"
            case ["vat_rates", *_]:
                return "vat_percent"
            case _:
                return parts[0] or "reference"

    def _filled(self, *columns: str) -> list[int]:
        lists: list[list[str]] = [getattr(self.form, column) for column in columns]
        return [
            index
            for index in range(max((len(cells) for cells in lists), default=0))
            if any(index < len(cells) and cells[index] for cells in lists)
        ]

    def _cell(self, column: str, index: int) -> str:
        cells: list[str] = getattr(self.form, column)
        return cells[index].strip() if index < len(cells) else ""

    def _row(self, column: str, index: int) -> str:
        text = self._cell(column, index)
        if not text:
            self.faults[f"{column}-{index}"] = "Ce champ est obligatoire sur une ligne commencée : renseignez-le."
        return text

    def _text(self, name: str, most: int) -> str:
        text: str = getattr(self.form, name)
        if not text:
            self.faults[name] = "Ce champ est obligatoire : renseignez-le."
        elif len(text) > most:
            self.faults[name] = f"Donnez au plus {most} caractères."
        return text

    def _date(self, name: str) -> date:
        return self._read(name, "Donnez une date, par exemple 2026-01-31.", date.fromisoformat, date.min)

    def _cents(self, name: str, text: str) -> int:
        plain = "".join(text.removesuffix("€").split()).replace(",", ".")
        return self._read(name, "Donnez un montant, par exemple 1 234,50.", cents, 0, plain)

    def _whole(self, name: str, least: int, most: int) -> int:
        value = self._read(name, f"Donnez un nombre entier de {least} à {most}.", int, least)
        if not least <= value <= most:
            self.faults[name] = f"Donnez un nombre entier de {least} à {most}."
        return value

    def _vat_permille(self) -> int:
        text = self.form.vat_percent.removesuffix("%").strip().replace(",", ".")
        return self._read("vat_percent", "Donnez un taux, par exemple 20 ou 5,5.", cents, 0, text) // 10

    def _alert_percents(self) -> tuple[int, ...]:
        levels = self.form.alert_percents.replace(",", " ").replace("%", " ").split()
        return self._read(
            "alert_percents", "Donnez des pourcentages entiers.", lambda _: tuple(int(level) for level in levels), ()
        )

    def _read(self, name: str, sentence: str, read: Callable[[str], T], instead: T, text: str | None = None) -> T:
        given = text if text is not None else str(getattr(self.form, name))
        try:
            return read(given)
        except ValueError:
            self.faults[name] = sentence
            return instead
