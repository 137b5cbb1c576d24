import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import LeftOut, Plan, cost, rank
from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    FleetLimit,
    HubLimit,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Stop,
    Vehicle,
    pair,
)
from services.dispatch.planning.routing import route
from services.dispatch.planning.solve import search_part, solve
from services.dispatch.planning.split import WHOLE_SHARE, Part, join, solve_big, split
from services.dispatch.planning.stop import ALL, Limit, Seconds, Span, Steps
from tests.strategies import examples, problems

GROUPS = ("north", "south", "east")


def searched(problem: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
    """Search a part with the second engine: few rounds, for nothing here is about how good it is."""
    return route(problem, Steps(1), seed, start=start)


def a_city(requests: int = 60, vehicles: int = 9, seed: int = 0, **coupled: object) -> RoutingProblem:
    """Return a day of pairs between places strewn over a square of an hour's ride."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 2_000, (2 * requests + len(GROUPS), 2))
    metres = np.abs(places[:, None] - places[None]).sum(axis=2)
    asked = tuple(
        pair(f"r{n}", Stop(2 * n, 0, 30_000, 120), Stop(2 * n + 1, 0, 30_000, 120), (int(rng.integers(1, 10)),))
        for n in range(requests)
    )
    riding = tuple(
        Vehicle(f"v{n}", 2 * requests + n % 3, 2 * requests + n % 3, 0, 28_800, (40,), group=GROUPS[n % 3])
        for n in range(vehicles)
    )
    day = RoutingProblem(tuple(map(str, range(len(places)))), asked, riding, metres, metres)
    return replace(day, **coupled)  # type: ignore[arg-type]


def ids(parts: list[Part]) -> tuple[Counter[str], Counter[str]]:
    requests = Counter(request.id for part in parts for request in part.problem.requests)
    return requests, Counter(vehicle.id for part in parts for vehicle in part.problem.vehicles)


def served_by(problem: RoutingProblem, plan: Plan) -> Counter[str]:
    served: Counter[str] = Counter()
    for one in plan.routes:
        served[problem.vehicles_by_id[one.vehicle_id].group] += len(one.request_ids)
    return served


def in_rounds(problem: RoutingProblem, size: int, rounds: int) -> list[list[Part]]:
    """Cut, search and join several times over; return every cut."""
    cuts, plan = [], None
    for number in range(rounds):
        cuts.append(split(problem, plan, size, seed=number))
        plan = join(problem, [searched(part.problem, Steps(1), 0, part.start, ALL) for part in cuts[-1]])
        assert check(problem, plan) == []
    return cuts


@given(problems(), st.integers(1, 6), st.integers(0, 3))
@settings(max_examples=examples(60), deadline=None)
def test_nothing_is_lost_whatever_the_day_and_the_size(problem: RoutingProblem, size: int, seed: int) -> None:
    plan = solve_big(problem, Steps(8), seed, solve_part=searched, size=size)
    assert check(problem, plan) == []
    told = [*plan.planned, *(item.request_id for item in plan.left_out)]
    assert sorted(told) == sorted(request.id for request in problem.requests)


@given(problems(), st.integers(1, 6), st.integers(0, 3))
@settings(max_examples=examples(40), deadline=None)
def test_no_vehicle_and_no_request_is_in_two_parts(problem: RoutingProblem, size: int, seed: int) -> None:
    plan = route(problem, Steps(1))
    for so_far in (None, plan):
        parts = split(problem, so_far, size, seed=seed)
        requests, vehicles = ids(parts)
        assert max([*requests.values(), *vehicles.values()], default=1) == 1
        if so_far is not None:  # what the plan serves is in a part, as the plan serves it
            starts = [part.start for part in parts if part.start is not None]
            assert all(check(part.problem, part.start) == [] for part in parts if part.start is not None)
            assert join(problem, starts).planned == tuple(
                request_id for part in parts if part.start for request_id in part.start.planned
            )
            assert set(join(problem, starts).planned) == set(plan.planned)


def test_a_day_is_cut_into_parts_of_the_size_asked_for_with_vehicles_for_their_work() -> None:
    parts = split(a_city(240, 40), None, 60)
    assert [len(part.problem.requests) for part in parts] == [60, 60, 60, 60]
    assert all(8 <= len(part.problem.vehicles) <= 12 for part in parts)
    assert all(len(part.problem.points) <= 2 * 60 + 3 for part in parts)


def test_a_part_has_the_times_between_its_own_places() -> None:
    problem = a_city()
    for part in split(problem, None, 20):
        numbers = [problem.points.index(name) for name in part.problem.points]
        assert (part.problem.travel_seconds == problem.travel_seconds[np.ix_(numbers, numbers)]).all()
        assert (part.problem.travel_metres == problem.travel_metres[np.ix_(numbers, numbers)]).all()


def test_parts_lie_together() -> None:
    # Two towns far from each other: nothing of one is in a part with the other.
    near = a_city(40, 8)
    seconds = near.travel_seconds.copy()
    west = np.arange(len(near.points)) % 4 < 2  # both ends of a request, and one cooperative's home
    seconds[west[:, None] != west[None]] += 20_000
    problem = replace(near, travel_seconds=seconds)
    for part in split(problem, None, 20):
        assert len({west[int(request.pickups[0].point)] for request in original(problem, part)}) == 1


def original(problem: RoutingProblem, part: Part) -> list[Request]:
    return [problem.requests_by_id[request.id] for request in part.problem.requests]


def test_borders_move_from_cut_to_cut() -> None:
    problem = a_city(120, 24)
    plan = searched(problem, Steps(1), 0, None, ALL)
    cuts = [split(problem, plan, 30, seed=seed) for seed in range(4)]
    together = {frozenset(frozenset(part.problem.vehicles_by_id) for part in parts) for parts in cuts}
    assert len(together) == 4


@pytest.mark.parametrize("size", [10, 25])
def test_parts_together_keep_to_a_share_of_the_contract(size: int) -> None:
    shares = (Share("north", 100, 250), Share("south", 0, 1000), Share("east", 200, 400))
    problem = a_city(shares=shares)
    for parts in in_rounds(problem, size, 3):
        for share in shares:
            allotted = [
                part.problem.most(own) for part in parts for own in part.problem.shares if own.group == share.group
            ]
            assert sum(allotted) <= problem.most(share)
    served = served_by(problem, solve_big(problem, Steps(20), solve_part=searched, size=size))
    assert served["north"] <= 15
    assert served["east"] <= 24


def test_parts_together_keep_to_a_limit_of_the_fleet_and_of_a_hub() -> None:
    bare = a_city()
    hub = bare.requests[0].pickups[0].point
    calling = tuple(
        replace(one, pickups=(replace(one.pickups[0], point=hub),)) if number < 30 else one
        for number, one in enumerate(bare.requests)
    )
    limit = FleetLimit(frozenset(f"v{n}" for n in range(6)), 4)
    problem = replace(bare, requests=calling, fleet_limits=(limit,), hub_limits=(HubLimit(hub, 3),))
    for parts in in_rounds(problem, 15, 3):  # the judge has seen each plan
        assert sum(one.at_most for part in parts for one in part.problem.fleet_limits) <= 4
        assert sum(one.at_most for part in parts for one in part.problem.hub_limits) <= 3


def test_a_request_goes_where_somebody_may_carry_it() -> None:
    bare = a_city()
    only = tuple(
        replace(one, allowed_vehicles=frozenset({"v0"})) if number % 5 == 0 else one
        for number, one in enumerate(bare.requests)
    )
    problem = replace(bare, requests=only)
    with_v0 = [part for part in split(problem, None, 15) if "v0" in part.problem.vehicles_by_id]
    assert {f"r{n}" for n in range(0, 60, 5)} <= with_v0[0].problem.requests_by_id.keys()


def test_what_nobody_may_carry_is_in_no_part_and_left_out() -> None:
    bare = a_city()
    problem = replace(bare, requests=(replace(bare.requests[0], skills=frozenset({"cold"})), *bare.requests[1:]))
    assert "r0" not in ids(split(problem, None, 15))[0]
    plan = solve_big(problem, Steps(5), solve_part=searched, size=15)
    assert [item.request_id for item in plan.left_out] == ["r0"]


def test_what_is_locked_stays_with_its_vehicle() -> None:
    bare = a_city()
    locked = tuple(
        replace(one, locked_to=f"v{number % 9}") if number < 20 else one for number, one in enumerate(bare.requests)
    )
    heard: list[Plan] = []
    problem = replace(bare, requests=locked)
    plan = solve_big(problem, Steps(5), solve_part=searched, size=15, watch=lambda _, better: heard.append(better))
    assert all(check(problem, one) == [] for one in [*heard, plan])


def test_the_price_of_leaving_out_weighs_in_a_part_as_in_the_whole() -> None:
    bare = a_city()
    priced = replace(bare, requests=(replace(bare.requests[0], left_out_price=90_000), *bare.requests[1:]))
    (part,) = (part for part in split(priced, None, 15) if "r0" in part.problem.requests_by_id)
    prices = {request.id: part.problem.left_out_price(request) for request in part.problem.requests}
    assert prices == {request_id: priced.left_out_price(priced.requests_by_id[request_id]) for request_id in prices}
    assert min(prices.values()) == prices["r0"] == 90_000


def test_what_should_never_be_left_out_has_a_price_in_a_part_however_much_that_is_in_the_whole() -> None:
    bare = a_city(prices=Prices(ride_second=10**7))
    priced, urgent = replace(bare.requests[0], left_out_price=90_000), replace(bare.requests[1], left_out_weight=20)
    problem = replace(bare, requests=(priced, urgent, *bare.requests[2:]))
    assert problem.worst_cost > LARGEST_NUMBER
    (part,) = split(problem, None, 60)
    price = {request.id: part.problem.left_out_price(request) for request in part.problem.requests}
    assert price["r0"] == 90_000 < price["r2"]
    assert price["r1"] == 20 * price["r2"]


def test_a_plan_to_start_from_never_gets_worse() -> None:
    problem = a_city()
    start = solve_big(problem, Steps(5), solve_part=searched, size=15)

    def worse(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        return Plan((), tuple(LeftOut(request.id) for request in part.requests))

    assert solve_big(problem, Steps(5), solve_part=worse, start=start, size=15) == start


def test_each_plan_heard_is_whole_and_better() -> None:
    problem = a_city()
    heard: list[tuple[float, Plan]] = []
    plan = solve_big(
        problem, Steps(9), solve_part=searched, size=15, watch=lambda seconds, better: heard.append((seconds, better))
    )
    assert rank(problem, heard[-1][1]) == rank(problem, plan)
    assert all(check(problem, better) == [] for _, better in heard)
    ranks = [rank(problem, better) for _, better in heard]
    assert ranks == sorted(ranks, reverse=True)
    assert [seconds for seconds, _ in heard] == sorted(seconds for seconds, _ in heard)


def test_the_same_seed_and_steps_give_the_same_plan() -> None:
    problem = a_city()
    plans = [solve_big(problem, Steps(9), 4, solve_part=searched, size=15, workers=2) for _ in range(2)]
    assert plans[0] == plans[1]


def test_a_first_plan_of_the_whole_is_what_parts_begin_with() -> None:
    problem = a_city()
    steps: list[int] = []
    spans: list[Span] = []

    def whole(all_of_it: RoutingProblem, stop: Limit, seed: int, span: Span) -> Plan:
        assert all_of_it is problem
        assert isinstance(stop, Steps)
        steps.append(stop.steps)
        spans.append(span)
        return searched(all_of_it, stop, seed, None, span)

    def part_of_it(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        assert start is not None
        assert isinstance(stop, Steps)
        steps.append(stop.steps)
        spans.append(span)
        return searched(part, stop, seed, start, span)

    heard: list[Plan] = []
    plan = solve_big(
        problem,
        Steps(2_000),
        solve_part=part_of_it,
        solve_whole=whole,
        size=15,
        watch=lambda seconds, better: heard.append(better),
    )
    assert steps[0] == 2_000 * WHOLE_SHARE
    assert 1_900 <= sum(steps) <= 2_100
    # Each round begins as cold as the last one ended, as if nothing were cut.
    one_after_another = list(dict.fromkeys(spans))
    assert [begin for begin, _ in one_after_another] == [0.0, *(end for _, end in one_after_another[:-1])]
    assert one_after_another[0] == (0.0, WHOLE_SHARE)
    assert one_after_another[-1][1] == 1.0
    assert rank(problem, heard[0]) >= rank(problem, plan)
    assert check(problem, plan) == []


def test_whoever_wants_the_plan_now_gets_the_first_plan_of_the_whole() -> None:
    def whole(all_of_it: RoutingProblem, stop: Limit, seed: int, span: Span) -> Plan:
        return searched(all_of_it, stop, seed, None, span)

    def part_of_it(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        raise AssertionError("nobody waits for parts")

    problem = a_city()
    plan = solve_big(problem, Steps(9), solve_part=part_of_it, solve_whole=whole, size=15, should_stop=lambda: True)
    assert plan == whole(problem, Steps(9), 0, (0.0, WHOLE_SHARE))


def test_a_day_of_many_requests_is_planned_in_parts_and_tells_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatch.planning.solve.BIG_REQUESTS", 240)
    parts: list[int] = []

    def noting(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        parts.append(len(part.requests))
        return searched(part, stop, seed, start, span)

    heard: list[Plan] = []
    problem = a_city(240, 40)
    plan = solve(problem, Seconds(6), solve_part=noting, watch=lambda _, better: heard.append(better))
    assert check(problem, plan) == []
    assert sum(parts[:2]) == 240
    assert len(heard) >= 2  # of the whole, before there were parts, and after
    parts.clear()
    solve(a_city(239, 40), Steps(10), solve_part=noting)
    assert parts == []


def test_whoever_wants_the_plan_now_waits_for_no_part_that_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = a_city(240, 40)
    start = solve(problem, Steps(10))
    monkeypatch.setattr("services.dispatch.planning.solve.BIG_REQUESTS", 240)
    began = time.monotonic()
    # Wanted while the parts of the first of six rounds are searched, each for a sixth of the time.
    plan = solve(problem, Seconds(120), start=start, should_stop=lambda: time.monotonic() > began + 1)
    assert time.monotonic() < began + 10
    assert check(problem, plan) == []


def test_a_late_piece_of_a_longer_search_begins_cold() -> None:
    problem = a_city(80, 12)
    start = searched(problem, Steps(1), 0, None, ALL)
    early, late = (search_part(problem, Steps(2_000), 0, start, span) for span in ((0.0, 0.01), (0.99, 1.0)))
    assert cost(problem, late) < cost(problem, early) <= cost(problem, start)


def test_a_plan_that_leaves_much_out_is_cut_into_smaller_parts() -> None:
    problem = a_city(1_000, 60)
    assert len(split(problem, join(problem, ()), 1_000)) == 4
    served = search_part(problem, Steps(1), 0, None, ALL)
    assert not served.left_out
    assert len(split(problem, served, 1_000)) == 1


def test_parts_are_searched_two_at_a_time() -> None:
    lock = threading.Lock()
    busy, most = 0, 0

    def counting(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return searched(part, stop, seed, start, span)

    solve_big(a_city(), Steps(5), solve_part=counting, size=15, workers=2)
    assert most == 2


def test_the_time_is_divided_among_the_parts() -> None:
    given_seconds: list[float] = []

    def noting(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        assert isinstance(stop, Seconds)
        given_seconds.append(stop.seconds)
        return searched(part, stop, seed, start, span)

    solve_big(a_city(), Seconds(30), solve_part=noting, size=15, workers=2)
    # Two of the four at a time: the first two have half of the first round each.
    assert given_seconds[0] == pytest.approx(30 / 2 * 0.4, abs=1)
    assert all(seconds > 1 for seconds in given_seconds)


def test_a_failure_in_a_part_is_told() -> None:
    def failing(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        solve_big(a_city(), Steps(5), solve_part=failing, size=15)


def test_a_price_for_all_weighs_what_a_part_gives() -> None:
    # Each part alone would ride one day long and let the others rest; the whole pays for that.
    bare = a_city()
    problem = replace(bare, prices=replace(bare.prices, balance_per_second=50))
    first = solve_big(problem, Steps(5), solve_part=searched, size=15)
    second = solve_big(problem, Steps(5), solve_part=searched, size=15, start=first)
    assert cost(problem, second) <= cost(problem, first)


def test_whoever_wants_the_plan_now_gets_the_best_so_far() -> None:
    searches: list[Limit] = []

    def noting(part: RoutingProblem, stop: Limit, seed: int, start: Plan | None, span: Span) -> Plan:
        searches.append(stop)
        return searched(part, stop, seed, start, span)

    problem = a_city()
    plan = solve_big(problem, Seconds(60), solve_part=noting, size=15, should_stop=lambda: bool(searches))
    assert check(problem, plan) == []
    # One was under way; the three others were still to give a first plan, as soon as they could.
    assert [stop.seconds for stop in searches if isinstance(stop, Seconds)][1:] == [0.05] * 3
