"""Money is whole cents; text with two decimals at the edge; one rounding rule for all of it: half up.

Half up means away from zero on the half: 0.5 cent becomes 1, -0.5 cent becomes -1. No floats anywhere.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

AMOUNT_PATTERN = r"^\d{1,12}(\.\d{1,2})?$"
"""An amount as text: euros, a point, at most two decimals; never negative, never an exponent."""

_AMOUNT = re.compile(r"\d{1,12}(?:\.\d{1,2})?", re.ASCII)


def cents(text: str) -> int:
    """Read an amount such as "1234.5" or "1234.50". Raises ValueError for anything else, floats included."""
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(f"not an amount in euros with at most two decimals: {text!r}")
    return int(Decimal(text).scaleb(2))


def decimal_text(amount_cents: int) -> str:
    """Write an amount the way interfaces carry it: "1234.50"."""
    sign = "-" if amount_cents < 0 else ""
    euros, rest = divmod(abs(amount_cents), 100)
    return f"{sign}{euros}.{rest:02d}"


def in_french(amount_cents: int) -> str:
    """Write an amount the way a French sentence does: "1 234,50 €", with spaces that do not break."""
    sign = "-" if amount_cents < 0 else ""
    euros, rest = divmod(abs(amount_cents), 100)
    grouped = f"{euros:,}".replace(",", "\u202f")
    return f"{sign}{grouped},{rest:02d}\u00a0€"


def rounded(amount: Decimal) -> int:
    """Round to a whole number of cents, half up."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percent_of(amount_cents: int, percent: int) -> int:
    """Return `percent` per cent of an amount, rounded."""
    return rounded(Decimal(amount_cents) * percent / 100)


@dataclass(frozen=True, slots=True)
class Tax:
    """What one VAT rate comes to on the total of that rate."""

    permille: int
    base_cents: int
    tax_cents: int


def taxes(base_cents_by_permille: Mapping[int, int]) -> tuple[Tax, ...]:
    """Compute VAT once per rate on that rate's total, highest rate first; never line by line."""
    return tuple(
        Tax(permille, base, rounded(Decimal(base) * permille / 1000))
        for permille, base in sorted(base_cents_by_permille.items(), reverse=True)
    )


def totals_by_rate(amounts: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Sum (permille, cents) pairs by rate."""
    sums: dict[int, int] = {}
    for permille, amount_cents in amounts:
        sums[permille] = sums.get(permille, 0) + amount_cents
    return sums
