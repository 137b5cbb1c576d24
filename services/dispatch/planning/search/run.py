"""The search itself: first plan, fleet, distance; several lanes that race on threads and tell each other the best."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.choose import Candidate, choose, vehicle_classes
from services.dispatch.planning.near import Near, change_cost
from services.dispatch.planning.plan import LeftOut, Plan, Route, cost, rank
from services.dispatch.planning.problem import Objective, RoutingProblem, Stop, pair
from services.dispatch.planning.problem import Vehicle as ProblemVehicle
from services.dispatch.planning.routing import first_plan
from services.dispatch.planning.search import kernel
from services.dispatch.planning.search import layout as L  # noqa: N812 - fields of flat arrays, named a hundred times
from services.dispatch.planning.search.arrays import Arrays, Rows, new_state
from services.dispatch.planning.search.parts import have_parts, parts
from services.dispatch.planning.search.recombine import Columns, Recombination, SeenRoutes
from services.dispatch.planning.stop import ALL, Limit, Seconds, Span, Watch

LANES = 2
"""Searches side by side; on one core they take turns."""

FLEET_SHARE, MOST_FLEET_SHARE, STILL_GOING = 0.4, 0.9, 0.1
"""Of the time, for fewer vehicles, where those count first. It goes on, up to the second, as long as no share of the
time so far like the third has passed without one less.
"""

FAR_SHARE, FAR_SEEN = 0.25, 100
"""It ends after the first, a share of the time, where as many moments as the second were looked at since the last one
less, that is not near (below), and what comes next has good use for the time: long routes searched in parts.
"""

NEARLY_CLOSED, NEARLY_UNTIL = 0.02, 0.6
"""It goes on up to the second as well where, in so many of the moments since the last one less, all but a single
request had a place in the vehicles left: such a vehicle is closed sooner or later, others never.
"""

LONG_ROUTE, LONGER_ROUTE, LOOSE_UNTIL, LEAST_LOOSE = 18, 60, 0.9, 250
"""With so many stops a vehicle as the first, and as the second times the mean ride from pickup to drop in means of all
rides, a search hardly leaves the shape that it begins with. So that is loosened up to the third, a share of the time,
if there is time for so many steps a request as the last.
"""

LOOSE_HEAT, LOWERED_HEAT = 3.0, 1.0
"""Temperatures in mean legs: where loosening begins, and where what comes out of it is lowered from."""

BEARABLE, DEARER = 3.0, 2.5
"""What an absence costs at least while a plan is loose, and what it gets dearer by in as many steps as there are
requests, in mean legs.
"""

EASE_STEPS, EASED, EASED_MORE, ASTRAY = 0.2, 0.95, 0.8, 0.02
"""After so many steps a request, what got dearer falls to the second where all is served. It falls to the third where,
without all being served, a plan costs more than the best that serves all by the fourth, in temperatures a request, if
that best was found while loosening; then that is gone back to.
"""

WHOLE_SHARE, PARTS_UNTIL = 0.6, 0.97
"""After the first, a share of the time for loosening, that goes on in parts until the second, a share of all the time.
"""

PART_HEAT, LAST_PART_HEAT, AFTER_PARTS = 1.0, 0.3, 0.2
"""Temperatures in mean legs: where loosening a part begins at first and at last, and lowering the whole after it."""

PART_STEPS, PART_LOOSE = 600, 0.9
"""Steps a request that a part is searched for, and for what share of them it is loose."""

STOPS_TORN, LONGEST_STRING = 10.0, 10
"""Mean of the stops that one ruin takes out, and the longest string of them: SISR's own figures."""

CROSSED = 0.2
"""How often two routes are crossed instead of a ruin, where vehicles count first and there is no plan to stay near."""

BLINK = 0.01
"""How often a route is overlooked."""

HOT, COLD, FLEET_HEAT = 10.0, 0.1, 0.1
"""Temperatures in mean legs: where the distance phase begins and ends, and that of the fleet phase."""

NEAR_HEAT = 0.03
"""Where the distance phase begins when there is a plan in force to stay near to."""

ENOUGH_STEPS, ENOUGH_FOR_FEWER = 30_000, 60_000
"""Steps a request after which a search has cooled down, however much time is left: more finds nothing. The second where
vehicles count first, as the first part of the search is for fewer of them.
"""

