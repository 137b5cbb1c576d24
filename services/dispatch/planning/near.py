"""A plan in force, and what changing it costs: what a search for the next plan stays near to."""

from dataclasses import dataclass

from services.dispatch.planning.plan import Plan, Route
from services.dispatch.planning.problem import StopKind

StopKey = tuple[str, StopKind, int]
"""A stop: its request, its kind, its number among those of that kind."""


@dataclass(frozen=True, slots=True)
class ChangePrices:
    """What each change to a plan in force costs, in the problem's price unit.

    `moved_order` is for each request that another vehicle serves, `moved_minute` for each whole minute or part by
    which a stop begins earlier or later, `courier_told` for each vehicle whose stops, or their order, are others.
    """

    moved_order: int = 0
    moved_minute: int = 0
    courier_told: int = 0


@dataclass(frozen=True, slots=True)
class Near:
    """A plan in force and the prices of changing it."""

    plan: Plan
    prices: ChangePrices


def change_cost(near: Near, plan: Plan) -> int:
    """Return what the changes from the plan in force to `plan` cost.

    A request that only one of both plans serves is not moved, and its stops have no time to differ from: what leaving
    it out costs is the problem's price.
    """
    changes = RouteChanges(near)
    routes = {route.vehicle_id: route for route in plan.routes}
    vehicle_ids = {route.vehicle_id for route in near.plan.routes} | routes.keys()
    return sum(changes.cost(vehicle_id, routes.get(vehicle_id)) for vehicle_id in vehicle_ids)


class RouteChanges:
    """What changing a plan in force costs, one route at a time."""

    def __init__(self, near: Near) -> None:
        self._prices = near.prices
        self._riders = vehicle_of(near.plan)
        self._starts = starts_of(near.plan)
        self._sequences = {route.vehicle_id: sequence(route) for route in near.plan.routes}

    def cost(self, vehicle_id: str, route: Route | None) -> int:
        """Return the vehicle's part of `change_cost` where it rides this route, None where it rides nothing."""
        prices, before = self._prices, self._sequences.get(vehicle_id)
        if route is None:
            return prices.courier_told if before is not None else 0
        moved = sum(self._riders.get(request_id, vehicle_id) != vehicle_id for request_id in route.request_ids)
        minutes = 0
        for visit in route.visits:
            start = self._starts.get((visit.request_id, visit.kind, visit.number))
            if start is not None:
                minutes += -(-abs(visit.start_seconds - start) // 60)
        told = sequence(route) != before
        return moved * prices.moved_order + minutes * prices.moved_minute + told * prices.courier_told


def vehicle_of(plan: Plan) -> dict[str, str]:
    """Return which vehicle serves each request."""
    return {request_id: route.vehicle_id for route in plan.routes for request_id in route.request_ids}


def starts_of(plan: Plan) -> dict[StopKey, int]:
    """Return when each stop begins."""
    return {
        (visit.request_id, visit.kind, visit.number): visit.start_seconds
        for route in plan.routes
        for visit in route.visits
    }


def sequence(route: Route) -> tuple[StopKey, ...]:
    """Return a route's stops in order."""
    return tuple((visit.request_id, visit.kind, visit.number) for visit in route.visits)
