"""What is to be planned: points, requests, vehicles and travel matrices, in whole numbers and without names of people.

Times are seconds after a common midnight (negative before it, above 86,400 on the next day); loads are whole numbers
in as many dimensions as the caller likes, always in the same order (`translate` uses grams, millilitres and places).
Prices are whole numbers in one unit of the caller's choice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.kit.errors import DomainError, Refusals

Matrix = NDArray[np.int64]
"""(n, n) whole numbers over the points of a problem, row = from, column = to."""

LARGEST_NUMBER = 2**40
"""A time, load, price or distance beyond this (35,000 years in seconds) is taken for a mistake."""

LARGEST_COST = 2**61
"""Sums that a solver forms must stay well inside 64 bits."""

MOST_HUB_LIMITS = 63
"""More that bind are not told apart: the search has a bit for each, in one number."""

TRAILER = "trailer"
"""The skill of a bike that pulls a trailer, by the name that the whole service gives it."""


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


class StopKind(StrEnum):
    """What happens at a stop."""

    PICKUP = "pickup"
    DROP = "drop"


class Span(NamedTuple):
    """From a time until a time, in seconds; what that means at its two ends is said where it is used."""

    start_seconds: int
    end_seconds: int


@dataclass(frozen=True, slots=True)
class Stop:
    """One visit that a request asks for: it begins within the window (both ends allowed), then takes its duration.

    `loads` are the amounts taken at a pickup or given at a drop. `units` pieces take `seconds_per_unit` each on top of
    `service_seconds`. Where `latest_seconds` is given the window's end is soft: beginning later costs `late_price` a
    second, and nothing begins after `latest_seconds`. Nothing begins inside a closure (its start is closed, its end is
    open again).
    """

    point: int
    window_start_seconds: int
    window_end_seconds: int
    service_seconds: int = 0
    loads: tuple[int, ...] = ()
    units: int = 0
    seconds_per_unit: int = 0
    latest_seconds: int | None = None
    late_price: int = 0
    closures: tuple[Span, ...] = ()

    @property
    def duration_seconds(self) -> int:
        """How long the courier is busy there."""
        return self.service_seconds + self.units * self.seconds_per_unit

    @property
    def last_seconds(self) -> int:
        """The latest second at which it may begin at all."""
        return self.window_end_seconds if self.latest_seconds is None else self.latest_seconds

    def opens(self, seconds: int) -> int | None:
        """Return when it can begin for a courier who is there at that time, None where it is too late."""
        seconds = max(seconds, self.window_start_seconds)
        for closure in sorted(self.closures):
            if closure.start_seconds <= seconds < closure.end_seconds:
                seconds = closure.end_seconds
        return seconds if seconds <= self.last_seconds else None


@dataclass(frozen=True, slots=True)
class Request:
    """Something one vehicle carries from all its pickups, in any order, to all its drops, in any order.

    Every pickup comes before every drop. A request without pickups is aboard already; it names its vehicle in
    `locked_to`. A locked request stays with that vehicle and is never left out.

    `skills` are what courier and bike must have. `allowed_vehicles` and `allowed_groups` are None where any may.
    `ride_seconds_at_most` counts from the end of a pickup to the beginning of a drop, for each of both.
    `left_out_price` is what leaving it out costs; None means more than any way of serving it, `left_out_weight` times:
    where not all of these find room, it outweighs so many others.
    """

    id: str
    pickups: tuple[Stop, ...]
    drops: tuple[Stop, ...]
    skills: frozenset[str] = frozenset()
    allowed_vehicles: frozenset[str] | None = None
    forbidden_vehicles: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] | None = None
    forbidden_groups: frozenset[str] = frozenset()
    ride_seconds_at_most: int | None = None
    left_out_price: int | None = None
    locked_to: str | None = None
    left_out_weight: int = 1

    @property
    def stops(self) -> tuple[tuple[StopKind, int, Stop], ...]:
        """Every stop with its kind and its number among those of that kind: pickups first."""
        return (
            *((StopKind.PICKUP, number, stop) for number, stop in enumerate(self.pickups)),
            *((StopKind.DROP, number, stop) for number, stop in enumerate(self.drops)),
        )

    def allows(self, vehicle: "Vehicle") -> bool:
        """Return whether this vehicle may ride it by its name and its group; locks are another matter."""
        return (
            (self.allowed_vehicles is None or vehicle.id in self.allowed_vehicles)
            and vehicle.id not in self.forbidden_vehicles
            and (self.allowed_groups is None or vehicle.group in self.allowed_groups)
            and vehicle.group not in self.forbidden_groups
        )

    def stop(self, kind: StopKind, number: int = 0) -> Stop:
        """Return one of its stops."""
        return (self.pickups if kind is StopKind.PICKUP else self.drops)[number]


@dataclass(frozen=True, slots=True)
class Break:
    """A rest that begins within the window and lasts so long; taken wherever the courier stands between two rides.

    A vehicle that is used takes all its breaks within its shift, in their order; before leaving or after coming home
    counts.
    """

    window_start_seconds: int
    window_end_seconds: int
    length_seconds: int


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One shift on one bike: leaves `start_point` and is at `end_point` within the shift.

    A ride takes `ride_permille` thousandths of the matrix's seconds, rounded up. `group` is whose it is (a
    cooperative). `range_metres` bounds what is ridden from start to end. `fixed_price` is what using it at all costs.
    """

    id: str
    start_point: int
    end_point: int
    shift_start_seconds: int
    shift_end_seconds: int
    capacities: tuple[int, ...] = ()
    skills: frozenset[str] = frozenset()
    group: str = ""
    ride_permille: int = 1000
    range_metres: int | None = None
    breaks: tuple[Break, ...] = ()
    fixed_price: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """How much of all requests of the problem a group serves: never more than `at_most_permille`, rounded up.

    Each request by which it stays below `at_least_permille`, rounded down, costs `Prices.below_share`.
    """

    group: str
    at_least_permille: int = 0
    at_most_permille: int = 1000


