"""Big days, up to 5,000 orders and 300 couriers: python -m bench.big_days [--orders 500 1000 2000 5000] [--seed 1].

Invented days of one city, the same one at each size, around its real public sites where they are at hand. The time is
in proportion to the orders. What is printed is the cost of an order (riding seconds, couriers called out, what is left
out) beside that of the smallest day: the limit is that cost grows less than 1.2 times as fast as the orders.
"""

import argparse
import csv
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from services.dispatch.planning.check import check
from services.dispatch.planning.plan import cost
from services.dispatch.planning.problem import (
    TRAILER,
    Break,
    Prices,
    Request,
    RoutingProblem,
    Share,
    Stop,
    Vehicle,
    pair,
)
from services.dispatch.planning.solve import Seconds, solve, warm_up
from services.dispatch.travel.estimate import matrix

SITES = Path(__file__).parents[2] / "shared/geo/nantes-sites.csv"
CITY = (-1.66, 47.14, -1.44, 47.30)
"""West, south, east, north in degrees: 17 by 18 km."""

ORDERS = (500, 1_000, 2_000, 5_000)
COURIERS_PER_ORDER = 0.06
SECONDS_PER_ORDER = 0.03
LIMIT = 1.2
HOUR = 3_600

COOPERATIVES = ("nord", "centre", "sud")
SHIFTS = ((7, 15, (10, 12)), (8, 18, (12, 14)), (11, 20, (15, 17)))
"""Hours from, until, and in which half an hour's rest begins."""

BIKES = ((60_000, 400_000, 12), (120_000, 900_000, 30), (200_000, 1_500_000, 60))
"""Grams, millilitres and places; the last with a trailer."""

Degrees = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What came of one day."""

    orders: int
    couriers: int
    points: int
    cost: int
    used: int
    ridden_metres: int
    left_out: int
    violations: int
    seconds: float
    megabytes: float


def a_day(orders: int, seed: int = 1) -> RoutingProblem:
    """Return a day of so many orders between public sites and doors around them, with a courier for every 17.

    Prices are seconds: of riding, half an hour for each courier called out, two hours and more for an order left out.
    """
    rng = np.random.default_rng(seed)
    hubs = np.array([(-1.556, 47.248), (-1.548, 47.215), (-1.551, 47.188)])
    sites = _sites(rng)
    doors = [*hubs, *sites, *_doors(rng, sites, orders)]
    lon, lat = np.array(doors).T
    positions = list(zip(lon.tolist(), lat.tolist(), strict=True))
    requests = tuple(_order(rng, number, np.array(doors), len(hubs), len(sites)) for number in range(orders))
    vehicles = tuple(_courier(rng, number) for number in range(round(orders * COURIERS_PER_ORDER)))
    seconds, metres = _travel(positions)
    return RoutingProblem(
        points=tuple(f"p{number}" for number in range(len(positions))),
        requests=requests,
        vehicles=vehicles,
        travel_seconds=seconds,
        travel_metres=metres,
        prices=Prices(below_share=600),
        shares=tuple(Share(name, 200, 450) for name in COOPERATIVES),
    )


def _sites(rng: np.random.Generator) -> Degrees:
    """Return the city's public sites within the bounds; invented ones where the file is not there."""
    west, south, east, north = CITY
    if SITES.exists():
        with SITES.open(encoding="utf-8", newline="") as file:
            found = np.array([(float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)])
        inside = (found >= (west, south)).all(axis=1) & (found <= (east, north)).all(axis=1)
        return np.asarray(found[inside])
    centres = rng.uniform((west, south), (east, north), (24, 2))
    return np.clip(centres[rng.integers(24, size=350)] + rng.normal(0, 0.008, (350, 2)), (west, south), (east, north))


def _doors(rng: np.random.Generator, sites: Degrees, count: int) -> Degrees:
    """Return addresses around the sites, some hundred metres from one."""
    return np.asarray(sites[rng.integers(len(sites), size=count)] + rng.normal(0, 0.004, (count, 2)))


