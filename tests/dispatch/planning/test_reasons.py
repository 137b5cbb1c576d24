"""Every reason is true of the request tried alone, and every remedy is true, and the least, when it is carried out."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode, Remedy, Route, rank
from services.dispatch.planning.problem import (
    Break,
    FleetLimit,
    HubLimit,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Span,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from services.dispatch.planning.reasons import apply, explain, insertion, remedy_words, sentence, serve
from services.dispatch.planning.reasons.insertion import Undecided, cheapest, fits, route_price
from services.dispatch.planning.schedule import Call, calls_of, ride
from tests.strategies import problems

FAR = 2**40
MOST_TRIED_BY_HAND = 800
ALONE = set(ReasonCode) - {
    ReasonCode.LOCK,
    ReasonCode.SHARE,
    ReasonCode.LIMIT,
    ReasonCode.PRICE,
    ReasonCode.OUTWEIGHED,
    ReasonCode.NO_VEHICLE,
}


def own_orders(request: Request) -> Iterator[list[Call]]:
    """Every order of a request's stops: pickups, then drops."""
    pickups = [Call(request, StopKind.PICKUP, number) for number in range(len(request.pickups))]
    drops = [Call(request, StopKind.DROP, number) for number in range(len(request.drops))]
    for first in permutations(pickups):
        for last in permutations(drops):
            yield [*first, *last]


def merged(kept: Sequence[Call], own: Sequence[Call]) -> Iterator[list[Call]]:
    """Every way to lay two sequences into each other."""
    if not kept or not own:
        yield [*kept, *own]
        return
    for rest in merged(kept[1:], own):
        yield [kept[0], *rest]
    for rest in merged(kept, own[1:]):
        yield [own[0], *rest]


def by_hand(problem: RoutingProblem, vehicle: Vehicle, kept: Sequence[Call], request: Request) -> list[Route]:
    """Ride the request among these stops in every possible way."""
    orders = [order for own in own_orders(request) for order in merged(kept, own)]
    found = (ride(problem, vehicle, order) for order in orders)
    return [route for route in found if route]


def a_few(kept: Sequence[Call], request: Request) -> bool:
    """Whether trying by hand is quick."""
    ways = 1
    for number in range(1, len(request.stops) + 1):
        ways = ways * (len(kept) + number) // number
    return ways * len(list(own_orders(request))) <= MOST_TRIED_BY_HAND


def a_plan(problem: RoutingProblem, chance: random.Random) -> Plan:
    """What is locked, then some other requests put anywhere: a plan that leaves out what it need not."""
    calls: dict[str, list[Call]] = {}
    for request in problem.requests:
        if request.locked_to is not None:
            calls.setdefault(request.locked_to, []).extend(
                Call(request, kind, number) for kind, number, _ in request.stops
            )
    routes = {id_: ride(problem, problem.vehicles_by_id[id_], some) for id_, some in calls.items()}
    plan = Plan(tuple(route for route in routes.values() if route), ())
    served = set(plan.planned)
    for request in problem.requests:
        if request.id in served or chance.random() < 0.3 or not problem.vehicles:
            continue
        vehicle = chance.choice(problem.vehicles)
        own = list(own_orders(request))
        for _ in range(4):
            order = list(calls.get(vehicle.id, []))
            places = sorted(chance.randint(0, len(order)) for _ in request.stops)
            for offset, (place, call) in enumerate(zip(places, chance.choice(own), strict=True)):
                order.insert(place + offset, call)
            route = ride(problem, vehicle, order)
            if route and may(problem, {**routes, vehicle.id: route}):
                calls[vehicle.id], routes[vehicle.id] = order, route
                served.add(request.id)
                break
    left_out = tuple(LeftOut(request.id) for request in problem.requests if request.id not in served)
    return Plan(tuple(route for route in routes.values() if route), left_out)


def may(problem: RoutingProblem, routes: dict[str, Any]) -> bool:
    """Whether shares and limits allow these routes."""
    for share in problem.shares:
        mine = [r for id_, r in routes.items() if problem.vehicles_by_id[id_].group == share.group]
        if sum(len(route.request_ids) for route in mine) > problem.most(share):
            return False
    if any(len(limit.vehicles & routes.keys()) > limit.at_most for limit in problem.fleet_limits):
        return False
    return all(callers(routes.values(), hub.point) <= hub.at_most for hub in problem.hub_limits)


