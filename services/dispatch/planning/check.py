"""The judge: whether a plan can be ridden as it says; knows no solver and no code of the plan's making."""

from dataclasses import dataclass
from enum import StrEnum

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem


class ViolationKind(StrEnum):
    """What can be wrong with a plan."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing a plan does that cannot or may not be done."""

    kind: ViolationKind
    vehicle_id: str | None
    request_id: str | None
    detail: str


def check(problem: RoutingProblem, plan: Plan) -> list[Violation]:
    """Return everything that is wrong with the plan; an empty list means it can be ridden as it says."""
    raise NotImplementedError
