"""Two plans of a day, with the names of whom and what they differ about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from services.dispatch.domain.comparison import Comparison, compare
from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.plan import Plan, PlanState
from services.dispatch.domain.reach import Reach
from services.dispatch.queries.crew import cooperative_names
from services.dispatch.queries.reasons import shift_names
from services.dispatch.queries.rounds import list_plans
from services.dispatch.repository import deliveries
from services.dispatch.tables import plans
from services.kit.database import View

MOST_DRAFTS = 10
_COMPUTED = (PlanState.DRAFT, PlanState.PUBLISHED)


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison with the deliveries that differ, who rides the shifts, and what cooperatives are called."""

    comparison: Comparison
    deliveries: Mapping[DeliveryId, Delivery]
    shift_names: Mapping[str, str]
    cooperative_names: Mapping[str, str]


def read_comparison(view: View, one: Plan, other: Plan, reach: Reach) -> Compared:
    """Return two plans side by side. Raises PlanNotReady, PlansOfDifferentDays."""
    ridden = {id_ for plan in (one, other) for round_ in plan.rounds_within(reach) for id_ in round_.delivery_ids}
    inputs = {planned.id for plan in (one, other) for planned in plan.inputs_within(reach)}
    known = deliveries.by_id(view, ridden | inputs)
    comparison = compare(one, other, reach, known)
    shift_ids = {*one.shift_ids, *other.shift_ids, *(twice.shift_id for twice in comparison.shifts)}
    return Compared(comparison, known, shift_names(view, shift_ids, reach), cooperative_names(view))


def list_drafts(view: View, reach: Reach, day: date) -> list[Plan]:
    """Return a day's newest plans that were computed to the end, the newest first."""
    found = list_plans(view, reach, day, before=None, limit=2 * MOST_DRAFTS)
    return [plan for plan in found if plan.state in _COMPUTED][:MOST_DRAFTS]


def has_two_drafts(view: View, day: date) -> bool:
    """Return whether there is something to compare on a day; who has a part in it is not looked at."""
    chosen = select(plans.c.id).where(plans.c.day == day, plans.c.state.in_(_COMPUTED)).limit(2)
    return len(view.execute(chosen).all()) == 2
