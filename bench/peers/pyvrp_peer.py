"""PyVRP, which has no aim of fewest vehicles: one is taken away again and again while it still finds a plan."""

import time

import numpy as np
import pyvrp
from pyvrp.stop import FirstFeasible, MaxRuntime, MultipleCriteria

from bench.peers.exchange import Task, answer, read

SHARE_FOR_THE_FLEET = 0.6
"""Of the time, at most; the rest is for the distance of the smallest fleet found."""


def data_of(task: Task) -> pyvrp.ProblemData:
    """Return the instance as PyVRP has it."""
    legs, depot = np.array(task.legs), task.nodes[0]
    return pyvrp.ProblemData(
        locations=[pyvrp.Location(0, 0) for _ in task.nodes],
        clients=[],
        depots=[pyvrp.Depot(0)],
        vehicle_types=[
            pyvrp.VehicleType(
                min(task.vehicles, len(task.pairs)), [task.capacity], tw_early=depot.earliest, tw_late=depot.latest
            )
        ],
        distance_matrices=[legs],
        duration_matrices=[legs],
        shipments=[
            pyvrp.Shipment(
                pickup,
                drop,
                task.nodes[pickup].earliest,
                task.nodes[pickup].latest,
                task.nodes[pickup].service,
                task.nodes[drop].earliest,
                task.nodes[drop].latest,
                task.nodes[drop].service,
                [task.nodes[pickup].demand],
            )
            for pickup, drop in task.pairs
        ],
    )


def main() -> None:
    """Solve one instance."""
    task = read()
    began = time.monotonic()
    data = data_of(task)
    best: pyvrp.Solution | None = None

    def left(share: float) -> float:
        return max(0.001, share * task.seconds - (time.monotonic() - began))

    while left(SHARE_FOR_THE_FLEET) > 0.001:
        share = SHARE_FOR_THE_FLEET if best else 1.0
        stop = MultipleCriteria([FirstFeasible(), MaxRuntime(left(share))])
        found = pyvrp.solve(data, stop, task.seed, collect_stats=False).best
        if not found.is_feasible():
            break
        best = found
        fewer = data.vehicle_type(0).replace(num_available=best.num_routes() - 1)
        if fewer.num_available == 0:
            break
        data = data.replace(vehicle_types=[fewer])
    if best is None:
        answer([], began)
        return
    data = data.replace(vehicle_types=[data.vehicle_type(0).replace(num_available=best.num_routes())])
    again = pyvrp.Solution(data, [pyvrp.Route(data, [*route][1:-1], 0) for route in best.routes()])
    found = pyvrp.solve(data, MaxRuntime(left(1.0)), task.seed, collect_stats=False, initial_solution=again).best
    best = found if found.is_feasible() else best
    answer(
        [[task.pairs[stop.idx][stop.is_delivery()] for stop in route if stop.is_shipment()] for route in best.routes()],
        began,
    )


if __name__ == "__main__":
    main()