def callers(routes: Any, point: int) -> int:
    return sum(any(visit.point == point for visit in route.visits) for route in routes)


def kept_by(problem: RoutingProblem, plan: Plan, vehicle: Vehicle) -> list[Call]:
    route = next((route for route in plan.routes if route.vehicle_id == vehicle.id), None)
    return [item for item in calls_of(problem, route) if isinstance(item, Call)] if route else []


SEEDS = st.integers(0, 2**20)
SMALL = problems(most_requests=5)


@given(SMALL, SEEDS)
@settings(deadline=None)
def test_a_place_is_found_if_there_is_one_and_it_is_the_cheapest(problem: RoutingProblem, seed: int) -> None:
    plan = a_plan(problem, random.Random(seed))
    for item in plan.left_out:
        request = problem.requests_by_id[item.request_id]
        for vehicle in problem.vehicles:
            kept = kept_by(problem, plan, vehicle)
            if not a_few(kept, request):
                continue
            found = by_hand(problem, vehicle, kept, request)
            with patch.object(insertion, "MOST_ORDERS", MOST_TRIED_BY_HAND):  # what is tried by hand is decided
                assert fits(problem, vehicle, kept, request) == bool(found)
            best = cheapest(problem, vehicle, kept, request)
            assert (best is not None) == bool(found)
            if best and all(
                call.request.ride_seconds_at_most is None for call in [*kept, Call(request, StopKind.DROP)]
            ):
                least = min(route_price(problem, vehicle, route, request) for route in found)
                assert route_price(problem, vehicle, best, request) <= least


@given(SMALL, SEEDS)
@settings(deadline=None)
def test_every_reason_is_true_when_tried(problem: RoutingProblem, seed: int) -> None:
    plan = a_plan(problem, random.Random(seed))
    explained = explain(problem, plan)
    assert explained.routes == plan.routes
    assert [item.request_id for item in explained.left_out] == [item.request_id for item in plan.left_out]
    for item in explained.left_out:
        assert item.sentence.endswith(".")
        if not problem.vehicles:
            assert item.reasons == (Reason(ReasonCode.NO_VEHICLE),)
        request = problem.requests_by_id[item.request_id]
        for vehicle in problem.vehicles:
            codes = {reason.code for reason in item.reasons if reason.vehicle_id == vehicle.id}
            assert codes, "every vehicle has its say"
            if by_hand(problem, vehicle, [], request):
                assert not codes & ALONE
                assert_true_beside_others(problem, plan, vehicle, request, codes)
            else:
                assert codes <= ALONE
                assert_true_alone(problem, vehicle, request, codes)


def assert_true_alone(problem: RoutingProblem, vehicle: Vehicle, request: Request, codes: set[ReasonCode]) -> None:
    """With all of them lifted it fits; with any one of them left in place it does not."""
    one, other = lifted(vehicle, request, codes)
    assert by_hand(problem, one, [], other)
    never_opens = any(stop.opens(stop.window_start_seconds) is None for _, _, stop in request.stops)
    for code in codes - ({ReasonCode.CLOSED} if never_opens else set()):
        one, other = lifted(vehicle, request, codes - {code})
        assert not by_hand(problem, one, [], other), code
    if ReasonCode.WINDOW in codes:
        # Its own windows: no shift, range, closure or ride time has to do with it.
        one, other = lifted(vehicle, request, set(ReasonCode) - {ReasonCode.WINDOW})
        assert not by_hand(problem, one, [], other)


