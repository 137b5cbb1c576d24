"""A part of a big day's plan, searched by whichever process of the service hears of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PlanPart:
    """What is to be searched for so long: `problem` and the plan to begin from, `start`, as the engine packs them.

    From `span_start` to `span_end`, shares of the whole day's search, is what this search is of it.
    """

    id: str
    plan_id: str
    requested_at: datetime
    seconds: float
    seed: int
    problem: bytes
    start: bytes | None
    span_start: float = 0.0
    span_end: float = 1.0
