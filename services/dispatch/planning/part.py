"""A part of a problem: some of its requests and vehicles, as a problem of its own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.problem import (
    LARGEST_NUMBER,
    FleetLimit,
    HubLimit,
    Request,
    RoutingProblem,
    Share,
    Stop,
)


def part_of(
    problem: RoutingProblem,
    requests: NDArray[np.intp],
    vehicles: NDArray[np.intp],
    *,
    shares: Sequence[Share] = (),
    fleet_limits: Sequence[FleetLimit] = (),
    hub_limits: Sequence[HubLimit] = (),
) -> RoutingProblem:
    """Return the problem of these requests and vehicles, by number, with the matrices of their own points alone.

    What couples vehicles is not divided here: the part has these shares, and of these limits those that concern it.
    """
    own_vehicles = [problem.vehicles[v] for v in vehicles]
    own_requests = [problem.requests[r] for r in requests]
    points = sorted(
        {stop.point for request in own_requests for _, _, stop in request.stops}
        | {point for vehicle in own_vehicles for point in (vehicle.start_point, vehicle.end_point)}
    )
    number_of = {point: number for number, point in enumerate(points)}
    ids = frozenset(vehicle.id for vehicle in own_vehicles)
    has_prices = any(request.left_out_price is not None for request in own_requests)
    heaviest = max((one.left_out_weight for one in own_requests if one.left_out_price is None), default=1)
    # "More than any way of serving it" is less in a part than in the whole, other prices are not: here it is one too.
    # A price has a limit; up to that the weights of these requests keep their proportion.
    priceless = min(problem.worst_cost, LARGEST_NUMBER // heaviest)

    def placed(stop: Stop) -> Stop:
        return replace(stop, point=number_of[stop.point])

    def owned(request: Request) -> Request:
        allowed = request.allowed_vehicles
        return replace(
            request,
            pickups=tuple(map(placed, request.pickups)),
            drops=tuple(map(placed, request.drops)),
            allowed_vehicles=None if allowed is None else allowed & ids,
            forbidden_vehicles=request.forbidden_vehicles & ids,
            left_out_price=priceless * request.left_out_weight
            if has_prices and request.left_out_price is None
            else request.left_out_price,
        )

    return RoutingProblem(
        points=tuple(problem.points[point] for point in points),
        requests=tuple(map(owned, own_requests)),
        vehicles=tuple(
            replace(one, start_point=number_of[one.start_point], end_point=number_of[one.end_point])
            for one in own_vehicles
        ),
        travel_seconds=_rows_and_columns(problem.travel_seconds, points),
        travel_metres=_rows_and_columns(problem.travel_metres, points),
        prices=problem.prices,
        objective=problem.objective,
        shares=tuple(shares),
        fleet_limits=tuple(
            replace(limit, vehicles=limit.vehicles & ids) for limit in fleet_limits if limit.vehicles & ids
        ),
        hub_limits=tuple(replace(hub, point=number_of[hub.point]) for hub in hub_limits if hub.point in number_of),
    )


def _rows_and_columns(matrix: NDArray[np.int64], points: Sequence[int]) -> NDArray[np.int64]:
    cells: NDArray[np.int64] = matrix[np.ix_(points, points)]
    cells.flags.writeable = False
    return cells
