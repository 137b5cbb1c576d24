"""The invoice of a closed month, from its frozen statement: what is missing is said before anything is written."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from services.billing.documents.invoice import (
    FREE_TEXT,
    Allowance,
    Attachment,
    Invoice,
    Kind,
    Line,
    Note,
    Party,
    Profile,
    VatCategory,
    VatTotal,
)
from services.billing.documents.mentions import NOTES, mention
from services.billing.domain.contract import Buyer, Cooperative
from services.billing.domain.errors import InvoiceDataMissing
from services.billing.domain.invoicing import entry_on, regime_on
from services.billing.domain.legal import rows_of
from services.billing.domain.money import in_french
from services.billing.domain.payment import delay_days
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import REGULARISATION, Item, Statement

NORMAL_PROCESS = "S1"
"""Goods or services, to be paid. Source: XP Z12-012, business processes (BT-23)."""
UNIT_CODES = dict.fromkeys(Unit, "C62")
"""Trips, loads, orders and stops are all counted one by one. Source: UN/ECE recommendation 20."""
LUMP_SUM = "LS"
DISCOUNT = "95"
"""Source: UNTDID 5189."""
MOST_ATTACHED_BYTES = 4_000_000
"""A longer list of deliveries goes beside the invoice, which then only names it."""


def missing(statement: Statement) -> list[str]:
    """Return in French what an e-invoice of this statement needs and the contract does not say."""
    seller = statement.seller
    gaps = missing_of(statement.buyer, seller, statement.issued_on)
    if not seller.vat_regimes:
        return gaps
    if any(item.vat_permille for item in statement.items) and not any(one.vat_number for one in seller.vat_regimes):
        gaps.append(f"numéro de TVA de {seller.name}")
    if any(not item.vat_permille for item in statement.items) and not any(
        one.is_franchise for one in seller.vat_regimes
    ):
        gaps.append(f"taux de TVA : {seller.name} n'est pas en franchise")
    return gaps


def missing_of(buyer: Buyer, seller: Cooperative, day: date) -> list[str]:
    """Return in French what an e-invoice of a seller, issued on a day, needs and the contract does not say."""
    entry = entry_on(buyer.directory_entries, day)
    wanted = [
        (buyer.postal_address is None, f"adresse postale de l'acheteur {buyer.name}"),
        (entry is None, f"consultation de l'annuaire pour l'acheteur {buyer.name}"),
        (
            entry is not None and entry.demands_service_code and not buyer.service_code,
            "code service, exigé par l'annuaire",
        ),
        (
            entry is not None and entry.demands_engagement_number and not buyer.engagement_number,
            "numéro d'engagement, exigé par l'annuaire",
        ),
        (seller.postal_address is None, f"adresse postale de {seller.name}"),
        (not seller.legal_form, f"forme juridique de {seller.name}"),
        (not seller.iban, f"IBAN de {seller.name}"),
        (regime_on(seller.vat_regimes, day) is None, f"régime de TVA de {seller.name}"),
    ]
    return [what for is_missing, what in wanted if is_missing]


def invoice_of(statement: Statement, delivery_list: bytes = b"") -> Invoice:
    """Return a statement's invoice; `delivery_list` is the CSV of its legs, carried inside unless it is too long.

    The same statement and list give the same invoice.

    Raises
    ------
    InvoiceDataMissing
        When the contract does not hold all that it must say.
    """
    gaps = missing(statement)
    buyer, seller = statement.buyer, statement.seller
    entry = entry_on(buyer.directory_entries, statement.issued_on)
    if gaps or entry is None or buyer.postal_address is None or seller.postal_address is None:
        raise InvoiceDataMissing(gaps)
    day = statement.issued_on
    days = delay_days(rows_of("payment"), buyer.kind, day)
    list_id = f"BL-{statement.number}"
    is_taxed = any(item.vat_permille for item in statement.items)
    numbered = [one.vat_number for one in sorted(seller.vat_regimes, key=lambda one: one.valid_from) if one.vat_number]
    gauge = statement.gauge
    return Invoice(
        kind=Kind.INVOICE,
        profile=Profile.EXTENDED if entry.demands_service_code else Profile.EN16931,
        number=statement.number,
        issued_on=day,
        due_on=day + timedelta(days=days),
        process=NORMAL_PROCESS,
        seller=Party(
            name=seller.name,
            siret=seller.siret,
            address=seller.postal_address,
            legal_form=", ".join(part for part in (seller.legal_form, seller.share_capital) if part),
            vat_number=numbered[-1] if is_taxed else "",
            tax_number="" if is_taxed else seller.siret[:9],
            contact=seller.contact,
        ),
        buyer=Party(
            name=buyer.name,
            siret=buyer.siret,
            address=buyer.postal_address,
            service_code=buyer.service_code if entry.demands_service_code else "",
        ),
        buyer_reference=buyer.service_code,
        engagement_number=buyer.engagement_number,
        contract_reference=statement.contract_reference,
        first_day=min(statement.month.first_day, statement.first_day),
        last_day=statement.month.last_day,
        delivered_on=statement.last_day,
        iban=seller.iban,
        bic=seller.bic,
        payment_terms=mention("payment-terms", day).format(days=days),
        vat_due=mention("vat-due", day),
        exemption_text=mention("exemption-text", day),
        exemption_code=mention("exemption-code", day),
        lines=_lines(statement.items),
        prepaid_cents=statement.prepaid_cents,
        allowances=tuple(
            Allowance(
                allowance.amount_cents,
                allowance.reason,
                DISCOUNT,
                allowance.vat_permille,
                category(allowance.vat_permille),
            )
            for allowance in statement.allowances
        ),
        vat_totals=tuple(
            VatTotal(category(tax.permille), tax.permille, tax.base_cents, tax.tax_cents) for tax in statement.taxes
        ),
        notes=(
            *(Note(code, mention(code, day)) for code in NOTES),
            Note(
                FREE_TEXT,
                f"Marché {statement.contract_reference} : facturé à ce jour {in_french(gauge.invoiced_cents)} HT "
                f"sur un maximum de {in_french(gauge.ceiling_cents)} HT",
            ),
        ),
        delivery_list=list_id,
        attachments=(
            Attachment(list_id, "BON_LIVRAISON", "text/csv", f"livraisons-{statement.number}.csv", delivery_list),
        )
        if delivery_list and len(delivery_list) <= MOST_ATTACHED_BYTES
        else (),
    )


def _lines(items: Sequence[Item]) -> tuple[Line, ...]:
    """Return one line per item, in the statement's order, which is stable."""
    return tuple(_line(str(index), item) for index, item in enumerate(items, start=1))


