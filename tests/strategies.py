"""Hypothesis strategies: whole inputs with all their features mixed."""

import numpy as np
from hypothesis import strategies as st

from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle

DIMENSIONS = 2


@st.composite
def problems(draw: st.DrawFn) -> RoutingProblem:
    """Small routing problems: windows tight and wide, two load dimensions, trailers, allowed vehicles, odd matrices."""
    size = draw(st.integers(1, 6))
    cells = st.lists(st.integers(0, 900), min_size=size * size, max_size=size * size)
    seconds = np.array(draw(cells)).reshape(size, size)
    metres = np.array(draw(cells)).reshape(size, size)
    points = st.integers(0, size - 1)
    vehicles = [draw(_vehicles(f"v{index}", points)) for index in range(draw(st.integers(0, 4)))]
    requests = [draw(_requests(f"r{index}", points, vehicles)) for index in range(draw(st.integers(0, 7)))]
    names = tuple(f"p{index}" for index in range(size))
    return RoutingProblem(names, tuple(requests), tuple(vehicles), seconds, metres)


@st.composite
def _vehicles(draw: st.DrawFn, vehicle_id: str, points: st.SearchStrategy[int]) -> Vehicle:
    start = draw(st.sampled_from([0, -3_600, 7_200]))
    return Vehicle(
        id=vehicle_id,
        start_point=draw(points),
        end_point=draw(points),
        shift_start_seconds=start,
        shift_end_seconds=start + draw(st.sampled_from([28_800, 14_400, 3_600, 1])),
        capacities=tuple(draw(st.sampled_from([100, 60, 20, 0])) for _ in range(DIMENSIONS)),
        has_trailer=draw(st.booleans()),
        fixed_cost_seconds=draw(st.sampled_from([0, 0, 500])),
    )


@st.composite
def _requests(draw: st.DrawFn, request_id: str, points: st.SearchStrategy[int], vehicles: list[Vehicle]) -> Request:
    # A load over every vehicle is refused with the problem: it fits at least one of them.
    limits = draw(st.sampled_from([vehicle.capacities for vehicle in vehicles])) if vehicles else (100,) * DIMENSIONS
    allowed = st.frozensets(st.sampled_from([vehicle.id for vehicle in vehicles])) if vehicles else st.just(frozenset())
    return Request(
        id=request_id,
        pickup=draw(_stops(points)),
        drop=draw(_stops(points)),
        loads=tuple(draw(st.integers(0, limit)) for limit in limits),
        needs_trailer=draw(st.sampled_from([False, False, False, True])),
        allowed_vehicles=draw(st.none() | st.none() | st.none() | allowed),
    )


@st.composite
def _stops(draw: st.DrawFn, points: st.SearchStrategy[int]) -> Stop:
    start = draw(st.sampled_from([0, 0, 0, 3_600]) | st.integers(-3_600, 14_400))
    length = draw(st.sampled_from([40_000, 40_000, 10_000, 3_600, 300, 0]))
    return Stop(draw(points), start, start + length, draw(st.sampled_from([0, 60, 600])))
