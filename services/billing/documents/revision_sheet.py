"""A statement's revision calculation sheet: each revised item with its indices, coefficient and roundings, and each
correction of an earlier statement; CSV and A4. It is made from what was frozen when the month was closed.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.billing.documents import _day, _draw, _pages, _text, month_in_french
from services.billing.domain.coefficient import Coefficient
from services.billing.domain.money import decimal_text
from services.billing.domain.month import Month
from services.billing.domain.statement import REGULARISATION, Item, Statement
from services.billing.repository.revision import Applied

HEADERS = (
    "État", "Prix", "Libellé", "Bordereau", "Période", "Formule", "Coefficient exact", "Coefficient", "Arrondi", "Pas",
    "Plafonné", "Provisoire", "Quantité", "Prix de base HT", "Prix révisé HT", "Montant de base HT", "Montant HT",
)  # fmt: skip
ROUNDINGS = {"up": "par excès", "nearest": "au plus près", "down": "par défaut"}
EXACT_DECIMALS = 10


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the sheet says: `own` are the statement's coefficients by period; `later` ones correct other statements."""

    statement: Statement
    own: dict[str, Coefficient]
    later: tuple[Applied, ...]

    @classmethod
    def of(cls, statement: Statement, applied: Sequence[Applied]) -> "Sheet":
        """Tell a statement's own coefficients from the others."""
        own = {one.period: one.coefficient for one in applied if one.billed_on_id == statement.id}
        return cls(statement, own, tuple(one for one in applied if one.billed_on_id != statement.id))

    @property
    def revised(self) -> list[Item]:
        """The items at revised prices."""
        return [item for item in self.statement.items if item.coefficient]

    @property
    def corrections(self) -> list[Item]:
        """The items that correct earlier statements."""
        return [item for item in self.statement.items if item.code == REGULARISATION]

    @property
    def base_cents(self) -> int:
        """What the revised items come to at base prices."""
        return sum(item.base_cents or 0 for item in self.revised)

    @property
    def revised_cents(self) -> int:
        """What they come to."""
        return sum(item.amount_cents for item in self.revised)


def is_revised(statement: Statement) -> bool:
    """Return whether a statement has such a sheet."""
    return any(item.coefficient or item.code == REGULARISATION for item in statement.items)


def as_csv(statement: Statement, applied: Sequence[Applied]) -> bytes:
    """Return one row per revised item, one per coefficient that corrects an earlier statement, then one per amount."""
    sheet = Sheet.of(statement, applied)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)
    for item in sheet.revised:
        base_price = "" if item.unit_price_cents is None else _comma(decimal_text(item.unit_price_cents))
        writer.writerow([
            statement.number, item.code, _text(item.label), item.price_list_version, item.period,
            *_of(sheet.own[item.period]), item.quantity, base_price, _comma(item.revised_unit_price),
            _comma(decimal_text(item.base_cents or 0)), _comma(decimal_text(item.amount_cents)),
        ])  # fmt: skip
    for one in sheet.later:
        label = f"Coefficient définitif de l'état {one.number}"
        writer.writerow([one.number, "", label, "", one.period, *_of(one.coefficient), *[""] * 5])
    for item in sheet.corrections:
        amount = _comma(decimal_text(item.amount_cents))
        writer.writerow([statement.number, item.code, _text(item.label), *[""] * 13, amount])
    return text.getvalue().encode("utf-8-sig")


def as_pdf(statement: Statement, applied: Sequence[Applied]) -> bytes:
    """Return it on A4. Raises PrintingUnavailable."""
    return _draw(as_html(statement, applied), statement.id)


def as_html(statement: Statement, applied: Sequence[Applied]) -> str:
    """Return what `as_pdf` prints."""
    return _pages.environment.get_template("revision_paper.html").render(
        statement=statement,
        sheet=Sheet.of(statement, applied),
        month=month_in_french(statement.month),
        in_french=lambda period: month_in_french(Month.parse(period)),
        day=_day,
        comma=_comma,
        exact=exact_text,
        roundings=ROUNDINGS,
    )


def exact_text(coefficient: Coefficient) -> str:
    """Write a coefficient before rounding, with « … » after the last decimal when it goes on."""
    numerator, denominator = coefficient.exact.numerator, coefficient.exact.denominator
    whole, rest = divmod(numerator * 10**EXACT_DECIMALS, denominator)
    text = format(Decimal(whole).scaleb(-EXACT_DECIMALS), "f")
    return _comma(text + "…" if rest else text.rstrip("0").rstrip("."))


def _of(coefficient: Coefficient) -> list[str]:
    parts = [format(coefficient.fixed, "f")] + [
        f"{format(use.weight, 'f')} × {use.index_id} {use.month} (v{use.version}) {format(use.value, 'f')}"
        f" / {use.base_month} {format(use.base_value, 'f')}"
        for use in coefficient.uses
    ]
    return [
        _comma(" + ".join(parts)),
        f"{coefficient.exact.numerator}/{coefficient.exact.denominator}",
        _comma(format(coefficient.value, "f")),
        ROUNDINGS[coefficient.rounding.value],
        _comma(format(coefficient.step, "f")),
        "oui" if coefficient.is_capped else "non",
        "oui" if coefficient.is_provisional else "non",
    ]


def _comma(text: object) -> str:
    return str(text).replace(".", ",")
