"""A forecast is what is held ahead, or the past weeks' rate where that is more."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.billing.domain.ceiling import Ceiling, Scope
from services.billing.domain.forecast import Basis, Forecast, Served, forecast
from services.billing.domain.structure import Budget, Decision, Period, Structure
from tests.billing.builders import a_contract

TODAY = date(2026, 11, 1)


def weeks(department_id: str, cents: int, first: int, last: int) -> list[Served]:
    """One order a week, `first` to `last` weeks from today, below zero for the past."""
    return [Served(department_id, 0, TODAY + timedelta(days=7 * week), cents) for week in range(first, last)]


def expect(served: list[Served], *, left_cents: int, scopes: tuple[Scope, ...] = (), **terms: Any) -> Forecast:
    contract = a_contract(**terms)
    return forecast(contract, Ceiling(contract.id, left_cents, scopes=scopes), served, today=TODAY)


def test_at_the_rate_of_eight_weeks_the_rest_lasts_ten() -> None:
    expected = expect(weeks("proprete", 7_000, -7, 1), left_cents=70_000)
    assert (expected.rates[0].weekly_cents, expected.rates[0].basis) == (7_000, Basis.RUN_RATE)
    assert expected.reaches[0].on == TODAY + timedelta(days=70)
    assert expected.reaches[0].department_id == "proprete"


def test_what_is_held_ahead_is_not_counted_twice() -> None:
    """Four weeks are held, and so committed already: the rest lasts ten weeks after them."""
    served = weeks("proprete", 7_000, -7, 1) + [
        Served("proprete", 0, TODAY + timedelta(days=7 * week + 1), 7_000) for week in range(4)
    ]
    expected = expect(served, left_cents=70_000)
    assert expected.rates[0].basis is Basis.HELD
    assert expected.reaches[0].on == TODAY + timedelta(days=28 + 70)


def test_the_department_that_takes_most_is_named() -> None:
    served = weeks("proprete", 2_000, -7, 1) + weeks("voirie", 5_000, -7, 1)
    assert expect(served, left_cents=70_000).reaches[0].department_id == "voirie"


def test_each_scope_has_its_own_day_and_a_period_its_own_days() -> None:
    structure = Structure(
        (
            Period(1, date(2026, 1, 1), date(2026, 12, 31), 50_000, Decision.FIRM),
            Period(2, date(2027, 1, 1), date(2027, 12, 31), 50_000, Decision.TACIT),
        ),
        budgets=(Budget(7_000, "voirie"),),
    )
    scopes = (
        Scope("period:1", "ferme", 70_000),
        Scope("period:2", "n° 1", 14_000),
        Scope("budget:voirie:", "b", 7_000),
    )
    served = weeks("proprete", 7_000, -7, 1)
    expected = expect(served, left_cents=10_000_000, scopes=scopes, structure=structure)
    days = {reach.key: reach.on for reach in expected.reaches}
    assert days == {"": None, "period:1": None, "period:2": date(2027, 1, 14), "budget:voirie:": None}


def test_nothing_left_is_reached_today_by_nobody() -> None:
    expected = expect([], left_cents=0)
    assert [(reach.on, reach.department_id) for reach in expected.reaches] == [(TODAY, "")]
    assert {rate.basis for rate in expected.rates} == {Basis.NOTHING}


def test_a_young_contract_has_a_short_window() -> None:
    served = [Served("proprete", 0, TODAY - timedelta(days=day), 1_000) for day in range(7)]
    expected = expect(served, left_cents=14_000, starts_on=TODAY - timedelta(days=6))
    assert (expected.window_days, expected.rates[0].weekly_cents) == (7, 7_000)
    assert expected.reaches[0].on == TODAY + timedelta(days=14)


@pytest.mark.parametrize("decision", [Decision.EXPLICIT, Decision.DECLINED])
def test_a_period_that_is_not_open_is_not_expected(decision: Decision) -> None:
    structure = Structure(
        (
            Period(1, date(2026, 1, 1), date(2026, 12, 31), 1, Decision.FIRM),
            Period(2, date(2027, 1, 1), date(2027, 12, 31), 1, decision),
        )
    )
    scopes = (Scope("period:1", "ferme", 1_000_000), Scope("period:2", "n° 1", 1_000_000))
    expected = expect(weeks("proprete", 7_000, -7, 1), left_cents=100_000, scopes=scopes, structure=structure)
    assert (expected.until, expected.reaches[0].on) == (date(2026, 12, 31), None)
