"""An advance: money paid before any work, taken back from the payments of work that comes to an agreed share.

It is no item of a statement and consumes nothing: a statement says what of it was paid in advance (BT-113).

Sources: CCP R2191-3 to -12; decree 2025-1383 (rate and start of recovery together do not exceed 100 %).
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.billing.domain.coefficient import rounded_cents
from services.billing.domain.errors import AdvanceInvalid
from services.kit.errors import DomainError


@dataclass(frozen=True, slots=True)
class AdvanceTerms:
    """An advance as paid, including tax, to one of the holders (empty: the lead), and when it is taken back.

    Nothing until `from_percent` of the maximum is invoiced, all once `to_percent` is, in a straight line between.
    """

    paid_cents: int
    paid_on: date
    from_percent: int = 65
    to_percent: int = 80
    cooperative_id: str = ""

    def check(self) -> list[DomainError]:
        """Return what is wrong: AdvanceInvalid."""
        is_right = self.paid_cents > 0 and 0 <= self.from_percent < self.to_percent <= 100
        return [] if is_right else [AdvanceInvalid()]


def base_cents(gross_cents: int, months: int) -> int:
    """Return what an advance is a share of: the amount including tax, a year's part of it when it lasts longer."""
    return gross_cents if months <= 12 else rounded_cents(Fraction(gross_cents * 12, months))


def advance_cents(gross_cents: int, months: int, rate_permille: int) -> int:
    """Return the advance on a contract of so many months, at a rate of its base."""
    return rounded_cents(Fraction(base_cents(gross_cents, months) * rate_permille, 1000))


def recovered_cents(terms: AdvanceTerms, *, executed_cents: int, maximum_cents: int) -> int:
    """Return what is taken back once so much of the maximum is invoiced, in all."""
    executed = Fraction(executed_cents, maximum_cents) * 100
    share = (executed - terms.from_percent) / (terms.to_percent - terms.from_percent)
    return rounded_cents(terms.paid_cents * min(Fraction(1), max(Fraction(0), share)))
