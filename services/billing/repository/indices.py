"""Index values; added, never edited."""

from collections.abc import Collection
from decimal import Decimal

from sqlalchemy import insert, select

from services.billing.domain.revision import IndexStatus, IndexValue, Indices
from services.billing.domain.statement import Month
from services.billing.tables import index_values
from services.kit.database import Transaction, View


class IndexValues:
    """Recorded values of price indices."""

    def __init__(self, view: View) -> None:
        self._view = view

    def ids(self) -> list[str]:
        """Return every index that has a value."""
        return list(
            self._view.execute(select(index_values.c.index_id).distinct().order_by(index_values.c.index_id)).scalars()
        )

    def of(self, ids: Collection[str]) -> Indices:
        """Return all values of these indices, by month and version."""
        rows = self._view.execute(
            select(index_values)
            .where(index_values.c.index_id.in_(ids))
            .order_by(index_values.c.index_id, index_values.c.month, index_values.c.version)
        )
        return Indices(
            tuple(
                IndexValue(
                    index_id=row.index_id,
                    month=Month.parse(row.month),
                    value=Decimal(row.value),
                    status=IndexStatus(row.status),
                    published_on=row.published_on,
                    source=row.source,
                    version=row.version,
                    recorded_at=row.recorded_at,
                )
                for row in rows
            )
        )


class NewIndexValues(IndexValues):
    """Adds index values."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def add(self, value: IndexValue) -> None:
        """Add a row."""
        self._tx.execute(
            insert(index_values).values(
                index_id=value.index_id,
                month=str(value.month),
                version=value.version,
                value=format(value.value, "f"),
                status=value.status.value,
                published_on=value.published_on,
                source=value.source,
                recorded_at=value.recorded_at,
            )
        )