def assert_true_beside_others(
    problem: RoutingProblem, plan: Plan, vehicle: Vehicle, request: Request, codes: set[ReasonCode]
) -> None:
    served = [
        id_ for r in plan.routes if problem.vehicles_by_id[r.vehicle_id].group == vehicle.group for id_ in r.request_ids
    ]
    used = {route.vehicle_id for route in plan.routes}
    own = {visit.point for route in plan.routes if route.vehicle_id == vehicle.id for visit in route.visits}
    for code in codes:
        if code is ReasonCode.SHARE:
            share = next(share for share in problem.shares if share.group == vehicle.group)
            assert len(served) >= problem.most(share)
        elif code is ReasonCode.LIMIT:
            assert any(
                vehicle.id in limit.vehicles and vehicle.id not in used and len(used & limit.vehicles) >= limit.at_most
                for limit in problem.fleet_limits
            ) or any(
                hub.point not in own
                and hub.point in {stop.point for _, _, stop in request.stops}
                and callers(plan.routes, hub.point) >= hub.at_most
                for hub in problem.hub_limits
            )
        elif code is ReasonCode.LOCK:
            locked = [c for c in kept_by(problem, plan, vehicle) if c.request.locked_to == vehicle.id]
            assert locked
            assert not a_few(locked, request) or not by_hand(problem, vehicle, locked, request)
        elif code is ReasonCode.PRICE:
            assert request.left_out_price is not None
            without = replace(
                plan, left_out=(*(i for i in plan.left_out if i.request_id != request.id), LeftOut(request.id))
            )
            kept = kept_by(problem, plan, vehicle)
            for before, calls in ((Plan((), (LeftOut(request.id),)), []), (without, kept)):
                if a_few(calls, request) and request.ride_seconds_at_most is None:
                    for route in by_hand(problem, vehicle, calls, request)[:50]:
                        others = [r for r in before.routes if r.vehicle_id != vehicle.id]
                        after = Plan((*others, route), tuple(i for i in before.left_out if i.request_id != request.id))
                        if not problem.prices.balance_per_second:
                            assert rank(problem, after) >= rank(problem, before)
        else:
            assert code is ReasonCode.OUTWEIGHED
            assert codes == {code}


def lifted(vehicle: Vehicle, request: Request, codes: set[ReasonCode]) -> tuple[Vehicle, Request]:
    """The same two without the rules that these codes stand for."""
    if ReasonCode.NOT_ALLOWED in codes:
        nobody: frozenset[str] = frozenset()
        request = replace(
            request,
            allowed_vehicles=None,
            forbidden_vehicles=nobody,
            allowed_groups=None,
            forbidden_groups=nobody,
            locked_to=None,
        )
    if ReasonCode.SKILL in codes:
        request = replace(request, skills=frozenset())
    if ReasonCode.CAPACITY in codes:
        vehicle = replace(vehicle, capacities=tuple(FAR for _ in vehicle.capacities))
    if ReasonCode.RIDE_TIME in codes:
        request = replace(request, ride_seconds_at_most=None)
    if ReasonCode.RANGE in codes:
        vehicle = replace(vehicle, range_metres=None)
    if ReasonCode.SHIFT in codes:
        vehicle = replace(vehicle, shift_start_seconds=-FAR, shift_end_seconds=FAR, breaks=())
    if ReasonCode.WINDOW in codes or ReasonCode.CLOSED in codes:
        more: dict[str, Any] = {"closures": ()}
        if ReasonCode.WINDOW in codes:
            more |= {"window_start_seconds": -FAR, "window_end_seconds": FAR, "latest_seconds": None}
        request = replace(
            request,
            pickups=tuple(replace(stop, **more) for stop in request.pickups),
            drops=tuple(replace(stop, **more) for stop in request.drops),
        )
    return vehicle, request


@given(SMALL, SEEDS)
@settings(deadline=None)
def test_every_remedy_is_true_when_carried_out_and_the_least(problem: RoutingProblem, seed: int) -> None:
    plan = a_plan(problem, random.Random(seed))
    assert check(problem, plan) == []
    for item in explain(problem, plan).left_out:
        codes = [remedy.code for remedy in item.remedies]
        assert len(set(codes)) == len(codes) <= 3
        if serve(problem, plan, item.request_id):
            assert codes == []
        for remedy in item.remedies:
            changed = apply(problem, remedy, item.request_id)
            served = serve(changed, plan, item.request_id)
            assert served is not None, remedy
            assert check(changed, served) == []
            assert [i.request_id for i in served.left_out] == [
                i.request_id for i in plan.left_out if i.request_id != item.request_id
            ]
            assert rank(changed, served) < rank(changed, plan)
            for vehicle in problem.vehicles:
                after = [c for c in kept_by(changed, served, vehicle) if c.request.id != item.request_id]
                before = kept_by(problem, plan, vehicle)
                assert [(c.request.id, c.kind, c.number) for c in after] == [
                    (c.request.id, c.kind, c.number) for c in before
                ]
            if remedy.amount:
                less = apply(problem, replace(remedy, amount=remedy.amount - 1), item.request_id)
                assert serve(less, plan, item.request_id) is None, remedy


