"""Parts of a plan that lanes search apart from the rest: a few routes that lie near each other.

Source: partial optimisation around one part of a solution after another, POPMUSIC, Taillard and Voss (2002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.part import part_of
from services.dispatch.planning.search import kernel
from services.dispatch.planning.search import layout as L  # noqa: N812 - fields of flat arrays, named a hundred times
from services.dispatch.planning.search.arrays import Arrays, Rows

PART_ROUTES, PART_REQUESTS = 6, 100
"""So many routes and requests a part has at least, if there are as many."""

CHANCE = 0.3
"""Up to this much nearer a route may seem by chance, so that not all parts around it are the same."""


@dataclass(frozen=True, slots=True)
class Part:
    """A few vehicles of a problem and what they serve, as a problem of its own, with their routes in it."""

    vehicles: list[int]
    arrays: Arrays
    rows: Rows

    def put_back(self, found: Rows, arrays: Arrays, rows: Rows) -> None:
        """Write routes found for the part into those of the whole."""
        for number, v in enumerate(self.vehicles):
            _carry(self.arrays, found, number, arrays, rows, v)


def have_parts(routes: int, requests: int) -> bool:
    """Return whether a plan has room for two parts."""
    return routes >= 2 * PART_ROUTES and requests >= 2 * PART_REQUESTS


def parts(arrays: Arrays, rows: Rows, random: Random, count: int) -> list[Part]:
    """Return `count` parts of a plan or fewer, no route in two of them: around a route by chance those near to it."""
    sizes, beside = _neighbourhood(arrays, rows)
    free = np.flatnonzero(sizes).tolist()
    found: list[Part] = []
    while len(found) < count and len(free) > 1:
        chosen = [free.pop(random.randrange(len(free)))]
        while free and (len(chosen) < PART_ROUTES or sizes[chosen].sum() < PART_REQUESTS):
            near = [beside[chosen, v].sum() * random.uniform(1.0, 1.0 + CHANCE) for v in free]
            chosen.append(free.pop(int(np.argmax(near))))
        found.append(_part(arrays, rows, sorted(chosen)))
    return found


def _neighbourhood(arrays: Arrays, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the requests of each route, and how near the route of a row is to that of a column: (vehicles, vehicles).

    The nearer, the more stops of either are among the nearest of one of the other's, for the requests of the latter.
    """
    D, stops, vehicles = arrays.data, len(arrays.stops), len(rows)
    near = D[D[L.NEAR] : D[L.NEAR] + stops * D[L.NEAR_WIDTH]].reshape(stops, -1)[:, : kernel.NEAR_STOPS]
    route_of = np.full(stops + 1, vehicles)  # the last stop is none, the last route nobody's
    sizes = np.zeros(vehicles, np.int64)
    for v in range(vehicles):
        served = arrays.stops_of(rows, v)
        route_of[served] = v
        sizes[v] = len(_requests_of(arrays, served))
    both = np.zeros((vehicles + 1, vehicles + 1))
    np.add.at(both, (np.repeat(route_of[:stops], near.shape[1]), route_of[near].reshape(-1)), 1)
    return sizes, (both + both.T)[:vehicles, :vehicles] / np.maximum(sizes, 1)


def _part(arrays: Arrays, rows: Rows, vehicles: list[int]) -> Part:
    served = np.concatenate([arrays.stops_of(rows, v) for v in vehicles])
    own = Arrays(part_of(arrays.problem, _requests_of(arrays, served), np.array(vehicles)))
    routes = own.empty_rows()
    for number, v in enumerate(vehicles):
        _carry(arrays, rows, v, own, routes, number)
    return Part(vehicles, own, routes)


def _requests_of(arrays: Arrays, stops: Sequence[int] | Rows) -> NDArray[np.intp]:
    return np.unique(np.array([arrays.stops[node][0] for node in stops], np.intp))


def _carry(one: Arrays, rows: Rows, v: int, other: Arrays, others: Rows, number: int) -> None:
    """Write the route of vehicle `v` of one problem as that of vehicle `number` of the other."""
    if one.stops_of(rows, v).size:
        other.put(others, number, one.timed(rows, v))
    else:
        others[number] = other.empty_rows()[number]
