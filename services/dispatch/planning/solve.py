"""The solver: OR-Tools' routing library behind whole numbers; the only file that knows it."""

from collections.abc import Callable
from dataclasses import dataclass

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem


@dataclass(frozen=True, slots=True)
class Seconds:
    """Search for that long (wall clock); two runs may differ."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Search for that many steps; the same problem and seed give the same plan."""

    steps: int


Limit = Seconds | Steps


def solve(
    problem: RoutingProblem,
    *,
    limit: Limit,
    seed: int = 0,
    watch: Callable[[float, Plan], None] | None = None,
) -> Plan:
    """Serve as many requests as possible, then ride as little as possible.

    The plan is always rideable; what it does not serve is in `plan.left_out`, without reasons (`reasons.explain` finds
    them). `watch` is called with the seconds since the start and each better plan. Blocks and keeps the interpreter
    busy: run it in a worker process (`solve`, its arguments and its answer can be pickled, `watch` aside).

    Source: pickup and delivery with time windows, Li and Lim (2001).
    """
    raise NotImplementedError
