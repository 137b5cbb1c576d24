"""What a peer is told and what it answers; standard library only, because peers run in an environment of their own."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple


class Node(NamedTuple):
    """A line of the file, times in whole units; `pickup` is 0 at a pickup."""

    demand: int
    earliest: int
    latest: int
    service: int
    pickup: int
    drop: int


class Task(NamedTuple):
    """A benchmark file in whole units: node 0 is the depot, `legs` are both time and cost."""

    seconds: float
    seed: int
    vehicles: int
    capacity: int
    nodes: list[Node]
    legs: list[list[int]]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each request's pickup and drop."""
        return [(number, node.drop) for number, node in enumerate(self.nodes) if number and node.pickup == 0]


def read() -> Task:
    """Return the task that is told on standard input."""
    told: dict[str, Any] = json.load(sys.stdin)
    return Task(**{**told, "nodes": [Node(*node) for node in told["nodes"]]})


def answer(routes: Sequence[Sequence[int]], began: float) -> None:
    """Tell the routes, depot left out, and how long the search took since `began` by the monotonic clock."""
    told = {"routes": [list(map(int, route)) for route in routes if len(route)], "seconds": time.monotonic() - began}
    print(json.dumps(told))
