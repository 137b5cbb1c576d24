"""The list of deliveries that backs a statement: one line per leg, with what was counted and its proofs.

CSV and XLSX are written row by row. On paper every leg is a line up to `MOST_PRINTED_LEGS`; above, a line is what one
department had on one day, and the spreadsheets have the rest.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import TextIOWrapper
from typing import Any, BinaryIO, NamedTuple, TextIO

import xlsxwriter

from services.billing.documents import (
    MOST_PRINTED_LEGS,
    OUTCOMES,
    _comma,
    _day,
    _draw,
    _notes,
    _pages,
    _text,
    month_in_french,
)
from services.billing.domain.charge import Charge, Outcome, Settlement
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import Statement

HEADERS = (
    "État", "Mois", "Marché", "Date de service", "Date du constat", "Commande", "N° de commande", "Trajet",
    "Code service", "Service", "De", "Vers", "Issue", "Charges annoncées", "Charges comptées", "Détail des charges",
    "Codes de prix", "Montant HT", "Remarque", "Preuves",
)  # fmt: skip
WIDTHS = (12, 9, 16, 11, 11, 16, 38, 7, 14, 26, 30, 30, 18, 10, 10, 34, 22, 12, 40, 40)
"""Of the columns, in characters."""
DAY_COLUMNS = {3, 4}
AMOUNT_COLUMN = 17


@contextmanager
def csv_rows(file: BinaryIO, statement: Statement) -> Iterator[Callable[[Charge], None]]:
    """Open the list as CSV, which takes charges one after the other, a row each.

    `;`, UTF-8 with its mark, decimal commas, French headers, no formulas.
    """
    departments = {part.id: part.name for part in statement.departments}
    with as_text(file) as text:
        writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
        writer.writerow(HEADERS)

        def add(charge: Charge) -> None:
            if charge.settlement is not None:
                writer.writerow([_plain(cell) for cell in _cells(statement, departments, charge, charge.settlement)])

        yield add


@contextmanager
def as_text(file: BinaryIO) -> Iterator[TextIO]:
    """Open a file of bytes for writing text to it: UTF-8 with its mark; it stays open afterwards."""
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()


@contextmanager
def xlsx_rows(file: BinaryIO, statement: Statement) -> Iterator[Callable[[Charge], None]]:
    """Open the same rows as a sheet, where dates are dates and amounts numbers; a written row leaves the memory."""
    departments = {part.id: part.name for part in statement.departments}
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with closing(xlsxwriter.Workbook(file, options)) as book:
        # The file tells when the month was closed, not when somebody asked: else it would never be the same twice.
        book.set_properties(
            {
                "title": f"Livraisons de l'état {statement.number}",
                "author": statement.seller.name,
                "created": statement.closed_at.replace(tzinfo=None),
            }
        )
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        amount = book.add_format({"num_format": "#,##0.00"})
        sheet = book.add_worksheet("Livraisons")
        for column, width in enumerate(WIDTHS):
            sheet.set_column(column, column, width, day if column in DAY_COLUMNS else None)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.write_row(0, 0, HEADERS, head)
        row = 0

        def add(charge: Charge) -> None:
            nonlocal row
            if charge.settlement is None:
                return
            row += 1
            for column, cell in enumerate(_cells(statement, departments, charge, charge.settlement)):
                if isinstance(cell, date):
                    sheet.write_datetime(row, column, cell, day)
                elif isinstance(cell, Decimal):
                    sheet.write_number(row, column, cell, amount)
                elif isinstance(cell, int):
                    sheet.write_number(row, column, cell)
                elif cell:
                    sheet.write_string(row, column, cell)

        yield add
        sheet.autofilter(0, 0, max(row, 1), len(HEADERS) - 1)


def printed(page: str, statement: Statement) -> bytes:
    """Return what `as_html` gave, on A4. Raises PrintingUnavailable."""
    return _draw(page, statement.id)


def as_html(statement: Statement, charges: Iterable[Charge]) -> str:
    """Return the list for paper."""
    is_long = statement.legs > MOST_PRINTED_LEGS
    return _pages.environment.get_template("deliveries_paper.html").render(
        statement=statement,
        month=month_in_french(statement.month),
        departments={part.id: part.name for part in statement.departments},
        days=_by_day(charges) if is_long else [],
        lines=() if is_long else charges,
        loads=_loads,
        loads_text=loads_text,
        codes=_codes,
        notes=_notes,
        outcomes=OUTCOMES,
        day=_day,
        most=MOST_PRINTED_LEGS,
    )


@dataclass(slots=True)
class DayLine:
    """What one department had on one day."""

    day: date
    department_id: str
    legs: int = 0
    announced: int = 0
    counted: int = 0
    proofs: int = 0
    amount_cents: int = 0


def _by_day(charges: Iterable[Charge]) -> list[DayLine]:
    found: dict[tuple[date, str], DayLine] = {}
    for charge in charges:
        settlement = charge.settlement
        if settlement is None:
            continue
        key = charge.service_date, charge.department_id
        line = found.setdefault(key, DayLine(*key))
        line.legs += 1
        line.announced += sum(load.announced for load in _loads(charge))
        line.counted += sum(load.counted for load in _loads(charge))
        line.proofs += len(settlement.proof_ids)
        line.amount_cents += charge.full_cents
    return [found[key] for key in sorted(found)]


def _cells(statement: Statement, departments: Mapping[str, str], charge: Charge, settlement: Settlement) -> list[Any]:
    loads = _loads(charge)
    return [
        statement.number,
        str(statement.month),
        statement.contract_reference,
        charge.service_date,
        settlement.settled_on,
        charge.reference,
        charge.order_id,
        charge.leg,
        charge.department_id,
        departments.get(charge.department_id, charge.department_id),
        charge.origin.name,
        charge.destination.name,
        OUTCOMES[settlement.outcome],
        sum(load.announced for load in loads),
        sum(load.counted for load in loads),
        loads_text(loads),
        _codes(charge),
        Decimal(charge.full_cents) / 100,
        "; ".join(_notes(charge)) or settlement.reason,
        " ".join(settlement.proof_ids),
    ]


class Counted(NamedTuple):
    """Loads of one kind."""

    label: str
    announced: int
    counted: int


def _loads(charge: Charge) -> list[Counted]:
    """Return the loads of a leg as announced and as counted: none where nothing was handed over."""
    if charge.settlement and charge.settlement.outcome is Outcome.DELIVERED:
        return [
            Counted(line.label, line.announced, line.counted)
            for line in charge.settlement.lines
            if line.unit is Unit.LOAD
        ]
    return [Counted(line.label, line.quantity, 0) for line in charge.estimate.lines if line.unit is Unit.LOAD]


def loads_text(loads: Iterable[Counted]) -> str:
    """Write counted loads: « Panneau 6, Ballot de linge 3 sur 4 »."""
    return ", ".join(
        f"{load.label} {load.counted}" + (f" sur {load.announced}" if load.counted != load.announced else "")
        for load in loads
    )


def _codes(charge: Charge) -> str:
    return " ".join(dict.fromkeys(line.code for line in charge.settlement.lines)) if charge.settlement else ""


def _plain(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return _comma(int(cell * 100))
    if isinstance(cell, date):
        return _day(cell)
    return _text(cell) if isinstance(cell, str) else cell
