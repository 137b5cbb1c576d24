"""A day goes in as deliveries and shifts and comes back as rounds: nothing is lost, no clock change misleads."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import ReasonCode
from services.dispatch.planning.problem import FaultyProblem, RoutingProblem, Share
from services.dispatch.planning.reasons import explain
from services.dispatch.planning.solve import Steps, solve
from services.dispatch.planning.translate import (
    BreakToTake,
    DayPlan,
    DeliveryToPlan,
    Place,
    ShiftToPlan,
    VisitToMake,
    places,
    to_problem,
    to_rounds,
)
from services.dispatch.travel import matrix

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
DEPOT, TOWN_HALL, SCHOOL = Place(-1.5536, 47.2184), Place(-1.5540, 47.2180), Place(-1.5300, 47.2100)


def local(hours: float, day: date = DAY, fold: int = 0) -> datetime:
    """That wall-clock hour of the day, in Paris."""
    return datetime(day.year, day.month, day.day, tzinfo=PARIS).replace(fold=fold) + timedelta(hours=hours)


def a_delivery(delivery_id: str = "o-1", **changes: object) -> DeliveryToPlan:
    pickup = VisitToMake(TOWN_HALL, local(9), local(11), 120)
    drop = VisitToMake(SCHOOL, local(9), local(12), 180)
    return replace(DeliveryToPlan(delivery_id, pickup, drop, 20_000, 60_000, 3), **changes)  # type: ignore[arg-type]


def a_shift(shift_id: str = "s1", **changes: object) -> ShiftToPlan:
    return replace(ShiftToPlan(shift_id, DEPOT, DEPOT, local(8), local(13), 60_000, 300_000), **changes)  # type: ignore[arg-type]


def problem_of(deliveries: list[DeliveryToPlan], shifts: list[ShiftToPlan], day: date = DAY) -> RoutingProblem:
    travel = matrix(places(deliveries, shifts))
    return to_problem(
        deliveries, shifts, travel_seconds=travel.seconds, travel_metres=travel.metres, day=day, zone=PARIS
    )


def plan_of(deliveries: list[DeliveryToPlan], shifts: list[ShiftToPlan], day: date = DAY) -> DayPlan:
    problem = problem_of(deliveries, shifts, day)
    plan = explain(problem, solve(problem, Steps(20)))
    assert check(problem, plan) == []
    return to_rounds(plan, deliveries, shifts, day=day, zone=PARIS)


def test_a_day_becomes_whole_numbers() -> None:
    problem = problem_of([a_delivery()], [a_shift()])
    assert problem.points == ("-1.554,47.218", "-1.53,47.21", "-1.5536,47.2184")
    (request,), (vehicle,) = problem.requests, problem.vehicles
    (pickup,), (drop,) = request.pickups, request.drops
    assert (pickup.window_start_seconds, pickup.window_end_seconds) == (32_400, 39_600)
    assert (pickup.loads, drop.loads, pickup.point, drop.point) == ((20_000, 60_000, 3), (20_000, 60_000, 3), 0, 1)
    assert (vehicle.shift_start_seconds, vehicle.shift_end_seconds, vehicle.start_point) == (28_800, 46_800, 2)


def test_a_plan_becomes_rounds_in_instants() -> None:
    (planned,) = plan_of([a_delivery()], [a_shift()]).rounds
    pickup, drop = planned.stops
    assert planned.shift_id == "s1"
    assert (pickup.delivery_id, pickup.kind.value, drop.kind.value) == ("o-1", "pickup", "drop")
    assert pickup.starts_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert pickup.leaves_at - pickup.starts_at == timedelta(seconds=120)
    assert planned.starts_at < pickup.arrives_at < drop.arrives_at < planned.ends_at
    assert planned.travel_seconds > 0


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_on_a_day_of_clock_change_a_window_stays_at_its_wall_clock_hour(day: date) -> None:
    nine, eleven = (datetime(day.year, day.month, day.day, hour, tzinfo=PARIS) for hour in (9, 11))
    delivery = a_delivery(pickup=VisitToMake(TOWN_HALL, nine, eleven, 120), drop=VisitToMake(SCHOOL, nine, eleven, 180))
    shift = a_shift(starts_at=nine, ends_at=datetime(day.year, day.month, day.day, 13, tzinfo=PARIS))
    (planned,) = plan_of([delivery], [shift], day).rounds
    # The ride begins with the shift; it would be an hour off if the day were taken for 24 hours.
    assert nine <= planned.stops[0].starts_at <= nine + timedelta(minutes=5)
    assert planned.stops[0].starts_at.astimezone(PARIS).hour == 9


def test_a_shift_through_the_night_of_the_clock_change_has_its_real_length() -> None:
    evening = datetime(2026, 10, 24, 23, tzinfo=PARIS)
    morning = datetime(2026, 10, 25, 5, tzinfo=PARIS)
    problem = problem_of([], [a_shift(starts_at=evening, ends_at=morning)], date(2026, 10, 24))
    assert problem.vehicles[0].shift_end_seconds - problem.vehicles[0].shift_start_seconds == 7 * 3_600


def test_windows_may_reach_over_midnight() -> None:
    delivery = a_delivery(
        pickup=VisitToMake(TOWN_HALL, local(23), local(24.5), 120),
        drop=VisitToMake(SCHOOL, local(24.25), local(26), 180),
    )
    (planned,) = plan_of([delivery], [a_shift(starts_at=local(22), ends_at=local(27))]).rounds
    assert planned.stops[1].starts_at >= local(24.25)


def test_a_delivery_too_heavy_for_every_bike_is_left_out_and_stops_nobody() -> None:
    planned = plan_of([a_delivery("heavy", load_grams=61_000), a_delivery("light")], [a_shift("s1"), a_shift("s2")])
    assert [stop.delivery_id for stop in planned.rounds[0].stops] == ["light", "light"]
    (left_out,) = planned.left_out
    assert (left_out.request_id, left_out.codes) == ("heavy", (ReasonCode.CAPACITY,))
    assert {reason.vehicle_id for reason in left_out.reasons} == {"s1", "s2"}
    assert "Prévoyez un vélo plus grand" in left_out.sentence


def test_without_a_shift_everything_is_left_out() -> None:
    planned = plan_of([a_delivery("a"), a_delivery("b", load_grams=10**9)], [])
    assert [(item.request_id, item.codes) for item in planned.left_out] == [
        ("a", (ReasonCode.NO_VEHICLE,)),
        ("b", (ReasonCode.NO_VEHICLE,)),
    ]


def test_only_shifts_of_the_day_are_allowed_ones() -> None:
    planned = plan_of([a_delivery(allowed_shifts=frozenset({"another-day"}))], [a_shift()])
    assert planned.left_out[0].codes == (ReasonCode.NOT_ALLOWED,)
    planned = plan_of([a_delivery(allowed_shifts=frozenset({"another-day", "s2"}))], [a_shift(), a_shift("s2")])
    assert [ridden.shift_id for ridden in planned.rounds] == ["s2"]


def test_a_bike_twice_as_fast_rides_half_as_long() -> None:
    (slow,), (fast,) = (plan_of([a_delivery()], [a_shift(speed_percent=percent)]).rounds for percent in (100, 200))
    assert abs(fast.travel_seconds - slow.travel_seconds / 2) <= 2  # each of three legs is rounded up


def test_a_bike_without_the_range_stays_at_home() -> None:
    planned = plan_of([a_delivery()], [a_shift(range_metres=1_000)])
    assert planned.left_out[0].codes == (ReasonCode.RANGE,)


def test_pieces_count_where_a_bike_counts_them() -> None:
    assert plan_of([a_delivery()], [a_shift(capacity_pieces=3)]).left_out == ()
    (item,) = plan_of([a_delivery()], [a_shift(capacity_pieces=2)]).left_out
    assert item.codes == (ReasonCode.CAPACITY,)


def test_a_skill_is_had_by_courier_or_bike() -> None:
    cold = a_delivery(skills=frozenset({"froid"}))
    planned = plan_of([cold], [a_shift("s1"), a_shift("s2", skills=frozenset({"froid", "clés"}))])
    assert [ridden.shift_id for ridden in planned.rounds] == ["s2"]
    assert plan_of([cold], [a_shift("s1")]).left_out[0].codes == (ReasonCode.SKILL,)


def test_a_shift_or_a_group_that_is_forbidden_does_not_ride_it() -> None:
    shifts = [a_shift("s1", group="erdre"), a_shift("s2", group="loire")]
    for delivery in (
        a_delivery(forbidden_shifts=frozenset({"s1", "elsewhere"})),
        a_delivery(allowed_groups=frozenset({"loire"})),
    ):
        (ridden,) = plan_of([delivery], shifts).rounds
        assert ridden.shift_id == "s2"


def test_a_break_is_taken_within_its_window() -> None:
    rest = BreakToTake(local(9.5), local(10), 1_800)
    deliveries = [a_delivery(f"o-{number}") for number in range(4)]
    (planned,) = plan_of(deliveries, [a_shift(breaks=(rest,))]).rounds
    (taken,) = planned.breaks
    assert local(9.5) <= taken.starts_at <= local(10)
    assert taken.ends_at - taken.starts_at == timedelta(minutes=30)
    assert all(stop.leaves_at <= taken.starts_at or stop.starts_at >= taken.ends_at for stop in planned.stops)


def test_a_share_bounds_what_a_group_rides() -> None:
    deliveries = [a_delivery(f"o-{number}") for number in range(4)]
    shifts = [a_shift("s1", group="erdre"), a_shift("s2", group="loire", ends_at=local(8.5))]
    travel = matrix(places(deliveries, shifts))
    problem = to_problem(
        deliveries,
        shifts,
        travel_seconds=travel.seconds,
        travel_metres=travel.metres,
        day=DAY,
        zone=PARIS,
        shares=[Share("erdre", 0, 500)],
    )
    plan = explain(problem, solve(problem, Steps(50)))
    assert check(problem, plan) == []
    assert len(plan.planned) == 2
    assert all(ReasonCode.SHARE in item.codes for item in plan.left_out)


def test_a_matrix_over_other_places_is_refused() -> None:
    deliveries, shifts = [a_delivery()], [a_shift()]
    small = np.zeros((2, 2), dtype=np.int64)
    with pytest.raises(FaultyProblem):
        to_problem(deliveries, shifts, travel_seconds=small, travel_metres=small, day=DAY, zone=PARIS)


@st.composite
def days(draw: st.DrawFn) -> tuple[list[DeliveryToPlan], list[ShiftToPlan]]:
    spots = st.builds(Place, st.floats(-1.6, -1.5), st.floats(47.18, 47.24))
    hours = st.floats(6, 20)

    def visit() -> VisitToMake:
        start = draw(st.just(8.0) | hours)
        hours_open = draw(st.just(8.0) | st.floats(0, 4))
        return VisitToMake(draw(spots), local(start), local(start + hours_open), draw(st.integers(0, 900)))

    shifts = []
    for index in range(draw(st.sampled_from([2, 3, 1, 0]))):
        start = draw(st.just(8.0) | hours)
        capacity = draw(st.sampled_from([90_000, 60_000, 0]))
        end = local(start + draw(st.just(9.0) | st.floats(0.01, 8)))
        shifts.append(ShiftToPlan(f"s{index}", draw(spots), draw(spots), local(start), end, capacity, 200_000))
    deliveries = [
        DeliveryToPlan(
            f"o-{index}",
            visit(),
            visit(),
            draw(st.integers(0, 90_000)),
            10_000,
            needs_trailer=draw(st.sampled_from([False, True])),
        )
        for index in range(draw(st.sampled_from([4, 5, 3, 2, 1, 0])))
    ]
    return deliveries, shifts


@given(days())
@settings(deadline=None, max_examples=50)
def test_no_delivery_of_a_day_is_lost(day: tuple[list[DeliveryToPlan], list[ShiftToPlan]]) -> None:
    deliveries, shifts = day
    planned = plan_of(deliveries, shifts)
    ridden = {stop.delivery_id for ride in planned.rounds for stop in ride.stops}
    told = Counter([*ridden, *(item.request_id for item in planned.left_out)])
    assert told == Counter(delivery.id for delivery in deliveries)
    assert all(item.reasons and item.sentence for item in planned.left_out)