HOUR = 3_600
SECONDS = np.array([[0, 100, 200], [100, 0, 300], [200, 300, 0]])


def a_request(request_id: str = "r", *, pickup: Any = None, drop: Any = None, **rules: Any) -> Request:
    """From a to b, ten minutes of service at each: with the rides from and to d, half an hour in all."""
    at_a = Stop(1, 8 * HOUR, 12 * HOUR, service_seconds=600)
    at_b = Stop(2, 8 * HOUR, 12 * HOUR, service_seconds=600)
    loads = rules.pop("loads", (5,))
    return pair(request_id, replace(at_a, **(pickup or {})), replace(at_b, **(drop or {})), loads, **rules)


def a_vehicle(vehicle_id: str = "v", **rules: Any) -> Vehicle:
    return Vehicle(
        vehicle_id, 0, 0, rules.pop("start", 8 * HOUR), rules.pop("end", 12 * HOUR), **{"capacities": (8,)} | rules
    )


def a_problem(requests: Sequence[Request], vehicles: Sequence[Vehicle], **rules: Any) -> RoutingProblem:
    return RoutingProblem(("d", "a", "b"), tuple(requests), tuple(vehicles), SECONDS, SECONDS * 10, **rules)


def left_out(problem: RoutingProblem, plan: Plan | None = None) -> LeftOut:
    """Explain the plan, which serves nothing where none is given; the last request is the one left out."""
    plan = plan or Plan((), tuple(LeftOut(request.id) for request in problem.requests))
    return explain(problem, plan).left_out[-1]


def told(item: LeftOut) -> set[tuple[str, str | None]]:
    return {(reason.code.value, reason.vehicle_id) for reason in item.reasons}


def a_plan_with(problem: RoutingProblem, request_id: str, vehicle_id: str) -> Plan:
    """One request on one vehicle, the rest left out."""
    request = problem.requests_by_id[request_id]
    route = ride(problem, problem.vehicles_by_id[vehicle_id], [Call(request, kind, n) for kind, n, _ in request.stops])
    assert route
    return Plan((route,), tuple(LeftOut(other.id) for other in problem.requests if other.id != request_id))


def test_twelve_minutes_more_shift_for_this_vehicle_would_serve_it() -> None:
    problem = a_problem([a_request()], [a_vehicle(end=8 * HOUR + 1_080)])
    item = left_out(problem)
    assert told(item) == {("shift", "v")}
    # It may end later, or begin earlier; the pickup opens at eight, so that alone is no help.
    assert item.remedies == (Remedy(ReasonCode.SHIFT, "v", 720, "end"),)
    assert item.sentence == (
        "1 vacation trop courte ou à d'autres heures. "
        "Il suffirait d'un changement : 12 minutes de plus en fin de vacation."
    )


def test_a_shift_that_would_have_to_begin_earlier() -> None:
    item = left_out(a_problem([a_request()], [a_vehicle(start=12 * HOUR - 390, end=13 * HOUR)]))
    assert told(item) == {("shift", "v")}
    # At the drop by twelve: a hundred seconds to a, ten minutes there, three hundred to b.
    assert item.remedies[0] == Remedy(ReasonCode.SHIFT, "v", 610, "start")
    assert "une vacation qui commence 11 minutes plus tôt" in item.sentence


def test_a_break_that_leaves_no_time_counts_as_the_shift() -> None:
    rest = Break(8 * HOUR, 8 * HOUR + 600, 3 * HOUR + 1_801)
    item = left_out(a_problem([a_request()], [a_vehicle(breaks=(rest,))]))
    assert told(item) == {("shift", "v")}
    assert item.remedies[0] == Remedy(ReasonCode.SHIFT, "v", 1, "end")


