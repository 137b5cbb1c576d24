"""A leg is priced with the list in force on its service date; nothing is free by accident."""

from dataclasses import replace
from datetime import date

import pytest

from services.billing.domain.errors import (
    LoadCountInvalid,
    LoadKindMisplaced,
    LoadNotPriced,
    NoPriceList,
    PriceLineTwice,
    PriceListDateTaken,
)
from services.billing.domain.price_list import MOST_LOADS, Load, PriceLine, Unit, check_next, estimate, in_force
from services.kit.errors import Refusals
from tests.billing.builders import PRICES, a_leg_to_price, a_price_list


def test_a_leg_costs_the_trip_and_what_it_carries() -> None:
    priced = a_price_list().price(a_leg_to_price(loads={"ballot-linge": 3}))
    assert [(line.code, line.quantity, line.amount_cents) for line in priced.lines] == [
        ("COURSE", 1, 900),
        ("LINGE", 3, 360),
    ]
    assert priced.amount_cents == 1260
    assert (priced.leg, priced.price_list_version) == (1, 1)


def test_a_trailer_costs_on_top_when_one_is_needed() -> None:
    priced = a_price_list().price(a_leg_to_price(loads={"panneau": 2}, needs_trailer=True))
    assert priced.amount_cents == 900 + 350 + 2 * 205


def test_what_is_included_keeps_its_line_so_that_it_is_counted() -> None:
    priced = a_price_list().price(a_leg_to_price(loads={"pied-panneau": 4}))
    assert [(line.code, line.quantity, line.amount_cents) for line in priced.lines][-1] == ("PIED", 4, 0)


def test_the_same_kind_twice_is_priced_once_for_the_sum() -> None:
    leg = replace(a_leg_to_price(), loads=(Load("panneau", "Panneau", 2), Load("panneau", "Panneau", 1)))
    assert a_price_list().price(leg).lines[-1].quantity == 3


def test_a_load_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(LoadNotPriced, match="Piano") as refused:
        a_price_list().price(a_leg_to_price(loads={"piano": 1}))
    assert "version 1" in refused.value.detail


@pytest.mark.parametrize("count", [0, -3, MOST_LOADS + 1])
def test_a_count_that_cannot_be_carried_is_refused(count: int) -> None:
    with pytest.raises(LoadCountInvalid):
        a_price_list().price(a_leg_to_price(loads={"panneau": count}))


def test_the_list_that_started_last_is_in_force() -> None:
    spring = a_price_list(version=2, valid_from=date(2026, 4, 1))
    winter = a_price_list()
    summer = a_price_list(version=3, valid_from=date(2026, 7, 1))
    lists = (spring, winter, summer)
    assert in_force(lists, date(2026, 3, 31)) is winter
    assert in_force(lists, date(2026, 4, 1)) is spring
    assert in_force(lists, date(2026, 12, 31)) is summer


def test_a_date_before_the_first_list_has_no_price() -> None:
    with pytest.raises(NoPriceList, match="31/12/2025"):
        in_force([a_price_list()], date(2025, 12, 31))


def test_each_leg_has_the_list_of_its_own_date() -> None:
    dearer = a_price_list(version=2, valid_from=date(2026, 12, 1), lines=(replace(PRICES[0], unit_price_cents=1000),))
    first, second = estimate(
        [a_price_list(), dearer],
        [a_leg_to_price(1, date(2026, 11, 30), {}), a_leg_to_price(2, date(2026, 12, 1), {})],
    )
    assert (first.price_list_version, first.amount_cents) == (1, 900)
    assert (second.price_list_version, second.amount_cents) == (2, 1000)


def test_every_leg_tells_its_faults() -> None:
    with pytest.raises(Refusals) as refused:
        estimate([a_price_list()], [a_leg_to_price(1, date(2020, 1, 1)), a_leg_to_price(2, loads={"piano": 1})])
    assert [type(error) for error in refused.value.errors] == [NoPriceList, LoadNotPriced]


def test_a_list_may_not_price_a_thing_twice_nor_forget_which_load() -> None:
    lines = (
        *PRICES,
        PriceLine("COURSE", "Encore", Unit.LEG, 1),
        PriceLine("LINGE-2", "Encore", Unit.LOAD, 1, "ballot-linge"),
        PriceLine("QUOI", "Charge sans nom", Unit.LOAD, 1),
        PriceLine("TROP", "Course d'un panneau", Unit.LEG, 1, "panneau"),
    )
    with pytest.raises(Refusals) as refused:
        a_price_list(lines=lines).check()
    assert [(type(error), error.pointer) for error in refused.value.errors] == [
        (PriceLineTwice, "/lines/5/code"),
        (PriceLineTwice, "/lines/6/load_kind"),
        (LoadKindMisplaced, "/lines/7/load_kind"),
        (LoadKindMisplaced, "/lines/8/load_kind"),
    ]


def test_the_default_list_is_in_order() -> None:
    a_price_list().check()


def test_a_new_list_holds_until_the_next_one_that_is_published_already() -> None:
    lists = [a_price_list(), a_price_list(version=2, valid_from=date(2026, 7, 1))]
    assert check_next(lists, date(2026, 4, 1)) == date(2026, 7, 1)
    assert check_next(lists, date(2026, 9, 1)) is None
    with pytest.raises(PriceListDateTaken):
        check_next(lists, date(2026, 7, 1))
