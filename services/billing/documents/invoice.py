"""An invoice or credit note as it is issued: frozen values, their sums, and the exact check of all arithmetic.

It knows no XML and no library: `mapping` writes it, `validation` reads what was written and checks it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from services.billing.domain.invoicing import Contact, PostalAddress
from services.billing.domain.money import rounded

CENT = Decimal("0.01")
FREE_TEXT = "AAI"
"""The subject code of a note that the law does not ask for. Source: UNTDID 4451."""


class Kind(StrEnum):
    """The type codes we issue. Source: UNTDID 1001, as limited by XP Z12-012."""

    INVOICE = "380"
    CREDIT_NOTE = "381"


class Profile(StrEnum):
    """How much the buyer asks for: the core of EN 16931, or its extension that can carry a service code as routing."""

    EN16931 = "en16931"
    EXTENDED = "extended"


class VatCategory(StrEnum):
    """Standard rate, or exempt. Source: UNTDID 5305."""

    STANDARD = "S"
    EXEMPT = "E"


@dataclass(frozen=True, slots=True)
class Party:
    """A seller or buyer as the document names it. A seller has a VAT number, or under franchise a tax number."""

    name: str
    siret: str
    address: PostalAddress
    legal_form: str = ""
    vat_number: str = ""
    tax_number: str = ""
    contact: Contact | None = None
    service_code: str = ""

    @property
    def siren(self) -> str:
        """The company the establishment belongs to."""
        return self.siret[:9]


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its subject code, such as PMT. Source: UNTDID 4451."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Preceding:
    """The invoice that a credit note corrects."""

    number: str
    issued_on: date


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document carried inside; `kind` is one of the French list, such as BON_LIVRAISON."""

    id: str
    kind: str
    media_type: str
    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """Quantity (up to 4 decimals) times unit price in euros excluding tax (up to 4 decimals) is the amount."""

    id: str
    code: str
    name: str
    quantity: Decimal
    unit_code: str
    unit_price: Decimal
    amount_cents: int
    vat_permille: int
    category: VatCategory
    description: str = ""
    first_day: date | None = None
    last_day: date | None = None
    order_line: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A lower price decided on the whole month (réfaction); never a penalty, which is outside VAT."""

    amount_cents: int
    reason: str
    reason_code: str
    vat_permille: int
    category: VatCategory


@dataclass(frozen=True, slots=True)
class VatTotal:
    """What one rate comes to on the total of that rate."""

    category: VatCategory
    permille: int
    base_cents: int
    tax_cents: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One issued document. Amounts are positive, also in a credit note: its kind turns them round.

    `project`, `lot`, `account`, `delivery_list`, `engagement_number` and `buyer_reference` are left out when empty.
    `vat_due` says when VAT falls due: "payment", "delivery" or "invoice". The exemption's text and code are written
    where a line is exempt.
    """

    kind: Kind
    profile: Profile
    number: str
    issued_on: date
    due_on: date
    process: str
    seller: Party
    buyer: Party
    contract_reference: str
    first_day: date
    last_day: date
    delivered_on: date
    iban: str
    bic: str
    payment_terms: str
    vat_due: str
    exemption_text: str
    exemption_code: str
    lines: tuple[Line, ...]
    vat_totals: tuple[VatTotal, ...]
    notes: tuple[Note, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    prepaid_cents: int = 0
    buyer_reference: str = ""
    engagement_number: str = ""
    project: str = ""
    lot: str = ""
    account: str = ""
    delivery_list: str = ""
    preceding: Preceding | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def lines_cents(self) -> int:
        """The sum of the lines, excluding tax."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def allowances_cents(self) -> int:
        """The sum of the allowances."""
        return sum(allowance.amount_cents for allowance in self.allowances)

    @property
    def net_cents(self) -> int:
        """Total excluding tax: what counts against the contract's maximum."""
        return self.lines_cents - self.allowances_cents

    @property
    def tax_cents(self) -> int:
        """Total tax."""
        return sum(total.tax_cents for total in self.vat_totals)

    @property
    def gross_cents(self) -> int:
        """Total including tax."""
        return self.net_cents + self.tax_cents

    @property
    def due_cents(self) -> int:
        """What is to be paid: the total less an advance already paid."""
        return self.gross_cents - self.prepaid_cents

    @property
    def figures(self) -> "Figures":
        """Everything that has to add up."""
        return Figures(
            lines=tuple(
                LineFigures(
                    line.id,
                    line.quantity,
                    line.unit_price,
                    _euros(line.amount_cents),
                    line.category,
                    _percent(line.vat_permille),
                )
                for line in self.lines
            ),
            allowances=tuple(
                (_euros(one.amount_cents), one.category.value, _percent(one.vat_permille)) for one in self.allowances
            ),
            vat=tuple(
                (total.category.value, _percent(total.permille), _euros(total.base_cents), _euros(total.tax_cents))
                for total in self.vat_totals
            ),
            lines_total=_euros(self.lines_cents),
            allowances_total=_euros(self.allowances_cents),
            net=_euros(self.net_cents),
            tax=_euros(self.tax_cents),
            gross=_euros(self.gross_cents),
            prepaid=_euros(self.prepaid_cents),
            due=_euros(self.due_cents),
        )


def vat_totals(lines: Iterable[Line], allowances: Iterable[Allowance] = ()) -> tuple[VatTotal, ...]:
    """Compute VAT once per rate on the total of that rate, half up, highest rate first; never line by line."""
    bases: dict[tuple[int, VatCategory], int] = {}
    for line in lines:
        key = (line.vat_permille, line.category)
        bases[key] = bases.get(key, 0) + line.amount_cents
    for allowance in allowances:
        key = (allowance.vat_permille, allowance.category)
        bases[key] = bases.get(key, 0) - allowance.amount_cents
    return tuple(
        VatTotal(category, permille, base, rounded(Decimal(base) * permille / 1000))
        for (permille, category), base in sorted(bases.items(), reverse=True)
    )


def credit_note(
    original: Invoice,
    *,
    number: str,
    issued_on: date,
    due_on: date,
    lines: Sequence[Line],
    notes: Sequence[Note] | None = None,
    attachments: Sequence[Attachment] = (),
) -> Invoice:
    """Return the credit note that gives `lines` of an invoice back: positive amounts, VAT at the lines' own rates.

    It names the invoice it corrects, and nothing of it stays but the parties, the contract and the terms. `notes`
    replaces the original's; without it, all stay but what the original said of its own day.
    """
    return replace(
        original,
        kind=Kind.CREDIT_NOTE,
        number=number,
        issued_on=issued_on,
        due_on=due_on,
        lines=tuple(lines),
        vat_totals=vat_totals(lines),
        allowances=(),
        prepaid_cents=0,
        preceding=Preceding(original.number, original.issued_on),
        notes=tuple(note for note in original.notes if note.code != FREE_TEXT) if notes is None else tuple(notes),
        attachments=tuple(attachments),
    )


@dataclass(frozen=True, slots=True)
class LineFigures:
    """A line's factors and result, in euros; the price is for `base_quantity` units."""

    id: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    category: str
    rate: Decimal
    base_quantity: Decimal = Decimal(1)
    allowance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """All amounts of a document in euros, whether of an `Invoice` or read back from its bytes.

    `allowances` holds (amount, category, rate) and `vat` (category, rate, base, tax); rates are in per cent.
    """

    lines: tuple[LineFigures, ...]
    allowances: tuple[tuple[Decimal, str, Decimal], ...]
    vat: tuple[tuple[str, Decimal, Decimal, Decimal], ...]
    lines_total: Decimal
    allowances_total: Decimal
    net: Decimal
    tax: Decimal
    gross: Decimal
    prepaid: Decimal
    due: Decimal


def arithmetic_faults(figures: Figures) -> list[tuple[str, str]]:
    """Return (term, French sentence) for every product or sum that is not exact to the cent; none when all are.

    The official rules see neither a wrong unit price nor a tax that is wrong by less than a euro; this does.
    """
    faults: list[tuple[str, str]] = []

    def expect(term: str, what: str, given: Decimal, exact: Decimal) -> None:
        if given != exact:
            faults.append((term, f"{what} : {given} est écrit, le calcul exact donne {exact}."))

    bases: dict[tuple[str, Decimal], Decimal] = {}
    for line in figures.lines:
        exact = half_up(line.quantity * line.price / line.base_quantity) - line.allowance
        expect("BT-131", f"ligne {line.id}, quantité × prix unitaire", line.amount, exact)
        key = (line.category, line.rate)
        bases[key] = bases.get(key, Decimal(0)) + line.amount
    for amount, category, rate in figures.allowances:
        bases[category, rate] = bases.get((category, rate), Decimal(0)) - amount
    expect("BT-106", "somme des lignes", figures.lines_total, sum((line.amount for line in figures.lines), Decimal(0)))
    expect(
        "BT-107",
        "somme des réfactions",
        figures.allowances_total,
        sum((one[0] for one in figures.allowances), Decimal(0)),
    )
    expect("BT-109", "total HT", figures.net, figures.lines_total - figures.allowances_total)
    stated = {(category, rate) for category, rate, _, _ in figures.vat}
    if len(stated) != len(figures.vat) or stated != set(bases):
        faults.append(("BG-23", "la ventilation de la TVA ne cite pas une fois chaque taux des lignes."))
    for category, rate, base, tax in figures.vat:
        expect("BT-116", f"base de TVA {category} {rate} %", base, bases.get((category, rate), Decimal(0)))
        expect("BT-117", f"TVA {category} {rate} %", tax, half_up(base * rate / 100))
    expect("BT-110", "total de la TVA", figures.tax, sum((one[3] for one in figures.vat), Decimal(0)))
    expect("BT-112", "total TTC", figures.gross, figures.net + figures.tax)
    expect("BT-115", "net à payer", figures.due, figures.gross - figures.prepaid)
    return faults


def half_up(amount: Decimal) -> Decimal:
    """Round euros to the cent, half away from zero."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def _euros(amount_cents: int) -> Decimal:
    return Decimal(amount_cents).scaleb(-2)


def _percent(permille: int) -> Decimal:
    return Decimal(permille).scaleb(-1)