def _order(rng: np.random.Generator, number: int, doors: Degrees, hubs: int, sites: int) -> Request:
    """Return an order from a site to a door or a site, seldom many kilometres away."""
    start = hubs + int(rng.integers(sites))
    others = hubs + rng.integers(len(doors) - hubs, size=40)
    away = np.hypot(*((doors[others] - doors[start]) * (75.6, 111.2)).T)  # kilometres at this latitude
    chance = np.exp(-away / 0.8) * (others != start)
    end = int(rng.choice(others, p=chance / chance.sum())) if chance.sum() else start
    opens = int(rng.integers(14, 32)) * HOUR // 2
    closes = opens + int(rng.integers(4, 11)) * HOUR // 2
    until = min(20 * HOUR, closes + int(rng.integers(2, 7)) * HOUR // 2)
    pieces = int(rng.integers(1, 6))
    grams = int(rng.gamma(2.0, 1_500)) * pieces + 500
    loads = (min(grams, 55_000), min(int(grams * rng.uniform(3, 8)), 380_000), pieces)
    needs_trailer = rng.random() < 0.06
    mine = rng.random() < 0.2
    return pair(
        f"o{number}",
        Stop(start, opens, closes, 120, units=pieces, seconds_per_unit=15),
        Stop(end, opens, until, 120, units=pieces, seconds_per_unit=15),
        loads,
        skills=frozenset({TRAILER} if needs_trailer else ()),
        allowed_groups=frozenset({COOPERATIVES[int(rng.integers(3))]}) if mine else None,
        left_out_price=int(rng.integers(2, 5)) * HOUR,
    )


def _courier(rng: np.random.Generator, number: int) -> Vehicle:
    """Return a courier of a cooperative, from and to its base; each cooperative has every kind of shift and bike."""
    group = number % 3
    start, end, rest = SHIFTS[number // 3 % 3]
    bike = int(rng.choice(3, p=(0.35, 0.4, 0.25)))
    return Vehicle(
        f"c{number}",
        group,
        group,
        start * HOUR,
        end * HOUR,
        BIKES[bike],
        frozenset({TRAILER} if bike == 2 else ()),
        COOPERATIVES[group],
        ride_permille=1_100 if bike == 2 else 1_000,
        breaks=(Break(rest[0] * HOUR, rest[1] * HOUR, HOUR // 2),),
        fixed_price=HOUR // 2,
    )


def _travel(positions: list[tuple[float, float]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the estimated rides between all positions, made some rows at a time."""
    seconds = np.empty((len(positions), len(positions)), np.int64)
    metres = np.empty_like(seconds)
    for first in range(0, len(positions), 200):
        rows = slice(first, first + 200)
        ridden = matrix(positions[rows], positions)
        seconds[rows], metres[rows] = ridden.seconds, ridden.metres
    seconds.flags.writeable = metres.flags.writeable = False
    return seconds, metres


def measure(orders: int, seconds_per_order: float, seed: int) -> Measured:
    """Plan one day; memory is the most this process ever held, matrices included."""
    problem = a_day(orders, seed)
    warm_up()
    began = time.monotonic()
    plan = solve(problem, Seconds(orders * seconds_per_order), seed)
    return Measured(
        orders=orders,
        couriers=len(problem.vehicles),
        points=len(problem.points),
        cost=cost(problem, plan),
        used=len(plan.routes),
        ridden_metres=plan.travel_metres,
        left_out=len(plan.left_out),
        violations=len(check(problem, plan)),
        seconds=time.monotonic() - began,
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each size, and the cost of an order beside that of the smallest day."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, nargs="+", default=ORDERS)
    parser.add_argument("--seconds-per-order", type=float, default=SECONDS_PER_ORDER)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    print(f"\nBig days ({machine()}; {given.seconds_per_order} s for an order, seed {given.seed})")
    print("  orders  couriers   used  points  left out     cost/order   times smallest    km/order    took       peak")
    smallest = 0.0
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for orders in given.orders:
            day = pool.apply(measure, (orders, given.seconds_per_order, given.seed))
            each = day.cost / orders
            smallest = smallest or each
            print(
                f"  {orders:>6}  {day.couriers:>8}  {day.used:>5}  {day.points:>6}  {day.left_out:>8}  {each:>11.1f} s"
                f"  {each / smallest:>9.3f} (< {LIMIT})  {day.ridden_metres / orders / 1000:>8.3f}"
                f"  {day.seconds:>6.1f} s  {day.megabytes:>6.0f} MB"
                + (f"  REFUSED BY THE JUDGE: {day.violations}" if day.violations else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
