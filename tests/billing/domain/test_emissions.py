"""What legs emit: the worked example to the gram, exact zeros, shares that add up, dated factors of one scope."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.emissions import (
    Baseline,
    BikeKind,
    DistanceSource,
    EmissionTotals,
    MassSource,
    Ridden,
    RoundTotal,
    Scope,
    default_grams,
    factors_of,
    leg_emission,
    rounded,
)
from services.billing.domain.errors import FactorMissing
from services.billing.repository.factors import all_factors

NOVEMBER = factors_of(all_factors(), date(2026, 11, 1))


def a_ride(**changes: object) -> Ridden:
    """Return a ride of 2.4 km with 6 kg on an electric bike, in no round."""
    ridden = Ridden("", 0, 2_400, DistanceSource.STREETS, BikeKind.ELECTRIC, 6_000, MassSource.CATALOGUE)
    return replace(ridden, **changes)  # type: ignore[arg-type]


def totals(rides: list[Ridden], baseline: Baseline) -> EmissionTotals:
    found = EmissionTotals()
    for ridden in rides:
        emission = leg_emission(ridden, None, NOVEMBER, baseline, is_delivered=True)
        found.add(ridden, emission, is_delivered=True)
    return found


def test_the_worked_example_holds_to_the_third_decimal() -> None:
    month = [a_ride()] * 246
    shared, dedicated = totals(month, Baseline.SHARED_VAN), totals(month, Baseline.DEDICATED_VAN)
    assert (shared.deliveries, shared.direct_metres, shared.km) == (246, 590_400, Decimal("590.4"))
    assert rounded(shared.kg) == Decimal("0.850")
    assert rounded(dedicated.van_kg) == Decimal("299.451")
    assert rounded(shared.van_kg) == Decimal("6.910")
    assert rounded(dedicated.avoided_kg) == Decimal("298.601")
    assert rounded(shared.avoided_kg) == Decimal("6.060")
    assert rounded(shared.avoided_kg * 100 / shared.van_kg, 0) == 88
    grams = leg_emission(month[0], None, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True)
    assert (rounded(grams.kg * 1000, 1), rounded(grams.van_kg * 1000, 0)) == (Decimal("3.5"), Decimal(28))


def test_only_the_total_is_rounded() -> None:
    month = [a_ride()] * 246
    of_lines = sum(rounded(leg_emission(r, None, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True).kg) for r in month)
    assert of_lines == Decimal("0.738")
    assert rounded(totals(month, Baseline.SHARED_VAN).kg) == Decimal("0.850")


def test_a_muscle_bike_emits_exactly_nothing() -> None:
    emission = leg_emission(a_ride(bike_kind=BikeKind.MUSCLE), None, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True)
    assert emission.kg == 0
    assert emission.km == Decimal("2.4")


def test_a_bike_of_unknown_kind_counts_as_an_electric_one() -> None:
    known, unknown = (
        leg_emission(a_ride(bike_kind=kind), None, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True)
        for kind in (BikeKind.ELECTRIC, None)
    )
    assert unknown == known
    assert known.kg > 0


@given(
    st.integers(1, 60_000),
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 30_000)), min_size=1, max_size=30),
)
def test_the_shares_of_a_round_add_up_to_it(metres: int, legs: list[tuple[int, int]]) -> None:
    rides = [a_ride(round_id="r", round_metres=metres, load_grams=grams, direct_metres=way) for grams, way in legs]
    whole = RoundTotal(metres, sum(ridden.gram_metres for ridden in rides), len(rides))
    shares = [leg_emission(ridden, whole, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True) for ridden in rides]
    assert rounded(sum((share.km for share in shares), Decimal(0)), 18) == Decimal(metres) / 1000
    of_all = Decimal(metres) / 1000 * Decimal("0.03") * Decimal("0.048")
    assert rounded(sum((share.kg for share in shares), Decimal(0)), 18) == rounded(of_all, 18)
    assert all(share.km >= 0 for share in shares)


def test_legs_of_a_round_without_mass_or_way_bear_equal_shares() -> None:
    nothing = a_ride(round_id="r", round_metres=9_000, load_grams=0, direct_metres=0)
    share = leg_emission(nothing, RoundTotal(9_000, 0, 3), NOVEMBER, Baseline.SHARED_VAN, is_delivered=True)
    assert share.km == 3
    assert share.van_kg == 0


def test_a_detour_of_a_round_is_shared_and_not_borne_by_who_is_far() -> None:
    near, far = (a_ride(round_id="r", round_metres=10_000, direct_metres=way) for way in (1_000, 3_000))
    whole = RoundTotal(10_000, near.gram_metres + far.gram_metres, 2)
    kms = [leg_emission(one, whole, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True).km for one in (near, far)]
    assert kms == [Decimal("2.5"), Decimal("7.5")]


def test_a_leg_that_delivered_nothing_counts_its_kilometres_and_spares_no_van() -> None:
    emission = leg_emission(a_ride(), None, NOVEMBER, Baseline.DEDICATED_VAN, is_delivered=False)
    assert (emission.km, emission.van_kg) == (Decimal("2.4"), Decimal(0))
    assert emission.kg > 0


def test_a_leg_of_which_nothing_is_known_counts_nothing_and_shows() -> None:
    emission = leg_emission(None, None, NOVEMBER, Baseline.SHARED_VAN, is_delivered=True)
    found = EmissionTotals()
    found.add(None, emission, is_delivered=True)
    assert (found.legs, found.kg, found.levels, found.level) == (1, Decimal(0), {0: 1}, 1)


def test_a_light_parcel_on_a_shared_van_may_spare_less_than_nothing() -> None:
    found = totals([a_ride(load_grams=500)], Baseline.SHARED_VAN)
    assert found.avoided_kg < 0


def test_a_new_electricity_value_changes_later_months_only() -> None:
    known = all_factors()
    electricity = next(row for row in known if row.id == "electricity_fr")
    newer = replace(electricity, value=Decimal("0.052"), valid_from=date(2026, 12, 15), version="2026")
    rows = (*known, newer)
    assert factors_of(rows, date(2026, 11, 1)) == NOVEMBER
    assert factors_of(rows, date(2026, 12, 1)).electricity_kg_per_kwh == Decimal("0.048")
    assert factors_of(rows, date(2027, 1, 1)).electricity_kg_per_kwh == Decimal("0.052")


def test_a_life_cycle_value_is_never_taken_for_a_legal_one() -> None:
    electricity = next(row for row in all_factors() if row.id == "electricity_fr")
    other = replace(electricity, value=Decimal("9"), scope=Scope.LIFE_CYCLE, valid_from=date(2026, 1, 1))
    assert factors_of((*all_factors(), other), date(2026, 11, 1)) == NOVEMBER
    with pytest.raises(FactorMissing, match="electricity_fr"):
        factors_of([*(row for row in all_factors() if row.id != "electricity_fr"), other], date(2026, 11, 1))


def test_before_its_first_value_a_factor_is_missing() -> None:
    with pytest.raises(FactorMissing) as refusal:
        factors_of(all_factors(), date(2011, 1, 1))
    assert "01/01/2011" in refusal.value.detail


def test_every_factor_says_where_it_is_written() -> None:
    assert all(row.source and row.unit and row.version for row in all_factors())
    assert len({(row.id, row.scope, row.valid_from) for row in all_factors()}) == len(all_factors())


def test_an_unknown_mass_is_the_contracts_by_kind_or_the_cautious_one() -> None:
    assert default_grams({"ballot-linge": 3, "caisse": 2}, {"ballot-linge": 8_000}, 1_000) == 26_000


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, 3),
        ({"mass_source": MassSource.DEFAULT}, 1),
        ({"distance_source": DistanceSource.ESTIMATED}, 1),
        ({"distance_source": DistanceSource.UNKNOWN}, 1),
        ({"mass_source": MassSource.WEIGHED, "distance_source": DistanceSource.TRACKED}, 3),
        (
            {
                "mass_source": MassSource.WEIGHED,
                "distance_source": DistanceSource.TRACKED,
                "bike_kind": BikeKind.MUSCLE,
            },
            4,
        ),
    ],
)
def test_the_level_is_that_of_what_is_known_least(changes: dict[str, object], level: int) -> None:
    assert a_ride(**changes).level == level