LANE_STEPS = 500
"""Steps between two meetings of the lanes when steps are counted."""

MEETING_SECONDS, MEETINGS = 0.06, 100
"""Time between two meetings of the lanes when the clock counts, and how many there are at least until a search has
cooled down: where steps are quick, that is over before much time has passed.
"""

TELL_SECONDS = 0.25
"""Better plans are told at most this often."""

EXCHANGES = 12
"""How often the lanes go on from the best of them."""

SHORT_ROUTE, COMBINE_SHARE = 15, 0.08
"""Where vehicles count first and have fewer stops each, routes seen are recombined in that last share of the time."""

COMBINE_SECONDS, COMBINED = 0.5, 20
"""Seconds that recombining one piece of a plan takes at most; how many there are where steps are counted."""

CHOICE_SHARE = 0.15
"""Of the time left for choosing a plan from all routes, where rules couple vehicles."""

MOST_POOLED = 20_000


def warm_up() -> None:
    """Compile the kernel, or load what was compiled before: seconds the first time, a moment later on."""
    pickup, drop = Stop(1, 0, 9_000, 60), Stop(2, 0, 9_000, 60)
    matrix = np.array([[0, 100, 200], [110, 0, 300], [210, 310, 0]])
    problem = RoutingProblem(
        points=("a", "b", "c"),
        requests=tuple(pair(str(number), pickup, drop) for number in range(3)),
        vehicles=(ProblemVehicle("v", 0, 0, 0, 9_000), ProblemVehicle("w", 0, 0, 0, 9_000)),
        travel_seconds=matrix,
        travel_metres=matrix,
        objective=Objective.VEHICLES_FIRST,
    )
    search = _Search(problem, 1, None, None, 1, ALL)
    lane = search.lanes[0]
    lane.construct()
    lane.lower(1, 1.0)
    lane.loosen(1, 1.0, 1, 1.0)
    lane.forget_absences()
    kernel.close(lane.D, lane.S, kernel.easiest(lane.D, lane.S))
    lane.place(1, 1.0)
    lane.adopt(lane.rows)


def search(
    problem: RoutingProblem,
    stop: Limit,
    seed: int = 0,
    *,
    watch: Watch | None = None,
    should_stop: Callable[[], bool] | None = None,
    start: Plan | None = None,
    near: Near | None = None,
    lanes: int = LANES,
    span: Span = ALL,
) -> Plan:
    """Return the best plan found; it can be ridden, and what it does not serve is in `left_out`.

    `start` is a plan to begin from. With `near` the search begins from that plan, and changing it has its prices.
    Where it is a piece of a longer search, the temperature falls in it as it does in that `span` of the longer one.
    With `Steps` every lane makes that many, and the same problem, seed and lanes give the same plan.
    """
    warm_up()
    if not problem.requests or not problem.vehicles:
        return Plan((), tuple(LeftOut(request.id) for request in problem.requests))
    return _Search(problem, seed, start, near, lanes, span).run(stop, watch, should_stop or (lambda: False))


