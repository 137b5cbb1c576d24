"""The solver: OR-Tools' routing library behind whole numbers; the only file that knows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from services.dispatch.planning.plan import LeftOut, Plan, StopKind, is_equipped, route_through
from services.dispatch.planning.problem import Request, RoutingProblem

SHARE_OF_THE_LIBRARY = 0.9
"""Of the time given; the rest is for requests it left aside, all of them where it found nothing yet."""

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
    sequences: list[list[Call]] = [[] for _ in problem.vehicles]
    if candidates:
        model = _Model(problem, candidates)
        if watch:
            model.watch(lambda found: watch(time.monotonic() - began, _plan(problem, found)))
        sequences = model.search(limit) or sequences
    deadline = began + limit.seconds if isinstance(limit, Seconds) else None
    added = _insert(problem, candidates, sequences, deadline)
    plan = _plan(problem, sequences)
    if watch and added:
        watch(time.monotonic() - began, plan)
    return plan


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

    def search(self, limit: Limit) -> list[list[Call]] | None:
        """Return the best sequence of calls found for each vehicle, None where the time was too short for any."""
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
            parameters.time_limit.FromMilliseconds(max(1, round(limit.seconds * 1000 * SHARE_OF_THE_LIBRARY)))
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
) -> bool:
    """Put each request that is in no sequence at its cheapest place, where there is one; tell whether any was put."""
    planned = {request.id for calls in sequences for request, _ in calls}
    added = False
    for request in candidates:
        if request.id in planned:
            continue
        best: tuple[int, int, list[Call]] | None = None
        for index, (vehicle, calls) in enumerate(zip(problem.vehicles, sequences, strict=True)):
            if deadline and time.monotonic() > deadline:
                return added
            route = route_through(problem, vehicle, calls) if calls else None
            cost = route.travel_seconds if route else -vehicle.fixed_cost_seconds
            for tried in _insertions(calls, request):
                route = route_through(problem, vehicle, tried) if is_equipped(vehicle, request) else None
                if route and (best is None or route.travel_seconds - cost < best[0]):
                    best = (route.travel_seconds - cost, index, tried)
        if best:
            sequences[best[1]] = best[2]
            added = True
    return added


def _insertions(calls: list[Call], request: Request) -> list[list[Call]]:
    pickup, drop = (request, StopKind.PICKUP), (request, StopKind.DROP)
    return [
        [*calls[:first], pickup, *calls[first:second], drop, *calls[second:]]
        for first in range(len(calls) + 1)
        for second in range(first, len(calls) + 1)
    ]


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
