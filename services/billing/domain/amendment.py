"""Amendments: what they change, what they add up to, and which legal thresholds they touch, as warnings.

No threshold blocks: one that is touched asks for a decision in writing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from services.billing.domain.award import Award
from services.billing.domain.errors import LegalValueMissing
from services.billing.domain.legal import LegalRow, in_force
from services.billing.domain.money import in_french, rounded


@dataclass(frozen=True, slots=True)
class Amendment:
    """One amendment as it was signed. Amounts exclude tax; `delta_cents` is below zero when it lowers the maximum.

    `ground` is the article it rests on, such as "R2194-8". The difference goes to the whole life and to the period and
    lot named, 0 for none. `ends_on` and `previous_ends_on` are set when it changes the contract's last day.
    """

    number: int
    ground: str
    signed_on: date
    notified_on: date
    delta_cents: int
    new_maximum_cents: int
    period: int = 0
    lot: int = 0
    ends_on: date | None = None
    previous_ends_on: date | None = None
    reason: str = ""
    legal_decision: str = ""
    document_sha256: str = ""
    published_on: date | None = None
    recorded_by: str = ""


def cumulated(amendments: Iterable[Amendment], ground: str, initial_cents: int) -> Fraction:
    """Return what the amendments on one ground add to the initial amount, in per cent, exact; grounds stand apart."""
    return Fraction(100 * sum(one.delta_cents for one in amendments if one.ground == ground), initial_cents)


def percent_text(percent: Fraction) -> str:
    """Write a percentage with two decimals, half up: "6.67". For people only: comparisons are exact."""
    hundredths = Decimal(percent.numerator * 100) / Decimal(percent.denominator)
    return str((hundredths.quantize(Decimal(1), ROUND_HALF_UP) / 100).quantize(Decimal("0.01")))


def _percent_in_french(percent: Fraction) -> str:
    return f"{percent_text(percent).replace('.', ',')}\u00a0%"


def _threshold(rows: Sequence[LegalRow], kind: str, day: date) -> LegalRow | None:
    """Return the row of a kind in force on a day; None when no threshold is set then."""
    try:
        return in_force(rows, kind, day)
    except LegalValueMissing:
        return None


def _cents(row: LegalRow) -> int:
    return rounded(row.value * 100)


def award_warnings(award: Award, maximum_cents: int, day: date, rows: Sequence[LegalRow]) -> list[str]:
    """Return which threshold of its award a contract's maximum has reached on a day, as French sentences."""
    row = _threshold(rows, f"award-below-ht/{award.kind}", day)
    if row is None or maximum_cents < _cents(row):
        return []
    announced = _threshold(rows, f"award-below-ht-announced/{award.kind}", day)
    note = (
        f" Un seuil de {in_french(_cents(announced))} HT est annoncé ({announced.source}), à confirmer."
        if announced
        else ""
    )
    return [
        f"Le maximum de {in_french(maximum_cents)} HT n'est pas inférieur au seuil de {in_french(_cents(row))} HT "
        f"de cette procédure au {day:%d/%m/%Y} ({row.source}).{note}"
    ]


def warnings(
    amendment: Amendment,
    before: Sequence[Amendment],
    *,
    initial_cents: int,
    award: Award | None,
    rows: Sequence[LegalRow],
) -> list[str]:
    """Return every legal threshold that an amendment after others touches, as French sentences."""
    day, ground = amendment.signed_on, amendment.ground
    found: list[str] = []
    same = [*before, amendment]
    total = cumulated(same, ground, initial_cents)
    if (row := _threshold(rows, f"amendments-below-percent/{ground}", day)) and total >= Fraction(row.value):
        found.append(
            f"Les avenants fondés sur {ground} font {_percent_in_french(total)} du montant initial, "
            f"il faudrait moins de {row.value}\u00a0% ({row.source})."
        )
    sum_cents = sum(one.delta_cents for one in same if one.ground == ground)
    if (row := _threshold(rows, f"amendments-below-ht/{ground}", day)) and sum_cents >= _cents(row):
        found.append(
            f"Les avenants fondés sur {ground} font {in_french(sum_cents)} HT, il faudrait moins de "
            f"{in_french(_cents(row))} HT ({row.source})."
        )
    alone = Fraction(100 * amendment.delta_cents, initial_cents)
    if (row := _threshold(rows, f"amendment-at-most-percent/{ground}", day)) and alone > Fraction(row.value):
        found.append(
            f"L'avenant fait {_percent_in_french(alone)} du montant initial, plus de {row.value}\u00a0% ({row.source})."
        )
    if row := _threshold(rows, f"amendment-needs-reasoning/{ground}", day):
        found.append(f"Ce fondement demande une appréciation écrite ({row.source}).")
    if award is not None and amendment.delta_cents > 0:
        found.extend(award_warnings(award, amendment.new_maximum_cents, day, rows))
    return found
