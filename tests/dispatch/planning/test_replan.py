"""The day changes: what is done stays, what is pinned stays, little else moves."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from services.dispatch.planning import schedule
from services.dispatch.planning.check import check
from services.dispatch.planning.near import ChangePrices, Near, StopKey, change_cost, starts_of, vehicle_of
from services.dispatch.planning.plan import LeftOut, Plan, ReasonCode, Route, cost, rank
from services.dispatch.planning.problem import (
    Break,
    FaultyProblem,
    FleetLimit,
    HubLimit,
    Prices,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from services.dispatch.planning.reasons import apply, serve
from services.dispatch.planning.remaining import (
    Cancelled,
    ChangeCode,
    Event,
    Facts,
    Late,
    Progress,
    Remaining,
    ShiftEnds,
    SiteClosed,
    VehicleLost,
    hold,
    remaining,
)
from services.dispatch.planning.replan import Replanned, insert, replan
from services.dispatch.planning.solve import Steps
from tests.strategies import examples, problems

CALM = ChangePrices(moved_order=300, moved_minute=5, courier_told=60)
STRICT = ChangePrices(moved_order=10**9, moved_minute=0, courier_told=0)
EASY = ChangePrices()
BOUNDED = settings(deadline=None, max_examples=examples(80), suppress_health_check=list(HealthCheck))


def from_nothing(problem: RoutingProblem) -> Plan:
    """Return a plan of the problem by insertion alone."""
    nothing = Plan((), tuple(LeftOut(request.id) for request in problem.requests))
    return insert(problem, Near(nothing, EASY))


def as_planned(route: Route, now_seconds: int) -> Progress:
    """Return how far a vehicle is that rides as planned: on its way as soon as a stop is done."""
    ended = {}
    started = frozenset[StopKey]()
    point, free = route.visits[0].point, route.start_seconds
    left = route.start_seconds
    for visit in route.visits:
        if left > now_seconds:
            break
        key = visit.request_id, visit.kind, visit.number
        ended[key] = visit.departure_seconds
        started = frozenset({key} if visit.departure_seconds > now_seconds else ())
        point = visit.point
        free = left = visit.departure_seconds
    return Progress(route.vehicle_id, point, max(free, now_seconds), ended, started)


class Morning(NamedTuple):
    """A day that has begun: the problem, the plan in force, how far it is, what happens."""

    problem: RoutingProblem
    in_force: Plan
    progress: list[Progress]
    events: list[Event]
    now_seconds: int

    def remaining(self) -> Remaining:
        return remaining(self.problem, self.in_force, self.progress, self.events, now_seconds=self.now_seconds)


@st.composite
def mornings(draw: st.DrawFn) -> Morning:
    """Draw a problem, a plan of a part of it, how far its vehicles are, and events."""
    problem = draw(problems(most_requests=9))
    known = draw(st.integers(0, len(problem.requests)))
    first = tuple(request for n, request in enumerate(problem.requests) if n < known or request.locked_to is not None)
    try:
        in_force = from_nothing(replace(problem, requests=first))
    except FaultyProblem:
        assume(False)
        raise
    starts = [visit.start_seconds for route in in_force.routes for visit in route.visits] or [0]
    now = draw(st.sampled_from(starts)) + draw(st.sampled_from([-20_000, -60, 0, 100, 3_000]))
    progress = [as_planned(route, now) for route in in_force.routes if route.start_seconds <= now]
    vehicle_ids = [vehicle.id for vehicle in problem.vehicles]
    events: list[Event] = []
    points = st.integers(0, len(problem.points) - 1)
    if vehicle_ids:
        some = st.sampled_from(vehicle_ids)
        kinds = draw(st.lists(st.sampled_from(["lost", "ends", "late", "closed", "cancelled"]), max_size=2))
        for kind in kinds:
            match kind:
                case "lost":
                    events.append(VehicleLost(draw(some), draw(st.none() | points)))
                case "ends":
                    events.append(ShiftEnds(draw(some), now + draw(st.sampled_from([-100, 900, 7_200]))))
                case "late":
                    events.append(Late(draw(some), draw(st.sampled_from([60, 1_200, 9_000]))))
                case "closed":
                    events.append(SiteClosed(draw(points), Span(now, now + draw(st.sampled_from([600, 30_000])))))
                case "cancelled" if problem.requests:
                    events.append(Cancelled(draw(st.sampled_from([request.id for request in problem.requests]))))
    return Morning(problem, in_force, progress, events, now)


def everything(day: Morning, now: Remaining) -> Counter[str]:
    """Return each request of the morning with how often it is told: done, gone, or in the problem as of now."""
    done = [
        request.id
        for request in day.problem.requests
        if any(
            all((request.id, kind, number) in standing.ended for kind, number, _ in request.stops)
            for standing in day.progress
        )
    ]
    return Counter([*done, *now.facts.gone, *(request.id for request in now.problem.requests)])


@BOUNDED
@given(mornings())
def test_no_request_of_a_day_is_lost_on_the_way(day: Morning) -> None:
    now = day.remaining()
    told = everything(day, now)
    lost = {event.vehicle_id for event in day.events if isinstance(event, VehicleLost)}
    started = {key[0] for standing in day.progress if standing.vehicle_id in lost for key in standing.started}
    assert told.keys() == {request.id for request in day.problem.requests}
    # What a lost vehicle was on its way to is not done after all.
    assert all(count == 1 or request_id in started for request_id, count in told.items())


@BOUNDED
@given(mornings(), st.data())
def test_insertion_makes_a_plan_that_the_judge_accepts_and_loses_nothing(day: Morning, data: st.DataObject) -> None:
    now = day.remaining()
    pinned = data.draw(st.frozensets(st.sampled_from(now.plan.planned))) if now.plan.planned else frozenset()
    prices = data.draw(st.sampled_from([EASY, CALM, STRICT]))
    found = replan(now.problem, now.plan, stop=None, prices=prices, pinned=pinned, facts=now.facts)
    assert check(found.problem, found.plan) == []
    assert sorted([*found.plan.planned, *(item.request_id for item in found.plan.left_out)]) == sorted(
        request.id for request in now.problem.requests
    )
    assert_lists_are_the_difference(now, found)
    assert_held_stays(now, found, pinned)


@BOUNDED
@given(mornings())
def test_insertion_moves_no_order_that_its_vehicle_can_still_serve(day: Morning) -> None:
    quiet = day._replace(events=[])
    now = quiet.remaining()
    assume(all(route_is_kept(now, route) for route in now.plan.routes))
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    after = vehicle_of(found.plan)
    assert all(after[request_id] == vehicle for request_id, vehicle in vehicle_of(now.plan).items())


def route_is_kept(now: Remaining, route: Route) -> bool:
    """Return whether what is left of a route in force can be ridden as it stands."""
    alone = replace(now.plan, routes=(route,), left_out=())
    only = replace(
        now.problem,
        requests=tuple(r for r in now.problem.requests if r.id in alone.planned),
        shares=(),
        fleet_limits=(),
        hub_limits=(),
    )
    return insert(only, Near(alone, EASY)).left_out == ()


@settings(BOUNDED, max_examples=25)
@given(mornings(), st.sampled_from([EASY, CALM, STRICT]))
def test_the_search_is_taken_only_where_it_pays(day: Morning, prices: ChangePrices) -> None:
    now = day.remaining()
    alone = replan(now.problem, now.plan, stop=None, prices=prices, facts=now.facts)
    found = replan(now.problem, now.plan, stop=Steps(200), prices=prices, facts=now.facts)
    near = Near(now.plan, prices)
    assert check(found.problem, found.plan) == []
    assert_lists_are_the_difference(now, found)
    assert_held_stays(now, found, frozenset())
    if not found.inserted and found.problem.objective == "prices":
        both = [cost(one.problem, one.plan) + change_cost(near, one.plan) for one in (found, alone)]
        assert both[0] < both[1]


@BOUNDED
@given(mornings(), st.sampled_from([EASY, CALM, STRICT]))
def test_each_change_that_is_advised_on_a_day_under_way_serves_the_order_and_pays(
    day: Morning, prices: ChangePrices
) -> None:
    now = day.remaining()
    near = Near(now.plan, prices)
    found = replan(now.problem, now.plan, stop=None, prices=prices, facts=now.facts)

    def worth(problem: RoutingProblem, plan: Plan) -> tuple[int, ...]:
        *before, money = rank(problem, plan)
        return (*before, money + change_cost(near, plan))

    for left_out in found.plan.left_out:
        for remedy in left_out.remedies:
            assert remedy.vehicle_id is not None
            changed = apply(found.problem, remedy, left_out.request_id)
            there = frozenset({remedy.vehicle_id})
            only = tuple(
                replace(one, allowed_vehicles=there) if one.id == left_out.request_id else one
                for one in changed.requests
            )
            served = serve(replace(changed, requests=only), found.plan, left_out.request_id)
            assert served is not None
            assert check(changed, served) == []
            assert worth(changed, served) < worth(changed, found.plan)


def assert_lists_are_the_difference(now: Remaining, found: Replanned) -> None:
    before, after = vehicle_of(now.facts.before), vehicle_of(found.plan)
    told = found.changes
    lists = (told.moved, told.retimed, told.added, told.dropped, told.left_out)
    ids = [change.request_id for changes in lists for change in changes] + list(told.kept)
    assert sorted(ids) == sorted({*before, *after, *now.facts.gone, *(item.request_id for item in found.plan.left_out)})
    assert {c.request_id for c in told.moved} == {i for i in before if i in after and before[i] != after[i]}
    assert {c.request_id for c in told.added} == after.keys() - before.keys()
    assert {c.request_id for c in told.dropped} == before.keys() - after.keys()
    old, new = starts_of(now.facts.before), starts_of(found.plan)
    for request_id in told.kept:
        assert {k: v for k, v in old.items() if k[0] == request_id} == {
            k: v for k, v in new.items() if k[0] == request_id
        }
    for change in told.retimed:
        assert any(stop.before_seconds != stop.after_seconds for stop in change.stops)
        assert change.from_vehicle == change.to_vehicle


def assert_held_stays(now: Remaining, found: Replanned, pinned: frozenset[str]) -> None:
    after = vehicle_of(found.plan)
    for request in now.problem.requests:
        if request.locked_to is not None:
            assert after[request.id] == request.locked_to
    before, starts = vehicle_of(now.plan), starts_of(found.plan)
    for request_id in pinned:
        assert after[request_id] == before[request_id]
    for key, start in starts_of(now.plan).items():
        if key[0] in pinned:
            assert starts[key] >= start
            stop = found.problem.requests_by_id[key[0]].stop(key[1], key[2])
            assert starts[key] <= stop.last_seconds


# One at a time, by hand: a street of places 600 s apart.


def street(length: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(length), np.arange(length))) * 600


def bike(id_: str, start: int = 0, until: int = 36_000, **rules: object) -> Vehicle:
    return Vehicle(id_, start, start, 0, until, (100,), **rules)  # type: ignore[arg-type]


def load(id_: str, pickup: int, drop: int, opens: int = 0, closes: int = 36_000, **rules: object) -> "object":
    return pair(id_, Stop(pickup, opens, closes, 60), Stop(drop, opens, closes, 60), (10,), **rules)


def a_day(*requests: object, vehicles: tuple[Vehicle, ...] = (), **rules: object) -> RoutingProblem:
    matrix = street(10)
    names = tuple(f"p{n}" for n in range(10))
    return RoutingProblem(names, requests, vehicles or (bike("a"), bike("b")), matrix, matrix, **rules)  # type: ignore[arg-type]


def test_what_is_aboard_stays_on_its_bike_when_another_would_be_nearer() -> None:
    problem = a_day(load("x", 1, 9), vehicles=(bike("a"), bike("b", start=9)))
    in_force = from_nothing(replace(problem, vehicles=(bike("a"),)))
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    now = remaining(problem, in_force, [collected], now_seconds=660)
    (request,) = now.problem.requests
    assert (request.pickups, request.locked_to) == ((), "a")
    found = replan(now.problem, now.plan, stop=Steps(50), prices=EASY, facts=now.facts)
    assert found.changes.kept == ("x",)


def test_a_started_stop_is_where_its_courier_goes_on() -> None:
    problem = a_day(load("x", 1, 9))
    in_force = from_nothing(problem)
    rider = in_force.routes[0].vehicle_id
    started = Progress(rider, 1, 900, {("x", StopKind.PICKUP, 0): 900}, started=frozenset({("x", StopKind.PICKUP, 0)}))
    now = remaining(problem, in_force, [started], now_seconds=300)
    assert now.problem.vehicles_by_id[rider].start_point == 1
    assert now.problem.vehicles_by_id[rider].shift_start_seconds == 900


def test_a_broken_bike_leaves_its_load_where_another_can_fetch_it() -> None:
    problem = a_day(load("x", 1, 9))
    in_force = from_nothing(replace(problem, vehicles=(bike("a"),)))
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    now = remaining(problem, in_force, [collected], [VehicleLost("a", aboard_point=3)], now_seconds=2_000)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (change,) = found.changes.moved
    assert (change.from_vehicle, change.to_vehicle, change.code) == ("a", "b", ChangeCode.VEHICLE_LOST)
    assert [visit.point for visit in found.plan.routes[0].visits] == [3, 9]


def test_a_load_that_nobody_can_fetch_is_told_as_dropped() -> None:
    problem = a_day(load("x", 1, 9))
    in_force = from_nothing(replace(problem, vehicles=(bike("a"),)))
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    now = remaining(problem, in_force, [collected], [VehicleLost("a")], now_seconds=2_000)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (change,) = found.changes.dropped
    assert change.code is ChangeCode.VEHICLE_LOST


def test_a_sick_couriers_orders_go_to_others_and_say_so() -> None:
    problem = a_day(load("x", 1, 2), load("y", 7, 8), vehicles=(bike("a"), bike("b", start=9)))
    in_force = from_nothing(problem)
    assert vehicle_of(in_force) == {"x": "a", "y": "b"}
    now = remaining(problem, in_force, [], [VehicleLost("b")], now_seconds=-100)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (change,) = found.changes.moved
    assert (change.request_id, change.to_vehicle, change.code) == ("y", "a", ChangeCode.VEHICLE_LOST)
    assert found.changes.kept == ("x",)


def test_a_new_order_is_added_and_what_it_delays_is_told_why() -> None:
    problem = a_day(load("x", 1, 5), load("new", 2, 3), vehicles=(bike("a"),))
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    now = remaining(problem, in_force, now_seconds=-100)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert [(change.request_id, change.code) for change in found.changes.added] == [("new", ChangeCode.NEW)]
    for change in found.changes.retimed:
        assert (change.code, change.for_request) == (ChangeCode.MAKES_ROOM, "new")


def test_what_is_promised_is_not_left_for_a_new_order_that_is_nearer() -> None:
    far, new = load("far", 1, 6, closes=6_000), load("new", 9, 8, closes=6_000)
    problem = a_day(far, new, vehicles=(bike("a", start=5),))  # who rides one of them cannot reach the other in time
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    now = remaining(problem, in_force, now_seconds=-100)
    found = replan(now.problem, now.plan, stop=Steps(300), prices=EASY, facts=now.facts)
    assert found.changes.kept == ("far",)
    assert [item.request_id for item in found.plan.left_out] == ["new"]


def test_what_is_promised_and_can_wait_is_not_left_for_a_new_order_that_can_wait_too() -> None:
    far = load("far", 1, 6, closes=6_000, left_out_price=7_200)
    new = load("new", 9, 8, closes=6_000, left_out_price=7_200)
    problem = a_day(far, new, vehicles=(bike("a", start=5),))  # who rides one of them cannot reach the other in time
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    now = remaining(problem, in_force, now_seconds=-100)
    found = replan(now.problem, now.plan, stop=Steps(300), prices=EASY, facts=now.facts)
    assert found.changes.kept == ("far",)


def test_what_can_wait_and_would_change_too_much_is_told_to_cost_too_much() -> None:
    new = load("new", 2, 3, closes=9_000, left_out_price=3_600)
    problem = a_day(load("x", 1, 5), new, vehicles=(bike("a"),))
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    dear = ChangePrices(courier_told=7_200)
    found = replan(problem, in_force, stop=Steps(100), prices=dear)
    (left,) = found.plan.left_out
    assert [reason.code for reason in left.reasons] == [ReasonCode.PRICE]
    assert replan(problem, in_force, stop=None, prices=EASY).plan.left_out == ()
    weighty = replace(problem, requests=(problem.requests[0], replace(problem.requests[1], left_out_price=36_000)))
    assert replan(weighty, in_force, stop=Steps(100), prices=dear).plan.left_out == ()


def test_a_pinned_order_keeps_its_minute_when_a_new_one_would_push_it() -> None:
    problem = a_day(load("x", 4, 5, closes=9_000), load("new", 2, 3, closes=4_000), vehicles=(bike("a"),))
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    free = replan(problem, in_force, stop=None, prices=EASY)
    assert free.changes.retimed
    held = replan(problem, in_force, stop=None, prices=EASY, pinned=frozenset({"x"}))
    assert held.changes.kept == ("x",)


def test_a_pinned_order_behind_a_late_courier_is_as_late_as_needed_and_no_more() -> None:
    problem = a_day(load("x", 1, 2), vehicles=(bike("a"),))
    in_force = from_nothing(problem)
    planned = in_force.routes[0].visits[0].start_seconds
    now = remaining(problem, in_force, [], [Late("a", 1_000)], now_seconds=0)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, pinned=frozenset({"x"}), facts=now.facts)
    assert found.plan.routes[0].visits[0].start_seconds == planned + 1_000
    (change,) = found.changes.retimed
    assert change.code is ChangeCode.LATE_COURIER


def test_a_load_aboard_is_brought_home_after_the_shift_and_the_window() -> None:
    problem = a_day(load("x", 1, 9, closes=7_000), vehicles=(bike("a", until=12_000),))
    in_force = from_nothing(problem)
    collected = Progress("a", 1, 11_900, {("x", StopKind.PICKUP, 0): 11_900})
    now = remaining(problem, in_force, [collected], now_seconds=11_900)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert check(found.problem, found.plan) == []
    assert found.plan.routes[0].visits[0].start_seconds == 11_900 + 8 * 600


def test_a_closed_site_is_waited_for_or_left_out() -> None:
    problem = a_day(load("x", 1, 2), vehicles=(bike("a"),))
    in_force = from_nothing(problem)
    now = remaining(problem, in_force, [], [SiteClosed(2, Span(0, 5_000))], now_seconds=-100)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (change,) = found.changes.retimed
    assert change.code is ChangeCode.CLOSED_SITE
    shut = remaining(problem, in_force, [], [SiteClosed(2, Span(0, 50_000))], now_seconds=-100)
    found = replan(shut.problem, shut.plan, stop=None, prices=CALM, facts=shut.facts)
    (change,) = found.changes.dropped
    assert change.code is ChangeCode.CLOSED_SITE
    assert change.left_out is not None and change.left_out.reasons


def test_what_is_cancelled_is_dropped_unless_it_is_aboard() -> None:
    problem = a_day(load("x", 1, 9), load("y", 2, 3), vehicles=(bike("a"),))
    in_force = from_nothing(problem)
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    now = remaining(problem, in_force, [collected], [Cancelled("x"), Cancelled("y")], now_seconds=660)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert [(change.request_id, change.code) for change in found.changes.dropped] == [("y", ChangeCode.CANCELLED)]
    assert found.plan.planned == ("x",)


def test_only_as_much_is_taken_out_of_a_shortened_shift_as_must_be() -> None:
    problem = a_day(load("x", 1, 2), load("y", 6, 7), vehicles=(bike("a"),))
    in_force = from_nothing(problem)
    now = remaining(problem, in_force, [], [ShiftEnds("a", 3_000)], now_seconds=-100)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert [change.request_id for change in found.changes.dropped] == ["y"]
    assert found.changes.dropped[0].code is ChangeCode.SHIFT_SHORTENED
    assert found.plan.planned == ("x",)


def test_nothing_moves_that_need_not_where_moving_is_dear() -> None:
    problem = a_day(load("x", 8, 9), load("y", 1, 2), vehicles=(bike("a"), bike("b", start=9)))
    # In force the long way round: a search that is free to would exchange both.
    crossed = from_nothing(
        replace(
            problem,
            requests=(
                replace(problem.requests[0], allowed_vehicles=frozenset({"a"})),
                replace(problem.requests[1], allowed_vehicles=frozenset({"b"})),
            ),
        )
    )
    strict = replan(problem, crossed, stop=Steps(300), prices=STRICT)
    assert strict.changes.moved == ()
    easy = replan(problem, crossed, stop=Steps(300), prices=EASY)
    assert {change.request_id for change in easy.changes.moved} == {"x", "y"}
    assert {change.code for change in easy.changes.moved} <= {ChangeCode.SAVES, ChangeCode.MAKES_ROOM}


def test_a_part_collected_lies_where_the_bike_stopped() -> None:
    request = replace(
        load("x", 1, 9),  # type: ignore[type-var]
        pickups=(Stop(1, 0, 36_000, loads=(4,)), Stop(2, 0, 36_000, loads=(6,))),
    )
    problem = a_day(request)
    in_force = from_nothing(replace(problem, vehicles=(bike("a"),)))
    half = Progress("a", 1, 600, {("x", StopKind.PICKUP, 0): 600})
    now = remaining(problem, in_force, [half], now_seconds=600)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert [visit.point for visit in found.plan.routes[0].visits] == [1, 2, 9]
    broken = remaining(problem, in_force, [half], [VehicleLost("a", aboard_point=5)], now_seconds=600)
    found = replan(broken.problem, broken.plan, stop=None, prices=CALM, facts=broken.facts)
    assert sorted(visit.point for visit in found.plan.routes[0].visits) == [2, 5, 9]
    assert check(found.problem, found.plan) == []


def test_a_share_of_the_whole_day_still_counts_what_was_ridden() -> None:
    vehicles = (bike("a", group="north"), bike("b", group="south"))
    requests = [load(f"r{n}", n, n + 1) for n in range(1, 5)]
    problem = a_day(*requests, vehicles=vehicles, shares=(Share("north", 0, 500),))
    in_force = from_nothing(problem)
    of_north = [id_ for id_, vehicle in vehicle_of(in_force).items() if vehicle == "a"]
    assert len(of_north) == 2
    done = {key: end for key, end in starts_of(in_force).items() if key[0] in of_north}
    now = remaining(problem, in_force, [Progress("a", 0, 9_000, done)], now_seconds=9_000)
    assert now.problem.most(now.problem.shares[0]) == 0


def test_a_break_that_was_taken_is_not_asked_for_again() -> None:
    problem = a_day(load("x", 1, 9), vehicles=(bike("a", breaks=(Break(0, 100, 300),)),))
    in_force = from_nothing(problem)
    now = remaining(problem, in_force, [Progress("a", 0, 1_000)], now_seconds=1_000)
    assert now.problem.vehicles[0].breaks == ()


def resting(done: bool) -> Remaining:
    """Return a day at 1,500 s: its break was planned from 1,000 to 2,000 s, behind the first stop at place 1."""
    problem = a_day(load("x", 1, 9), vehicles=(bike("a", breaks=(Break(1_000, 1_200, 1_000),)),))
    in_force = from_nothing(problem)
    (route,) = in_force.routes
    assert [(rest.after, rest.start_seconds, rest.end_seconds) for rest in route.breaks] == [(1, 1_000, 2_000)]
    done_then = {("x", StopKind.PICKUP, 0): 660} if done else {}
    return remaining(problem, in_force, [Progress("a", 1, 1_500, done_then)], now_seconds=1_500)


def test_a_break_being_taken_ends_when_it_was_planned_to_end() -> None:
    now = resting(done=True)
    (vehicle,) = now.problem.vehicles
    assert (vehicle.breaks, vehicle.shift_start_seconds) == ((), 2_000)
    assert now.plan.routes[0].breaks == ()
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert found.changes.kept == ("x",)


def test_a_break_that_waits_for_a_late_stop_is_still_to_be_taken() -> None:
    (vehicle,) = resting(done=False).problem.vehicles
    assert [rest.length_seconds for rest in vehicle.breaks] == [1_000]


def test_what_a_smaller_bike_still_carries_stays_when_others_are_too_much_together() -> None:
    behind = [load(id_, 6, 7, closes=30_000) for id_ in "bcd"]
    problem = a_day(load("a", 4, 3), *behind, vehicles=(bike("v", start=5, until=5_340),))
    in_force = from_nothing(problem)
    assert in_force.left_out == ()
    smaller = replace(problem, vehicles=(replace(problem.vehicles[0], capacities=(15,)),))
    found = replan(smaller, in_force, stop=None, prices=EASY)
    assert "a" in found.plan.planned
    assert check(smaller, found.plan) == []


def test_what_a_bike_can_carry_stays_on_it_when_it_loses_its_trailer() -> None:
    behind = [load(id_, 6, 7, skills=frozenset({"trailer"})) for id_ in "bc"]
    with_trailer = bike("v", start=5, skills=frozenset({"trailer"}))
    problem = a_day(load("a", 4, 3), *behind, vehicles=(with_trailer, bike("w", start=4)))
    in_force = from_nothing(replace(problem, vehicles=(with_trailer,)))
    assert in_force.left_out == ()
    without = replace(problem, vehicles=(replace(with_trailer, skills=frozenset()), problem.vehicles[1]))
    found = replan(without, in_force, stop=None, prices=EASY)
    assert vehicle_of(found.plan) == {"a": "v"}


def test_the_price_of_change_counts_orders_minutes_and_couriers() -> None:
    problem = a_day(load("x", 1, 2), load("y", 1, 2), prices=Prices())
    on_a = from_nothing(replace(problem, vehicles=(bike("a"),)))
    on_b = from_nothing(replace(problem, vehicles=(bike("b"),)))
    assert change_cost(Near(on_a, ChangePrices(1, 0, 0)), on_b) == 2
    assert change_cost(Near(on_a, ChangePrices(0, 0, 1)), on_b) == 2
    late = Plan(
        tuple(
            replace(route, visits=tuple(replace(v, start_seconds=v.start_seconds + 61) for v in route.visits))
            for route in on_a.routes
        ),
        (),
    )
    assert change_cost(Near(on_a, ChangePrices(0, 1, 0)), late) == 2 * 4


@pytest.mark.parametrize("pinned", [frozenset(), frozenset({"x"})])
def test_holding_a_plan_that_fits_changes_no_limit(pinned: frozenset[str]) -> None:
    problem = a_day(load("x", 1, 2), load("y", 3, 4))
    in_force = from_nothing(problem)
    held = hold(problem, in_force, pinned)
    assert held.vehicles == problem.vehicles
    assert all(stop.latest_seconds is None for request in held.requests for _, _, stop in request.stops)
    assert Facts(in_force).gone == {}


def with_a_break_before_z() -> tuple[RoutingProblem, Plan]:
    """Return a day of x and y, then a break, then z, which waits until 20,000 s."""
    requests = load("x", 1, 2), load("y", 3, 4, opens=1_500), load("z", 5, 6, opens=20_000)
    problem = a_day(*requests, vehicles=(bike("a", breaks=(Break(2_500, 10_000, 600),)),))
    in_force = from_nothing(problem)
    (route,) = in_force.routes
    assert [rest.after for rest in route.breaks] == [4]
    return problem, in_force


@pytest.mark.parametrize("early", [200, -200])
def test_a_break_stays_where_it_is_between_stops_when_the_courier_is_early_or_late(early: int) -> None:
    problem, in_force = with_a_break_before_z()
    (route,) = in_force.routes
    done = route.visits[: 4 if early > 0 else 3]
    ended = {(visit.request_id, visit.kind, visit.number): visit.departure_seconds - early for visit in done}
    free = done[-1].departure_seconds - early
    now = remaining(problem, in_force, [Progress("a", done[-1].point, free, ended)], now_seconds=free)
    assert [rest.after for rest in now.plan.routes[0].breaks] == [4 - len(done)]
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert "z" in found.changes.kept
    assert check(now.problem, found.plan) == []


def test_a_break_stays_behind_the_stops_before_it_when_one_of_them_is_cancelled() -> None:
    problem, in_force = with_a_break_before_z()
    now = remaining(problem, in_force, [], [Cancelled("x")], now_seconds=0)
    assert [rest.after for rest in now.plan.routes[0].breaks] == [2]
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert "z" in found.changes.kept


def test_a_round_without_the_break_that_was_over_before_it_gives_no_other_break_twice() -> None:
    rests = Break(1_000, 1_200, 600), Break(12_000, 20_000, 1_800)
    problem = a_day(load("x", 1, 9), load("y", 3, 8, opens=18_000), vehicles=(bike("a", breaks=rests),))
    at_noon = remaining(problem, Plan((), ()), [], now_seconds=6_000)
    in_force = replan(at_noon.problem, at_noon.plan, stop=None, prices=CALM, facts=at_noon.facts).plan
    (route,) = in_force.routes
    (lunch,) = route.breaks
    now_seconds = lunch.end_seconds + 100
    now = remaining(problem, in_force, [as_planned(route, now_seconds)], now_seconds=now_seconds)
    assert now.problem.vehicles[0].breaks == ()
    before = remaining(problem, in_force, [as_planned(route, 6_100)], now_seconds=6_100)
    assert before.problem.vehicles[0].breaks == (rests[1],)
    found = replan(before.problem, before.plan, stop=None, prices=CALM, facts=before.facts)
    assert set(found.changes.kept) == {"x", "y"}


def test_a_load_aboard_stays_though_its_bike_may_not_carry_it_any_more() -> None:
    asked = load("x", 1, 9, skills=frozenset({"trailer"}), allowed_groups=frozenset({"erdre"}))
    able = bike("a", skills=frozenset({"trailer"}), group="erdre")
    in_force = from_nothing(a_day(asked, vehicles=(able,)))
    problem = a_day(asked, vehicles=(bike("a"), replace(able, id="b")))
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    now = remaining(problem, in_force, [collected], now_seconds=660)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    assert vehicle_of(found.plan) == {"x": "a"}


def test_what_has_become_too_much_for_every_bike_of_the_day_is_told_as_dropped_unless_it_is_begun() -> None:
    both = a_day(load("x", 1, 2), load("y", 3, 4), load("z", 5, 6), vehicles=(bike("a"),))
    in_force = from_nothing(both)
    without = replace(both, requests=both.requests[1:])  # no problem can have what no vehicle has the room for
    now = remaining(without, in_force, now_seconds=0)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (change,) = found.changes.dropped
    assert (change.request_id, change.from_vehicle, change.code) == ("x", "a", ChangeCode.NO_LONGER_FITS)
    assert {change.request_id for change in found.changes.retimed} | {*found.changes.kept} == {"y", "z"}
    carried = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    assert "x" not in remaining(without, in_force, [carried], now_seconds=660).facts.gone


def test_a_pinned_order_that_its_bike_may_not_carry_any_more_goes_to_another() -> None:
    asked, able = load("x", 1, 9, skills=frozenset({"trailer"})), bike("a", skills=frozenset({"trailer"}))
    in_force = from_nothing(a_day(asked, vehicles=(able,)))
    problem = a_day(asked, vehicles=(bike("a"), replace(able, id="b")))
    found = replan(problem, in_force, stop=None, prices=CALM, pinned=frozenset({"x"}))
    assert vehicle_of(found.plan) == {"x": "b"}


def test_a_limit_of_a_site_counts_no_call_of_a_delivery_that_is_no_part_of_the_day_any_more() -> None:
    problem = a_day(load("x", 1, 2), load("y", 3, 4), vehicles=(bike("a"),), hub_limits=(HubLimit(1, 1),))
    collected = Progress("a", 1, 660, {("x", StopKind.PICKUP, 0): 660})
    without = replace(problem, requests=problem.requests[1:])
    now = remaining(without, from_nothing(problem), [collected], now_seconds=660)
    assert now.problem.hub_limits == (HubLimit(1, 1),)


def test_on_a_day_under_way_no_shift_that_is_ridden_is_advised_to_be_another() -> None:
    problem = a_day(load("x", 1, 2), load("new", 3, 5, closes=4_000), vehicles=(bike("a", until=12_000),))
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    now = remaining(problem, in_force, [], now_seconds=3_000)
    found = replan(now.problem, now.plan, stop=None, prices=CALM, facts=now.facts)
    (left_out,) = found.plan.left_out
    assert left_out.request_id == "new"
    assert ReasonCode.SHIFT not in {remedy.code for remedy in left_out.remedies}
    free = replan(a_day(load("new", 3, 9), vehicles=(bike("a", until=7_000),)), Plan((), ()), stop=None, prices=CALM)
    assert [(remedy.code, remedy.what) for remedy in free.plan.left_out[0].remedies] == [(ReasonCode.SHIFT, "end")]


@pytest.mark.parametrize(("worth", "remedies"), [(9_000, []), (9_001, [(ReasonCode.SHIFT, "end")])])
def test_what_would_serve_an_order_of_a_day_under_way_pays_for_the_change_too(
    worth: int, remedies: list[tuple[ReasonCode, str]]
) -> None:
    # 7,200 s more to ride, and a courier who is told.
    prices = ChangePrices(moved_order=7_200, moved_minute=30, courier_told=1_800)
    requests = load("x", 1, 2), load("new", 3, 8, left_out_price=worth)
    problem = a_day(*requests, vehicles=(bike("a", until=9_600),), prices=Prices())
    in_force = from_nothing(replace(problem, requests=problem.requests[:1]))
    facts = Facts(in_force)
    found = replan(problem, in_force, stop=None, prices=prices, facts=facts)
    (left_out,) = found.plan.left_out
    assert [(remedy.code, remedy.what) for remedy in left_out.remedies] == remedies
    for remedy in left_out.remedies:
        mended = replan(apply(problem, remedy, "new"), in_force, stop=None, prices=prices, facts=facts)
        assert mended.plan.left_out == ()


def test_a_shortened_day_of_two_breaks_is_mended_without_trying_all_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = [load(str(n), n % 10, (3 * n) % 10, opens=1_200 * n, closes=1_200 * n + 9_000) for n in range(16)]
    rests = Break(4_000, 8_000, 900), Break(12_000, 16_000, 900)
    problem = a_day(*requests, vehicles=(bike("a", until=30_000, breaks=rests),))
    in_force = from_nothing(problem)
    stops = len(in_force.routes[0].visits)
    assert stops >= 16
    now = remaining(problem, in_force, [], [ShiftEnds("a", 18_000)], now_seconds=0)
    tried, times = [0], schedule._times

    def counted(*given: object) -> object:
        tried[0] += 1
        return times(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(schedule, "_times", counted)
    found = insert(hold(now.problem, now.plan), Near(now.plan, CALM))
    assert found.routes
    assert found.left_out
    # Once for each request that might go, a few times for each that goes: not for each two of all stops.
    assert tried[0] < 10 * stops**2


def test_nothing_is_advised_where_even_an_order_without_a_price_of_its_own_is_not_worth_telling_a_courier() -> None:
    here = np.zeros((1, 1), dtype=np.int64)
    asked = pair("new", Stop(0, 0, 36_000, 60), Stop(0, 0, 36_000, 60), (10,))
    limit = FleetLimit(frozenset({"a"}), 0)
    problem = RoutingProblem(("here",), (asked,), (bike("a"),), here, here, prices=Prices(), fleet_limits=(limit,))
    found = replan(problem, Plan((), ()), stop=None, prices=CALM)
    assert [item.remedies for item in found.plan.left_out] == [()]
    free = replan(problem, Plan((), ()), stop=None, prices=EASY)
    assert [item.remedies[0].code for item in free.plan.left_out] == [ReasonCode.LIMIT]
