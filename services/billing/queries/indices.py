"""Index values for lists."""

from services.billing.domain.errors import IndexUnknown
from services.billing.domain.revision import IndexValue
from services.billing.repository.indices import IndexValues
from services.kit.database import View


def list_indices(view: View) -> list[str]:
    """Return every index that has a value."""
    return IndexValues(view).ids()


def list_index_values(view: View, index_id: str) -> tuple[IndexValue, ...]:
    """Return an index's rows by month and version. Raises IndexUnknown."""
    found = IndexValues(view).of([index_id]).values
    if not found:
        raise IndexUnknown(index_id)
    return found
