"""The compiled search, looked at from inside: what it finds in a route is what trying every place finds."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import ViolationKind, check
from services.dispatch.planning.near import ChangePrices, Near
from services.dispatch.planning.plan import Plan, cost, is_equipped
from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    Break,
    HubLimit,
    Objective,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Stop,
    StopKind,
    Vehicle,
    pair,
)
from services.dispatch.planning.routing import first_plan
from services.dispatch.planning.schedule import Call, calls_of, ride
from services.dispatch.planning.search import kernel
from services.dispatch.planning.search import layout as L
from services.dispatch.planning.search.arrays import MOST_NARROW, Arrays, Flat, Rows, new_state
from services.dispatch.planning.search.run import (
    ASTRAY,
    COLD,
    COMBINE_SHARE,
    CROSSED,
    DEARER,
    EASED,
    EASED_MORE,
    ENOUGH_FOR_FEWER,
    ENOUGH_STEPS,
    FAR_SHARE,
    FLEET_SHARE,
    HOT,
    MEETINGS,
    NEARLY_UNTIL,
    _Lane,
    _Search,
    search,
)
from services.dispatch.planning.stop import ALL, Seconds, Steps
from tests.strategies import problems, simple_problems


def prices_of_all_places(arrays: Arrays, rows: Rows, vehicle: int, pickup: int) -> Iterator[int]:
    """Yield what a pickup and its drop, nodes one after another, add to a route at each pair of places that holds."""
    nodes = rows[vehicle, 1 : rows[vehicle, 0] + 1]

    def price(sequence: Rows) -> int | None:
        route = arrays.route_of(vehicle, sequence)
        return None if route is None else cost(arrays.problem, Plan((route,), ()))

    served = (nodes < len(arrays.stops)).any()
    before = price(nodes) if served else 0
    assert before is not None
    for i in range(1, len(nodes)):
        for j in range(i, len(nodes)):
            new = price(np.insert(nodes, [i, j], [pickup, pickup + 1]))
            if new is not None:
                yield new - before


SHORTER_THAN_THE_WAY_HOME = RoutingProblem(
    points=("a", "b"),
    requests=(pair("r", Stop(0, -3_600, 96_400, 60), Stop(0, -3_600, 96_400, 60)),),
    vehicles=(Vehicle("day", 0, 0, 0, 28_800), Vehicle("second", 1, 0, -3_600, -3_599)),
    travel_seconds=np.array([[0, 0], [2, 0]]),
    travel_metres=np.array([[0, 0], [2, 0]]),
)


@settings(deadline=None)  # the first one compiles
@example(SHORTER_THAN_THE_WAY_HOME, 0)
@given(simple_problems(), st.integers(0, 9))
def test_the_cheapest_place_in_a_route_is_found_and_none_below_a_bound(problem: RoutingProblem, seed: int) -> None:
    assume(problem.requests and problem.vehicles)
    arrays = Arrays(problem)
    D, S = arrays.data, new_state(arrays, seed)
    rows = arrays.rows_of(search(problem, Steps(5), seed))
    kernel.read(D, S, rows)
    for request in range(len(problem.requests)):
        pickup = int(D[D[L.REQUESTS] + request * L.REQUEST_WIDTH + L.FIRST])
        for vehicle in range(len(problem.vehicles)):
            may = is_equipped(problem, problem.vehicles[vehicle], problem.requests[request].id)
            if kernel._served_by(S, request) == vehicle or not may:
                continue
            least = min(prices_of_all_places(arrays, rows, vehicle, pickup), default=L.INFINITE)
            for bound in (-7, least // 2, least, *([least + 1] if least < L.INFINITE else [])):
                price = kernel._price_in(D, S, vehicle, request, bound)  # what it saw before may answer
                assert price == least if least < bound else price >= bound
            found, place = kernel._best_pair(D, S, vehicle, request, L.INFINITE)
            assert found == least
            assert (place < 0) == (least == L.INFINITE)
            if place >= 0:
                assert kernel._best_pair(D, S, vehicle, request, least) == (least, -1)
                assert kernel._best_pair(D, S, vehicle, request, least + 1) == (least, place)


@settings(deadline=None)
@given(simple_problems(), st.integers(0, 9))
def test_matrices_of_wide_numbers_give_the_same_plan_as_of_narrow_ones(problem: RoutingProblem, seed: int) -> None:
    assume(problem.requests and problem.vehicles)
    narrow = search(problem, Steps(20), seed)
    with patch("services.dispatch.planning.search.arrays.MOST_NARROW", -1):
        assert not Arrays(problem).data[L.IS_NARROW]
        assert search(problem, Steps(20), seed) == narrow


def test_legs_that_are_too_long_for_narrow_numbers_are_ridden_as_well() -> None:
    problem = long_routes(5)
    times = 2**22
    stretched = replace(
        problem,
        requests=tuple(
            pair(request.id, stretch(request.pickups[0], times), stretch(request.drops[0], times))
            for request in problem.requests
        ),
        vehicles=tuple(replace(vehicle, shift_end_seconds=200_000 * times) for vehicle in problem.vehicles),
        travel_seconds=problem.travel_seconds * times,
        travel_metres=problem.travel_metres * times,
    )
    assert stretched.travel_seconds.max() > MOST_NARROW
    assert not Arrays(stretched).data[L.IS_NARROW]
    assert Arrays(problem).data[L.IS_NARROW]
    plan = search(stretched, Steps(500))
    assert check(stretched, plan) == []
    assert cost(stretched, plan) == pytest.approx(times * cost(problem, search(problem, Steps(500))), rel=1e-3)


def test_a_request_is_first_tried_in_vehicles_that_call_near_either_of_its_stops() -> None:
    problem = long_routes(40)
    D = Arrays(problem).data
    near = D[D[L.NEAR_REQUESTS] :][: 40 * D[L.NEAR_REQUESTS_WIDTH]].reshape(40, -1)
    for request in range(40):
        requests: set[int] = set()
        for stop in (2 * request + 1, 2 * request + 2):  # stop n of the problem stands at point n
            apart = np.delete(problem.travel_seconds[stop], [0, stop])
            others = np.delete(np.arange(81), [0, stop])
            requests.update((others[np.argsort(apart, kind="stable")][: kernel.NEAR_STOPS] - 1) // 2)
        assert {each for each in near[request].tolist() if each >= 0} == requests


def stretch(stop: Stop, times: int) -> Stop:
    return Stop(
        stop.point, stop.window_start_seconds * times, stop.window_end_seconds * times, stop.duration_seconds * times
    )


def long_routes(requests: int) -> RoutingProblem:
    """Places on a spiral, windows that open one after the other, two vehicles where one may do."""
    turns = np.arange(2 * requests + 1)
    x, y = 40 * np.cos(turns) * turns, 40 * np.sin(turns) * turns
    apart = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :]).astype(np.int64)
    stops = [Stop(int(k), 400 * int(k), 400 * int(k) + 40_000, 60) for k in turns]
    return RoutingProblem(
        points=tuple(f"p{k}" for k in turns),
        requests=tuple(pair(f"r{k}", stops[2 * k + 1], stops[2 * k + 2]) for k in range(requests)),
        vehicles=tuple(Vehicle(f"v{k}", 0, 0, 0, 200_000) for k in range(2)),
        travel_seconds=apart,
        travel_metres=apart,
        objective=Objective.VEHICLES_FIRST,
    )


def test_where_routes_are_long_a_search_loosens_them_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, costs, absent, eased = long_routes(24), [], [], []
    loosen, ease = _Lane.loosen, kernel.ease

    def loosened(lane: _Lane, steps: int, heat: float, bearable: int, dearer: float) -> None:
        loosen(lane, steps, heat, bearable, dearer)
        if lane.D[L.N_REQUESTS] > 3:  # more than what is compiled with
            costs.append(lane.best)
            absent.append(lane.absent)

    def easier(data: Flat, state: Flat, kept: float) -> None:
        if kept > 0:
            eased.append((kept, absent[-1]))
        ease(data, state, kept)

    monkeypatch.setattr(_Lane, "loosen", loosened)
    monkeypatch.setattr(kernel, "ease", easier)
    plan = search(problem, Steps(60_000), lanes=1)
    assert check(problem, plan) == []
    assert plan.left_out == ()
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]
    assert min(absent) == 0 < max(absent)
    assert {kept for kept, missing in eased if missing == 0} == {EASED}
    assert {kept for kept, missing in eased if missing} == {EASED_MORE}
    assert search(problem, Steps(60_000), lanes=1) == plan
    # Lanes that go back to each other's best do so only where they meet: the same steps, the same plan.
    assert search(problem, Steps(20_000)) == search(problem, Steps(20_000))
    costs.clear()
    search(long_routes(6), Steps(60_000), lanes=1)
    assert costs == []  # those are short
    search(problem, Steps(3_000), lanes=1)
    assert costs == []  # there is no time for it
    search(with_drops_far_off(problem), Steps(60_000), lanes=1)
    assert costs == []


def test_a_lane_that_is_behind_halfway_through_wavering_goes_on_from_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    one = _Search(long_routes(24), 0, None, None, 2, ALL)
    waver, behind = _Lane.waver, []

    def wavers(lane: _Lane, *args: Any, **told: Any) -> None:
        if lane is one.lanes[1]:
            behind.append(lane.best)  # and stands still
        else:
            waver(lane, *args, **told)

    monkeypatch.setattr(_Lane, "waver", wavers)
    one.run(Steps(60_000), None, lambda: False)
    assert len(set(behind)) == 2
    assert behind == sorted(behind, reverse=True)
    assert abs(behind.count(behind[0]) - len(behind) / 2) <= 1


def test_where_steps_count_the_plan_does_not_depend_on_when_better_ones_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alike = tuple(Vehicle(f"v{k}", 0, 0, 0, 16_000) for k in range(6))
    problem = replace(long_routes(16), vehicles=alike, objective=Objective.PRICES)

    def plans(tell_seconds: float) -> list[Plan]:
        monkeypatch.setattr("services.dispatch.planning.search.run.TELL_SECONDS", tell_seconds)
        return [search(problem, Steps(4_000), seed, watch=lambda _seconds, _plan: None) for seed in range(12)]

    assert plans(0.0) == plans(1e9)


def with_drops_far_off(problem: RoutingProblem) -> RoutingProblem:
    """Return the same places and windows, each drop on the other side of the spiral."""
    stops = [stop for request in problem.requests for stop in (*request.pickups, *request.drops)]
    pairs = [(k, k + 3) for begin in range(0, len(stops), 6) for k in range(begin, begin + 3)]
    requests = tuple(pair(f"r{number}", stops[up], stops[down]) for number, (up, down) in enumerate(pairs))
    return replace(problem, requests=requests)


@pytest.mark.parametrize(
    ("objective", "enough"),
    [(Objective.PRICES, ENOUGH_STEPS), (Objective.VEHICLES_FIRST, (1 - COMBINE_SHARE) * ENOUGH_FOR_FEWER)],
)
def test_a_search_ends_by_itself_later_where_vehicles_count_first(objective: Objective, enough: float) -> None:
    one = _Search(replace(long_routes(5), objective=objective), 0, None, None, 1, ALL)
    one.run(Seconds(60), None, lambda: False)
    assert 5 * enough <= one.clock.steps < 5 * enough + 100
    assert one.clock.seconds < 30


@pytest.mark.parametrize(
    ("times", "goes_in_parts", "ends_at"),
    [(1, False, NEARLY_UNTIL), (2, False, FLEET_SHARE), (1, True, NEARLY_UNTIL), (2, True, FAR_SHARE)],
)
def test_fewer_vehicles_are_looked_for_longer_where_all_but_one_request_have_a_place_and_else_shorter_where_parts_come(
    times: int, goes_in_parts: bool, ends_at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At each of these times four requests, which take a vehicle each: without one of them, so many have no place.
    stops = [Stop(0, 7_200 * when, 7_200 * when, 600) for when in range(times) for _ in range(4)]
    alone = np.zeros((1, 1), dtype=np.int64)
    problem = RoutingProblem(
        points=("here",),
        requests=tuple(
            pair(str(number), stop, replace(stop, window_end_seconds=stop.window_end_seconds + 600))
            for number, stop in enumerate(stops)
        ),
        vehicles=tuple(Vehicle(f"v{number}", 0, 0, 0, 36_000) for number in range(6)),
        travel_seconds=alone,
        travel_metres=alone,
        objective=Objective.VEHICLES_FIRST,
    )
    ended: list[float] = []
    monkeypatch.setattr(_Search, "_loosen", lambda self: ended.append(self.clock.done))
    monkeypatch.setattr(_Search, "_is_loosened", lambda _: True)
    monkeypatch.setattr(_Search, "_is_in_parts", lambda _: goes_in_parts)
    plan = search(problem, Steps(200_000))
    assert len(plan.routes) == 4
    assert ended == [pytest.approx(ends_at, abs=0.03)]


@pytest.mark.parametrize("objective", Objective)
def test_a_search_that_is_soon_over_has_all_its_phases(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    # A step of so few requests takes a microsecond: all of them fit into the time between two meetings.
    heats, lower = [], _Lane.lower

    def lowered(lane: _Lane, steps: int, heat: float) -> None:
        heats.append(heat)
        lower(lane, steps, heat)

    monkeypatch.setattr(_Lane, "lower", lowered)
    _Search(replace(long_routes(2), objective=objective), 0, None, None, 1, ALL).run(Seconds(60), None, lambda: False)
    assert len(heats) > MEETINGS // 2
    assert heats == sorted(heats, reverse=True)
    assert heats[-1] < 1.2 * heats[0] * COLD / HOT


def test_a_lane_wavers_for_all_the_steps_it_is_given() -> None:
    lane = _Lane(Arrays(long_routes(24)), 0, 0)
    lane.construct()
    lane.waver(50, 1.0, 100.0, 0, None)
    assert lane.S[L.STEPS_DONE] == 50


def test_what_an_absence_gets_dearer_by_follows_the_mean_leg_however_coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = _Lane(Arrays(long_routes(24)), 0, 0)
    asked: list[float] = []
    monkeypatch.setattr(lane, "loosen", lambda steps, heat, bearable, dearer: asked.append(dearer))
    for mean in (4.0, 400.0):
        lane.waver(1, 1.0, mean, 0, None)
    assert asked == pytest.approx([DEARER * 4 / 24, DEARER * 400 / 24])
    assert asked[0] < 1


def test_a_lane_that_got_nowhere_goes_back_to_its_own_best_or_as_long_as_it_has_none_to_the_others() -> None:
    arrays = Arrays(long_routes(24))
    first, second = lanes = _Lane(arrays, 0, 0), _Lane(arrays, 0, 1)
    for lane, steps in zip(lanes, (1, 2_000), strict=True):
        lane.construct()
        lane.lower(steps, 1.0)
    own, other = first.rows.copy(), (second.best, second.rows.copy())
    begun, shorter = first.best, second.best
    assert shorter < begun
    first.waver(50, 1.0, 0.0, begun, None)  # absences cost next to nothing: none is worth serving
    assert first.absent > 0
    assert (first.rows == own).all()
    # Every plan costs more than nothing, so from none of them anything better comes.
    first.waver(20, 1.0, 0.0, begun, (-1, other[1]))
    assert first.absent == 0
    assert first.cost == first.best <= shorter
    second.waver(20, 1.0, 0.0, begun, None)
    assert second.absent > 0
    second.best = -1  # as above
    second.waver(20, 1.0, 0.0, begun, (-1, own))
    assert second.cost == shorter


def test_the_hotter_it_is_the_more_a_plan_may_cost_until_a_lane_goes_back_to_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = Arrays(long_routes(24))
    lane = _Lane(arrays, 0, 0)
    lane.construct()
    astray = lane.rows.copy()
    astray[0] = arrays.empty_rows()[0]
    monkeypatch.setattr(lane, "loosen", lambda *_: None)  # stays where it is
    for heat, is_back in ((101.0, False), (100.0, True), (0.0, True)):
        lane.adopt(astray)
        assert lane.absent > 0
        ridden = lane.cost - int(lane.S[L.ABSENT_NOW])
        lane.waver(1, heat, 1.0, 0, (ridden - round(100 * ASTRAY * 24), lane.rows))
        assert (lane.absent == 0) == is_back


def test_absences_are_eased_to_a_share() -> None:
    lane = _Lane(Arrays(long_routes(3)), 0, 0)
    places = [int(lane.S[L.REQUEST_STATE]) + 4 * request + L.ABSENCES for request in range(3)]
    lane.S[places] = [0, 10, 1_001]
    kernel.ease(lane.D, lane.S, 0.5)
    assert lane.S[places].tolist() == [0, 5, 500]


@pytest.mark.parametrize("dearer", [0.3, 7.0])
def test_an_absence_gets_dearer_by_little_where_costs_are_coarse(dearer: float) -> None:
    lane = _Lane(Arrays(long_routes(3)), 0, 0)
    assert lane.absent == 3
    paid = [kernel._count_absences(lane.S, dearer) for _ in range(100)]
    assert sum(paid) == 3 * int(100 * dearer)
    assert kernel._borne(lane.S, 1, 5, dearer) == 5 + int(100 * dearer)


def where_one_is_in_the_way_of_another(elsewhere: int) -> tuple[RoutingProblem, Plan]:
    """A place where one vehicle alone may serve "new", as soon as "old" goes to the spare one; many others far away.

    Return it with a plan of all but "new".
    """
    apart = 20_000 * np.abs(np.arange(elsewhere + 1)[:, None] - np.arange(elsewhere + 1)[None, :])
    vehicles = tuple(Vehicle(f"v{k}", k, k, 0, 9_000) for k in range(elsewhere + 1))
    others = tuple(pair(f"r{k}", Stop(k, 1_000, 1_000, 60), Stop(k, 2_000, 2_000, 60)) for k in range(1, elsewhere + 1))
    old, new = (
        pair(name, Stop(0, 1_000, 1_000, 60), Stop(0, 2_000, 2_000, 60), allowed_vehicles=frozenset(may))
        for name, may in (("old", ["v0", "spare"]), ("new", ["v0"]))
    )
    before = RoutingProblem(
        points=tuple(f"p{k}" for k in range(elsewhere + 1)),
        requests=(replace(old, allowed_vehicles=frozenset({"v0"})), *others),
        vehicles=vehicles,
        travel_seconds=apart,
        travel_metres=apart,
    )
    now = replace(before, requests=(old, new, *others), vehicles=(*vehicles, Vehicle("spare", 0, 0, 0, 9_000)))
    return now, search(before, Steps(1))


def test_room_is_soon_made_for_what_is_absent_however_much_there_is_elsewhere() -> None:
    problem, plan = where_one_is_in_the_way_of_another(400)
    arrays = Arrays(problem)
    rows = arrays.rows_of(plan)
    for seed in range(20):  # with ruins anywhere one in ten comes near in so few steps
        placing, loosening = _Lane(arrays, seed, 0), _Lane(arrays, seed, 1)
        for lane in (placing, loosening):
            kernel.read(lane.D, lane.S, rows)
            assert lane.absent == 1
        assert placing.place(15, 0.1)
        loosening.loosen(15, 0.1, 1, 100.0)
        assert loosening.absent == 0


def test_where_all_is_to_be_served_what_was_absent_most_is_often_put_back_first() -> None:
    problem = RoutingProblem(
        points=("p",),
        requests=(only_one_of_them("seldom"), only_one_of_them("often")),
        vehicles=(Vehicle("v", 0, 0, 0, 9_000),),
        travel_seconds=np.zeros((1, 1), np.int64),
        travel_metres=np.zeros((1, 1), np.int64),
    )
    arrays = Arrays(problem)
    counts = dict.fromkeys(("place", "loosen", "lower"), 0)
    for seed in range(200):
        for work in counts:
            lane = _Lane(arrays, seed, 0)
            lane.S[int(lane.S[L.REQUEST_STATE]) + 4 + L.ABSENCES] = 1_000
            if work == "place":
                lane.place(1, 0.1)
            elif work == "loosen":
                lane.loosen(1, 0.1, 1_000, 1.0)
            else:
                lane.lower(1, 0.1)
            assert lane.absent == 1
            counts[work] += lane.serves(1)
    # Like by all measures, the second comes first in half of the orders by chance, which are a third.
    assert counts["lower"] < 50
    assert min(counts["place"], counts["loosen"]) > 60


def only_one_of_them(name: str) -> Request:
    """Two of these cannot be served by one courier."""
    return pair(name, Stop(0, 1_000, 1_000, 60), Stop(0, 1_060, 1_060, 60))


def test_ruins_towards_what_is_absent_tear_what_is_near_to_it() -> None:
    problem, plan = where_one_is_in_the_way_of_another(50)
    lane = _Lane(Arrays(problem), 0, 0)
    rows = lane.rows.copy()
    kernel.read(lane.D, lane.S, Arrays(problem).rows_of(plan))
    kernel.write(lane.D, lane.S, rows)
    torn: dict[float, set[int]] = {0.0: set(), 1.0: set()}
    for towards, seen in torn.items():
        for _ in range(100):
            kernel.read(lane.D, lane.S, rows)
            kernel._ruin(lane.D, lane.S, 1.0, 2, towards)  # one string
            seen.update(request for request in range(52) if not lane.serves(request))
    assert torn[1.0] == {0, 1}
    assert len(torn[0.0]) > 25


def two_that_work_here_and_there(
    second: Vehicle, *, skills: frozenset[str] = frozenset()
) -> tuple[RoutingProblem, Plan]:
    """Two places far apart and two couriers; by the plan each works in one of them early, in the other one late.

    `second`: the second courier, who takes breaks after all else. What is to be done late in b needs `skills`.
    """
    apart = np.array([[0, 3_000, 3_000], [3_000, 0, 5_000], [3_000, 5_000, 0]])
    requests = {}
    for where, name in ((1, "a"), (2, "b")):
        for when, opens, closes in (("early", 0, 7_000), ("late", 10_000, 12_000)):
            stop = Stop(where, opens, closes, 60)
            requests[when, name] = pair(
                f"{when}-{name}", stop, stop, skills=skills if (when, name) == ("late", "b") else frozenset()
            )
    first = Vehicle("v", 0, 0, 0, 40_000, skills=skills)
    problem = RoutingProblem(("depot", "a", "b"), tuple(requests.values()), (first, second), apart, apart)
    routes = []
    for vehicle, early, late in ((first, "a", "b"), (second, "b", "a")):
        calls = [
            Call(request, kind)
            for request in (requests["early", early], requests["late", late])
            for kind in (StopKind.PICKUP, StopKind.DROP)
        ]
        route = ride(problem, vehicle, [*calls, *vehicle.breaks])
        assert route
        routes.append(route)
    return problem, Plan(tuple(routes), ())


def crossed(problem: RoutingProblem, plan: Plan, most_torn: float) -> set[tuple[tuple[str, ...], ...]]:
    """Return what the couriers serve after trying once to cross two routes, for all of 200 seeds."""
    arrays = Arrays(problem)
    found = set()
    for seed in range(200):
        lane = _Lane(arrays, seed, 0)
        kernel.read(lane.D, lane.S, arrays.rows_of(plan))
        kernel._cross(lane.D, lane.S, 1.0, most_torn)
        marks = int(lane.S[L.REQUEST_STATE]) + 4 * np.arange(len(problem.requests)) + L.MARK
        assert not lane.S[marks].any()
        kernel.write(lane.D, lane.S, lane.rows)
        for vehicle, row in enumerate(lane.rows):
            served = {arrays.stops[node][0] for node in row[1 : row[0] + 1] if node < len(arrays.stops)}
            assert {kernel._served_by(lane.S, request) for request in served} <= {vehicle}
        found.add(tuple(route.request_ids for route in arrays.plan_of(lane.rows).routes))
    return found


AS_PLANNED = (("early-a", "late-b"), ("early-b", "late-a"))
EACH_IN_ONE_PLACE = (("early-a", "late-a"), ("early-b", "late-b"))
SECOND = Vehicle("w", 0, 0, 0, 40_000)


def test_two_couriers_go_on_with_each_others_stops() -> None:
    assert crossed(*two_that_work_here_and_there(SECOND), 0.0) == {AS_PLANNED, EACH_IN_ONE_PLACE}


def test_what_is_under_way_where_routes_are_crossed_is_torn_out_up_to_a_number() -> None:
    problem, plan = two_that_work_here_and_there(SECOND)
    through = pair("through", Stop(1, 0, 7_000, 60), Stop(2, 10_000, 12_000, 60))
    with_it = replace(problem, requests=(*problem.requests, through))
    early_a, late_b = (calls_of(problem, plan.routes[0])[part] for part in (slice(2), slice(2, 4)))
    middle = [Call(through, StopKind.PICKUP), Call(through, StopKind.DROP)]
    route = ride(with_it, with_it.vehicles[0], [*early_a, *middle, *late_b])
    assert route
    as_planned = (("early-a", "through", "late-b"), AS_PLANNED[1])
    carrying_it = Plan((route, plan.routes[1]), ())
    assert crossed(with_it, carrying_it, 0.0) == {as_planned}
    assert crossed(with_it, carrying_it, 1.0) == {as_planned, EACH_IN_ONE_PLACE}


def test_routes_are_not_crossed_before_a_break() -> None:
    second = replace(SECOND, breaks=(Break(10_000, 12_900, 600),))
    assert crossed(*two_that_work_here_and_there(second), 0.0) == {AS_PLANNED}


def test_routes_are_not_crossed_where_the_other_courier_may_not_serve_what_follows() -> None:
    skills = frozenset({"trailer"})
    assert crossed(*two_that_work_here_and_there(SECOND, skills=skills), 0.0) == {AS_PLANNED}
    able = replace(SECOND, skills=skills)
    assert EACH_IN_ONE_PLACE in crossed(*two_that_work_here_and_there(able, skills=skills), 0.0)


def test_routes_are_not_crossed_beyond_what_a_group_may_serve() -> None:
    problem, plan = two_that_work_here_and_there(replace(SECOND, group="second"))
    last = pair("last-a", Stop(1, 12_500, 20_000, 60), Stop(1, 12_500, 20_000, 60))
    with_it = replace(problem, requests=(*problem.requests, last))
    second = [*calls_of(problem, plan.routes[1]), Call(last, StopKind.PICKUP), Call(last, StopKind.DROP)]
    route = ride(with_it, with_it.vehicles[1], second)
    assert route
    with_last, as_planned = Plan((plan.routes[0], route), ()), (AS_PLANNED[0], ("early-b", "late-a", "last-a"))
    crossed_over = (("early-a", "late-a", "last-a"), ("early-b", "late-b"))
    for permille, allowed in ((400, {as_planned}), (600, {as_planned, crossed_over})):
        shared = replace(with_it, shares=(Share("", at_most_permille=permille),))
        assert crossed(shared, with_last, 0.0) & {as_planned, crossed_over} == allowed


def test_routes_are_not_crossed_so_that_more_call_at_a_hub_than_may() -> None:
    problem, plan = two_that_work_here_and_there(SECOND)
    calls = [calls_of(problem, route) for route in plan.routes]
    each = [ride(problem, vehicle, [*calls[v][:2], *calls[1 - v][2:]]) for v, vehicle in enumerate(problem.vehicles)]
    apart = Plan(tuple(filter(None, each)), ())
    assert crossed(problem, apart, 0.0) == {AS_PLANNED, EACH_IN_ONE_PLACE}
    limited = replace(problem, hub_limits=(HubLimit(1, 1),))
    assert crossed(limited, apart, 0.0) == {EACH_IN_ONE_PLACE}


@pytest.mark.parametrize(
    ("objective", "is_near", "share"),
    [(Objective.VEHICLES_FIRST, False, CROSSED), (Objective.VEHICLES_FIRST, True, 0.0), (Objective.PRICES, False, 0.0)],
)
def test_routes_are_crossed_where_vehicles_count_first_and_no_plan_is_to_be_stayed_near_to(
    objective: Objective, is_near: bool, share: float
) -> None:
    problem, plan = two_that_work_here_and_there(SECOND)
    arrays = Arrays(replace(problem, objective=objective), Near(plan, ChangePrices()) if is_near else None)
    with patch.object(kernel, "work", wraps=kernel.work) as work:
        _Lane(arrays, 0, 0).lower(1, 0.0)
    (_, _, _, _, _, _, _, _, _, crossed, *_) = work.call_args.args
    assert crossed == share


@settings(deadline=None)
@given(problems() | simple_problems(), st.integers(0, 9), st.floats(0.0, 1e6), st.integers(0, 10).map(float))
def test_routes_crossed_can_be_ridden_and_lose_no_request(
    problem: RoutingProblem, seed: int, heat: float, most_torn: float
) -> None:
    assume(problem.requests and problem.vehicles)
    arrays = Arrays(problem)
    lane, judge = _Lane(arrays, seed, 0), _Lane(arrays, seed, 1)
    before = arrays.plan_of(arrays.rows_of(search(problem, Steps(20), seed)))
    kernel.read(lane.D, lane.S, arrays.rows_of(before))
    absent, price = lane.absent, lane.cost
    for _ in range(100):
        if kernel._cross(lane.D, lane.S, heat, most_torn):
            event("crossed")
            kernel.write(lane.D, lane.S, lane.rows)
            plan = arrays.plan_of(lane.rows)
            assert len(plan.left_out) == lane.absent <= absent + most_torn
            # What is locked may be torn out, and is put back then.
            assert {found.kind for found in check(problem, plan)} <= {ViolationKind.LOCK_BROKEN}
            kernel.read(judge.D, judge.S, lane.rows)
            assert lane.cost == judge.cost
            kernel._undo(lane.D, lane.S)
        kernel.write(lane.D, lane.S, lane.rows)
        assert arrays.plan_of(lane.rows) == before
        assert (lane.absent, lane.cost) == (absent, price)


@settings(deadline=None)
@given(simple_problems(), st.integers(0, 9), st.integers(1, 1 << 20), st.floats(0.01, 1_000.0))
def test_what_is_loosened_loses_no_request_and_is_worth_what_it_says(
    problem: RoutingProblem, seed: int, bearable: int, dearer: float
) -> None:
    assume(problem.requests and problem.vehicles)
    arrays = Arrays(problem)
    lane = _Lane(arrays, seed, 0)
    lane.construct()
    lane.loosen(30, 100.0, bearable, dearer)
    assert lane.best == cost(problem, arrays.plan_of(lane.rows))
    rows = arrays.empty_rows()
    kernel.write(lane.D, lane.S, rows)
    plan = arrays.plan_of(rows)
    assert check(problem, plan) == []
    assert len(plan.left_out) == lane.absent
    assert sum(len(route.request_ids) for route in plan.routes) + lane.absent == len(problem.requests)
    assert lane.cost == cost(problem, plan)


def test_no_request_is_left_out_where_one_more_than_all_vehicles_for_each_were_too_large_a_number() -> None:
    seconds = np.full((3, 3), 60)
    seconds[1, 0] = LARGEST_NUMBER  # there is no way from the pickups home
    problem = RoutingProblem(
        points=("depot", "a", "b"),
        requests=tuple(pair(f"r{k}", Stop(1, 0, 90_000, 60), Stop(2, 0, 90_000, 60)) for k in range(150)),
        vehicles=tuple(Vehicle(f"v{k}", 0, 0, 0, 100_000) for k in range(150)),
        travel_seconds=seconds,
        travel_metres=seconds,
        objective=Objective.VEHICLES_FIRST,
    )
    assert len(problem.requests) * len(problem.vehicles) * problem.worst_cost > 2**63
    plan = search(problem, Steps(1))
    assert check(problem, plan) == []
    assert plan.left_out == ()


def test_hub_limits_that_no_plan_can_exceed_change_nothing_however_many() -> None:
    problem = replace(long_routes(40), objective=Objective.PRICES)
    limited = replace(problem, hub_limits=tuple(HubLimit(point, 2) for point in range(81)))
    assert search(limited, Steps(20)) == search(problem, Steps(20))


def test_as_many_hub_limits_as_may_be_are_kept() -> None:
    hubs = range(1, 64)
    seconds = np.full((64, 64), 60)
    problem = RoutingProblem(
        points=tuple(f"p{k}" for k in range(64)),
        requests=tuple(
            pair(f"{name}{hub}", Stop(hub, 0, 90_000, 60), Stop(hub, 0, 90_000, 60)) for hub in hubs for name in "ab"
        ),
        vehicles=tuple(Vehicle(f"v{k}", 0, 0, 0, 15_000) for k in range(2)),
        travel_seconds=seconds,
        travel_metres=seconds,
        hub_limits=tuple(HubLimit(hub, 0 if hub == 63 else 1) for hub in hubs),
    )
    plan = search(problem, Steps(200))
    assert check(problem, plan) == []
    assert len(plan.routes) == 2
    assert {"a63", "b63"} <= {item.request_id for item in plan.left_out}


def where_locked_requests_get_into_each_others_way(others: int) -> RoutingProblem:
    """A street; what is cheapest for the first locked request leaves no way to serve the second beside it."""
    apart = 600 * np.abs(np.arange(5)[:, None] - np.arange(5)[None, :])
    first = Request("first", (Stop(2, 0, 9_000, 60),), (Stop(1, 0, 5_000, 60), Stop(3, 0, 9_000, 60)), locked_to="v")
    second = pair("second", Stop(1, 1_800, 2_000, 60), Stop(4, 0, 4_000, 60), locked_to="v")
    free = tuple(pair(f"r{k}", Stop(0, 0, 90_000, 60), Stop(4, 0, 90_000, 60)) for k in range(others))
    return RoutingProblem(
        points=("a", "b", "c", "d", "e"),
        requests=(first, second, *free),
        vehicles=(Vehicle("v", 0, 0, 0, 9_000), Vehicle("w", 0, 0, 0, 90_000)),
        travel_seconds=apart,
        travel_metres=apart,
    )


def test_whoever_wants_the_plan_now_waits_for_second_thoughts_about_what_is_locked_only() -> None:
    problem = where_locked_requests_get_into_each_others_way(others=20)
    lane = _Lane(Arrays(problem), 0, 0)
    lane.construct()
    assert not lane.serves(1)
    assert len(first_plan(problem).planned) == 22
    begun = first_plan(problem, is_over=lambda: True).planned
    assert {"first", "second"} <= set(begun)
    assert len(begun) == 3
    plan = search(problem, Steps(1), should_stop=lambda: True)
    assert check(problem, plan) == []
    assert plan.left_out == ()


def test_whoever_wants_the_plan_now_does_not_wait_for_a_choice_among_all_routes() -> None:
    problem = where_locked_requests_get_into_each_others_way(others=20)
    balanced = replace(problem, prices=Prices(balance_per_second=1))
    with patch("services.dispatch.planning.search.run.choose", side_effect=AssertionError) as choose:
        plan = search(balanced, Seconds(60), should_stop=lambda: True)
        assert check(balanced, plan) == []
        with pytest.raises(AssertionError):
            search(balanced, Steps(200))
    choose.assert_called_once()
