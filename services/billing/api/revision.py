"""A contract's revision clause as a body."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from services.billing.api.indices import IndexId, Number
from services.billing.api.shapes import MonthText
from services.billing.domain.coefficient import Rounding
from services.billing.domain.month import Month
from services.billing.domain.revision import CeilingBasis, IndexChoice, IndexWeight, RevisionTerms
from services.kit.http.edge import Body


class IndexWeightBody(Body):
    """How much of the price follows an index."""

    index_id: IndexId
    weight: Number


class RevisionBody(Body):
    """C = fixed + sum of weight x index / index of `base_month`; the fixed part and the weights make 1.

    `yearly_cap_percent` is how much a coefficient may exceed that of the same month one year before. With
    `only_beyond_months`, nothing moves unless more months than this lie between `base_month` and the contract's first.
    """

    fixed: Number
    weights: Annotated[list[IndexWeightBody], Field(min_length=1, max_length=10)]
    base_month: MonthText
    choice: IndexChoice = IndexChoice.EXECUTION
    lag_months: Annotated[int, Field(strict=True)] = 0
    every_months: Annotated[int, Field(strict=True)] = 1
    rounding: Rounding = Rounding.UP
    step: Number = "0.001"
    price_decimals: Annotated[int, Field(strict=True)] = 4
    yearly_cap_percent: Annotated[str, StringConstraints(pattern=r"^\d{1,2}(\.\d)?$")] | None = None
    ceiling_basis: CeilingBasis = CeilingBasis.REVISED
    only_beyond_months: Annotated[int, Field(strict=True)] = 0

    def to_domain(self, starts_on: date) -> RevisionTerms:
        """Return the clause of a contract that starts on a day, unchecked."""
        cap = self.yearly_cap_percent
        return RevisionTerms(
            fixed=Decimal(self.fixed),
            weights=tuple(IndexWeight(part.index_id, Decimal(part.weight)) for part in self.weights),
            base_month=Month.parse(self.base_month),
            first_month=Month.of(starts_on),
            choice=self.choice,
            lag_months=self.lag_months,
            every_months=self.every_months,
            rounding=self.rounding,
            step=Decimal(self.step),
            price_decimals=self.price_decimals,
            yearly_cap_permille=int(Decimal(cap) * 10) if cap is not None else None,
            ceiling_basis=self.ceiling_basis,
            only_beyond_months=self.only_beyond_months,
        )

    @classmethod
    def of(cls, terms: RevisionTerms) -> Self:
        """Show a clause."""
        cap = terms.yearly_cap_permille
        return cls(
            fixed=format(terms.fixed, "f"),
            weights=[IndexWeightBody(index_id=one.index_id, weight=format(one.weight, "f")) for one in terms.weights],
            base_month=str(terms.base_month),
            choice=terms.choice,
            lag_months=terms.lag_months,
            every_months=terms.every_months,
            rounding=terms.rounding,
            step=format(terms.step, "f"),
            price_decimals=terms.price_decimals,
            yearly_cap_percent=f"{cap // 10}.{cap % 10}" if cap is not None else None,
            ceiling_basis=terms.ceiling_basis,
            only_beyond_months=terms.only_beyond_months,
        )