class _Lane:
    """One search: its state, its best routes so far and what they cost."""

    def __init__(self, arrays: Arrays, seed: int, number: int) -> None:
        self.D = arrays.data
        self.S = new_state(arrays, 1_000 * seed + number)
        self.rows = arrays.empty_rows()
        self.best, self.fewest = self.cost, self.used
        self.steps_a_second = 2_000.0
        kernel.write(self.D, self.S, self.rows)
        self._random = Random(1_000 * seed + number)  # noqa: S311 - a search can be made again
        self._shown = arrays.empty_rows()
        self._prices = np.zeros(len(arrays.problem.vehicles), dtype=np.int64)
        is_free = arrays.problem.objective is Objective.VEHICLES_FIRST and not arrays.near
        self._crossed = CROSSED if is_free else 0.0

    @property
    def cost(self) -> int:
        return int(kernel.total(self.D, self.S))

    @property
    def used(self) -> int:
        return int(self.S[L.N_USED])

    @property
    def absent(self) -> int:
        return int(self.S[L.N_ABSENT])

    def construct(self) -> None:
        """Put in what is absent, what is locked first; keep the result if it is the best."""
        self._work(kernel.CONSTRUCT, 1, 0.0)
        self.keep()

    def keep(self) -> None:
        """Make the state the best if it is better."""
        if self.cost < self.best:
            self.best, self.fewest = self.cost, self.used
            kernel.write(self.D, self.S, self.rows)

    def adopt(self, rows: Rows) -> None:
        """Go on from these routes."""
        kernel.read(self.D, self.S, rows)
        self.keep()

    def show(self, add: Callable[[Rows, NDArray[np.int64]], None]) -> None:
        """Add the routes of the state, with their prices, to those seen."""
        kernel.write(self.D, self.S, self._shown)
        kernel.route_prices(self.S, self._prices)
        add(self._shown, self._prices)

    def recombine(self, columns: Columns, seconds: Callable[[int], float]) -> None:
        """Make the best cheaper by routes seen, as long as `seconds` has some for one part more than so many."""
        work = Recombination(columns, self.rows, self._random)
        parts = 0
        while (left := seconds(parts)) > 0 and work.improve(left):
            parts += 1
        self.adopt(work.rows)

    def serves(self, request: int) -> bool:
        """Return whether the state serves a request, by its number."""
        return bool(self.S[self.S[L.REQUEST_STATE] + 4 * request + L.VEHICLE_OF] >= 0)

    def forget_absences(self) -> None:
        """Count absences from none again."""
        kernel.ease(self.D, self.S, 0.0)

    def loosen(self, steps: int, heat: float, bearable: int, dearer: float) -> None:
        """Lower the cost for so many steps while requests may be absent; keep what is best of what serves all."""
        self.best = int(self._work(kernel.LOOSEN, steps, heat, bearable, dearer))

    def waver(self, steps: int, heat: float, mean: float, begun: int, other: tuple[int, Rows] | None) -> None:
        """Loosen for so many steps, prices of absences falling whenever all is served.

        From a plan that costs more than the best that serves all and yet does not, by more than is got over while it
        cools, nothing better comes. There prices fall more, and it goes on from that best: its own, once that costs
        less than what was `begun` with, else the best of the others. As long as there is neither, it goes on as it is.
        """
        count = int(self.D[L.N_REQUESTS])
        each = max(20, int(EASE_STEPS * count))
        bearable, dearer = max(1, int(BEARABLE * mean)), DEARER * max(1.0, mean) / count
        astray = ASTRAY * heat * count
        for done in range(0, steps, each):
            self.loosen(min(each, steps - done), heat, bearable, dearer)
            back = (self.best, self.rows) if self.best < begun else other
            if not self.absent:
                kernel.ease(self.D, self.S, EASED)
            elif back and self.cost - int(self.S[L.ABSENT_NOW]) >= back[0] + astray:
                self.adopt(back[1])
                kernel.ease(self.D, self.S, EASED_MORE)

    def lower(self, steps: int, heat: float) -> None:
        """Lower the cost for so many steps at a temperature."""
        self.best = int(self._work(kernel.LOWER, steps, heat))

    def place(self, steps: int, heat: float) -> bool:
        """Try for so many steps to place what is absent; return whether nothing is absent any more."""
        self._work(kernel.SQUEEZE, steps, heat)
        return self.absent == 0

    def squeeze(self, steps: int, heat: float, floor: int) -> bool:
        """Close one vehicle after another for so many steps; return whether one could be closed for good."""
        end = int(self.S[L.STEPS_DONE]) + steps
        is_fewer = False
        while (left := end - int(self.S[L.STEPS_DONE])) > 0 and self.place(left, heat):
            self.keep()
            is_fewer = True
            if self.used <= floor or not self.close_easiest():
                break
        return is_fewer

    def close_easiest(self) -> bool:
        """Close the vehicle whose requests have been the least trouble; return whether there was one."""
        vehicle = kernel.easiest(self.D, self.S)
        if vehicle >= 0:
            kernel.close(self.D, self.S, vehicle)
        return bool(vehicle >= 0)

    def _work(self, mode: int, steps: int, heat: float, bearable: int = 0, dearer: float = 0.0) -> int:
        found: int = kernel.work(
            self.D,
            self.S,
            self.rows,
            self.best,
            mode,
            steps,
            heat,
            STOPS_TORN,
            LONGEST_STRING,
            self._crossed,
            BLINK,
            bearable,
            dearer,
        )
        return found


