"""A price revision's coefficient: exact until it is rounded once, as the contract says; what it does to a unit price.

Everything is a whole number, a Decimal or a Fraction: in binary floats a coefficient that falls exactly on a thousandth
comes out a hair above it, and rounding up adds a thousandth that nobody owes.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction


class Rounding(StrEnum):
    """Where a coefficient goes that is no whole number of steps."""

    UP = "up"
    NEAREST = "nearest"
    """Half goes up."""
    DOWN = "down"


def rounded_to(exact: Fraction, step: Decimal, rounding: Rounding) -> Decimal:
    """Return the whole number of steps beside `exact`; a number of steps already is returned as it is."""
    steps = exact / Fraction(step)
    match rounding:
        case Rounding.UP:
            whole = -(-steps.numerator // steps.denominator)
        case Rounding.NEAREST:
            whole = (2 * steps.numerator + steps.denominator) // (2 * steps.denominator)
        case Rounding.DOWN:
            whole = steps.numerator // steps.denominator
    return whole * step


def rounded_cents(exact: Fraction) -> int:
    """Round to a whole number of cents, half up, away from zero on the half."""
    twice = 2 * abs(exact)
    whole = (twice.numerator + twice.denominator) // (2 * twice.denominator)
    return whole if exact >= 0 else -whole


def exact_text(exact_cents: Fraction) -> str:
    """Write an amount before rounding, in euros. Prices and tax rates have few decimals, so that it ends."""
    return format((Decimal(exact_cents.numerator) / exact_cents.denominator).scaleb(-2), "f")


def shared(exact: list[Fraction]) -> list[int]:
    """Cut the rounded sum of these amounts, in cents, into whole cents for each: together exactly the rounded sum.

    Each share is what the running total grew by once rounded, so that none is more than a cent from its own amount.
    """
    shares: list[int] = []
    total, told = Fraction(0), 0
    for amount in exact:
        total += amount
        shares.append(rounded_cents(total) - told)
        told += shares[-1]
    return shares


@dataclass(frozen=True, slots=True)
class IndexUse:
    """One index in a coefficient: its weight and both its values. Months are text, such as "2026-11".

    `version` is the number of the value's row for its month; `wanted_month` differs from `month` when the wanted value
    was not out yet and the last known one was used instead.
    """

    index_id: str
    weight: Decimal
    base_month: str
    base_value: Decimal
    wanted_month: str
    month: str
    value: Decimal
    version: int
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class Coefficient:
    """What unit prices are multiplied by, with everything it was reckoned from.

    `exact` is before rounding; `is_capped` says that the contract's yearly safeguard held it back; the price it gives
    is rounded to `price_decimals`.
    """

    value: Decimal
    exact: Fraction
    fixed: Decimal
    uses: tuple[IndexUse, ...]
    rounding: Rounding
    step: Decimal
    price_decimals: int
    is_provisional: bool
    is_capped: bool = False

    def unit_price(self, base_cents: int) -> Decimal:
        """Return the revised unit price in euros, half up to the contract's decimals."""
        price = Decimal(base_cents).scaleb(-2) * self.value
        return price.quantize(Decimal(1).scaleb(-self.price_decimals), rounding=ROUND_HALF_UP)

    def exact_cents(self, quantity: int, base_cents: int) -> Fraction:
        """Return quantity times the revised unit price, in cents, not rounded: a line is rounded once, on its total."""
        return quantity * Fraction(self.unit_price(base_cents)) * 100

    def cents(self, quantity: int, base_cents: int) -> int:
        """Return quantity times the revised unit price, rounded to the cent."""
        return rounded_cents(self.exact_cents(quantity, base_cents))
