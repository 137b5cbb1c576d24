"""vrp-cli (reinterpretcat/vrp) in its pragmatic format: nothing left out, then fewest tours, then least cost."""

import json
import math
import time
from datetime import UTC, datetime, timedelta

import vrp_cli

from bench.peers.exchange import answer, read

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


def moment(units: int) -> str:
    """Return so many units after the beginning as a date: one unit is one second there."""
    return (MIDNIGHT + timedelta(seconds=units)).isoformat().replace("+00:00", "Z")


def main() -> None:
    """Solve one instance."""
    task = read()
    began = time.monotonic()

    def place(number: int, demand: int) -> dict[str, object]:
        node = task.nodes[number]
        where = {
            "location": {"index": number},
            "duration": node.service,
            "times": [[moment(node.earliest), moment(node.latest)]],
            "tag": str(number),
        }
        return {"places": [where], "demand": [demand]}

    jobs = [
        {
            "id": str(pickup),
            "pickups": [place(pickup, task.nodes[pickup].demand)],
            "deliveries": [place(drop, task.nodes[pickup].demand)],
        }
        for pickup, drop in task.pairs
    ]
    depot = {"location": {"index": 0}}
    vehicles = {
        "typeId": "bike",
        "vehicleIds": [f"bike{number}" for number in range(min(task.vehicles, len(task.pairs)))],
        "profile": {"matrix": "bike"},
        "costs": {"fixed": 0.0, "distance": 1.0, "time": 0.0},
        "capacity": [task.capacity],
        "shifts": [
            {
                "start": {"earliest": moment(task.nodes[0].earliest), **depot},
                "end": {"latest": moment(task.nodes[0].latest), **depot},
            }
        ],
    }
    problem = {
        "plan": {"jobs": jobs},
        "fleet": {"vehicles": [vehicles], "profiles": [{"name": "bike"}]},
        "objectives": [[{"type": "minimize-unassigned"}], [{"type": "minimize-tours"}], [{"type": "minimize-cost"}]],
    }
    legs = [leg for row in task.legs for leg in row]
    matrix = {"profile": "bike", "travelTimes": legs, "distances": legs}
    config = {
        "termination": {"maxTime": math.ceil(task.seconds)},
        "environment": {
            "logging": {"enabled": False},
            "parallelism": {"numThreadPools": 1, "threadsPerPool": 2},
        },
    }
    told = json.loads(
        vrp_cli.solve_pragmatic(problem=json.dumps(problem), matrices=[json.dumps(matrix)], config=json.dumps(config))
    )
    answer(
        [
            [
                int(activity["jobTag"])
                for stop in tour["stops"]
                for activity in stop["activities"]
                if activity["type"] in ("pickup", "delivery")
            ]
            for tour in told["tours"]
        ],
        began,
    )


if __name__ == "__main__":
    main()
