"""Two plans of one day side by side: what each costs whom, and what changes between them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import PlansOfDifferentDays
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.plan import Plan
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan comes to for somebody's reach; `by_cooperative` counts the deliveries that each of them rides.

    `late_seconds` is by how much stops begin after their windows, all together.
    """

    rounds: int
    deliveries: int
    left_out: int
    travel_seconds: int
    travel_metres: int
    work_seconds: int
    longest_seconds: int
    shortest_seconds: int
    late_seconds: int
    by_cooperative: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ridden:
    """Who rides a delivery in a plan, and when its two stops begin."""

    shift_id: str
    pickup_at: datetime
    drop_at: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """A delivery that the two plans give to different shifts; None where one leaves it out or does not know it.

    One that another cooperative rides is told by the name of that cooperative alone.
    """

    delivery_id: DeliveryId
    one: Ridden | str | None
    other: Ridden | str | None


@dataclass(frozen=True, slots=True)
class ShiftTwice:
    """What a shift rides in each plan; None where it rides nothing."""

    shift_id: str
    one: Round | None
    other: Round | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two plans of a day. `retimed` counts deliveries that keep their shift, but not the minute of both stops."""

    one: Figures
    other: Figures
    differences: tuple[Difference, ...]
    retimed: int
    shifts: tuple[ShiftTwice, ...]


def compare(one: Plan, other: Plan, reach: Reach, deliveries: Mapping[DeliveryId, Delivery]) -> Comparison:
    """Compare two drafts, or what was published of them, for somebody with this reach.

    `deliveries` are those of the rounds within reach. Raises PlanNotReady, PlansOfDifferentDays.
    """
    for plan in (one, other):
        plan.require_draft()
    if one.day != other.day:
        raise PlansOfDifferentDays(one.day, other.day)
    reached = {planned.id for plan in (one, other) for planned in plan.inputs_within(reach)}
    before, after = _where(one, reach), _where(other, reach)
    moved = [
        Difference(id_, before.get(id_), after.get(id_))
        for id_ in sorted(reached)
        if _who(before.get(id_)) != _who(after.get(id_))
    ]
    different = {difference.delivery_id for difference in moved}
    retimed = sum(_minutes(before.get(id_)) != _minutes(after.get(id_)) for id_ in reached if id_ not in different)
    rounds = [{round_.shift_id: round_ for round_ in plan.rounds_within(reach)} for plan in (one, other)]
    return Comparison(
        _figures(one, reach, deliveries),
        _figures(other, reach, deliveries),
        tuple(moved),
        retimed,
        tuple(
            ShiftTwice(shift_id, rounds[0].get(shift_id), rounds[1].get(shift_id))
            for shift_id in sorted(rounds[0].keys() | rounds[1].keys())
        ),
    )


def _figures(plan: Plan, reach: Reach, deliveries: Mapping[DeliveryId, Delivery]) -> Figures:
    own = plan.rounds_within(reach)
    days = [round((round_.ends_at - round_.starts_at).total_seconds()) for round_ in own]
    reached = {planned.id for planned in plan.inputs_within(reach)}
    counts = Counter(round_.cooperative_id for round_ in plan.rounds for id_ in round_.delivery_ids if id_ in reached)
    late = 0.0
    for round_ in own:
        for stop in round_.stops:
            delivery = deliveries[stop.delivery_id]
            visit = delivery.pickup if stop.kind is StopKind.PICKUP else delivery.drop
            late += max(0.0, (stop.starts_at - visit.window_end).total_seconds())
    return Figures(
        rounds=len(own),
        deliveries=sum(len(round_.delivery_ids) for round_ in own),
        left_out=len(plan.left_out_within(reach)),
        travel_seconds=sum(round_.travel_seconds for round_ in own),
        travel_metres=sum(round_.travel_metres for round_ in own),
        work_seconds=sum(days),
        longest_seconds=max(days, default=0),
        shortest_seconds=min(days, default=0),
        late_seconds=round(late),
        by_cooperative=dict(sorted(counts.items())),
    )


def _where(plan: Plan, reach: Reach) -> dict[DeliveryId, Ridden | str]:
    found: dict[DeliveryId, Ridden | str] = {}
    for round_ in plan.rounds:
        for id_ in round_.delivery_ids:
            found[id_] = round_.cooperative_id
            if reach.covers(round_.cooperative_id):
                pickup, drop = (round_.stop_of(id_, kind).starts_at for kind in (StopKind.PICKUP, StopKind.DROP))
                found[id_] = Ridden(round_.shift_id, pickup, drop)
    return found


def _who(ridden: Ridden | str | None) -> str | None:
    return ridden.shift_id if isinstance(ridden, Ridden) else ridden


def _minutes(ridden: Ridden | str | None) -> tuple[datetime, ...]:
    if not isinstance(ridden, Ridden):
        return ()
    return tuple(at.replace(second=0, microsecond=0) for at in (ridden.pickup_at, ridden.drop_at))
