"""How long one new order takes into a plan of 500 orders and 40 vehicles, beside its limit: python -m bench.replan.

The day is drawn on a square of 6 km with crow-fly rides at 4 m/s, two-hour windows, a break in each shift. The new
orders are inserted one after the other, each into the same plan in force; a tenth of that plan is pinned.
"""

import statistics
import time

import numpy as np

from bench.machine import machine
from services.dispatch.planning.check import check
from services.dispatch.planning.near import ChangePrices, Near, starts_of, vehicle_of
from services.dispatch.planning.plan import LeftOut, Plan
from services.dispatch.planning.problem import Break, Request, RoutingProblem, Stop, Vehicle, pair
from services.dispatch.planning.remaining import hold
from services.dispatch.planning.replan import insert

LIMIT_SECONDS = 0.2
ORDERS = 500
NEW = 30
VEHICLES = 40
PRICES = ChangePrices(moved_order=900, moved_minute=10, courier_told=300)


def day(seed: int = 1) -> RoutingProblem:
    """Return a day whose last `NEW` orders are not in the plan in force."""
    chance = np.random.default_rng(seed)
    places = chance.integers(0, 6_000, (200, 2))
    metres = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2)).astype(np.int64)
    vehicles = tuple(
        Vehicle(
            f"v{n}",
            n % 4,
            n % 4,
            start,
            start + 8 * 3_600,
            (120, 60),
            breaks=(Break(start + 10_800, start + 18_000, 1_800),),
        )
        for n in range(VEHICLES)
        for start in [(7 + n % 3) * 3_600]
    )
    requests = tuple(_order(f"r{n}", chance, len(places)) for n in range(ORDERS + NEW))
    return RoutingProblem(tuple(f"p{n}" for n in range(len(places))), requests, vehicles, metres // 4, metres)


def _order(id_: str, chance: np.random.Generator, places: int) -> Request:
    opens = int(chance.integers(7, 14)) * 3_600
    start, end = (int(place) for place in chance.integers(0, places, 2))
    load = int(chance.integers(1, 40))
    return pair(id_, Stop(start, opens, opens + 7_200, 180), Stop(end, opens, opens + 10_800, 180), (load, load // 2))


def in_force(problem: RoutingProblem) -> Plan:
    """Return a plan of all but the new orders, built by insertion."""
    known = problem.requests[:ORDERS]
    only = RoutingProblem(problem.points, known, problem.vehicles, problem.travel_seconds, problem.travel_metres)
    return insert(only, Near(Plan((), tuple(LeftOut(request.id) for request in known)), ChangePrices()))


def main() -> None:
    """Print the median and the worst time, and what moved that should not have."""
    whole = day()
    plan = in_force(whole)
    served = sorted(plan.planned)
    pinned = frozenset(served[::10])
    known = tuple(request for request in whole.requests if request.id in vehicle_of(plan))
    seconds, moved, placed, faults = [], 0, 0, 0
    for request in whole.requests[ORDERS:]:
        began = time.perf_counter()
        problem = hold(
            RoutingProblem(whole.points, (*known, request), whole.vehicles, whole.travel_seconds, whole.travel_metres),
            plan,
            pinned,
        )
        found = insert(problem, Near(plan, PRICES))
        seconds.append(time.perf_counter() - began)
        faults += len(check(problem, found))
        before, after = starts_of(plan), starts_of(found)
        moved += sum(after.get(key) != start for key, start in before.items() if key[0] in pinned)
        moved += sum(vehicle_of(found).get(id_) != vehicle for id_, vehicle in vehicle_of(plan).items())
        placed += request.id in vehicle_of(found)
    median, worst = statistics.median(seconds), max(seconds)
    print(f"\nOne new order into {len(served)} orders, {len(plan.routes)} vehicles ({machine()}; {NEW} times)")
    print(
        f"  median {median * 1000:.0f} ms, {median / LIMIT_SECONDS:.2f} of the limit of {LIMIT_SECONDS * 1000:.0f} ms"
    )
    print(f"  worst  {worst * 1000:.0f} ms, {worst / LIMIT_SECONDS:.2f} of the limit")
    print(f"  placed {placed} of {NEW}; pinned stops or orders of others moved: {moved}; violations: {faults}")


if __name__ == "__main__":
    main()
