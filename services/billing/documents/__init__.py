"""A closed statement as bytes: CSV for a spreadsheet, PDF for paper. The only file that knows WeasyPrint.

Both are made from frozen values alone: no clock, no random name. What was rendered first is kept and given ever after.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from services.billing.domain.charge import BEYOND_CODE, Charge, Cut, Outcome, Settlement
from services.billing.domain.errors import PrintingUnavailable
from services.billing.domain.money import decimal_text
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import REGULARISATION, Month, Statement
from services.kit.http.html import templates

PANGO_PACKAGES = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0")
"""What the PDF needs from the system, by the names Debian and Ubuntu give it."""

MOST_PRINTED_LEGS = 500
"""A longer month is not printed leg by leg: the spreadsheets beside it are."""

UNITS = dict.fromkeys(Unit, "trajet") | {Unit.LOAD: "unité", Unit.ORDER: "commande", Unit.STOP: "arrêt"}
OUTCOMES = {
    Outcome.DELIVERED: "remis",
    Outcome.FAILED_CHARGED: "échec facturé",
    Outcome.CANCELLED_CHARGED: "annulation tardive",
    Outcome.RELEASED: "libéré",
}
MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin",
    "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip

HEADERS = (
    "État", "Mois", "Marché", "Émetteur", "SIRET émetteur", "Date de service", "Date du constat", "Commande",
    "N° de commande", "Trajet", "Service", "De", "Vers", "Issue", "Prix", "Libellé", "Bordereau", "Annoncé", "Compté",
    "Quantité", "Unité", "Prix unitaire HT", "Montant HT", "Taux de TVA", "Remarque", "Preuves",
)  # fmt: skip

TAKEN_OFF = "Réfaction"
"""What the buyer took off a leg's price."""
BEYOND = "Au-delà du maximum"
"""What of a revision is not charged."""
REVISION_CODE = "REVISION"

_pages = templates(Path(__file__).parents[1])


def month_in_french(month: Month) -> str:
    """Write a month: « novembre 2026 »."""
    return f"{MONTHS[month.number - 1]} {month.year}"


def rate_in_french(permille: int) -> str:
    """Write a tax rate: 200 is « 20 % », 55 is « 5,5 % »."""
    text = f"{permille // 10},{permille % 10}".removesuffix(",0")
    return f"{text}\N{NO-BREAK SPACE}%"


def as_csv(statement: Statement, charges: Iterable[Charge], *, most_bytes: int | None = None) -> bytes:
    """Return one row per charged line, `;` between cells, UTF-8 with its mark, decimal commas, French headers.

    Text that a spreadsheet would take for a formula is preceded by an apostrophe. What would be longer than
    `most_bytes` is empty, and not written to its end.
    """
    content = io.BytesIO()
    with csv_rows(content, statement) as add:
        for charge in charges:
            add(charge)
            if most_bytes is not None and content.tell() > most_bytes:
                return b""
    return content.getvalue()


