"""Prices per order, stop and band, and supplements, from what the order itself carries."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.errors import DistanceNotPriced, PriceBandInvalid
from services.billing.domain.leg_facts import LegFacts, is_public_holiday, straight_metres
from services.billing.domain.price_list import LegToPrice, PriceLine, Unit
from tests.billing.builders import a_leg_to_price, a_price_list

MONDAY = date(2026, 11, 16)
AT_SEVEN = datetime(2026, 11, 16, 6, tzinfo=UTC)  # in Paris
LINES = (
    PriceLine("DOSSIER", "Par commande", Unit.ORDER, 200),
    PriceLine("ARRET", "Par arrêt", Unit.STOP, 150),
    PriceLine("KM-0-3", "Moins de 3 km", Unit.DISTANCE, 500, at_least=0, below=3000),
    PriceLine("KM-3-8", "De 3 à 8 km", Unit.DISTANCE, 800, at_least=3000, below=8000),
    PriceLine("TOT", "Avant 8 h", Unit.HOURS, 100, at_least=0, below=480),
    PriceLine("WE", "Samedi ou dimanche", Unit.SATURDAY_OR_SUNDAY, 300),
    PriceLine("FERIE", "Jour férié", Unit.PUBLIC_HOLIDAY, 600),
    PriceLine("URGENT", "Moins de 4 h avant", Unit.URGENT, 400, at_least=0, below=240),
)


def a_leg(day: date = MONDAY, **facts: Any) -> LegToPrice:
    told = {"metres": 2999, "pickup_at": AT_SEVEN + timedelta(hours=3), "placed_at": AT_SEVEN - timedelta(days=2)}
    return replace(a_leg_to_price(1, day, {}), facts=LegFacts(**{**told, **facts}))


def codes(leg: LegToPrice) -> list[str]:
    return [line.code for line in a_price_list(lines=LINES).price(leg).lines]


def test_an_ordinary_leg_pays_its_order_its_stops_and_its_distance() -> None:
    estimate = a_price_list(lines=LINES).price(a_leg())
    assert [(line.code, line.quantity) for line in estimate.lines] == [("DOSSIER", 1), ("ARRET", 2), ("KM-0-3", 1)]
    assert estimate.amount_cents == 200 + 300 + 500


def test_an_order_is_paid_once() -> None:
    assert codes(a_leg(is_first=False)) == ["ARRET", "KM-0-3"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"metres": 3000}, "KM-3-8"),
        ({"pickup_at": AT_SEVEN + timedelta(minutes=59)}, "TOT"),
        ({"placed_at": AT_SEVEN - timedelta(minutes=59)}, "URGENT"),
        ({"day": date(2026, 11, 15)}, "WE"),
        ({"day": date(2026, 11, 11)}, "FERIE"),
        ({"day": date(2026, 11, 1)}, "FERIE"),
    ],
)
def test_what_is_out_of_the_ordinary_is_paid_on_top(changes: dict[str, Any], code: str) -> None:
    assert code in codes(a_leg(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"metres": 2999},
        {"pickup_at": AT_SEVEN + timedelta(minutes=60)},
        {"placed_at": AT_SEVEN - timedelta(minutes=60)},
        {"day": date(2026, 11, 13)},
    ],
)
def test_just_beside_a_band_nothing_is_paid_on_top(changes: dict[str, Any]) -> None:
    assert set(codes(a_leg(**changes))) == {"DOSSIER", "ARRET", "KM-0-3"}


def test_all_saints_on_a_sunday_is_a_holiday_and_no_weekend() -> None:
    assert is_public_holiday(date(2026, 11, 1))
    assert "WE" not in codes(a_leg(date(2026, 11, 1)))


@pytest.mark.parametrize("metres", [8000, None])
def test_a_distance_without_a_price_is_refused(metres: int | None) -> None:
    with pytest.raises(DistanceNotPriced):
        codes(a_leg(metres=metres))


@pytest.mark.parametrize(
    "line",
    [
        PriceLine("A", "A", Unit.DISTANCE, 1, at_least=9000, below=9000),
        PriceLine("A", "A", Unit.HOURS, 1, at_least=0, below=1441),
        PriceLine("A", "A", Unit.LEG, 1, at_least=0, below=10),
        PriceLine("A", "A", Unit.DISTANCE, 1, at_least=7999, below=9000),
    ],
)
def test_a_band_that_cannot_be_is_refused(line: PriceLine) -> None:
    a_price_list(lines=LINES).check()
    with pytest.raises(PriceBandInvalid):
        a_price_list(lines=(*LINES, line)).check()


def test_a_known_distance_is_right_to_the_metre() -> None:
    # A degree of latitude on the sphere of the Earth's mean radius.
    assert straight_metres(47.0, -1.5, 48.0, -1.5) == 111_195


positions = st.tuples(st.floats(-80, 80), st.floats(-180, 180))


@given(positions, positions)
def test_a_distance_is_the_same_there_and_back(here: tuple[float, float], there: tuple[float, float]) -> None:
    assert straight_metres(*here, *there) == straight_metres(*there, *here) >= 0
    assert straight_metres(*here, *here) == 0
