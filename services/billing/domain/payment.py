"""When a statement must be paid, and what a late payment costs: one clock, one suspension, one frozen rate.

Interest and the lump sum are no price of a service: outside VAT, outside the ceiling, on no statement.

Source: code de la commande publique, articles R2192-10 to R2192-36; the values are dated rows, see `legal`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from services.billing.domain.contract import BuyerKind
from services.billing.domain.errors import LegalValueMissing
from services.billing.domain.legal import LegalRow, in_force
from services.billing.domain.money import rounded
from services.billing.domain.status import DEAD, PAID, Status, ToldStatus


@dataclass(frozen=True, slots=True)
class Suspension:
    """When and why the clock stood still; `ended_on` is None while it does."""

    began_on: date
    ended_on: date | None
    reason: str


@dataclass(frozen=True, slots=True)
class Interest:
    """What `days_late` days cost, in cents: interest at a rate frozen on its first day, and the lump sum once.

    `is_final` says that the payment ended it; until then it grows each day.
    """

    days_late: int
    rate_percent: Decimal
    interest_cents: int
    lump_cents: int
    is_final: bool
    sources: tuple[str, ...]

    @property
    def total_cents(self) -> int:
        """Both together."""
        return self.interest_cents + self.lump_cents


@dataclass(frozen=True, slots=True)
class Clock:
    """How long a statement has to be paid. `due_on` is None while it is suspended, and for a refused statement.

    `principal_cents` includes tax, less what was credited. `missing` says which legal value nobody entered, when the
    interest cannot be computed for want of it.
    """

    started_on: date
    is_start_proven: bool
    delay_days: int
    suspension: Suspension | None
    due_on: date | None
    paid_on: date | None
    principal_cents: int
    interest: Interest | None
    missing: str = ""


def delay_days(rows: Sequence[LegalRow], buyer_kind: BuyerKind, day: date) -> int:
    """Return within how many days a kind of buyer pays what is issued on a day. Raises LegalValueMissing."""
    return int(in_force(rows, f"payment_days:{buyer_kind.value}", day).value)


def clock(
    told: Collection[ToldStatus],
    *,
    issued_on: date,
    executed_on: date,
    buyer_kind: BuyerKind,
    principal_cents: int,
    rows: Sequence[LegalRow],
    local_date: Callable[[datetime], date],
    today: date,
) -> Clock:
    """Read the clock on a day.

    It starts when the statement was made available to the buyer, or when the service was done if that is later; with
    no proven day, some days after the issue. The first suspension within the delay stops it; it starts anew with what
    was left, or with a legal delay if that is longer. Interest runs from the day after the due day, the day of payment
    included.

    Raises
    ------
    LegalValueMissing
        When the delay of this kind of buyer is not known.
    """
    available = [local_date(one.occurred_at) for one in told if one.status is Status.AVAILABLE]
    proven_on = min(available, default=None)
    granted = in_force(rows, "payment_start_days", issued_on)
    started_on = max(proven_on or issued_on + timedelta(days=int(granted.value)), executed_on)
    granted_days = delay_days(rows, buyer_kind, issued_on)
    due_on: date | None = started_on + timedelta(days=granted_days)
    suspension = _suspension(told, local_date, started_on=started_on, due_on=started_on + timedelta(days=granted_days))
    if suspension is not None and suspension.ended_on is None:
        due_on = None
    elif suspension is not None and suspension.ended_on is not None:
        left_days = granted_days - (suspension.began_on - started_on).days
        least_days = int(in_force(rows, "payment_restart_days", suspension.ended_on).value)
        due_on = suspension.ended_on + timedelta(days=max(left_days, least_days))
    paid_on = min((local_date(one.occurred_at) for one in told if one.status in PAID), default=None)
    if any(one.status in DEAD for one in told):
        due_on = None
    interest, missing = None, ""
    until = paid_on or today
    if due_on is not None and until > due_on and principal_cents > 0:
        try:
            interest = _interest(rows, principal_cents, due_on, until, is_final=paid_on is not None)
        except LegalValueMissing as refusal:
            missing = refusal.detail
    return Clock(
        started_on, proven_on is not None, granted_days, suspension, due_on, paid_on, principal_cents, interest, missing
    )


def _suspension(
    told: Collection[ToldStatus], local_date: Callable[[datetime], date], *, started_on: date, due_on: date
) -> Suspension | None:
    """Return the one suspension that counts: the earliest within the delay."""
    began = sorted((one.occurred_at, one.id, one) for one in told if one.status is Status.SUSPENDED)
    within = [one for _, _, one in began if started_on <= local_date(one.occurred_at) <= due_on]
    if not within:
        return None
    first = within[0]
    # A payment ends it as well: whoever pays has all they need.
    ends = [
        one.occurred_at
        for one in told
        if one.status in {Status.COMPLETED, *PAID} and one.occurred_at >= first.occurred_at
    ]
    return Suspension(
        local_date(first.occurred_at), local_date(min(ends)) if ends else None, first.reason or first.reason_code
    )


def _interest(rows: Sequence[LegalRow], principal_cents: int, due_on: date, until: date, *, is_final: bool) -> Interest:
    begins_on = due_on + timedelta(days=1)
    half_year_on = date(begins_on.year, 1 if begins_on.month <= 6 else 7, 1)
    bank = in_force(rows, "ecb_refi_percent", half_year_on)
    points = in_force(rows, "interest_points", begins_on)
    year = in_force(rows, "interest_year_days", begins_on)
    lump = in_force(rows, "recovery_lump_euros", begins_on)
    rate_percent = bank.value + points.value
    days_late = (until - due_on).days
    return Interest(
        days_late=days_late,
        rate_percent=rate_percent,
        interest_cents=rounded(principal_cents * rate_percent * days_late / (100 * year.value)),
        lump_cents=rounded(lump.value * 100),
        is_final=is_final,
        sources=tuple(row.source for row in (bank, points, year, lump)),
    )
