"""The e-invoice of a credit note, from the frozen note and the statement it corrects."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from services.billing.documents import _comma, _day, _text
from services.billing.documents.invoice import FREE_TEXT, Attachment, Invoice, Line, Note, credit_note
from services.billing.documents.month import LUMP_SUM, MOST_ATTACHED_BYTES, category, invoice_of
from services.billing.domain.credit_note import CreditNote
from services.billing.domain.legal import rows_of
from services.billing.domain.payment import delay_days
from services.billing.domain.statement import Item, Statement

HEADERS = (
    "Avoir",
    "Facture corrigée",
    "Service le",
    "Commande",
    "Trajet",
    "Service",
    "TVA en %",
    "Montant HT en euros",
)


def credit_of(note: CreditNote, statement: Statement) -> Invoice:
    """Return the document of type 381 that gives a note back, one line per tax rate; a list inside says which legs.

    The same note and statement give the same document.

    Raises
    ------
    InvoiceDataMissing
        When the statement does not hold all that an invoice must say.
    """
    legs = legs_as_csv(note)
    list_id = f"BL-{note.number}"
    original = invoice_of(statement)
    reason = "".join(letter if letter.isprintable() else " " for letter in note.reason)  # XML knows no control codes
    document = credit_note(
        original,
        number=note.number,
        issued_on=note.issued_on,
        due_on=note.issued_on + timedelta(days=delay_days(rows_of("payment"), note.buyer.kind, note.issued_on)),
        lines=[_line(str(index), item) for index, item in enumerate(note.items, start=1)],
        notes=[
            *(one for one in original.notes if one.code != FREE_TEXT),
            Note(FREE_TEXT, f"Motif de l'avoir : {reason}"),
        ],
        attachments=[Attachment(list_id, "BON_LIVRAISON", "text/csv", f"avoir-{note.number}.csv", legs)]
        if len(legs) <= MOST_ATTACHED_BYTES
        else [],
    )
    return replace(document, delivery_list=list_id)


def legs_as_csv(note: CreditNote) -> bytes:
    """Return one row per credited leg, written like a statement's CSV."""
    content = io.StringIO(newline="")
    writer = csv.writer(content, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)
    writer.writerows(
        (
            note.number,
            note.statement_number,
            _day(leg.service_date),
            _text(leg.reference),
            leg.leg,
            _text(leg.department_id),
            f"{leg.vat_permille // 10},{leg.vat_permille % 10}",
            _comma(leg.amount_cents),
        )
        for leg in note.legs
    )
    return content.getvalue().encode("utf-8-sig")


def _line(number: str, item: Item) -> Line:
    # What is given back of a leg may be any part of it: the amount is the price.
    return Line(
        id=number,
        code=item.code,
        name=item.label,
        description=f"{item.quantity} trajet{'s' if item.quantity > 1 else ''}, selon la liste jointe",
        quantity=Decimal(1),
        unit_code=LUMP_SUM,
        unit_price=Decimal(item.amount_cents).scaleb(-2),
        amount_cents=item.amount_cents,
        vat_permille=item.vat_permille,
        category=category(item.vat_permille),
    )
