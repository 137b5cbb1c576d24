"""The one door to planning: a problem in, a plan that can be ridden out.

The compiled search is the first engine, OR-Tools' routing library the second: the referee on small cases, and what
solves where nothing compiled runs. Big days are cut into parts.
"""

import logging
from collections.abc import Callable
from functools import partial

from services.dispatch.planning.near import Near
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Objective, RoutingProblem
from services.dispatch.planning.routing import route
from services.dispatch.planning.split import BIG_REQUESTS, SolvePart, solve_big
from services.dispatch.planning.stop import Limit, Seconds, Span, Steps, Watch

try:
    from services.dispatch.planning.search.run import search
    from services.dispatch.planning.search.run import warm_up as _warm_up
except (ImportError, OSError, RuntimeError) as error:
    # No compiler for this machine, or no folder where it may keep what it compiled.
    logging.getLogger(__name__).warning(
        "the compiled search is missing (%s): plans are made by OR-Tools alone, and are longer to ride", error
    )
    HAS_SEARCH = False
else:
    HAS_SEARCH = True

__all__ = ["ENGINES", "Limit", "Seconds", "Steps", "Watch", "search_part", "search_whole", "solve", "warm_up"]

ENGINES = ("search", "ortools")


def warm_up() -> None:
    """Make ready what takes seconds the first time: call it before somebody waits."""
    if HAS_SEARCH:
        _warm_up()


def solve(
    problem: RoutingProblem,
    stop: Limit,
    seed: int = 0,
    *,
    watch: Watch | None = None,
    near: Near | None = None,
    start: Plan | None = None,
    engine: str = "search",
    should_stop: Callable[[], bool] | None = None,
    solve_part: SolvePart | None = None,
) -> Plan:
    """Return the best plan found until `stop`; what it does not serve is in `plan.left_out`.

    Parameters
    ----------
    stop
        `Seconds` of wall clock, after what `warm_up` does; fewer where nothing is left to find. Or `Steps`: then the
        same problem, seed and start give the same plan.
    watch
        Called with the seconds since the start and each better plan, in the thread of the caller.
    near
        A plan in force to begin from, and what changing it costs.
    start
        A plan to begin from that may be changed freely.
    engine
        One of `ENGINES`.
    should_stop
        Asked many times a second; once true, the best plan so far is returned. The second engine asks until its library
        searches.
    solve_part
        Who searches a part of a big day, where it is not this process.

    Blocks and keeps two cores busy: run it in a worker process (the function, the problem and the plan can be pickled).

    Source: pickup and delivery with time windows, Li and Lim (2001); the search, Christiaens and Vanden Berghe (2020).
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is one of {ENGINES}")
    begin = near.plan if near else start
    if engine == "ortools" or not HAS_SEARCH:
        return route(problem, stop, seed, watch=watch, start=begin, should_stop=should_stop or (lambda: False))
    is_big = len(problem.requests) >= BIG_REQUESTS and problem.objective is Objective.PRICES
    if is_big and near is None:
        _warm_up()
        return solve_big(
            problem,
            stop,
            seed,
            solve_part=solve_part or partial(search_part, should_stop=should_stop),
            solve_whole=partial(search_whole, watch=watch, should_stop=should_stop),
            watch=watch,
            start=start,
            should_stop=should_stop or (lambda: False),
        )
    return search(problem, stop, seed, watch=watch, should_stop=should_stop, start=start, near=near)


def search_whole(
    problem: RoutingProblem,
    stop: Limit,
    seed: int,
    span: Span,
    *,
    watch: Watch | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Plan:
    """Search the first plan of a big day, for the span of its search that comes before the parts, on all cores."""
    if not HAS_SEARCH:
        return route(problem, stop, seed, watch=watch, should_stop=should_stop or (lambda: False))
    return search(problem, stop, seed, watch=watch, should_stop=should_stop, span=span)


def search_part(
    problem: RoutingProblem,
    stop: Limit,
    seed: int,
    start: Plan | None,
    span: Span,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Plan:
    """Search a part of a big day, for a span of its search, on one core."""
    if not HAS_SEARCH:
        return route(problem, stop, seed, start=start, should_stop=should_stop or (lambda: False))
    return search(problem, stop, seed, should_stop=should_stop, start=start, lanes=1, span=span)