class _Clock:
    """How much of the search is done: by the wall clock, or by steps."""

    def __init__(self, stop: Limit, enough_steps: int) -> None:
        self.began = time.monotonic()
        self.is_timed = isinstance(stop, Seconds)
        self._seconds = stop.seconds if isinstance(stop, Seconds) else math.inf
        self._kept = 0.0
        self._steps = enough_steps if isinstance(stop, Seconds) else stop.steps
        self.steps = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def keep(self, seconds: float) -> None:
        """Keep so much of the time for what comes after the search."""
        kept = min(max(self._kept, seconds), 0.3 * (self._seconds + self._kept))
        self._seconds += self._kept - kept
        self._kept = kept

    @property
    def left(self) -> float:
        """Seconds left; a guess where steps are counted."""
        return max(0.0, self._seconds - self.seconds) if self.is_timed else math.inf

    @property
    def done(self) -> float:
        """From 0 to 1."""
        by_steps = self.steps / max(1, self._steps)
        return min(1.0, max(by_steps, self.seconds / max(self._seconds, 1e-9) if self.is_timed else 0.0))

    def share_of(self, steps: int, lane: _Lane) -> float:
        """Return what share of the search so many steps of a lane take."""
        by_steps = steps / max(1, self._steps)
        return max(by_steps, steps / lane.steps_a_second / max(self._seconds, 1e-9)) if self.is_timed else by_steps

    def steps_for(self, lane: _Lane, until: float) -> int:
        """How many steps a lane makes before the next meeting, `until` that share of the search at most."""
        left = math.ceil(self._steps * until) - self.steps
        if not self.is_timed:
            return max(1, min(LANE_STEPS, left))
        seconds = min(MEETING_SECONDS, max(0.002, self._seconds * until - self.seconds))
        return max(10, min(int(lane.steps_a_second * seconds), left, self._steps // MEETINGS))


@dataclass
class _Pool:
    """Routes that were good once, by their vehicle's class and requests: the cheapest sequence of each."""

    search: "_Search"
    classes: tuple[int, ...]
    routes: dict[tuple[int, frozenset[int]], tuple[int, Route]] = field(default_factory=dict)
    seen: set[tuple[int, bytes]] = field(default_factory=set)

    def add(self, rows: Rows) -> None:
        """Add the routes of a state."""
        arrays = self.search.arrays
        for v in range(rows.shape[0]):
            nodes = rows[v, 1 : rows[v, 0] + 1]
            key = (v, nodes.tobytes())
            if key in self.seen or len(self.routes) >= MOST_POOLED or not (nodes < len(arrays.stops)).any():
                continue
            self.seen.add(key)
            route = arrays.route_of(v, nodes)
            if route is None:
                continue
            numbers = frozenset(arrays.stops[node][0] for node in nodes if node < len(arrays.stops))
            alone = cost(self.search.unshared, Plan((route,), ()))
            known = self.routes.get((self.classes[v], numbers))
            if known is None or alone < known[0]:
                self.routes[self.classes[v], numbers] = (alone, route)


class _Search:
    """Lanes over the same problem, from a first plan to the last."""

    def __init__(
        self, problem: RoutingProblem, seed: int, start: Plan | None, near: Near | None, lanes: int, span: Span
    ) -> None:
        self.span = span
        self.problem = problem
        self.arrays = Arrays(problem, near)
        self.near = near
        self.seed = seed
        self.lanes = [_Lane(self.arrays, seed, number) for number in range(lanes)]
        self.plan: Plan | None = None
        self._told = -math.inf
        self._told_cost: int | None = None
        self.unshared = replace(problem, shares=(), prices=replace(problem.prices, balance_per_second=0, below_share=0))
        self._is_coupled = bool(
            problem.prices.balance_per_second or any(problem.least(share) for share in problem.shares)
        )
        self._is_free = not (self._is_coupled or near or problem.fleet_limits or problem.hub_limits)
        begin = near.plan if near else start
        self.has_start = begin is not None
        if begin is not None:
            rows = self.arrays.rows_of(begin)
            for lane in self.lanes:
                lane.adopt(rows)

    def run(self, stop: Limit, watch: Watch | None, should_stop: Callable[[], bool]) -> Plan:
        """Search until it is time, telling each better plan."""
        is_fleet_first = self.problem.objective is Objective.VEHICLES_FIRST
        enough = ENOUGH_FOR_FEWER if is_fleet_first else ENOUGH_STEPS
        clock = _Clock(stop, enough * len(self.problem.requests))
        self.clock, self.watch, self.should_stop = clock, watch, should_stop
        if self.has_start:
            # Kept before anything is tried: what a search begins from, its answer is never worse than.
            self._tell(is_last=False)
        locked = [r for r, request in enumerate(self.problem.requests) if request.locked_to is not None]
        first: Plan | None = None

        def is_over() -> bool:
            return should_stop() or clock.left <= 0

        for lane in self.lanes:
            lane.construct()
            if any(not lane.serves(request) for request in locked):
                # They got into each other's way: begin with what puts them in with second thoughts.
                first = first or first_plan(self.problem, self.seed, is_over=is_over)
                lane.adopt(self.arrays.rows_of(first))
                if is_over():
                    lane.construct()  # what was left aside for lack of time: here it is a matter of a moment
        self._tell(is_last=False)
        is_last = self.span[1] >= 1.0  # of what is still to be changed much, nothing is worth choosing
        self.pool = _Pool(self, vehicle_classes(self.problem)) if self._is_coupled and is_last else None
        combines = self._is_free and is_fleet_first and is_last and self._has_short_routes()
        self.seen = SeenRoutes(self.arrays) if combines else None
        with ThreadPoolExecutor(len(self.lanes), thread_name_prefix="lane") as threads:
            self._threads = threads
            if self.best.absent:
                self._fewer_absent(FLEET_SHARE)
            heat = NEAR_HEAT if self.near else HOT
            if is_fleet_first and not self.near:
                self._fewer_vehicles(FLEET_SHARE)
                if not self.best.absent and not self.has_start and self._loosen():
                    heat = LOWERED_HEAT
                    if self._is_in_parts():
                        self._part_by_part(PARTS_UNTIL)
                        heat = AFTER_PARTS
            if not self._has_short_routes():
                self.seen = None
            self._less_cost(heat, 1.0 - (CHOICE_SHARE if self.pool else COMBINE_SHARE if self.seen else 0.0))
            if self.seen:
                self._recombine(self.seen)
        if self.pool and not should_stop():  # choosing may take all the time that is left
            self._choose()
        self._tell(is_last=True)
        assert self.plan is not None
        return self.plan

    # -- phases

    def _fewer_vehicles(self, until: float) -> None:
        """Close one vehicle after another, as long as all that is served finds a place in those left."""
        for lane in self.lanes:
            lane.adopt(self.best.rows)
            self._only_used(lane)
        began = self.clock.done
        until, far = began + (1.0 - began) * until, began + (1.0 - began) * FAR_SHARE
        floor = self._least_vehicles()
        heat = FLEET_HEAT * self._mean_leg()
        if self.best.absent:
            return
        for lane in self.lanes:
            lane.close_easiest()
        last, met, nearly = self.clock.done, 0, 0
        # Longer than its share as long as vehicles keep going, or one is about to.
        while not self.should_stop() and (
            ((done := self.clock.done) < until and not (done >= far and self._is_far(met, nearly)))
            or (done < MOST_FLEET_SHARE and done - last < STILL_GOING * done)
            or (done < NEARLY_UNTIL and nearly >= NEARLY_CLOSED * met)
        ):
            limit = until if done < until else MOST_FLEET_SHARE
            placed = self._meet(lambda lane, steps: lane.squeeze(steps, heat, floor), limit)
            met, nearly = met + len(self.lanes), nearly + sum(lane.absent == 1 for lane in self.lanes)
            if not any(placed):
                continue
            last, met, nearly = self.clock.done, 0, 0
            best = self.best
            self._tell(is_last=False)
            if best.fewest <= floor:
                break
            for lane in self.lanes:
                if lane.fewest > best.fewest:
                    lane.adopt(best.rows)
                    self._only_used(lane)
                    lane.close_easiest()
        for lane in self.lanes:
            lane.adopt(self.best.rows)
            self._only_used(lane)

    def _loosen(self) -> bool:
        """Where routes are long, let each lane waver between serving all and costing less; return whether it did.

        Requests may be absent at a price, which rises as long as they are, until others give way to them, and falls
        once all are served. Some parts of a hard problem are only left that way: where all must be served at every
        step, there is no way out. A lane far behind halfway through stays behind: there both go on from the better.
        Where what is colder is searched in parts, it ends sooner, once all have been served again.
        """
        began = self.clock.done
        if not self._is_loosened():
            return False
        has_parts = self._is_in_parts()
        mean, begun, half = self._mean_leg(), self.best.best, (began + LOOSE_UNTIL) / 2
        for lane in self.lanes:
            lane.forget_absences()
        while (done := self.clock.done) < LOOSE_UNTIL and not self.should_stop():
            fallen = (done - began) / (LOOSE_UNTIL - began)
            if has_parts and fallen >= WHOLE_SHARE and self.best.best < begun:
                break
            heat = LOOSE_HEAT * mean * (COLD / LOOSE_HEAT) ** fallen
            if done >= half:
                half = math.inf
                self._go_on_from_best()
            best = self.best
            # What it began from is the shape to get away from: back to nothing until a lane has served all again.
            other = (best.best, best.rows.copy()) if best.best < begun else None
            self._meet(partial(_Lane.waver, heat=heat, mean=mean, begun=begun, other=other), LOOSE_UNTIL)
            self._tell(is_last=False)
        for lane in self.lanes:
            lane.adopt(self.best.rows)
        return True

    def _is_far(self, met: int, nearly: int) -> bool:
        """Return whether one vehicle less is not near, and there is something better to do."""
        is_seen = met >= FAR_SEEN and nearly < NEARLY_CLOSED * met
        return is_seen and self._is_in_parts() and self._is_loosened()

    def _is_loosened(self) -> bool:
        """Return whether there is time to loosen the plan, and use."""
        share = self.clock.share_of(LEAST_LOOSE * len(self.problem.requests), self.best)
        return LOOSE_UNTIL - self.clock.done >= share and self._has_long_routes()

    def _is_in_parts(self) -> bool:
        """Return whether a plan that is loosened is searched in parts then."""
        return self._is_free and not self.has_start and have_parts(self.best.used, len(self.problem.requests))

    def _part_by_part(self, until: float) -> None:
        """Let each lane loosen a few routes near each other, apart from the rest, and again others.

        Where it is no longer hot, what a step changes stays near. A part is quicker to search than the whole, and both
        lanes do so for the same plan. One in which nothing better is found stays as it was.
        """
        began, mean, random = self.clock.done, self._mean_leg(), Random(self.seed)  # noqa: S311 - as that of a lane
        rows, rate, number = self.best.rows.copy(), self.best.steps_a_second, len(self.lanes)
        while (begins := self.clock.done) < until and not self.should_stop():
            found = parts(self.arrays, rows, random, len(self.lanes))
            lanes = []
            for part in found:
                lane = _Lane(part.arrays, self.seed, number)
                number += 1
                lane.adopt(part.rows)
                lane.steps_a_second = rate
                self._only_used(lane)
                lanes.append(lane)
            share = self.clock.share_of(PART_STEPS * max(len(part.arrays.problem.requests) for part in found), lanes[0])
            ends = begins + (until - begins) / max(1, round((until - begins) / share))
            hot = PART_HEAT * (LAST_PART_HEAT / PART_HEAT) ** ((begins - began) / (until - began))
            self._loosen_parts(lanes, hot, mean, ends)
            rate = min(lane.steps_a_second for lane in lanes)
            for part, lane in zip(found, lanes, strict=True):
                part.put_back(lane.rows, self.arrays, rows)
            for lane in self.lanes:
                lane.adopt(rows)
            self._tell(is_last=False)

    def _loosen_parts(self, lanes: list[_Lane], hot: float, mean: float, ends: float) -> None:
        """Let lanes waver, then lower the cost, while the temperature falls from so many mean legs."""
        begins = self.clock.done
        for is_loose in (True, False):
            end = begins + PART_LOOSE * (ends - begins) if is_loose else ends
            for lane in lanes:
                lane.adopt(lane.rows)
                lane.forget_absences()
            while (done := self.clock.done) < end and not self.should_stop():
                heat = mean * hot * (COLD / hot) ** ((done - begins) / (ends - begins))
                lower = partial(_Lane.lower, heat=heat)
                waver = partial(_Lane.waver, heat=heat, mean=mean, begun=L.INFINITE, other=None)  # to its own best
                self._meet(waver if is_loose else lower, end, lanes)

    def _has_short_routes(self) -> bool:
        return len(self.arrays.stops) < SHORT_ROUTE * self.best.used

    def _has_long_routes(self) -> bool:
        """Return whether routes are long: the more so, the nearer the drops of requests lie to their pickups."""
        requests, seconds = self.problem.requests, self.problem.travel_seconds
        pairs = [(up.point, down.point) for request in requests for up in request.pickups for down in request.drops]
        stops, used = len(self.arrays.stops), self.best.used
        if not pairs or stops < LONG_ROUTE * used:
            return False
        ups, downs = map(list, zip(*pairs, strict=True))
        points = ups + downs
        return bool(stops * seconds[np.ix_(points, points)].mean() >= LONGER_ROUTE * used * seconds[ups, downs].mean())

    def _fewer_absent(self, until: float) -> None:
        """Try to place what found no place, what is often absent first."""
        until = self.clock.done + (1.0 - self.clock.done) * until
        heat = FLEET_HEAT * self._mean_leg()
        while self.clock.done < until and not self.should_stop():
            placed = self._meet(lambda lane, steps: lane.place(steps, heat), until)
            for lane in self.lanes:
                lane.keep()
            self._tell(is_last=False)
            if any(placed):
                break
        for lane in self.lanes:
            lane.adopt(self.best.rows)

    def _less_cost(self, heat: float, until: float) -> None:
        """Lower the cost while the temperature falls from so many mean legs."""
        began = self.clock.done
        mean = self._mean_leg()
        hot, cold = heat * mean, COLD * mean
        exchanged = 0
        sampled = 0
        while (done := self.clock.done) < until and not self.should_stop():
            part = (done - began) / max(1e-9, until - began)
            fallen = self.span[0] + (self.span[1] - self.span[0]) * part
            now = hot * (cold / hot) ** fallen if hot > 0 else 0.0
            self._meet(lambda lane, steps, now=now: lane.lower(steps, now), until)  # type: ignore[misc]
            self._tell(is_last=False)
            if self.pool and part * 200 >= sampled:
                sampled += 1
                for lane in self.lanes:
                    rows = lane.rows.copy()
                    kernel.write(lane.D, lane.S, rows)
                    self.pool.add(rows)
                    self.pool.add(lane.rows)
            if int(part * EXCHANGES) > exchanged:
                exchanged += 1
                self._go_on_from_best()

    def _recombine(self, seen: SeenRoutes) -> None:
        """Let each lane make its best cheaper by routes that either has seen.

        Where all must be served by few vehicles, a search moves little at any temperature. But the routes of plans that
        left something out can be ridden too, and there are better plans among them.
        """
        for lane in self.lanes:
            lane.adopt(lane.rows)
            lane.show(seen.add_for_sure)
        columns = Columns(seen)

        def seconds(parts: int) -> float:
            if self.should_stop():
                return 0.0
            if self.clock.is_timed:
                return min(COMBINE_SECONDS, self.clock.left)
            return math.inf if parts < COMBINED else 0.0

        list(self._threads.map(lambda lane: lane.recombine(columns, seconds), self.lanes))

    def _choose(self) -> None:
        """Choose a plan from all routes seen, under the rules that couple vehicles."""
        assert self.pool
        for lane in self.lanes:
            self.pool.add(lane.rows)
        best = self.arrays.plan_of(self.best.rows)
        index = {vehicle.id: v for v, vehicle in enumerate(self.problem.vehicles)}
        found = list(self.pool.routes.items())
        candidates = [
            Candidate(
                index[route.vehicle_id],
                numbers,
                price,
                route.end_seconds - route.start_seconds,
                frozenset(k for k, hub in enumerate(self.problem.hub_limits) if _calls_at(route, hub.point)),
            )
            for (_, numbers), (price, route) in found
        ]
        hint = [
            k
            for k, ((_, _), (_, route)) in enumerate(found)
            if any(route.request_ids == other.request_ids for other in best.routes)
        ]
        chosen = choose(
            self.problem,
            candidates,
            seconds=max(0.5, self.clock.left) if self.clock.is_timed else 60.0,
            seed=self.seed,
            hint=hint,
            deterministic=None if self.clock.is_timed else 2.0,
        )
        plan = self._assembled([found[k][1][1] for k in chosen]) if chosen else best
        assert self.plan is not None
        self.plan = min((plan, best, self.plan), key=self._rank)

    def _assembled(self, routes: list[Route]) -> Plan:
        """Return the plan of these routes, each given a vehicle of its class."""
        classes = vehicle_classes(self.problem)
        free: dict[int, list[int]] = {}
        for v, kind in enumerate(classes):
            free.setdefault(kind, []).append(v)
        index = {vehicle.id: v for v, vehicle in enumerate(self.problem.vehicles)}
        rows = self.arrays.empty_rows()
        late = []
        for route in routes:  # their own vehicles first
            v = index[route.vehicle_id]
            if v in free[classes[v]]:
                free[classes[v]].remove(v)
                self.arrays.put(rows, v, route)
            else:
                late.append((v, route))
        for v, route in late:
            self.arrays.put(rows, free[classes[v]].pop(), route)
        return self.arrays.plan_of(rows)

    # -- together

    @property
    def best(self) -> _Lane:
        """The lane with the best routes."""
        return min(self.lanes, key=lambda lane: lane.best)

    def _go_on_from_best(self) -> None:
        best = self.best
        for lane in self.lanes:
            if lane.best > best.best:
                lane.adopt(best.rows)

    def _meet(
        self, work: Callable[[_Lane, int], object], until: float, lanes: list[_Lane] | None = None
    ) -> list[object]:
        """Let every lane do its work, or each of those named, then wait for all."""
        lanes = lanes or self.lanes
        steps = [self.clock.steps_for(lane, until) for lane in lanes]

        def one(lane: _Lane, count: int) -> object:
            began, before = time.perf_counter(), int(lane.S[L.STEPS_DONE])
            result = work(lane, count)
            done = int(lane.S[L.STEPS_DONE]) - before
            if done:
                rate = done / max(1e-6, time.perf_counter() - began)
                lane.steps_a_second = 0.7 * lane.steps_a_second + 0.3 * rate
            return result

        results = list(self._threads.map(one, lanes, steps))
        if self.seen:
            for lane in self.lanes:
                lane.show(self.seen.add)
        self.clock.steps += max(steps)
        return results

    def _tell(self, *, is_last: bool) -> None:
        best = self.best
        is_due = self.watch is not None and self.clock.seconds - self._told >= TELL_SECONDS
        if self.plan is None or is_last or (is_due and best.best != self._told_cost):
            began = time.monotonic()
            plan = self.arrays.plan_of(best.rows)
            if self.clock.is_timed:
                self.clock.keep(1.5 * (time.monotonic() - began))
            if self.plan is None or self._rank(plan) < self._rank(self.plan):
                self.plan = plan
                self._told, self._told_cost = self.clock.seconds, best.best
                if self.watch:
                    self.watch(self.clock.seconds, plan)
            elif is_last and self._rank(plan) == self._rank(self.plan):
                # Of plans that are as good, the one of the lanes: which one was told depends on the clock.
                self.plan = plan

    def _rank(self, plan: Plan) -> tuple[int, ...]:
        changes = change_cost(self.near, plan) if self.near else 0
        *before, money = rank(self.problem, plan)
        return (*before, money + changes)

    def _only_used(self, lane: _Lane) -> None:
        kernel.open_all(lane.D, lane.S)
        kernel.close_unused(lane.S)

    def _mean_leg(self) -> float:
        """Return the mean price of a leg in the best plan."""
        lane = self.best
        fixed = int(kernel.fixed(lane.D, lane.S))
        absent = int(lane.S[L.ABSENT_NOW])
        legs = 2 * (len(self.problem.requests) - lane.absent) + lane.used
        return max(0.0, (lane.cost - absent - fixed) / max(1, legs))

    def _least_vehicles(self) -> int:
        """Return a number of vehicles below which no plan can go: one, or what locked requests need."""
        locked = {request.locked_to for request in self.problem.requests if request.locked_to is not None}
        return max(1, len(locked))


def _calls_at(route: Route, point: int) -> bool:
    return any(visit.point == point for visit in route.visits)
