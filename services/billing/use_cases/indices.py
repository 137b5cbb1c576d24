"""An index value is recorded as it was published."""

from datetime import date, datetime
from decimal import Decimal

from services.billing.domain.revision import IndexStatus, IndexValue, check_next
from services.billing.domain.statement import Month
from services.billing.repository.indices import NewIndexValues
from services.kit.database import Transaction


def record_index_value(
    tx: Transaction,
    index_id: str,
    month: Month,
    value: Decimal,
    *,
    status: IndexStatus,
    published_on: date,
    source: str,
    at: datetime,
) -> IndexValue:
    """Add a published value as its month's next version. Raises IndexValueRefused, IndexValueDefinitive."""
    values = NewIndexValues(tx)
    known = [one for one in values.of([index_id]).values if one.month == month]
    row = IndexValue(index_id, month, value, status, published_on, source, len(known) + 1, at)
    check_next(known, row)
    values.add(row)
    return row
