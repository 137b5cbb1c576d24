"""When each maximum would be reached, from the orders held ahead and, where they are fewer, from the past weeks' rate.

An estimate for people, never a reason to refuse. Recurring requests are real orders as far as their horizon, so what
is held ahead is what is known of them; beyond it each department is expected to go on as in the past weeks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from services.billing.domain.ceiling import Ceiling
from services.billing.domain.contract import Contract
from services.billing.domain.structure import A_DAY

WEEK_DAYS = 7
WINDOW_DAYS = 8 * WEEK_DAYS
"""How far back the rate is taken."""


class Basis(StrEnum):
    """What a department's next weeks are known from."""

    HELD = "held"
    """Its orders ahead are as many as its rate, or more."""
    RUN_RATE = "run-rate"
    """The past weeks: its orders ahead are fewer."""
    NOTHING = "nothing"
    """It ordered nothing lately."""


@dataclass(frozen=True, slots=True)
class Served:
    """What one department's legs of a day and lot are held at or came to, in cents excluding tax."""

    department_id: str
    lot: int
    service_date: date
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Rate:
    """A department's pace: cents a week lately, cents held for the next seven days, and what it is reckoned with."""

    department_id: str
    weekly_cents: int
    next_week_cents: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class Reach:
    """When a scope's maximum would be reached; `key` is empty for the whole life.

    `on` is the service date whose orders would use the rest up, None when the scope ends before that; `department_id`
    is the one that would use most of the rest until then, empty when nothing is left already.
    """

    key: str
    name: str
    ceiling_cents: int
    committed_cents: int
    left_cents: int
    on: date | None
    department_id: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a contract as of `today`; `window_days` is what the rates are taken from."""

    today: date
    until: date
    window_days: int
    rates: tuple[Rate, ...]
    reaches: tuple[Reach, ...]


def forecast(contract: Contract, ceiling: Ceiling, served: Sequence[Served], *, today: date) -> Forecast:
    """Reckon when each maximum would be reached.

    `served` is everything from `window_start` on, held or settled. Whole numbers throughout: what a day is expected
    to add is counted in cents times the days of the window times seven.
    """
    start = window_start(contract, today)
    window_days = max(1, (today - start).days + 1)
    past: dict[tuple[str, int], int] = {}
    ahead: dict[tuple[str, int], dict[int, int]] = {}
    for one in served:
        who = one.department_id, one.lot
        if one.service_date > today:
            weeks, week = ahead.setdefault(who, {}), ((one.service_date - today).days - 1) // WEEK_DAYS
            weeks[week] = weeks.get(week, 0) + one.amount_cents
        elif one.service_date >= start:
            past[who] = past.get(who, 0) + one.amount_cents
    reached = _reached(contract, ceiling, past, ahead, window_days, today)
    return Forecast(
        today=today,
        until=contract.open_until,
        window_days=window_days,
        rates=tuple(_rate(department.id, past, ahead, window_days) for department in contract.departments),
        reaches=tuple(
            Reach(key, name, one.ceiling_cents, one.committed_cents, one.left_cents, *reached.get(key, (None, "")))
            for key, (name, one) in zip(_keys(ceiling), ceiling.everywhere, strict=True)
        ),
    )


def window_start(contract: Contract, today: date) -> date:
    """Return the first service date that counts for the rate: not before the contract began."""
    return max(contract.starts_on, today - timedelta(days=WINDOW_DAYS - 1))


def _keys(ceiling: Ceiling) -> tuple[str, ...]:
    return ("", *(scope.key for scope in ceiling.scopes))


def _rate(
    department_id: str,
    past: Mapping[tuple[str, int], int],
    ahead: Mapping[tuple[str, int], Mapping[int, int]],
    window_days: int,
) -> Rate:
    lately = sum(cents for (whose, _), cents in past.items() if whose == department_id)
    held = sum(weeks.get(0, 0) for (whose, _), weeks in ahead.items() if whose == department_id)
    weekly_cents = lately * WEEK_DAYS // window_days
    basis = Basis.HELD if held and held >= weekly_cents else Basis.RUN_RATE if weekly_cents else Basis.NOTHING
    return Rate(department_id, weekly_cents, held, basis)


def _reached(
    contract: Contract,
    ceiling: Ceiling,
    past: Mapping[tuple[str, int], int],
    ahead: Mapping[tuple[str, int], Mapping[int, int]],
    window_days: int,
    today: date,
) -> dict[str, tuple[date, str]]:
    """Return by scope the day its maximum would be reached and by whom, for those that would be."""
    unit = window_days * WEEK_DAYS
    left = dict(zip(_keys(ceiling), (one.left_cents * unit for _, one in ceiling.everywhere), strict=True))
    taken: dict[str, dict[str, int]] = {key: {} for key in left}
    reached = {key: (today, "") for key, rest in left.items() if rest <= 0}
    day = today
    while day < contract.open_until and len(reached) < len(left):
        day += A_DAY
        week = ((day - today).days - 1) // WEEK_DAYS
        touched: set[str] = set()
        for (department_id, lot), cents in past.items():
            # A seventh of what the rate is above what is held for the week already, which is committed.
            more = max(0, cents * WEEK_DAYS - ahead.get((department_id, lot), {}).get(week, 0) * window_days)
            for key in ("", *contract.structure.scopes_of(department_id, day, lot)):
                if more and key not in reached:
                    taken[key][department_id] = taken[key].get(department_id, 0) + more
                    touched.add(key)
        for key in touched:
            if sum(taken[key].values()) >= left[key]:
                reached[key] = day, _most(taken[key].items())
    return reached


def _most(shares: Iterable[tuple[str, int]]) -> str:
    return max(shares, key=lambda share: (share[1], share[0]))[0]
