"""What a solver proposes: routes in seconds and loads, what is left out with the reasons, and what all that costs."""

from dataclasses import dataclass
from enum import StrEnum

from services.dispatch.planning.problem import Objective, Request, RoutingProblem, StopKind, Vehicle


class ReasonCode(StrEnum):
    """Why a request is not in a vehicle's route; each but the last four is true of the request tried alone on it."""

    NOT_ALLOWED = "not-allowed"  # the request names other vehicles or cooperatives, or forbids this one
    SKILL = "skill"  # courier or bike lack a skill or a piece of equipment
    CAPACITY = "capacity"  # it is more than this bike carries
    CLOSED = "closed"  # a site is closed during the whole of its window
    WINDOW = "window"  # its own windows cannot be met, whatever the shift
    RIDE_TIME = "ride-time"  # its load would be aboard for too long
    RANGE = "range"  # it is too far for this bike
    SHIFT = "shift"  # without the limits of this shift and its breaks it would fit
    LOCK = "lock"  # it would fit but for what is done, started or pinned on this vehicle
    SHARE = "share"  # the cooperative's share of the contract is used up
    LIMIT = "limit"  # a limit of the fleet or of a hub is reached
    PRICE = "price"  # serving it would cost more than leaving it out
    OUTWEIGHED = "outweighed"  # it would fit alone; with the others the plan is better without it
    NO_VEHICLE = "no-vehicle"  # nobody rides at all


@dataclass(frozen=True, slots=True)
class Visit:
    """One stop of a route: the service lasts from start to departure; `loads` is on board after it.

    `number` tells which of the request's pickups or drops it is.
    """

    request_id: str
    kind: StopKind
    point: int
    arrival_seconds: int
    start_seconds: int
    departure_seconds: int
    loads: tuple[int, ...]
    number: int = 0


@dataclass(frozen=True, slots=True)
class BreakTaken:
    """A rest after so many visits: at the start point (0), where that visit was, or at the end point."""

    after: int
    start_seconds: int
    end_seconds: int


@dataclass(frozen=True, slots=True)
class Route:
    """One vehicle's visits in order, with when it leaves its start point and when it is at its end point."""

    vehicle_id: str
    start_seconds: int
    visits: tuple[Visit, ...]
    end_seconds: int
    travel_seconds: int
    travel_metres: int
    breaks: tuple[BreakTaken, ...] = ()

    @property
    def request_ids(self) -> tuple[str, ...]:
        """Each request it serves once, in the order of their first stops."""
        return tuple(dict.fromkeys(visit.request_id for visit in self.visits))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one vehicle does not serve a request; `vehicle_id` is None where it is true without naming one."""

    code: ReasonCode
    vehicle_id: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """The least change of one kind that would serve a request: true when tried on the plan it was found for.

    `amount` is in the unit of its code: seconds (window, shift, ride time), metres (range), one load dimension's unit
    (capacity); 0 where there is nothing to count. `what` tells the code's particulars in the problem's own names: the
    skill, the dimension's number, "start" or "end" of a window or shift. `stop` is the index among the request's stops.
    """

    code: ReasonCode
    vehicle_id: str | None
    amount: int = 0
    what: str = ""
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A request that the plan does not serve; the rest is filled by `reasons.explain`, `sentence` in French."""

    request_id: str
    reasons: tuple[Reason, ...] = ()
    sentence: str = ""
    remedies: tuple[Remedy, ...] = ()

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """The different codes, in the order of `ReasonCode`."""
        found = {reason.code for reason in self.reasons}
        return tuple(code for code in ReasonCode if code in found)


@dataclass(frozen=True, slots=True)
class Plan:
    """Routes (only of vehicles that are used) and what is left out. Every request of the problem is in exactly one."""

    routes: tuple[Route, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def travel_seconds(self) -> int:
        """Seconds ridden, all routes."""
        return sum(route.travel_seconds for route in self.routes)

    @property
    def travel_metres(self) -> int:
        """Metres ridden, all routes."""
        return sum(route.travel_metres for route in self.routes)

    @property
    def planned(self) -> tuple[str, ...]:
        """Ids of the requests that are served, route by route in the order of their first stops."""
        return tuple(request_id for route in self.routes for request_id in route.request_ids)


def is_equipped(problem: RoutingProblem, vehicle: Vehicle, request_id: str) -> bool:
    """Return whether the vehicle may and can carry the request, whatever the time and the others."""
    return can_carry(vehicle, problem.requests_by_id[request_id])


def can_carry(vehicle: Vehicle, request: Request) -> bool:
    """Return whether the vehicle may and can carry the request, whatever the time and the others."""
    taken = [sum(loads) for loads in zip(*(stop.loads for stop in request.pickups), strict=True)]
    return (
        (request.locked_to is None or request.locked_to == vehicle.id)
        and request.allows(vehicle)
        and request.skills <= vehicle.skills
        and all(load <= capacity for load, capacity in zip(taken, vehicle.capacities, strict=False))
    )


def cost(problem: RoutingProblem, plan: Plan) -> int:
    """Return what the plan costs by the problem's prices: left out, vehicles, rides, lateness, balance, shares."""
    requests, vehicles = problem.requests_by_id, problem.vehicles_by_id
    total = sum(problem.left_out_price(requests[item.request_id]) for item in plan.left_out)
    served: dict[str, int] = {}
    for route in plan.routes:
        vehicle = vehicles[route.vehicle_id]
        served[vehicle.group] = served.get(vehicle.group, 0) + len(route.request_ids)
        total += vehicle.fixed_price + problem.prices.ride_second * route.travel_seconds
        total += problem.prices.ride_metre * route.travel_metres
        for visit in route.visits:
            stop = requests[visit.request_id].stop(visit.kind, visit.number)
            total += stop.late_price * max(0, visit.start_seconds - stop.window_end_seconds)
    for share in problem.shares:
        total += problem.prices.below_share * max(0, problem.least(share) - served.get(share.group, 0))
    days = [route.end_seconds - route.start_seconds for route in plan.routes]
    if days:
        total += problem.prices.balance_per_second * (max(days) - min(days))
    return total


def rank(problem: RoutingProblem, plan: Plan) -> tuple[int, int, int, int]:
    """Return what to compare plans of one problem by: less is better. Leaving out what is locked is worst of all."""
    requests = problem.requests_by_id
    unlocked = sum(requests[item.request_id].locked_to is not None for item in plan.left_out)
    if problem.objective is Objective.VEHICLES_FIRST:
        return unlocked, len(plan.left_out), len(plan.routes), cost(problem, plan)
    return unlocked, 0, 0, cost(problem, plan)