def _line(number: str, item: Item) -> Line:
    if item.unit_price_cents is None:
        # What a rule charges has a price of its own for each leg; the list of deliveries holds them. A price is never
        # below zero: what is given back is one lump less. Source: EN 16931, rule BR-27.
        quantity, unit_code = Decimal(-1 if item.amount_cents < 0 else 1), LUMP_SUM
        unit_price = Decimal(abs(item.amount_cents)).scaleb(-2)
        description = (
            f"Règle du marché, {item.quantity} trajet{'s' if item.quantity > 1 else ''}, selon la liste jointe"
        )
        if item.code == REGULARISATION:
            description = "Révision définitive des prix, selon la liste jointe"
    else:
        quantity, unit_code = Decimal(item.quantity), UNIT_CODES[item.unit]
        unit_price = Decimal(item.revised_unit_price or Decimal(item.unit_price_cents).scaleb(-2))
        description = f"Bordereau des prix, version {item.price_list_version}"
    if item.coefficient:
        description += f" ; prix révisés, coefficient {item.coefficient.replace('.', ',')} ({item.period})"
        description += ", provisoire" if item.is_provisional else ""
    return Line(
        id=number,
        code=item.code,
        name=item.label,
        description=description,
        quantity=quantity,
        unit_code=unit_code,
        unit_price=unit_price,
        amount_cents=item.amount_cents,
        vat_permille=item.vat_permille,
        category=category(item.vat_permille),
    )


def category(permille: int) -> VatCategory:
    """Return what a rate of zero is here: exempt."""
    return VatCategory.STANDARD if permille else VatCategory.EXEMPT
