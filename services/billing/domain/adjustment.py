"""What a leg or a statement comes to beyond base prices: revised lines, and the correction of earlier ones."""

from dataclasses import dataclass

from services.billing.domain.coefficient import Coefficient


@dataclass(frozen=True, slots=True)
class RevisedLine:
    """A charged line at its revised price; `amount_cents` is its share of its item, which is rounded as a whole.

    `period` is the month that decided the coefficient, such as "2026-11".
    """

    period: str
    coefficient: Coefficient
    amount_cents: int


LineId = tuple[str, int, int]
"""An order, its leg, and the place of a line in the leg's settlement."""


@dataclass(frozen=True, slots=True)
class Revised:
    """What a leg comes to at revised prices, frozen when its month was closed; all in cents excluding tax.

    `full_cents` is the sum of its revised lines. `beyond_cents` of it found no room under the maximum and are not
    charged, as `beyond` says in French. `corrected_cents` is what later statements added or gave back. Where the
    maximum is consumed `at_base` prices, `given_back_cents` is what credit notes returned to it.
    """

    full_cents: int
    at_base: bool
    beyond_cents: int = 0
    beyond: str = ""
    corrected_cents: int = 0
    given_back_cents: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """One leg's part of a correction; below zero when it gives back."""

    order_id: str
    leg: int
    department_id: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Correction:
    """An item of a statement that is no price times a quantity, told leg by leg."""

    code: str
    label: str
    vat_permille: int
    shares: tuple[Share, ...]

    @property
    def amount_cents(self) -> int:
        """The sum of the shares."""
        return sum(share.amount_cents for share in self.shares)
