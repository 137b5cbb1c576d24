"""A month's statement sums up what was settled, in a stable order, with tax per rate."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.billing.domain.charge import Charge, Fact
from services.billing.domain.contract import Contract
from services.billing.domain.errors import LaterMonthClosed, MonthBeforeContract, MonthNotOver
from services.billing.domain.statement import Gauge, Month, Statement, check_month, close, next_due, number_text
from tests.billing.builders import (
    ERDRE,
    LOIRE,
    NOON,
    PRICES,
    a_charge,
    a_contract,
    a_leg_to_price,
    a_price_list,
    cancelled,
    failed,
    handed_over,
)

CONTRACT = a_contract()
NOVEMBER = Month(2026, 11)
CLOSED_AT = datetime(2026, 12, 6, 3, tzinfo=UTC)


def settled(charge: Charge, fact: Fact, contract: Contract = CONTRACT) -> Charge:
    return replace(charge, settlement=charge.settle(fact, contract, at=NOON))


def a_statement(*charges: Charge, contract: Contract = CONTRACT) -> Statement:
    return close(
        contract,
        ERDRE,
        NOVEMBER,
        charges,
        statement_id="s",
        number="2026-00001",
        gauge=Gauge(9_000_000, 0, 0, 0),
        at=CLOSED_AT,
    )


def test_a_month_knows_its_days() -> None:
    assert (NOVEMBER.first_day, NOVEMBER.last_day) == (date(2026, 11, 1), date(2026, 11, 30))
    assert Month(2024, 2).last_day == date(2024, 2, 29)
    assert Month(2026, 12).next == Month(2027, 1)
    assert str(Month.parse("2026-02")) == "2026-02"
    assert Month(2026, 12) < Month(2027, 1)


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "2026", "26-01", "2026-01-01", "x"])
def test_anything_else_is_no_month(text: str) -> None:
    with pytest.raises(ValueError):
        Month.parse(text)


def test_numbers_sort_and_fit_the_portal() -> None:
    assert number_text(2026, 42) == "2026-00042"
    assert len(number_text(2026, 10**9)) <= 20


def test_lines_of_one_price_are_one_item() -> None:
    first = a_charge(CONTRACT, a_leg_to_price(loads={"ballot-linge": 2}))
    second = a_charge(CONTRACT, a_leg_to_price(loads={"ballot-linge": 3}))
    statement = a_statement(settled(first, handed_over("a")), settled(second, handed_over("b")))
    assert [(item.code, item.quantity, item.amount_cents) for item in statement.items] == [
        ("COURSE", 2, 1800),
        ("LINGE", 5, 600),
    ]
    assert statement.legs == 2
    assert (statement.net_cents, statement.tax_cents, statement.gross_cents) == (2400, 480, 2880)


def test_the_sum_of_items_is_the_sum_of_charges() -> None:
    charges = [
        settled(a_charge(CONTRACT), handed_over("a", counted={"ballot-linge": 1})),
        settled(a_charge(CONTRACT), failed("b")),
        settled(a_charge(CONTRACT), cancelled("c", is_late=True)),
    ]
    statement = a_statement(*charges)
    assert statement.net_cents == sum(charge.settlement.amount_cents for charge in charges if charge.settlement)
    assert [item.code for item in statement.items] == ["ANNULATION", "COURSE", "ECHEC", "LINGE"]
    assert [item.price_list_version for item in statement.items] == [0, 1, 0, 1]


def test_versions_of_a_price_stay_apart() -> None:
    dearer = a_price_list(version=2, lines=(replace(PRICES[0], unit_price_cents=950), *PRICES[1:]))
    statement = a_statement(
        settled(a_charge(CONTRACT, a_leg_to_price(loads={}), dearer), handed_over("a")),
        settled(a_charge(CONTRACT, a_leg_to_price(loads={})), handed_over("b")),
    )
    assert [(item.price_list_version, item.unit_price_cents) for item in statement.items] == [(1, 900), (2, 950)]


def test_three_lines_of_ten_and_three_cents_are_taxed_on_their_total() -> None:
    prices = a_price_list(lines=(replace(PRICES[0], unit_price_cents=1003),))
    charges = [settled(a_charge(CONTRACT, a_leg_to_price(loads={}), prices), handed_over(id_)) for id_ in "abc"]
    statement = a_statement(*charges)
    assert (statement.net_cents, statement.tax_cents, statement.gross_cents) == (3009, 602, 3611)


def test_departments_share_the_total() -> None:
    clean = settled(a_charge(CONTRACT), handed_over("a"))
    roads = replace(settled(a_charge(CONTRACT), failed("b")), department_id="voirie")
    statement = a_statement(clean, roads)
    assert [(part.id, part.name, part.legs, part.amount_cents) for part in statement.departments] == [
        ("proprete", "Propreté des bâtiments", 1, 1260),
        ("voirie", "Voirie et signalisation", 1, 630),
    ]


def test_the_order_of_charges_does_not_matter() -> None:
    charges = [settled(a_charge(CONTRACT), handed_over("a")), settled(a_charge(CONTRACT), failed("b"))]
    assert a_statement(*charges) == a_statement(*reversed(charges))


def test_a_charge_that_does_not_belong_is_no_part_of_it() -> None:
    good = settled(a_charge(CONTRACT), handed_over("a"))
    open_leg = a_charge(CONTRACT)
    released = settled(a_charge(CONTRACT), cancelled("b"))
    others = settled(a_charge(CONTRACT), handed_over("c", cooperative_id=LOIRE.id))
    invoiced = replace(good, statement_id="earlier")
    assert good.settlement
    too_late = replace(good, settlement=replace(good.settlement, settled_on=date(2026, 12, 1)))
    for stranger in (open_leg, released, others, invoiced, too_late):
        with pytest.raises(ValueError, match="not a charge"):
            a_statement(good, stranger)


def test_a_month_that_is_not_over_stays_open() -> None:
    with pytest.raises(MonthNotOver):
        check_month(CONTRACT, NOVEMBER, latest_closed=None, today=date(2026, 11, 30))
    check_month(CONTRACT, NOVEMBER, latest_closed=None, today=date(2026, 12, 1))


def test_months_are_closed_forwards_from_the_contracts_start() -> None:
    with pytest.raises(MonthBeforeContract):
        check_month(CONTRACT, Month(2025, 12), latest_closed=None, today=date(2026, 12, 1))
    with pytest.raises(LaterMonthClosed, match="2026-11"):
        check_month(CONTRACT, Month(2026, 10), latest_closed=NOVEMBER, today=date(2026, 12, 1))


def test_the_schedule_waits_for_late_reports() -> None:
    def due(today: date) -> Month | None:
        latest = Month(2026, 10)
        return next_due(CONTRACT, latest_closed=latest, has_unbilled=True, today=today, delay_days=5)

    assert due(date(2026, 12, 5)) is None
    assert due(date(2026, 12, 6)) == NOVEMBER


def test_the_schedule_starts_at_the_first_month_and_goes_in_order() -> None:
    due = next_due(CONTRACT, latest_closed=None, has_unbilled=False, today=date(2026, 12, 6), delay_days=5)
    assert due == Month(2026, 1)


def test_after_the_contract_only_what_came_too_late_is_due() -> None:
    last = Month(2027, 12)
    today = date(2028, 3, 1)
    assert next_due(CONTRACT, latest_closed=last, has_unbilled=False, today=today, delay_days=5) is None
    assert next_due(CONTRACT, latest_closed=last, has_unbilled=True, today=today, delay_days=5) == Month(2028, 1)
