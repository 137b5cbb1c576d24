"""When a search ends, and who is told of each better plan: what every engine takes."""

from collections.abc import Callable
from dataclasses import dataclass

from services.dispatch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class Seconds:
    """Search for that long (wall clock); two runs may differ."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Search for that many rounds of tearing up and mending; the same problem and seed give the same plan."""

    steps: int


Limit = Seconds | Steps
Span = tuple[float, float]
"""Which piece of a longer search this one is, as shares of it; (0, 1) is all of it."""

ALL: Span = (0.0, 1.0)
Watch = Callable[[float, Plan], None]
"""Called with the seconds since the start and each better plan."""
