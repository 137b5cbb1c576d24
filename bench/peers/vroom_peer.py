"""VROOM at its most thorough level, which has no time limit: a vehicle costs more than any saving in distance."""

import time

import vroom

from bench.peers.exchange import answer, read

LEVEL = 5
FIXED = 10**9


def main() -> None:
    """Solve one instance."""
    task = read()
    began = time.monotonic()
    problem = vroom.Input()
    problem.set_durations_matrix("car", task.legs)
    opens, closes = task.nodes[0].earliest, task.nodes[0].latest
    for number in range(min(task.vehicles, len(task.pairs))):
        problem.add_vehicle(
            vroom.Vehicle(
                number + 1,
                start=0,
                end=0,
                capacity=[task.capacity],
                time_window=vroom.TimeWindow(opens, closes),
                costs=vroom.VehicleCosts(fixed=FIXED),
            )
        )
    for ends in task.pairs:
        steps = [
            vroom.ShipmentStep(
                end,
                end,
                default_service=task.nodes[end].service,
                time_windows=[vroom.TimeWindow(task.nodes[end].earliest, task.nodes[end].latest)],
            )
            for end in ends
        ]
        problem.add_shipment(*steps, amount=vroom.Amount([task.nodes[ends[0]].demand]))
    solution = problem.solve(exploration_level=LEVEL, nb_threads=2)
    rows = solution.routes
    stops = rows[rows["type"].isin(["pickup", "delivery"])]
    answer([list(route["location_index"]) for _, route in stops.groupby("vehicle_id", sort=False)], began)


if __name__ == "__main__":
    main()
