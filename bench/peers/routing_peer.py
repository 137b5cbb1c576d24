"""OR-Tools' routing library as its documentation shows it: cheapest insertion, then guided local search."""

import time

from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from bench.peers.exchange import answer, read


def main() -> None:
    """Solve one instance."""
    task = read()
    began = time.monotonic()
    fleet = min(task.vehicles, len(task.pairs))
    manager = pywrapcp.RoutingIndexManager(len(task.nodes), fleet, 0)
    routing = pywrapcp.RoutingModel(manager)
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(task.legs))
    routing.SetFixedCostOfAllVehicles(10 * sum(max(row) for row in task.legs))
    horizon = task.nodes[0].latest
    service = [[leg + node.service for leg in row] for node, row in zip(task.nodes, task.legs, strict=True)]
    routing.AddDimension(routing.RegisterTransitMatrix(service), horizon, horizon, False, "time")
    clock = routing.GetDimensionOrDie("time")
    demands = routing.RegisterUnaryTransitVector([node.demand for node in task.nodes])
    routing.AddDimension(demands, 0, task.capacity, True, "load")
    for number, node in enumerate(task.nodes[1:], 1):
        clock.CumulVar(manager.NodeToIndex(number)).SetRange(node.earliest, min(node.latest, horizon))
    for pickup, drop in (map(manager.NodeToIndex, ends) for ends in task.pairs):
        routing.AddPickupAndDelivery(pickup, drop)
        routing.solver().Add(routing.VehicleVar(pickup) == routing.VehicleVar(drop))
        routing.solver().Add(clock.CumulVar(pickup) <= clock.CumulVar(drop))
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    parameters.time_limit.FromMilliseconds(max(1, round(1000 * (task.seconds - (time.monotonic() - began)))))
    found = routing.SolveWithParameters(parameters)
    routes = []
    for vehicle in range(fleet if found else 0):
        route, index = [], found.Value(routing.NextVar(routing.Start(vehicle)))
        while not routing.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = found.Value(routing.NextVar(index))
        routes.append(route)
    answer(routes, began)


if __name__ == "__main__":
    main()