def test_a_pickup_window_that_would_have_to_last_until_twenty_past_ten() -> None:
    request = a_request(pickup={"window_end_seconds": 10 * HOUR})
    item = left_out(a_problem([request], [a_vehicle(start=10 * HOUR + 1_051)]))
    assert told(item) == {("shift", "v")}
    late = Remedy(ReasonCode.WINDOW, "v", 1_151, "end", 0)
    assert late in item.remedies
    assert remedy_words(late, request) == "le créneau de l'enlèvement prolongé de 20 minutes"


def test_windows_that_leave_no_time_for_the_ride() -> None:
    request = a_request(drop={"window_end_seconds": 8 * HOUR + 800})
    item = left_out(a_problem([request], [a_vehicle(start=7 * HOUR)]))
    assert told(item) == {("window", "v")}
    assert item.remedies == (Remedy(ReasonCode.WINDOW, "v", 100, "end", 1),)
    assert item.sentence.startswith("Ses créneaux ne laissent pas le temps d'aller de l'enlèvement au dépôt.")


def test_a_soft_window_ends_where_nothing_may_begin_after_it() -> None:
    request = a_request(drop={"window_end_seconds": 8 * HOUR, "latest_seconds": 8 * HOUR + 800, "late_price": 1})
    problem = a_problem([request], [a_vehicle(start=7 * HOUR)])
    item = left_out(problem)
    assert item.remedies == (Remedy(ReasonCode.WINDOW, "v", 100, "end", 1),)
    assert apply(problem, item.remedies[0], "r").requests[0].drops[0].latest_seconds == 8 * HOUR + 900


def test_a_site_that_is_closed_during_its_window() -> None:
    request = a_request(pickup={"closures": (Span(7 * HOUR, 13 * HOUR),)})
    item = left_out(a_problem([request], [a_vehicle()]))
    assert told(item) == {("closed", "v")}
    assert Remedy(ReasonCode.CLOSED, "v", 0, "0", 0) in item.remedies
    assert remedy_words(Remedy(ReasonCode.CLOSED, "v", 0, "0", 0), request) == (
        "l'ouverture du site de l'enlèvement pendant sa fermeture"
    )


def test_a_closure_that_cuts_a_window_short_counts_as_closed() -> None:
    request = a_request(pickup={"closures": (Span(7 * HOUR, 9 * HOUR),)}, drop={"window_end_seconds": 9 * HOUR + 800})
    assert told(left_out(a_problem([request], [a_vehicle()]))) == {("closed", "v")}


def test_a_bike_that_carries_three_more_would_do() -> None:
    problem = a_problem([a_request()], [a_vehicle("big", end=8 * HOUR + 1), a_vehicle("small", capacities=(2,))])
    item = left_out(problem)
    assert told(item) == {("shift", "big"), ("capacity", "small")}
    more = Remedy(ReasonCode.CAPACITY, "small", 3, "0")
    assert more in item.remedies
    assert remedy_words(more, problem.requests[0]) == "un vélo plus grand"


def test_what_is_aboard_from_others_counts_for_the_capacity_that_is_missing() -> None:
    together = {"window_end_seconds": 8 * HOUR + 700}
    first = a_request("first", pickup=together, drop={"window_start_seconds": 9 * HOUR})
    second = a_request("r", pickup=together, drop={"window_start_seconds": 9 * HOUR})
    problem = a_problem([first, second], [a_vehicle(start=7 * HOUR)])
    item = left_out(problem, a_plan_with(problem, "first", "v"))
    assert told(item) == {("outweighed", "v")}
    assert Remedy(ReasonCode.CAPACITY, "v", 2, "0") in item.remedies


def test_a_trailer_would_do() -> None:
    request = a_request(skills=frozenset({"trailer"}))
    item = left_out(a_problem([request], [a_vehicle()]))
    assert told(item) == {("skill", "v")}
    assert item.remedies == (Remedy(ReasonCode.SKILL, "v", what="trailer"),)
    assert item.sentence == (
        "1 vacation sans l'équipement ou la compétence. Il suffirait d'un changement : une remorque."
    )
    cold = Remedy(ReasonCode.SKILL, "v", what="cold")
    assert remedy_words(cold, request) == "la compétence « cold »"


