"""Holds whose day passed long ago without news are given back."""

from datetime import date, datetime

from services.billing.domain.charge import Fact, FactKind
from services.billing.repository import Charges
from services.billing.use_cases import book
from services.kit.database import Transaction


def expire_holds(tx: Transaction, contract_id: str, *, before: date, at: datetime, limit: int) -> int:
    """Release up to `limit` legs of a contract whose service date is before a day and of which nothing was heard.

    What is reported later is refused by name (HoldExpired): it is never lost in silence, nor charged without a hold.
    """
    stale = Charges(tx).stale(contract_id, before=before, limit=limit)
    book(tx, [], [Fact(FactKind.EXPIRED, order_id, leg, occurred_at=at) for order_id, leg in stale], at=at)
    return len(stale)
