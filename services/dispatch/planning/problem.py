"""What is to be planned: points, requests, vehicles and travel matrices, in whole numbers and without names of people.

Times are seconds after a common midnight (negative before it, above 86,400 on the next day); loads are whole numbers
in as many dimensions as the caller likes, always in the same order (`translate` uses grams and millilitres).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kit.errors import DomainError, Refusals

Matrix = NDArray[np.int64]
"""(n, n) whole numbers over the points of a problem, row = from, column = to."""

LARGEST_NUMBER = 2**40
"""A time, load, cost or distance beyond this (35,000 years in seconds) is taken for a mistake."""

LARGEST_COST = 2**61
"""Sums that a solver forms must stay well inside 64 bits."""


class Fault(DomainError):
    """One thing wrong with a problem; `kind` is stable, `item` says which request, vehicle, point or matrix."""

    code = "planning-fault"
    title = "Donnée de planification incohérente"

    def __init__(self, kind: str, item: str, detail: str) -> None:
        super().__init__(detail, kind=kind, item=item)
        self.kind = kind
        self.item = item

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker process hand it over whole."""
        return (Fault, (self.kind, self.item, self.detail))


class FaultyProblem(Refusals):
    """The problem cannot be planned as it was given; `errors` holds every `Fault`."""

    code = "faulty-problem"
    title = "Données de planification incohérentes"

    def __init__(self, errors: Sequence[DomainError]) -> None:
        super().__init__(errors)
        self.detail = " ".join(error.detail for error in errors)
        self.args = (tuple(errors),)

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Stop:
    """One visit that a request asks for: it begins within the window (both ends allowed), then takes its service."""

    point: int
    window_start_seconds: int
    window_end_seconds: int
    service_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Something one vehicle carries from a pickup to a drop; `allowed_vehicles` is None where any may."""

    id: str
    pickup: Stop
    drop: Stop
    loads: tuple[int, ...] = ()
    needs_trailer: bool = False
    allowed_vehicles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One shift on one bike: leaves `start_point` and is at `end_point` within the shift.

    `fixed_cost_seconds` is what using it at all costs, in the seconds that riding is counted in.
    """

    id: str
    start_point: int
    end_point: int
    shift_start_seconds: int
    shift_end_seconds: int
    capacities: tuple[int, ...] = ()
    has_trailer: bool = False
    fixed_cost_seconds: int = 0