def test_two_things_that_lack_at_once_have_no_single_remedy() -> None:
    request = a_request(skills=frozenset({"trailer"}), forbidden_vehicles=frozenset({"v"}))
    item = left_out(a_problem([request], [a_vehicle()]))
    assert told(item) == {("skill", "v"), ("not-allowed", "v")}
    assert item.remedies == ()
    assert item.sentence.endswith("Autorisez une autre vacation et prévoyez l'équipement ou la compétence qui manque.")


@pytest.mark.parametrize(
    "rules",
    [
        {"allowed_vehicles": frozenset()},
        {"forbidden_vehicles": frozenset({"v"})},
        {"allowed_groups": frozenset({"south"})},
        {"forbidden_groups": frozenset({"north"})},
    ],
)
def test_permission_for_this_vehicle_would_do(rules: dict[str, Any]) -> None:
    item = left_out(a_problem([a_request(**rules)], [a_vehicle(group="north")]))
    assert told(item) == {("not-allowed", "v")}
    assert item.remedies == (Remedy(ReasonCode.NOT_ALLOWED, "v"),)


def test_a_range_that_is_a_hundred_metres_short() -> None:
    item = left_out(a_problem([a_request()], [a_vehicle(range_metres=5_900)]))
    assert told(item) == {("range", "v")}
    assert item.remedies == (Remedy(ReasonCode.RANGE, "v", 100),)
    assert item.sentence.endswith(": 0,1 km d'autonomie de plus.")


def test_a_load_that_would_be_aboard_for_too_long() -> None:
    item = left_out(a_problem([a_request(ride_seconds_at_most=250)], [a_vehicle()]))
    assert told(item) == {("ride-time", "v")}
    assert item.remedies == (Remedy(ReasonCode.RIDE_TIME, "v", 50),)
    assert item.sentence.endswith(": 1 minute de plus à bord pour la charge.")


def test_what_is_locked_to_a_vehicle_keeps_another_off() -> None:
    held = a_request("held", locked_to="v")
    problem = a_problem([held, a_request()], [a_vehicle(end=8 * HOUR + 2_400)])
    item = left_out(problem, a_plan_with(problem, "held", "v"))
    assert told(item) == {("lock", "v")}
    assert item.remedies[0].code is ReasonCode.SHIFT
    free = replace(problem, requests=(replace(held, locked_to=None), problem.requests[1]))
    assert told(left_out(free, a_plan_with(free, "held", "v"))) == {("outweighed", "v")}


def test_a_share_that_is_used_up() -> None:
    problem = a_problem(
        [a_request("first"), a_request()],
        [a_vehicle("north", group="north"), a_vehicle("south", group="south", end=8 * HOUR + 1)],
        shares=(Share("north", at_most_permille=500),),
    )
    item = left_out(problem, a_plan_with(problem, "first", "north"))
    assert told(item) == {("share", "north"), ("shift", "south")}
    # One of two requests is half; the second needs the first thousandth more.
    assert item.remedies[-1] == Remedy(ReasonCode.SHARE, "north", 1, "north")
    assert "une part du marché relevée de 0,1 %" in item.sentence


def test_limits_of_the_fleet_and_of_a_hub_that_are_reached() -> None:
    first = a_request(
        "first", pickup={"window_end_seconds": 8 * HOUR + 100}, drop={"window_end_seconds": 8 * HOUR + 1_000}
    )
    second = a_request(pickup={"window_end_seconds": 8 * HOUR + 100}, drop={"window_end_seconds": 8 * HOUR + 1_000})
    vehicles = [a_vehicle("one"), a_vehicle("two")]
    fleet = a_problem([first, second], vehicles, fleet_limits=(FleetLimit(frozenset({"one", "two"}), 1),))
    item = left_out(fleet, a_plan_with(fleet, "first", "one"))
    assert told(item) == {("outweighed", "one"), ("limit", "two")}
    assert Remedy(ReasonCode.LIMIT, "two", 1, "fleet 0") in item.remedies
    hub = a_problem([first, second], vehicles, hub_limits=(HubLimit(2, 1),))
    item = left_out(hub, a_plan_with(hub, "first", "one"))
    assert told(item) == {("outweighed", "one"), ("limit", "two")}
    assert Remedy(ReasonCode.LIMIT, "two", 1, "hub 2") in item.remedies
    assert remedy_words(Remedy(ReasonCode.LIMIT, "two", 1, "hub 2"), second) == "une place de plus à la base"


