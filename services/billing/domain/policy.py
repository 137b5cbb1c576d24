"""What a contract does with an order that fits under its ceiling, but should not pass by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.billing.domain.ceiling import Ceiling, LegAmount, Scope
from services.billing.domain.ceiling_errors import OrderLimitExceeded, ReserveReached
from services.billing.domain.money import percent_of
from services.kit.errors import DomainError


class Beyond(StrEnum):
    """What becomes of such an order. Beyond a maximum it is refused in any case."""

    REFUSE = "refuse"
    APPROVAL = "approval"
    """It waits for a named person. Nothing is held meanwhile: dispatch plans only what is held."""


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """`reserve_percent` of each maximum is kept back; an order above `order_limit_cents` does not pass by itself.

    `margin_percent` of a leg's estimate is held on top of it, for extras known only after delivery; what they do not
    use is released.
    """

    beyond: Beyond = Beyond.REFUSE
    reserve_percent: int = 0
    order_limit_cents: int | None = None
    margin_percent: int = 0

    def margin_of(self, estimate_cents: int) -> int:
        """Return what is held on top of an estimate."""
        return percent_of(estimate_cents, self.margin_percent) if self.margin_percent else 0

    def concerns(self, ceiling: Ceiling, asked: Sequence[LegAmount]) -> list[DomainError]:
        """Return why an order may not pass by itself, before it is held: nothing when it may."""
        found: list[DomainError] = []
        asked_cents = sum(amount.amount_cents for amount in asked)
        if self.order_limit_cents is not None and asked_cents > self.order_limit_cents:
            found.append(OrderLimitExceeded(asked_cents=asked_cents, limit_cents=self.order_limit_cents))
        if not self.reserve_percent:
            return found
        for name, one in ceiling.everywhere:
            key = one.key if isinstance(one, Scope) else ""
            cents = sum(amount.amount_cents for amount in asked if not key or key in amount.scopes)
            reserve_cents = percent_of(one.ceiling_cents, self.reserve_percent)
            if cents > max(one.left_cents - reserve_cents, 0):
                found.append(
                    ReserveReached(name, asked_cents=cents, left_cents=one.left_cents, reserve_cents=reserve_cents)
                )
        return found
