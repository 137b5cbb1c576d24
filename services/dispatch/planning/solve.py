"""The solver: OR-Tools' routing library behind whole numbers; the only file that knows it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from services.dispatch.planning.plan import LeftOut, Plan, StopKind, is_equipped, route_through, stop_of
from services.dispatch.planning.problem import Request, RoutingProblem, Vehicle

SHARE_OF_THE_LIBRARY = 0.9
"""Of the time given; the rest is for requests that it left aside."""

UNSERVED = -1
"""What the library calls the vehicle of a node that none visits."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Search for that long (wall clock); two runs may differ."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Search for that many rounds of tearing up and mending; the same problem and seed give the same plan."""

    steps: int


Limit = Seconds | Steps
Watch = Callable[[float, Plan], None]
Call = tuple[Request, StopKind]


def solve(problem: RoutingProblem, *, limit: Limit, seed: int = 0, watch: Watch | None = None) -> Plan:
    """Serve as many requests as possible, then ride as little as possible.

    The plan can always be ridden. What it does not serve is in `plan.left_out`, for `reasons.explain` to say why.
    `watch` is called with the seconds since the start and each better plan. Blocks and keeps the interpreter busy: run
    it in a worker process (the function, the problem and the plan can be pickled).

    Source: pickup and delivery with time windows, Li and Lim (2001); the search, Christiaens and Vanden Berghe (2020)
    as OR-Tools' iterated local search has it.
    """
    began = time.monotonic()
    candidates = [request for request in problem.requests if any(is_equipped(v, request) for v in problem.vehicles)]
    candidates = [candidates[index] for index in np.random.default_rng(seed).permutation(len(candidates))]
    deadline = began + limit.seconds if isinstance(limit, Seconds) else None
    # A plan is there at once: on a large problem the library takes many seconds to its first.
    best = _Best(problem, began, watch)
    best.offer(_insert(problem, candidates, [[] for _ in problem.vehicles], deadline))
    gone = time.monotonic() - began
    # Its model alone takes seconds then, which no limit interrupts.
    if candidates and (isinstance(limit, Steps) or gone < limit.seconds / 2):
        model = _Model(problem, candidates)
        if watch:
            model.watch(best.offer)
        if found := model.search(limit, time.monotonic() - began):
            best.offer(_insert(problem, candidates, found, deadline))
    return best.plan


class _Best:
    """The best plan so far: serves most, then costs least."""

    def __init__(self, problem: RoutingProblem, began: float, watch: Watch | None) -> None:
        self._problem = problem
        self._began = began
        self._watch = watch
        self._rank: tuple[int, int] | None = None
        self.plan = Plan((), ())

    def offer(self, sequences: list[list[Call]]) -> None:
        """Keep these sequences if they are better than what is known."""
        plan = _plan(self._problem, sequences)
        vehicles = self._problem.vehicles_by_id
        fixed = sum(vehicles[route.vehicle_id].fixed_cost_seconds for route in plan.routes)
        rank = (len(plan.left_out), plan.travel_seconds + fixed)
        if self._rank is None or rank < self._rank:
            self._rank, self.plan = rank, plan
            if self._watch:
                self._watch(time.monotonic() - self._began, plan)


class _Model:
    """The routing library's model of a problem.

    Nodes are the pickups, the drops, then a start and an end for each vehicle, so that an unused vehicle rides nothing
    even where its shift is too short for the way from its start to its end.
    """

    def __init__(self, problem: RoutingProblem, requests: list[Request]) -> None:
        self._requests = requests
        vehicles = problem.vehicles
        stops = [request.pickup for request in requests] + [request.drop for request in requests]
        starts = list(range(len(stops), len(stops) + len(vehicles)))
        ends = [start + len(vehicles) for start in starts]
        points = [stop.point for stop in stops]
        points += [vehicle.start_point for vehicle in vehicles] + [vehicle.end_point for vehicle in vehicles]
        ride = problem.travel_seconds[np.ix_(points, points)]
        ride[starts, ends] = 0
        service = np.array([stop.service_seconds for stop in stops] + [0] * (2 * len(vehicles)))

        self._manager = pywrapcp.RoutingIndexManager(len(points), len(vehicles), starts, ends)
        self._routing = routing = pywrapcp.RoutingModel(self._manager)
        routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(ride.tolist()))
        self._mean_leg = float(ride.mean())

        opening = min(
            *(stop.window_start_seconds for stop in stops), *(vehicle.shift_start_seconds for vehicle in vehicles)
        )
        closing = max(*(stop.window_end_seconds for stop in stops), *(v.shift_end_seconds for v in vehicles))
        horizon = closing - opening
        ride_and_service = routing.RegisterTransitMatrix((ride + service[:, None]).tolist())
        routing.AddDimension(ride_and_service, horizon, horizon, False, "time")
        clock = routing.GetDimensionOrDie("time")
        for index, vehicle in enumerate(vehicles):
            for end in (routing.Start(index), routing.End(index)):
                clock.CumulVar(end).SetRange(vehicle.shift_start_seconds - opening, vehicle.shift_end_seconds - opening)
            routing.SetFixedCostOfVehicle(vehicle.fixed_cost_seconds, index)

        for dimension in range(len(vehicles[0].capacities)):
            picked_up = [request.loads[dimension] for request in requests]
            changes = picked_up + [-load for load in picked_up] + [0] * (2 * len(vehicles))
            capacities = [vehicle.capacities[dimension] for vehicle in vehicles]
            routing.AddDimensionWithVehicleCapacity(
                routing.RegisterUnaryTransitVector(changes), 0, capacities, True, f"load {dimension}"
            )

        for number, request in enumerate(requests):
            pickup, drop = self._manager.NodeToIndex(number), self._manager.NodeToIndex(len(requests) + number)
            routing.AddPickupAndDelivery(pickup, drop)
            routing.solver().Add(routing.VehicleVar(pickup) == routing.VehicleVar(drop))
            equipped = [index for index, vehicle in enumerate(vehicles) if is_equipped(vehicle, request)]
            for node, stop in ((pickup, request.pickup), (drop, request.drop)):
                routing.AddDisjunction([node], problem.worst_cost)
                clock.CumulVar(node).SetRange(stop.window_start_seconds - opening, stop.window_end_seconds - opening)
                if len(equipped) < len(vehicles):
                    routing.VehicleVar(node).SetValues([UNSERVED, *equipped])

    def search(self, limit: Limit, seconds_gone: float) -> list[list[Call]] | None:
        """Return the best sequence of calls found for each vehicle, None where the time was too short for any.

        `seconds_gone` were used up by making the model.
        """
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        strategies = routing_enums_pb2.FirstSolutionStrategy
        parameters.first_solution_strategy = strategies.PARALLEL_CHEAPEST_INSERTION
        # Descend once, then tear strings of stops out and put them back in random order: of the library's modes the
        # one that came nearest to the best known plans of public instances.
        parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GREEDY_DESCENT
        iterated = parameters.iterated_local_search_parameters
        iterated.improve_perturbed_solution = False
        ruin = iterated.ruin_recreate_parameters.ruin_strategies.add().sisr
        ruin.max_removed_sequence_size = 10
        ruin.avg_num_removed_visits = 10
        ruin.bypass_factor = 0.01
        recreate = iterated.ruin_recreate_parameters.recreate_strategy
        recreate.heuristic = strategies.LOCAL_CHEAPEST_INSERTION
        insertion = recreate.parameters.local_cheapest_insertion
        insertion.pickup_delivery_strategy = insertion.BEST_PICKUP_DELIVERY_PAIR
        insertion.insertion_sorting_properties.append(insertion.SORTING_PROPERTY_RANDOM)
        if isinstance(limit, Seconds):
            annealing = iterated.reference_solution_acceptance_strategy.simulated_annealing
            annealing.initial_temperature = max(1.0, self._mean_leg)
            annealing.final_temperature = max(0.01, self._mean_leg / 100)
            seconds_left = limit.seconds * SHARE_OF_THE_LIBRARY - seconds_gone
            parameters.time_limit.FromMilliseconds(max(1, round(seconds_left * 1000)))
        else:
            # The temperature may follow the clock; improvement alone does not.
            iterated.reference_solution_acceptance_strategy.greedy_descent.SetInParent()
            parameters.solution_limit = max(1, limit.steps)
        assignment = self._routing.SolveWithIteratedLocalSearch(parameters)
        if assignment is None:
            return None
        return self._sequences(lambda index: int(assignment.Value(self._routing.NextVar(index))))

    def watch(self, better: Callable[[list[list[Call]]], None]) -> None:
        """Call `better` with each solution that costs less than all before."""
        lowest: int | None = None

        def look() -> None:
            nonlocal lowest
            cost = int(self._routing.CostVar().Value())
            if lowest is None or cost < lowest:
                lowest = cost
                better(self._sequences(lambda index: int(self._routing.NextVar(index).Value())))

        self._routing.AddAtSolutionCallback(look)

    def _sequences(self, following: Callable[[int], int]) -> list[list[Call]]:
        sequences = []
        for vehicle in range(self._routing.vehicles()):
            calls: list[Call] = []
            index = following(self._routing.Start(vehicle))
            while not self._routing.IsEnd(index):
                node = self._manager.IndexToNode(index)
                kind = StopKind.PICKUP if node < len(self._requests) else StopKind.DROP
                calls.append((self._requests[node % len(self._requests)], kind))
                index = following(index)
            sequences.append(calls)
        return sequences


def _insert(
    problem: RoutingProblem, candidates: list[Request], sequences: list[list[Call]], deadline: float | None
) -> list[list[Call]]:
    """Return the sequences with each request that is in none of them at its cheapest place, where there is one."""
    planned = {request.id for calls in sequences for request, _ in calls}
    left_aside = [request for request in candidates if request.id not in planned]
    if not left_aside:
        return sequences
    rides: list[list[int]] = problem.travel_seconds.tolist()
    tables = [_Timetable(rides, vehicle, calls) for vehicle, calls in zip(problem.vehicles, sequences, strict=True)]
    for request in left_aside:
        best: tuple[int, int, list[Call]] | None = None
        for index, table in enumerate(tables):
            place = table.cheapest_place(request) if is_equipped(table.vehicle, request) else None
            if place and (best is None or place[0] < best[0]):
                best = (place[0], index, place[1])
        if best:
            _, index, calls = best
            tables[index] = _Timetable(rides, problem.vehicles[index], calls)
        if deadline is not None and time.monotonic() > deadline:
            break
    return [table.calls for table in tables]


class _Timetable:
    """A vehicle's calls with how early it leaves each and how late it may begin it: a place is tried without a ride."""

    def __init__(self, rides: list[list[int]], vehicle: Vehicle, calls: list[Call]) -> None:
        self.vehicle = vehicle
        self._rides = rides
        self.calls = calls
        self._stops = [stop_of(*call) for call in calls]
        self._points = [vehicle.start_point, *(stop.point for stop in self._stops), vehicle.end_point]
        self._leaves = [vehicle.shift_start_seconds]  # [k]: before call k
        self._aboard = [(0,) * len(vehicle.capacities)]  # [k]: before call k
        for index, ((request, kind), stop) in enumerate(zip(calls, self._stops, strict=True)):
            arrival = self._leaves[-1] + rides[self._points[index]][stop.point]
            self._leaves.append(max(arrival, stop.window_start_seconds) + stop.service_seconds)
            sign = 1 if kind is StopKind.PICKUP else -1
            self._aboard.append(tuple(a + sign * b for a, b in zip(self._aboard[-1], request.loads, strict=True)))
        self._latest = [vehicle.shift_end_seconds]  # [k]: to begin call k, or to be home
        for index in range(len(calls) - 1, -1, -1):
            stop = self._stops[index]
            ride = rides[stop.point][self._points[index + 2]]
            self._latest.insert(0, min(stop.window_end_seconds, self._latest[0] - ride - stop.service_seconds))

    def cheapest_place(self, request: Request) -> tuple[int, list[Call]] | None:
        """Return what serving the request costs more at least, and the calls with it; None where it fits nowhere."""
        best: tuple[int, int, int] | None = None
        unused = 0
        if not self.calls:  # the way from start to end is not ridden yet
            unused = self._rides[self._points[0]][self._points[1]] + self.vehicle.fixed_cost_seconds
        for first in range(len(self.calls) + 1):
            for second, extra in self._drops(request, first):
                if best is None or extra + unused < best[0]:
                    best = (extra + unused, first, second)
        if best is None:
            return None
        extra, first, second = best
        before, between, after = self.calls[:first], self.calls[first:second], self.calls[second:]
        return extra, [*before, (request, StopKind.PICKUP), *between, (request, StopKind.DROP), *after]

    def _drops(self, request: Request, first: int) -> Iterator[tuple[int, int]]:
        """With the pickup before call `first`, yield each call before which the drop fits, and the seconds it adds."""
        rides, pickup, drop = self._rides, request.pickup, request.drop
        here = self._points[first]
        added = rides[here][pickup.point]
        start = max(self._leaves[first] + added, pickup.window_start_seconds)
        if start > pickup.window_end_seconds:
            return
        leaves, here = start + pickup.service_seconds, pickup.point
        for second in range(first, len(self.calls) + 1):
            if any(
                a + b > c for a, b, c in zip(self._aboard[second], request.loads, self.vehicle.capacities, strict=True)
            ):
                return
            following = self._points[second + 1]
            start = max(leaves + rides[here][drop.point], drop.window_start_seconds)
            done = start + drop.service_seconds
            if start <= drop.window_end_seconds and done + rides[drop.point][following] <= self._latest[second]:
                there = rides[here][drop.point] + rides[drop.point][following]
                replaced = rides[self._points[second]][following]
                yield second, added + there - replaced
            if second == len(self.calls):
                return
            if second == first:
                added += rides[here][following] - rides[self._points[first]][following]
            stop = self._stops[second]
            start = max(leaves + rides[here][following], stop.window_start_seconds)
            if start > self._latest[second]:
                return
            leaves, here = start + stop.service_seconds, following


def _plan(problem: RoutingProblem, sequences: list[list[Call]]) -> Plan:
    routes = []
    for vehicle, calls in zip(problem.vehicles, sequences, strict=True):
        if calls:
            route = route_through(problem, vehicle, calls)
            if route is None:
                raise RuntimeError(f"the model and the schedule disagree on vehicle {vehicle.id}")
            routes.append(route)
    planned = {request.id for calls in sequences for request, _ in calls}
    return Plan(tuple(routes), tuple(LeftOut(r.id) for r in problem.requests if r.id not in planned))
