"""Public benchmark instances as problems: Li and Lim's text format and Sartori and Buriol's.

Both count vehicles first, then distance; here that is a fixed cost per vehicle above every distance.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Request, RoutingProblem, Stop, Vehicle
from services.kit.errors import DomainError

LILIM_UNITS = 10_000
"""Whole units in one of the file's distance and time. Legs are rounded up, so a plan is feasible in doubles too."""

Watch = Callable[[float, Plan], None]
"""Called with the seconds since the start and each better plan."""


class PlannedFile(TypedDict):
    """What `tournee plan` writes: node numbers route by route, and seconds, vehicles, distance of each better plan."""

    routes: list[list[int]]
    trace: list[list[float]]


class UnreadableInstance(DomainError):
    """The file is no instance of the format named."""

    code = "unreadable-instance"
    title = "Fichier d'instance illisible"


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A benchmark file as a problem; point k is the file's node k, `distances` its costs as the file means them."""

    name: str
    problem: RoutingProblem
    distances: np.ndarray[Any, np.dtype[np.float64]]

    def routes(self, plan: Plan) -> list[list[int]]:
        """Return the file's node numbers in order, route by route, depot left out."""
        return [[visit.point for visit in route.visits] for route in plan.routes]

    def distance(self, plan: Plan) -> float:
        """Return what is ridden in the file's own unit, in double precision."""
        return math.fsum(
            float(self.distances[start, end])
            for route in self.routes(plan)
            for start, end in zip([0, *route], [*route, 0], strict=True)
        )


def read(path: Path, form: str) -> Instance:
    """Read an instance file; `form` is `lilim` or `sartori`. Raises UnreadableInstance, FaultyProblem."""
    readers = {"lilim": read_lilim, "sartori": read_sartori}
    if form not in readers:
        raise UnreadableInstance(f"Le format « {form} » est inconnu ; choisissez lilim ou sartori.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInstance(f"Le fichier {path} ne peut pas être lu ; vérifiez son nom et son contenu.") from error
    return readers[form](path.stem, text)


def read_lilim(name: str, text: str) -> Instance:
    """Read Li and Lim's format: vehicles, capacity and speed, then one node a line with coordinates.

    Distance and time are both Euclidean. Raises UnreadableInstance, FaultyProblem.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    vehicles, capacity, _speed = _numbers(lines[0] if lines else [], 3, "La première ligne")
    nodes = [_numbers(line, 9, f"La ligne du nœud {index}") for index, line in enumerate(lines[1:])]
    corners = np.array([(node[1], node[2]) for node in nodes], dtype=float).reshape(-1, 2)
    apart = corners[:, None, :] - corners[None, :, :]
    distances = np.hypot(apart[..., 0], apart[..., 1])
    rows = [(int(node[0]), *(int(cell) for cell in node[3:])) for node in nodes]
    return _instance(name, rows, distances, units=LILIM_UNITS, vehicles=int(vehicles), capacity=int(capacity))


def read_sartori(name: str, text: str) -> Instance:
    """Read Sartori and Buriol's format: headers, nodes in degrees, a full matrix of minutes.

    As many vehicles as requests are offered. Raises UnreadableInstance, FaultyProblem.
    """
    head, _, rest = text.partition("NODES")
    body, _, edges = rest.partition("EDGES")
    headers = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    (size,) = _numbers([headers.get("SIZE", "")], 1, "SIZE")
    (capacity,) = _numbers([headers.get("CAPACITY", "")], 1, "CAPACITY")
    nodes = [
        _numbers(line.split(), 9, f"La ligne du nœud {index}") for index, line in enumerate(body.strip().splitlines())
    ]
    cells = [
        _numbers(line.split(), int(size), "Chaque ligne de la matrice") for line in edges.splitlines() if _is_row(line)
    ]
    if len(nodes) != size or len(cells) != size:
        raise UnreadableInstance(f"Le fichier annonce {size:.0f} nœuds, il en a {len(nodes)} et {len(cells)} lignes.")
    rows = [(int(node[0]), *(int(cell) for cell in node[3:])) for node in nodes]
    return _instance(name, rows, np.array(cells), units=1, vehicles=len(nodes) // 2, capacity=int(capacity))


def plan_file(path: Path, form: str, engine: Callable[[RoutingProblem, Watch], Plan]) -> PlannedFile:
    """Plan an instance file and return what `tournee plan` writes.

    `routes` are the file's node numbers in order, depot left out; `trace` has a line of seconds, vehicles and distance
    (in the file's unit, double precision) for each better plan that serves everything. `engine` is given the problem
    and whom to call with each better plan. Raises UnreadableInstance, FaultyProblem.
    """
    instance = read(path, form)
    trace: list[list[float]] = []

    def note(seconds: float, plan: Plan) -> None:
        if not plan.left_out:
            trace.append([round(seconds, 3), len(plan.routes), instance.distance(plan)])

    plan = engine(instance.problem, note)
    return {"routes": instance.routes(plan), "trace": trace}


def _instance(
    name: str,
    rows: Sequence[tuple[int, ...]],
    distances: np.ndarray[Any, np.dtype[np.float64]],
    *,
    units: int,
    vehicles: int,
    capacity: int,
) -> Instance:
    """Build the problem; a row is number, demand, earliest, latest, service, pickup (0 at a pickup), drop."""
    if [row[0] for row in rows] != list(range(len(rows))) or not rows:
        raise UnreadableInstance("Les nœuds doivent être numérotés dans l'ordre à partir de 0.")
    legs = np.ceil(distances * units).astype(np.int64)
    stops = [
        Stop(number, earliest * units, latest * units, service * units)
        for number, _, earliest, latest, service, *_ in rows
    ]
    requests = []
    for number, demand, *_, pickup, drop in rows[1:]:
        if pickup == 0:
            if not 0 < drop < len(rows) or rows[drop][5] != number:
                raise UnreadableInstance(f"Le dépôt de l'enlèvement {number} n'est pas dans le fichier.")
            requests.append(Request(f"{number}-{drop}", stops[number], stops[drop], (demand,)))
    if 2 * len(requests) != len(rows) - 1:
        raise UnreadableInstance("Chaque dépôt doit avoir un enlèvement et un seul.")
    all_legs = (len(rows) + vehicles) * int(legs.max())
    fleet = [
        Vehicle(
            str(number),
            0,
            0,
            stops[0].window_start_seconds,
            stops[0].window_end_seconds,
            (capacity,),
            False,
            1 + all_legs,
        )
        for number in range(vehicles)
    ]
    points = tuple(str(row[0]) for row in rows)
    return Instance(name, RoutingProblem(points, tuple(requests), tuple(fleet), legs, legs), distances)


def _numbers(cells: Sequence[str], count: int, where: str) -> list[float]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UnreadableInstance(f"{where} doit contenir {count} nombre{'s' if count > 1 else ''}.")
    return numbers


def _is_row(line: str) -> bool:
    return bool(line.strip()) and line.strip() != "EOF"