def test_a_price_below_which_it_stays_out() -> None:
    problem = a_problem([a_request(left_out_price=600)], [a_vehicle(fixed_price=50)], prices=Prices(ride_second=1))
    item = left_out(problem)
    assert told(item) == {("price", "v")}
    assert item.remedies == (Remedy(ReasonCode.PRICE, "v", 651),)
    assert serve(problem, Plan((), (LeftOut("r"),)), "r") is None
    assert item.sentence.endswith("Il suffirait d'un changement : une priorité plus haute.")


def test_nobody_there() -> None:
    item = left_out(a_problem([a_request()], []))
    assert item.reasons == (Reason(ReasonCode.NO_VEHICLE),)
    assert item.sentence == "Aucune vacation n'est prévue. Ouvrez une vacation ce jour-là."


def test_a_request_that_could_be_served_as_things_are_needs_no_remedy() -> None:
    problem = a_problem([a_request()], [a_vehicle()])
    item = left_out(problem)
    assert told(item) == {("outweighed", "v")}
    assert item.remedies == ()
    served = serve(problem, Plan((), (LeftOut("r"),)), "r")
    assert served is not None
    assert (served.planned, served.left_out) == (("r",), ())


def test_changes_that_would_each_do_stand_in_one_list() -> None:
    reasons = [Reason(ReasonCode.SHIFT, "v"), Reason(ReasonCode.SHIFT, "w"), Reason(ReasonCode.CAPACITY, "x")]
    assert sentence(reasons, ["12 minutes de plus en fin de vacation", "un vélo plus grand"]) == (
        "1 vélo trop petit pour la charge ; 2 vacations trop courtes ou à d'autres heures. "
        "Il suffirait d'un changement : 12 minutes de plus en fin de vacation ; ou un vélo plus grand."
    )


def test_the_best_place_is_the_cheapest_unless_a_vehicle_more_counts_first() -> None:
    first = a_request("first", drop={"point": 1})
    problem = a_problem([first, a_request()], [a_vehicle("used"), a_vehicle("idle", ride_permille=1)])
    plan = a_plan_with(problem, "first", "used")
    by_price = serve(problem, plan, "r")
    assert by_price is not None
    assert [route.vehicle_id for route in by_price.routes] == ["used", "idle"]
    by_vehicles = serve(replace(problem, objective=Objective.VEHICLES_FIRST), plan, "r")
    assert by_vehicles is not None
    assert [route.request_ids for route in by_vehicles.routes] == [("first", "r")]
    assert {call.request.id for call in kept_by(problem, by_vehicles, problem.vehicles[0])} == {"first", "r"}


def test_where_the_quickest_order_keeps_a_load_aboard_too_long_another_is_found() -> None:
    first = a_request("first", drop={"window_end_seconds": 8 * HOUR + 1_600})
    second = a_request(ride_seconds_at_most=300)
    problem = a_problem([first, second], [a_vehicle(capacities=(10,))])
    served = serve(problem, a_plan_with(problem, "first", "v"), "r")
    assert served is not None
    # Quickest would be both pickups, then both drops: ten minutes too long aboard for the second.
    assert [visit.request_id for visit in served.routes[0].visits] == ["first", "first", "r", "r"]
    kept = kept_by(problem, a_plan_with(problem, "first", "v"), problem.vehicles[0])
    assert fits(problem, problem.vehicles[0], kept, second)
    # Where no such order may be tried, that there is none is not claimed.
    with patch.object(insertion, "MOST_ORDERS", 0), pytest.raises(Undecided):
        fits(problem, problem.vehicles[0], kept, second)