@dataclass(frozen=True, slots=True)
class FleetLimit:
    """At most so many of these vehicles are used (shifts that share bikes or trailers)."""

    vehicles: frozenset[str]
    at_most: int


@dataclass(frozen=True, slots=True)
class HubLimit:
    """At most so many vehicles call at this point (docks of a hub); one that calls several times counts once."""

    point: int
    at_most: int


class Objective(StrEnum):
    """What makes a plan better than another."""

    PRICES = "prices"  # the sum of all prices
    VEHICLES_FIRST = "vehicles-first"  # fewest left out, then fewest vehicles, then the sum of all prices


@dataclass(frozen=True, slots=True)
class Prices:
    """What riding and coupling rules cost, in the unit of `left_out_price`, `late_price` and `fixed_price`.

    `balance_per_second` is for each second between the longest and the shortest day of the vehicles used; a day lasts
    from leaving the start point to being at the end point.
    """

    ride_second: int = 1
    ride_metre: int = 0
    balance_per_second: int = 0
    below_share: int = 0


@dataclass(frozen=True, eq=False)
class RoutingProblem:
    """Points, what is to be carried between them, and who can carry it. Immutable; travels between processes.

    `points` names each place once; requests and vehicles mean a place by its index. `travel_seconds` and
    `travel_metres` are (n, n) over the points, row = from; they need not be symmetric.

    Raises
    ------
    FaultyProblem
        With every fault: a window that ends before it starts, a load that no vehicle can carry, loads picked up that
        are not those dropped, a matrix that is not (n, n), not whole or has a negative cell, an unknown point or
        vehicle, an id given twice, a shift without length, breaks that do not fit into their shift, loads in another
        number of dimensions, shares that are no shares, a number too large, a request locked to a vehicle
        that may not or cannot carry it, one that weighs nothing, more hub limits than can be kept apart.
    """

    points: tuple[str, ...]
    requests: tuple[Request, ...]
    vehicles: tuple[Vehicle, ...]
    travel_seconds: Matrix = field(repr=False)
    travel_metres: Matrix = field(repr=False)
    prices: Prices = Prices()
    objective: Objective = Objective.PRICES
    shares: tuple[Share, ...] = ()
    fleet_limits: tuple[FleetLimit, ...] = ()
    hub_limits: tuple[HubLimit, ...] = ()

    def __post_init__(self) -> None:
        for name in ("points", "requests", "vehicles", "shares", "fleet_limits", "hub_limits"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("travel_seconds", "travel_metres"):
            try:
                given = np.asarray(getattr(self, name))
            except ValueError:  # rows of different lengths
                given = np.empty(0, np.int64)
            if given.dtype.kind in "iu" and given.dtype != np.uint64:
                # A copy, unless nobody writes to it: what the caller does to his later is his business.
                given = given.astype(np.int64, copy=given.flags.writeable)
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
    def binding_hub_limits(self) -> tuple[HubLimit, ...]:
        """Those that some plan would exceed: more vehicles than may, and requests than that, could call there."""
        calling = Counter(point for request in self.requests for point in {stop.point for _, _, stop in request.stops})
        return tuple(hub for hub in self.hub_limits if hub.at_most < min(len(self.vehicles), calling[hub.point]))

    @cached_property
    def worst_cost(self) -> int:
        """More than any plan can cost without what it leaves out; the price of what should never be left out."""
        stops = [stop for request in self.requests for _, _, stop in request.stops]
        legs = len(stops) + len(self.vehicles)
        seconds = int(self.travel_seconds.max()) if self.travel_seconds.size else 0
        slowest = max((vehicle.ride_permille for vehicle in self.vehicles), default=1000)
        metres = int(self.travel_metres.max()) if self.travel_metres.size else 0
        leg = self.prices.ride_second * -(-seconds * slowest // 1000) + self.prices.ride_metre * metres
        late = sum(stop.late_price * (stop.last_seconds - stop.window_end_seconds) for stop in stops)
        days = max((vehicle.shift_end_seconds - vehicle.shift_start_seconds for vehicle in self.vehicles), default=0)
        coupled = self.prices.balance_per_second * days + self.prices.below_share * len(self.requests)
        return 1 + legs * leg + late + coupled + sum(vehicle.fixed_price for vehicle in self.vehicles)

    def left_out_price(self, request: Request) -> int:
        """What leaving this request out costs."""
        if request.left_out_price is None:
            return self.worst_cost * request.left_out_weight
        return request.left_out_price

    def ride_seconds(self, vehicle: Vehicle, start: int, end: int) -> int:
        """How long this vehicle rides between two points."""
        return -(-int(self.travel_seconds[start, end]) * vehicle.ride_permille // 1000)

    def ride_price(self, vehicle: Vehicle, start: int, end: int) -> int:
        """What this vehicle's ride between two points costs."""
        seconds = self.ride_seconds(vehicle, start, end)
        return self.prices.ride_second * seconds + self.prices.ride_metre * int(self.travel_metres[start, end])

    def most(self, share: Share) -> int:
        """How many requests the group may serve."""
        return -(-len(self.requests) * share.at_most_permille // 1000)

    def least(self, share: Share) -> int:
        """How many requests the group should serve."""
        return len(self.requests) * share.at_least_permille // 1000

    def _faults(self) -> Iterator[Fault]:
        yield from _given_twice("point", self.points)
        yield from _given_twice("demande", [request.id for request in self.requests])
        yield from _given_twice("vacation", [vehicle.id for vehicle in self.vehicles])
        yield from _given_twice("coopérative", [share.group for share in self.shares])
        matrices = [*self._matrix_faults()]
        yield from matrices
        for vehicle in self.vehicles:
            yield from self._vehicle_faults(vehicle)
        for request in self.requests:
            yield from self._request_faults(request)
        yield from self._limit_faults()
        prices = (
            self.prices.ride_second,
            self.prices.ride_metre,
            self.prices.balance_per_second,
            self.prices.below_share,
        )
        if min(prices) < 0 or _too_large(*prices):
            yield Fault("price-out-of-bounds", "prices", "Un prix est négatif ou trop grand.")
        elif not matrices and self._largest_sum() > LARGEST_COST:
            yield Fault("overflow", "problem", "Les durées ou les coûts sont trop grands pour être additionnés.")

    def _largest_sum(self) -> int:
        # Where vehicles count first, nothing is left out for less than that, whatever its price.
        least = self.worst_cost if self.objective is Objective.VEHICLES_FIRST else 0
        return 2 * (self.worst_cost + sum(max(self.left_out_price(request), least) for request in self.requests))

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
        numbers = (*vehicle.capacities, vehicle.fixed_price, vehicle.range_metres or 0)
        if min(numbers) < 0 or vehicle.ride_permille < 1:
            yield Fault("negative-number", vehicle.id, f"{who} a une capacité, un coût ou une vitesse négatifs.")
        if _too_large(*numbers, vehicle.shift_start_seconds, vehicle.shift_end_seconds, vehicle.ride_permille * 2**20):
            yield Fault("overflow", vehicle.id, f"{who} contient un nombre trop grand.")
        clock = vehicle.shift_start_seconds
        for rest in vehicle.breaks:
            begins = max(rest.window_start_seconds, clock)
            clock = begins + rest.length_seconds
            if rest.window_end_seconds < rest.window_start_seconds or rest.length_seconds < 0:
                yield Fault("window-ends-before-it-starts", vehicle.id, f"{who} a une pause qui finit avant son début.")
            elif _too_large(rest.window_start_seconds, rest.window_end_seconds, rest.length_seconds):
                yield Fault("overflow", vehicle.id, f"{who} a une pause dont un nombre est trop grand.")
            elif begins > rest.window_end_seconds or clock > vehicle.shift_end_seconds:
                yield Fault("break-outside-shift", vehicle.id, f"{who} a une pause qui n'y tient pas.")

    def _request_faults(self, request: Request) -> Iterator[Fault]:
        what = f"La demande « {request.id} »"
        if not request.drops or (not request.pickups and request.locked_to is None):
            yield Fault("stops-missing", request.id, f"{what} doit avoir un enlèvement et un dépôt.")
        for kind, _, stop in request.stops:
            yield from self._stop_faults(request.id, f"{what}, {_KINDS[kind]} :", stop)
        vehicles = {*(request.allowed_vehicles or ()), *request.forbidden_vehicles}
        vehicles |= {request.locked_to} if request.locked_to is not None else set()
        for vehicle_id in sorted(vehicles - self.vehicles_by_id.keys()):
            yield Fault("unknown-vehicle", request.id, f"{what} cite une vacation inconnue ({vehicle_id}).")
        numbers = (request.ride_seconds_at_most or 0, request.left_out_price or 0, request.left_out_weight)
        if min(numbers) < 0:
            yield Fault("negative-number", request.id, f"{what} a un prix ou une durée négatifs.")
        if _too_large(*numbers):
            yield Fault("overflow", request.id, f"{what} contient un nombre trop grand.")
        if request.left_out_weight == 0:
            yield Fault("weight-zero", request.id, f"{what} a un poids nul : elle ne serait jamais servie. Donnez 1.")
        yield from self._load_faults(request, what)
        yield from self._lock_faults(request, what)

    def _stop_faults(self, request_id: str, what: str, stop: Stop) -> Iterator[Fault]:
        if not 0 <= stop.point < len(self.points):
            yield Fault("unknown-point", request_id, f"{what} point inconnu ({stop.point}).")
        if stop.window_end_seconds < stop.window_start_seconds or stop.last_seconds < stop.window_end_seconds:
            yield Fault("window-ends-before-it-starts", request_id, f"{what} le créneau finit avant son début.")
        if any(closure.end_seconds < closure.start_seconds for closure in stop.closures):
            yield Fault("window-ends-before-it-starts", request_id, f"{what} une fermeture finit avant son début.")
        numbers = (stop.service_seconds, stop.units, stop.seconds_per_unit, stop.late_price, *stop.loads)
        if min(numbers) < 0:
            yield Fault("negative-number", request_id, f"{what} une charge, un temps ou un prix est négatif.")
        if _too_large(
            *numbers,
            stop.duration_seconds,
            stop.window_start_seconds,
            stop.last_seconds,
            *(x for c in stop.closures for x in c),
        ):
            yield Fault("overflow", request_id, f"{what} un nombre est trop grand.")

    def _load_faults(self, request: Request, what: str) -> Iterator[Fault]:
        counts = {len(stop.loads) for _, _, stop in request.stops}
        dimensions = len(self.vehicles[0].capacities) if self.vehicles else next(iter(counts), 0)
        if counts - {dimensions}:
            yield Fault(
                "dimensions-differ", request.id, f"{what} n'a pas autant de charges que les vélos de capacités."
            )
            return
        taken = [sum(stop.loads[d] for stop in request.pickups) for d in range(dimensions)]
        given = [sum(stop.loads[d] for stop in request.drops) for d in range(dimensions)]
        if request.pickups and request.drops and taken != given:
            yield Fault("loads-differ", request.id, f"{what} n'est pas déposée comme elle est enlevée.")
        # What is aboard already is a fact, not a plan.
        if (
            self.vehicles
            and request.pickups
            and not any(
                all(load <= capacity for load, capacity in zip(taken, vehicle.capacities, strict=False))
                for vehicle in self.vehicles
            )
        ):
            yield Fault(
                "load-over-every-vehicle", request.id, f"{what} est trop lourde ou volumineuse pour chaque vélo."
            )

    def _lock_faults(self, request: Request, what: str) -> Iterator[Fault]:
        vehicle = None if request.locked_to is None else self.vehicles_by_id.get(request.locked_to)
        if vehicle is None:
            return
        reasons = []
        if not request.allows(vehicle):
            reasons.append("qui lui est interdite")
        if request.skills - vehicle.skills:
            reasons.append(f"qui n'a pas « {', '.join(sorted(request.skills - vehicle.skills))} »")
        taken = [sum(loads) for loads in zip(*(stop.loads for stop in request.pickups), strict=False)]
        if any(load > capacity for load, capacity in zip(taken, vehicle.capacities, strict=False)):
            reasons.append("dont le vélo est trop petit pour elle")
        for reason in reasons:
            detail = f"{what} est imposée à la vacation « {vehicle.id} », {reason}."
            yield Fault("lock-impossible", request.id, detail)

    def _limit_faults(self) -> Iterator[Fault]:
        for share in self.shares:
            if not 0 <= share.at_least_permille <= share.at_most_permille <= 1000:
                yield Fault(
                    "share-out-of-bounds", share.group, f"La part de « {share.group} » doit aller de 0 à 1 000 ‰."
                )
        if sum(share.at_least_permille for share in self.shares) > 1000:
            yield Fault("share-out-of-bounds", "shares", "Les parts minimales dépassent ensemble 1 000 ‰.")
        for number, limit in enumerate(self.fleet_limits):
            for vehicle_id in sorted(limit.vehicles - self.vehicles_by_id.keys()):
                yield Fault(
                    "unknown-vehicle", f"fleet limit {number}", f"Une limite cite une vacation inconnue ({vehicle_id})."
                )
            if limit.at_most < 0:
                yield Fault("negative-number", f"fleet limit {number}", "Une limite de flotte est négative.")
            if _too_large(limit.at_most):
                yield Fault("overflow", f"fleet limit {number}", "Une limite de flotte est trop grande.")
        for hub in self.hub_limits:
            if not 0 <= hub.point < len(self.points):
                yield Fault(
                    "unknown-point", f"hub {hub.point}", f"Une limite de base cite un point inconnu ({hub.point})."
                )
            if hub.at_most < 0:
                yield Fault("negative-number", f"hub {hub.point}", "Une limite de base est négative.")
            if _too_large(hub.at_most):
                yield Fault("overflow", f"hub {hub.point}", "Une limite de base est trop grande.")
        if len(self.hub_limits) > MOST_HUB_LIMITS and len(self.binding_hub_limits) > MOST_HUB_LIMITS:
            yield Fault(
                "too-many-hub-limits",
                "hub_limits",
                f"{len(self.binding_hub_limits)} limites de base pourraient être atteintes ; le calcul en suit"
                f" {MOST_HUB_LIMITS} au plus. Retirez-en.",
            )


_KINDS = {StopKind.PICKUP: "enlèvement", StopKind.DROP: "dépôt"}


def locks_out_of_hours(problem: RoutingProblem) -> Iterator[Fault]:
    """Yield a fault for each stop that the shift its request is locked to leaves no time for, however near it is.

    Not of every problem: on a day under way what is aboard may be too late, and `hold` lets its limits give way.
    """
    for request in problem.requests:
        if request.locked_to is None:
            continue
        vehicle = problem.vehicles_by_id[request.locked_to]
        for kind, _, stop in request.stops:
            begins = stop.opens(vehicle.shift_start_seconds)
            if begins is None or begins + stop.duration_seconds > vehicle.shift_end_seconds:
                detail = (
                    f"La demande « {request.id} », {_KINDS[kind]} : hors des heures de la vacation « {vehicle.id} »,"
                    " à laquelle elle est imposée."
                )
                yield Fault("lock-out-of-hours", request.id, detail)


def pair(
    request_id: str,
    pickup: Stop,
    drop: Stop,
    loads: tuple[int, ...] = (),
    **rules: Any,
) -> Request:
    """Return the usual request: these loads from one pickup to one drop; `rules` are `Request`'s other fields."""
    return Request(request_id, (replace(pickup, loads=loads),), (replace(drop, loads=loads),), **rules)


def _given_twice(what: str, ids: Sequence[str]) -> Iterator[Fault]:
    for item, count in Counter(ids).items():
        if count > 1:
            yield Fault("given-twice", item, f"L'identifiant de {what} « {item} » est donné {count} fois.")


def _too_large(*numbers: int) -> bool:
    return any(abs(number) > LARGEST_NUMBER for number in numbers)
