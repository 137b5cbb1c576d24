"""Double entry: an entry moves an amount from one account of a contract to another, is added and never edited.

As each entry takes from one account what it gives to the other, the accounts of a contract sum to zero at all times.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Account(StrEnum):
    """Where a contract's money stands. All amounts exclude tax."""

    CEILING = "ceiling"
    """What the contract granted; negative, the counterpart of all others."""
    AVAILABLE = "available"
    """May still be ordered."""
    HELD = "held"
    """Ordered, not yet done."""
    OWED = "owed"
    """Done, not yet on a statement."""
    INVOICED = "invoiced"
    """On a closed statement."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`amount_cents` (above zero) moved from `source` to `target` because of `cause`.

    `cause` is the type of the event that said so, or what was done here: `contract`, `price-list`, `statement`
    followed by its id. `order_id` and `leg` are empty and 0 when the entry is about the contract as a whole. `scopes`
    are the keys of the contract's parts that it counts in besides the whole life.
    """

    contract_id: str
    source: Account
    target: Account
    amount_cents: int
    cause: str
    order_id: str = ""
    leg: int = 0
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.amount_cents <= 0 or self.source is self.target:
            raise ValueError(f"an entry moves something somewhere: {self}")


def balances_of(moved: Iterable[tuple[Account, Account, int]]) -> dict[Account, int]:
    """Return what stands on each account after these moves of (source, target, cents)."""
    sums = dict.fromkeys(Account, 0)
    for source, target, amount_cents in moved:
        sums[source] -= amount_cents
        sums[target] += amount_cents
    return sums