@dataclass(frozen=True, eq=False)
class RoutingProblem:
    """Points, what is to be carried between them, and who can carry it. Immutable; travels between processes.

    `points` names each place once; requests and vehicles mean a place by its index. `travel_seconds` and
    `travel_metres` are (n, n) over the points, row = from; they need not be symmetric.

    Raises
    ------
    FaultyProblem
        With every fault: a window that ends before it starts, a load that no vehicle can carry, a matrix that is not
        (n, n), not whole or has a negative cell, an unknown point or vehicle, an id given twice, a shift without
        length, loads in another number of dimensions, a number too large.
    """

    points: tuple[str, ...]
    requests: tuple[Request, ...]
    vehicles: tuple[Vehicle, ...]
    travel_seconds: Matrix = field(repr=False)
    travel_metres: Matrix = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))
        object.__setattr__(self, "requests", tuple(self.requests))
        object.__setattr__(self, "vehicles", tuple(self.vehicles))
        for name in ("travel_seconds", "travel_metres"):
            given = np.asarray(getattr(self, name))
            if given.dtype.kind in "iu" and given.dtype != np.uint64:
                given = given.astype(np.int64)  # a copy: what the caller does to his later is his business
                given.flags.writeable = False
            object.__setattr__(self, name, given)
        faults = [*self._faults()]
        if faults:
            raise FaultyProblem(faults)

    @cached_property
    def requests_by_id(self) -> Mapping[str, Request]:
        """The requests by their id."""
        return {request.id: request for request in self.requests}

    @cached_property
    def vehicles_by_id(self) -> Mapping[str, Vehicle]:
        """The vehicles by their id."""
        return {vehicle.id: vehicle for vehicle in self.vehicles}

    @cached_property
    def worst_cost(self) -> int:
        """More seconds than any plan can cost: every visit after the longest leg, every vehicle used."""
        legs = 2 * len(self.requests) + len(self.vehicles)
        longest = int(self.travel_seconds.max()) if self.travel_seconds.size else 0
        return 1 + legs * longest + sum(vehicle.fixed_cost_seconds for vehicle in self.vehicles)

    def _faults(self) -> Iterator[Fault]:
        yield from _given_twice("point", self.points)
        yield from _given_twice("demande", [request.id for request in self.requests])
        yield from _given_twice("vacation", [vehicle.id for vehicle in self.vehicles])
        matrices = [*self._matrix_faults()]
        yield from matrices
        for vehicle in self.vehicles:
            yield from self._vehicle_faults(vehicle)
        for request in self.requests:
            yield from self._request_faults(request)
        if not matrices and self.worst_cost * 2 * (len(self.requests) + 1) > LARGEST_COST:
            yield Fault("overflow", "problem", "Les durées ou les coûts sont trop grands pour être additionnés.")

    def _matrix_faults(self) -> Iterator[Fault]:
        size = len(self.points)
        for name, matrix in (("travel_seconds", self.travel_seconds), ("travel_metres", self.travel_metres)):
            if matrix.shape != (size, size):
                found = " × ".join(map(str, matrix.shape))
                yield Fault(
                    "matrix-not-square", name, f"La matrice {name} devrait être {size} × {size}, elle est {found}."
                )
            elif matrix.dtype != np.int64:
                yield Fault("matrix-not-whole", name, f"La matrice {name} doit contenir des nombres entiers.")
            elif size and matrix.min() < 0:
                row, column = (int(index) for index in np.argwhere(matrix < 0)[0])
                yield Fault(
                    "matrix-negative",
                    name,
                    f"La matrice {name} a une valeur négative de « {self.points[row]} » à « {self.points[column]} ».",
                )
            elif size and matrix.max() > LARGEST_NUMBER:
                yield Fault("overflow", name, f"La matrice {name} a une valeur trop grande.")

    def _vehicle_faults(self, vehicle: Vehicle) -> Iterator[Fault]:
        who = f"La vacation « {vehicle.id} »"
        for point in sorted({vehicle.start_point, vehicle.end_point}):
            if not 0 <= point < len(self.points):
                yield Fault("unknown-point", vehicle.id, f"{who} cite un point inconnu ({point}).")
        if vehicle.shift_end_seconds <= vehicle.shift_start_seconds:
            yield Fault("shift-without-length", vehicle.id, f"{who} doit finir après son début.")
        if self.vehicles and len(vehicle.capacities) != len(self.vehicles[0].capacities):
            yield Fault("dimensions-differ", vehicle.id, f"{who} n'a pas autant de capacités que les autres.")
        numbers = (*vehicle.capacities, vehicle.fixed_cost_seconds)
        if min(numbers) < 0:
            yield Fault("negative-number", vehicle.id, f"{who} a une capacité ou un coût négatif.")
        if _too_large(*numbers, vehicle.shift_start_seconds, vehicle.shift_end_seconds):
            yield Fault("overflow", vehicle.id, f"{who} contient un nombre trop grand.")

    def _request_faults(self, request: Request) -> Iterator[Fault]:
        what = f"La demande « {request.id} »"
        for stop, name in ((request.pickup, "enlèvement"), (request.drop, "dépôt")):
            if not 0 <= stop.point < len(self.points):
                yield Fault("unknown-point", request.id, f"{what} cite un point inconnu ({stop.point}, {name}).")
            if stop.window_end_seconds < stop.window_start_seconds:
                yield Fault(
                    "window-ends-before-it-starts",
                    request.id,
                    f"{what} a un créneau qui finit avant son début ({name}).",
                )
            if stop.service_seconds < 0:
                yield Fault("negative-number", request.id, f"{what} a un temps sur place négatif ({name}).")
            if _too_large(stop.window_start_seconds, stop.window_end_seconds, stop.service_seconds):
                yield Fault("overflow", request.id, f"{what} contient une heure trop grande ({name}).")
        for vehicle_id in sorted((request.allowed_vehicles or frozenset()) - self.vehicles_by_id.keys()):
            yield Fault("unknown-vehicle", request.id, f"{what} autorise une vacation inconnue ({vehicle_id}).")
        if any(load < 0 for load in request.loads):
            yield Fault("negative-number", request.id, f"{what} a une charge négative.")
        if _too_large(*request.loads):
            yield Fault("overflow", request.id, f"{what} a une charge trop grande.")
        if self.vehicles:
            if len(request.loads) != len(self.vehicles[0].capacities):
                yield Fault(
                    "dimensions-differ", request.id, f"{what} n'a pas autant de charges que les vélos de capacités."
                )
            elif not any(
                all(load <= capacity for load, capacity in zip(request.loads, vehicle.capacities, strict=False))
                for vehicle in self.vehicles
            ):
                yield Fault(
                    "load-over-every-vehicle", request.id, f"{what} est trop lourde ou volumineuse pour chaque vélo."
                )


def _given_twice(what: str, ids: Sequence[str]) -> Iterator[Fault]:
    for item, count in Counter(ids).items():
        if count > 1:
            yield Fault("given-twice", item, f"L'identifiant de {what} « {item} » est donné {count} fois.")


def _too_large(*numbers: int) -> bool:
    return any(abs(number) > LARGEST_NUMBER for number in numbers)
