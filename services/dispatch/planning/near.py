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
    before, after = vehicle_of(near.plan), vehicle_of(plan)
    moved = sum(request_id in after and after[request_id] != vehicle for request_id, vehicle in before.items())
    starts_before, starts_after = starts_of(near.plan), starts_of(plan)
    minutes = sum(
        -(-abs(starts_after[key] - start) // 60) for key, start in starts_before.items() if key in starts_after
    )
    work_before, work_after = ({route.vehicle_id: sequence(route) for route in one.routes} for one in (near.plan, plan))
    told = sum(work_before.get(id_) != work_after.get(id_) for id_ in work_before.keys() | work_after.keys())
    prices = near.prices
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
