"""Public benchmark instances as problems: Li and Lim's text format and Sartori and Buriol's.

Both count vehicles first, then distance; the costs of a plan are told in the file's own unit, in double precision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import LARGEST_NUMBER, Objective, Request, RoutingProblem, Stop, Vehicle
from services.kit.errors import DomainError

LILIM_UNITS = 1_000_000
"""Whole units in one of Li and Lim's distance and time: where legs are rounded up, what fits stays what fits in doubles
and next to nothing is lost (by 1,000 units five of 354 best known plans would not fit any more)."""

TOO_LARGE = 2.0 * LARGEST_NUMBER
"""Stands for anything larger, which the problem refuses all the same."""

FORMATS = ("lilim", "sartori", "json")
"""What a file to plan may be; the last is our own, see `document`."""


class UnreadableInstance(DomainError):
    """The file is no instance of the format named."""

    code = "unreadable-instance"
    title = "Fichier d'instance illisible"


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A benchmark file as a problem; point k is the file's node k.

    `positions` are (n, 2): x and y, or longitude and latitude. Straight lines between them are what is ridden where
    `is_flat`, otherwise the problem's seconds are the file's minutes.
    """

    problem: RoutingProblem
    positions: NDArray[np.float64]
    is_flat: bool

    def routes(self, plan: Plan) -> list[list[int]]:
        """Return the file's node numbers in order, route by route, depot left out."""
        return [[visit.point for visit in route.visits] for route in plan.routes]

    def distance(self, plan: Plan) -> float:
        """Return what is ridden in the file's own unit, in double precision."""
        if not self.is_flat:
            return float(plan.travel_seconds)
        corners: list[tuple[float, float]] = self.positions.tolist()
        return math.fsum(
            math.dist(corners[start], corners[end])
            for route in self.routes(plan)
            for start, end in zip([0, *route], [*route, 0], strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Node:
    number: int
    x: float
    y: float
    demand: int
    earliest: float
    latest: float
    service: float
    pickup: int
    drop: int


def detect(text: str) -> str:
    """Return which of `FORMATS` a file's text most likely is in."""
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return "json"
    return "sartori" if "NODES" in text[:10_000] else "lilim"


def read(text: str, form: str) -> Instance:
    """Read an instance; `form` is `lilim` or `sartori`. Raises UnreadableInstance, FaultyProblem."""
    return read_sartori(text) if form == "sartori" else read_lilim(text)


def read_lilim(text: str) -> Instance:
    """Read Li and Lim's format: vehicles, capacity and speed, then one node a line with coordinates.

    Distance and time are both Euclidean. Raises UnreadableInstance, FaultyProblem.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    first = "La première ligne"
    vehicles, capacity, _speed = _numbers(lines[0] if lines else [], 3, first)
    nodes = _nodes(lines[1:])
    positions = _positions([(node.x, node.y) for node in nodes])
    with np.errstate(over="ignore"):
        lines_between = np.hypot(*np.moveaxis(positions[:, None, :] - positions[None, :, :], -1, 0))
        legs = np.ceil(np.minimum(lines_between * LILIM_UNITS, TOO_LARGE)).astype(np.int64)
    problem = _problem(nodes, legs, LILIM_UNITS, _whole(vehicles, first), _whole(capacity, first))
    return Instance(problem, positions, is_flat=True)


def read_sartori(text: str) -> Instance:
    """Read Sartori and Buriol's format: headers, nodes in degrees, a full matrix of minutes.

    As many vehicles as requests are offered. Raises UnreadableInstance, FaultyProblem.
    """
    lines = [line.strip() for line in text.splitlines()]
    try:
        first, second = lines.index("NODES"), lines.index("EDGES")
    except ValueError as error:
        raise UnreadableInstance("Les parties NODES et EDGES doivent être dans le fichier, dans cet ordre.") from error
    headers = {key.strip(): value for key, _, value in (line.partition(":") for line in lines[:first])}
    (size,) = _numbers(headers.get("SIZE", "").split(), 1, "SIZE")
    (capacity,) = _numbers(headers.get("CAPACITY", "").split(), 1, "CAPACITY")
    nodes = _nodes([line.split() for line in lines[first + 1 : second] if line])
    last = lines.index("EOF", second) if "EOF" in lines[second:] else len(lines)
    cells = _whole_cells(" ".join(lines[second + 1 : last]))
    if len(nodes) != size or cells.size != size * size:
        raise UnreadableInstance(f"Le fichier annonce {size:.0f} nœuds ; il en a {len(nodes)}, et {cells.size} durées.")
    legs = cells.reshape(len(nodes), len(nodes))
    problem = _problem(nodes, legs, 1, len(nodes) // 2, _whole(capacity, "CAPACITY"))
    return Instance(problem, _positions([(node.y, node.x) for node in nodes]), is_flat=False)


def _problem(
    nodes: Sequence[_Node], legs: NDArray[np.int64], units: int, vehicles: int, capacity: int
) -> RoutingProblem:
    """Build the problem; vehicles that would be more than the requests are not offered."""
    if [node.number for node in nodes] != list(range(len(nodes))) or not nodes:
        raise UnreadableInstance("Les nœuds doivent être numérotés dans l'ordre à partir de 0.")
    stops = []
    for node in nodes:
        earliest, latest, service = (
            round(_bounded(time * units)) for time in (node.earliest, node.latest, node.service)
        )
        load = node.demand if node.pickup == 0 else -node.demand  # what is dropped is told as a negative demand
        stops.append(Stop(node.number, earliest, latest, service, (load,)))
    requests = []
    for node in nodes[1:]:
        if node.pickup == 0:
            if not 0 < node.drop < len(nodes) or nodes[node.drop].pickup != node.number:
                raise UnreadableInstance(f"Le dépôt de l'enlèvement {node.number} n'est pas dans le fichier.")
            requests.append(Request(f"{node.number}-{node.drop}", (stops[node.number],), (stops[node.drop],)))
    if 2 * len(requests) != len(nodes) - 1:
        raise UnreadableInstance("Chaque dépôt doit avoir un enlèvement et un seul.")
    depot = stops[0]
    legs.flags.writeable = False
    return RoutingProblem(
        points=tuple(str(node.number) for node in nodes),
        requests=tuple(requests),
        vehicles=tuple(
            Vehicle(str(number), 0, 0, depot.window_start_seconds, depot.window_end_seconds, (capacity,))
            for number in range(min(vehicles, len(requests)))
        ),
        travel_seconds=legs,
        travel_metres=legs,
        objective=Objective.VEHICLES_FIRST,
    )


def _nodes(lines: Sequence[Sequence[str]]) -> list[_Node]:
    nodes = []
    for index, line in enumerate(lines):
        where = f"La ligne du nœud {index}"
        number, x, y, demand, earliest, latest, service, pickup, drop = _numbers(line, 9, where)
        whole = [_whole(value, where) for value in (number, demand, pickup, drop)]
        nodes.append(_Node(whole[0], x, y, whole[1], earliest, latest, service, whole[2], whole[3]))
    return nodes


def _positions(corners: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(corners, dtype=np.float64).reshape(-1, 2)


def _bounded(number: float) -> float:
    return max(-TOO_LARGE, min(TOO_LARGE, number))


def _whole_cells(text: str) -> NDArray[np.int64]:
    """Return the whole numbers that a text consists of: up to 25 million."""
    try:
        return np.fromstring(text, dtype=np.int64, sep=" ")
    except ValueError as error:
        raise UnreadableInstance("La partie EDGES doit contenir des nombres entiers.") from error


def _numbers(cells: Sequence[str], count: int, where: str) -> list[float]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UnreadableInstance(f"{where} doit contenir {count} nombre{'s' if count > 1 else ''}.")
    return numbers


def _whole(number: float, where: str) -> int:
    if not number.is_integer():
        raise UnreadableInstance(f"{where} doit contenir des nombres entiers, elle a {number}.")
    return int(number)
