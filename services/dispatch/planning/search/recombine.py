"""Routes seen by a search, and a better plan out of them: part after part of it is put together anew.

Source: set partitioning over the routes of a search, as Subramanian, Uchoa and Ochi (2013) do; here over a part of the
plan at a time, as a whole one of many routes is not solved in the seconds there are.
"""

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.choose import partition, vehicle_classes
from services.dispatch.planning.search.arrays import Arrays, Rows

MOST_SEEN = 20_000
"""Routes kept; of more those go that were seen first, or bettered longest ago."""

PART_ROUTES, GROWTH = 300, 1.5
"""A part is as many routes of the plan as have at least so many seen routes among their requests alone; so many times
more once as many parts as there are routes led to nothing better.
"""

PART_NODES = 1_000
"""Nodes of the solver's tree for one part."""

Nodes = NDArray[np.int32]
"""A route's nodes, see `Rows`."""

Key = tuple[int, frozenset[int]]
"""A class of vehicles and the numbers of the requests that a route of one of them serves."""


class SeenRoutes:
    """Of each class of vehicles and each set of requests the cheapest route seen, whatever else its plan left out."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.classes = vehicle_classes(arrays.problem)
        self.routes: dict[Key, tuple[int, int, Nodes]] = {}
        """Its price, the vehicle that rode it and its nodes."""
        self._sequences: set[tuple[int, bytes]] = set()
        self._request_of = [number for number, *_ in arrays.stops]

    def key_of(self, v: int, nodes: Nodes) -> Key:
        """Return what a route of vehicle number `v` is kept under."""
        stops = len(self._request_of)
        return self.classes[v], frozenset(self._request_of[node] for node in nodes.tolist() if node < stops)

    def add(self, rows: Rows, prices: NDArray[np.int64]) -> None:
        """Add the routes of a state, each with its price."""
        if len(self._sequences) > 10 * MOST_SEEN:
            self._sequences.clear()
        for v, length in enumerate(rows[:, 0].tolist()):
            sequence = (self.classes[v], rows[v, 1 : length + 1].tobytes())
            if sequence not in self._sequences:
                self._sequences.add(sequence)
                self._keep(v, rows[v, 1 : length + 1], int(prices[v]))
        while len(self.routes) > MOST_SEEN:
            del self.routes[next(iter(self.routes))]

    def add_for_sure(self, rows: Rows, prices: NDArray[np.int64]) -> None:
        """Add the routes of a state where they went because of too many others."""
        for v, length in enumerate(rows[:, 0].tolist()):
            self._keep(v, rows[v, 1 : length + 1], int(prices[v]))

    def _keep(self, v: int, nodes: Nodes, price: int) -> None:
        key = self.key_of(v, nodes)
        known = self.routes.get(key)
        if key[1] and (known is None or price < known[0]):
            self.routes.pop(key, None)  # so that it stands behind those seen earlier
            self.routes[key] = (price, v, nodes.copy())


class Columns:
    """The routes seen until now, numbered: the columns of a set partitioning."""

    def __init__(self, seen: SeenRoutes) -> None:
        self.seen = seen
        self.keys = list(seen.routes)
        self.routes = list(seen.routes.values())
        self.number_of = {key: number for number, key in enumerate(self.keys)}
        # What using a vehicle costs, so much more than riding, would hide from the solver what a route costs more.
        self.prices = [price - seen.arrays.fixed_price(v) for price, v, _ in self.routes]
        self.serves = np.zeros((len(self.keys), len(seen.arrays.problem.requests)), dtype=np.float32)
        for number, (_, requests) in enumerate(self.keys):
            self.serves[number, list(requests)] = 1.0
        self.together = self.serves.T @ self.serves
        """How many of the routes serve each two requests."""


class Recombination:
    """One plan that gets cheaper by routes seen, serving the same with no more vehicles; `rows` is what it became."""

    def __init__(self, columns: Columns, rows: Rows, random: Random) -> None:
        self.columns, self.rows, self.random = columns, rows.copy(), random
        self.plan: dict[int, int] = {}  # the number of each vehicle's route
        for v, length in enumerate(rows[:, 0].tolist()):
            key = columns.seen.key_of(v, rows[v, 1 : length + 1])
            if key[1]:
                self.plan[v] = columns.number_of[key]
        self.most = float(PART_ROUTES)
        self._first_in = dict.fromkeys(range(len(rows)), 0)
        self._in_vain = 0

    def improve(self, seconds: float) -> bool:
        """Put one part together anew; return whether another may be better still."""
        if not self.plan:
            return False
        part, inside = self._part()
        chosen = self._choose(part, inside, seconds)
        if chosen is not None:
            self._put(part, chosen)
            self._in_vain = 0
        elif len(part) == len(self.plan):
            return False
        else:
            self._in_vain += 1
            if self._in_vain > len(self.plan):
                self.most, self._in_vain = self.most * GROWTH, 0
        return True

    def _part(self) -> tuple[list[int], list[int]]:
        """Return vehicles whose requests were often seen together, and the routes seen of these requests alone."""
        columns = self.columns
        part = [min(self.plan, key=lambda v: (self._first_in[v], self.random.random()))]
        self._first_in[part[0]] += 1
        rest = [v for v in self.plan if v != part[0]]
        elsewhere = columns.serves.sum(axis=1)  # how many requests of each route lie outside the part
        near = np.zeros(columns.serves.shape[1], dtype=np.float32)
        while True:
            requests = list(columns.keys[self.plan[part[-1]]][1])
            elsewhere -= columns.serves[:, requests].sum(axis=1)
            near += columns.together[requests].sum(axis=0)
            inside = np.flatnonzero(elsewhere < 0.5)
            if not rest or len(inside) >= self.most:
                return part, inside.tolist()
            sets = [list(columns.keys[self.plan[v]][1]) for v in rest]
            ties = [float(near[one].sum()) / math.sqrt(len(one)) * (0.3 + self.random.random()) for one in sets]
            part.append(rest.pop(max(range(len(rest)), key=ties.__getitem__)))

    def _choose(self, part: Sequence[int], inside: Sequence[int], seconds: float) -> list[int] | None:
        """Return the routes that serve the part's requests at least cost; None where none are cheaper than its own."""
        keys, prices = self.columns.keys, self.columns.prices
        own = {self.plan[v] for v in part}
        chosen = partition(
            [keys[number][1] for number in inside],
            [prices[number] for number in inside],
            classes=[keys[number][0] for number in inside],
            free=Counter(self.columns.seen.classes[v] for v in self._free(part)),
            most=len(part),
            known=[index for index, number in enumerate(inside) if number in own],
            seconds=seconds,
            nodes=PART_NODES,
        )
        return None if chosen is None else [inside[index] for index in chosen]

    def _free(self, part: Sequence[int]) -> list[int]:
        """Return the vehicles of the part, then those that do not ride."""
        return [*part, *(v for v in range(len(self.rows)) if v not in self.plan)]

    def _put(self, part: Sequence[int], chosen: Sequence[int]) -> None:
        """Put these routes in place of the part's, each on the vehicle it was seen on if that is free."""
        columns = self.columns
        arrays, classes = columns.seen.arrays, columns.seen.classes
        free = self._free(part)
        empty = arrays.empty_rows()
        for v in part:
            del self.plan[v]
            self.rows[v] = empty[v]
        for number in sorted(chosen, key=lambda number: columns.routes[number][1] not in free):
            _, seen_on, nodes = columns.routes[number]
            v = seen_on if seen_on in free else next(v for v in free if classes[v] == classes[seen_on])
            free.remove(v)
            self.plan[v] = number
            route = arrays.route_of(seen_on, nodes)
            if route is None:
                raise RuntimeError("the search and the schedule disagree on a route")
            arrays.put(self.rows, v, route)
