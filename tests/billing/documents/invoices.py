"""Invoices with sensible defaults, straight from values: a test says only what matters to it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from services.billing.documents.invoice import (
    Allowance,
    Attachment,
    Invoice,
    Kind,
    Line,
    Note,
    Party,
    Profile,
    VatCategory,
    credit_note,
    half_up,
    vat_totals,
)
from services.billing.domain.invoicing import Contact, PostalAddress, vat_number_of

SELLER = Party(
    name="Les Coursiers de l'Erdre",
    siret="90000010000017",
    address=PostalAddress(("4 quai de Versailles",), "44000", "Nantes"),
    legal_form="SCIC SA à capital variable, 45 000 euros",
    vat_number=vat_number_of("900000100"),
    contact=Contact("Service facturation", "+33200000000", "factures@erdre.example"),
)
BUYER = Party(
    name="Ville de Nantes (démonstration)",
    siret="90000030800016",
    address=PostalAddress(("2 rue de l'Hôtel-de-Ville", "Direction des finances"), "44094", "Nantes"),
)
NOTES = (
    Note("PMT", "Indemnité forfaitaire pour frais de recouvrement : 40 EUR"),
    Note("PMD", "Intérêts moratoires : taux de la BCE majoré de huit points"),
    Note("AAB", "Pas d'escompte pour paiement anticipé"),
)


def a_line(
    quantity: str = "182",
    price: str = "9.45",
    permille: int = 200,
    *,
    number: str = "1",
    code: str = "COURSE",
    **more: Any,
) -> Line:
    """Return a line whose amount is the exact product; 0 per mille is exempt."""
    factors = Decimal(quantity), Decimal(price)
    line = Line(
        id=number,
        code=code,
        name="Course à vélo",
        quantity=factors[0],
        unit_code="C62",
        unit_price=factors[1],
        amount_cents=int(half_up(factors[0] * factors[1]).scaleb(2)),
        vat_permille=permille,
        category=VatCategory.STANDARD if permille else VatCategory.EXEMPT,
        description="Bordereau des prix, version 1",
    )
    return replace(line, **more)


def an_invoice(*lines: Line, **changes: Any) -> Invoice:
    """Return November's invoice of a seller under VAT to a buyer who demands nothing: 182 x 9.45 EUR."""
    written = lines or (a_line(),)
    invoice = Invoice(
        kind=Kind.INVOICE,
        profile=Profile.EN16931,
        number="2026-00042",
        issued_on=date(2026, 12, 2),
        due_on=date(2027, 1, 1),
        process="S1",
        seller=SELLER,
        buyer=BUYER,
        contract_reference="2026-CYCLO-01",
        first_day=date(2026, 11, 1),
        last_day=date(2026, 11, 30),
        delivered_on=date(2026, 11, 27),
        iban="FR7630001007941234567890185",
        bic="BDFEFRPPCCT",
        payment_terms="Délai global de paiement : 30 jours",
        vat_due="payment",
        exemption_text="TVA non applicable, art. 293 B du CGI",
        exemption_code="VATEX-FR-FRANCHISE",
        lines=written,
        vat_totals=vat_totals(written, changes.get("allowances", ())),
        notes=NOTES,
    )
    return replace(invoice, **changes)


def of_a_franchise(invoice: Invoice) -> Invoice:
    """Return the same from a seller under franchise: no VAT, its SIREN instead of a VAT number."""
    lines = tuple(replace(line, vat_permille=0, category=VatCategory.EXEMPT) for line in invoice.lines)
    seller = replace(invoice.seller, vat_number="", tax_number=invoice.seller.siren)
    allowances = tuple(replace(one, vat_permille=0, category=VatCategory.EXEMPT) for one in invoice.allowances)
    return replace(invoice, seller=seller, lines=lines, allowances=allowances, vat_totals=vat_totals(lines, allowances))


def for_a_service(invoice: Invoice, code: str = "FIN-44") -> Invoice:
    """Return the same to a buyer who demands a service code."""
    return replace(
        invoice,
        profile=Profile.EXTENDED,
        buyer=replace(invoice.buyer, service_code=code),
        buyer_reference=code,
        engagement_number="EJ-26-004512",
    )


def a_full_invoice() -> Invoice:
    """Return an invoice that fills every term an invoice may carry."""
    lines = (
        a_line(order_line="1", account="6241-011", first_day=date(2026, 11, 1), last_day=date(2026, 11, 30)),
        a_line("64", "13.20", number="2", code="COURSE-2"),
        a_line("3.25", "28", number="3", code="ATTENTE", unit_code="HUR"),
    )
    allowances = (Allowance(5570, "Réfaction, décision 12/2026", "95", 200, VatCategory.STANDARD),)
    return for_a_service(
        an_invoice(
            *lines,
            allowances=allowances,
            prepaid_cents=30_000,
            project="CYCLO-2026",
            lot="LOT-1",
            account="011-6241",
            delivery_list="BL-2026-11",
            notes=(*NOTES, Note("AAI", "Facturé à ce jour : 41 250,00 sur 90 000,00 HT")),
            attachments=(
                Attachment("BL-2026-11", "BON_LIVRAISON", "text/csv", "livraisons-2026-11.csv", b"course;date\n1;2\n"),
            ),
        )
    )


def a_credit_note(original: Invoice | None = None) -> Invoice:
    """Return the credit note for two units of the first line."""
    invoice = original or an_invoice()
    first = invoice.lines[0]
    line = replace(
        first, id="1", quantity=Decimal(2), amount_cents=int(half_up(2 * first.unit_price).scaleb(2)), order_line=""
    )
    return credit_note(
        invoice, number="2026-00043", issued_on=date(2026, 12, 15), due_on=date(2027, 1, 14), lines=[line]
    )