@contextmanager
def csv_rows(file: BinaryIO, statement: Statement) -> Iterator[Callable[[Charge], None]]:
    """Open what `as_csv` returns for its rows; it takes charges one after the other."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)

    def add(charge: Charge) -> None:
        settlement = charge.settlement
        if settlement is None:
            return
        writer.writerows(
            [
                statement.number,
                str(statement.month),
                _text(statement.contract_reference),
                _text(statement.seller.name),
                statement.seller.siret,
                _day(charge.service_date),
                _day(settlement.settled_on),
                _text(charge.reference),
                charge.order_id,
                charge.leg,
                _text(charge.department_id),
                _text(charge.origin.name),
                _text(charge.destination.name),
                OUTCOMES[settlement.outcome],
                line.code,
                _text(line.label),
                charge.estimate.price_list_version,
                line.announced,
                line.counted,
                line.quantity,
                UNITS[line.unit],
                _comma(line.unit_price_cents),
                _comma(line.amount_cents),
                f"{settlement.vat_permille // 10},{settlement.vat_permille % 10}",
                _text("; ".join(part for part in (line.note, settlement.note) if part)),
                _text(" ".join(settlement.proof_ids)),
            ]
            for line in settlement.lines
        )
        revision_cents = charge.full_cents - settlement.base_cents
        if charge.revised is not None and revision_cents:
            cut = Cut(REVISION_CODE, -revision_cents, "")
            writer.writerow(_less(statement, charge, settlement, cut, "Révision des prix"))
        writer.writerows(
            _less(statement, charge, settlement, cut, BEYOND if cut.code == BEYOND_CODE else TAKEN_OFF)
            for cut in charge.taken_off
        )

    yield add
    for item in statement.items:
        if item.code == REGULARISATION:
            writer.writerow(
                [
                    *(statement.number, str(statement.month), _text(statement.contract_reference)),
                    *(_text(statement.seller.name), statement.seller.siret, *[""] * 9),
                    *(item.code, _text(item.label), "", "", "", 1, UNITS[Unit.LEG]),
                    *(_comma(item.amount_cents), _comma(item.amount_cents)),
                    *(f"{item.vat_permille // 10},{item.vat_permille % 10}", "", ""),
                ]
            )
    text.detach()


def _less(statement: Statement, charge: Charge, settlement: Settlement, cut: Cut, label: str) -> list[str | int]:
    return [
        *(statement.number, str(statement.month), _text(statement.contract_reference)),
        *(_text(statement.seller.name), statement.seller.siret),
        *(_day(charge.service_date), _day(settlement.settled_on), _text(charge.reference), charge.order_id),
        *(charge.leg, _text(charge.department_id), _text(charge.origin.name), _text(charge.destination.name)),
        *(OUTCOMES[settlement.outcome], cut.code, label, charge.estimate.price_list_version),
        *("", "", 1, UNITS[Unit.LEG], _comma(-cut.amount_cents), _comma(-cut.amount_cents)),
        f"{settlement.vat_permille // 10},{settlement.vat_permille % 10}",
        *(_text(cut.reason), ""),
    ]


def as_pdf(statement: Statement, charges: Sequence[Charge]) -> bytes:
    """Return the statement on A4: parties, items, totals by tax rate, gauge, and every leg in an annex.

    Raises
    ------
    PrintingUnavailable
        When the machine lacks a library that draws text.
    """
    return _draw(as_html(statement, charges), statement.id)


def _draw(page: str, identifier: str) -> bytes:
    document = _printer().HTML(string=page, url_fetcher=_fetch_nothing)
    content: bytes = document.write_pdf(pdf_identifier=identifier.encode(), pdf_tags=True)
    return content


def _printer() -> Any:
    """Return WeasyPrint, told to look at no clock."""
    try:
        import weasyprint
    except OSError as missing:  # the libraries are looked for when it is imported
        raise PrintingUnavailable(PANGO_PACKAGES) from missing
    # Where HarfBuzz-Subset is not there, fontTools cuts the fonts down, and writes into each when that was.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    return weasyprint


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that a PDF carries as its data; `add_to` says so in the PDF's own metadata (RDF in, RDF out)."""

    name: str
    description: str
    content: bytes
    dated: datetime
    add_to: Callable[[bytes], bytes]


def draw_archive(page: str, identifier: str, carried: Carried) -> bytes:
    """Draw a page as PDF/A-3b that carries a file (relationship Data): the same bytes each time.

    Raises
    ------
    PrintingUnavailable
        When the machine lacks a library that draws text.
    """
    weasyprint = _printer()
    file = weasyprint.Attachment(
        string=carried.content,
        url_fetcher=_fetch_nothing,
        name=carried.name,
        description=carried.description,
        created=carried.dated,
        modified=carried.dated,
        relationship="Data",
    )
    document = weasyprint.HTML(string=page, url_fetcher=_fetch_nothing).render(pdf_variant="pdf/a-3b", pdf_tags=True)
    document.metadata.attachments = [file]
    plain = document.metadata.generate_rdf_metadata
    document.metadata.generate_rdf_metadata = lambda *about: carried.add_to(plain(*about))
    content: bytes = document.write_pdf(
        finisher=_name_once, pdf_identifier=identifier.encode(), pdf_variant="pdf/a-3b", pdf_tags=True
    )
    return content


def _name_once(_: Any, pdf: Any) -> None:
    """Name each carried file once in the catalogue; WeasyPrint 70 names it twice."""
    pdf.catalog["AF"][:] = dict.fromkeys(pdf.catalog["AF"])


def as_html(statement: Statement, charges: Sequence[Charge]) -> str:
    """Return what `as_pdf` prints."""
    return _pages.environment.get_template("paper.html").render(
        statement=statement,
        charges=charges if statement.legs <= MOST_PRINTED_LEGS else [],
        month=month_in_french(statement.month),
        rate=rate_in_french,
        units=UNITS,
        departments={part.id: part.name for part in statement.departments},
        outcomes=OUTCOMES,
        day=_day,
        share=lambda cents: decimal_text(cents * 10_000 // statement.gauge.ceiling_cents),
        notes=_notes,
        REGULARISATION=REGULARISATION,
        BEYOND=BEYOND_CODE,
    )


def _fetch_nothing(url: str, *_: Any, **__: Any) -> NoReturn:
    raise ValueError(f"a statement is printed without asking anybody: {url}")


def _notes(charge: Charge) -> list[str]:
    settlement = charge.settlement
    if settlement is None:
        return []
    return [note for note in (*(line.note for line in settlement.lines), settlement.note) if note]


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _comma(amount_cents: int) -> str:
    return decimal_text(amount_cents).replace(".", ",")


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


safe_text = _text
"""Text as a spreadsheet may have it, for the other documents."""
