"""An order that fits under the ceiling and still waits for a named person; nothing is held for it meanwhile."""

from dataclasses import dataclass
from datetime import date, datetime

from services.billing.domain.charge import Order


@dataclass(frozen=True, slots=True)
class Approval:
    """Why an order waits, or waited, and who decided. `is_approved` is None while it waits."""

    order: Order
    first_service_date: date
    asked_cents: int
    reason_code: str
    reason: str
    asked_at: datetime
    is_approved: bool | None = None
    decided_by_name: str = ""
    note: str = ""
    decided_at: datetime | None = None
