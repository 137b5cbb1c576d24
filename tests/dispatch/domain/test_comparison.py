from dataclasses import replace
from datetime import timedelta

import pytest

from services.dispatch.domain.comparison import Difference, Ridden, compare
from services.dispatch.domain.errors import PlanNotReady, PlansOfDifferentDays
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.plan import LeftOut, Plan, PlannedDelivery, PlanState
from services.dispatch.domain.reach import EVERYTHING, Reach
from services.dispatch.domain.round import Round, RoundState
from tests.dispatch.builders import NOW, TODAY, a_delivery, a_round, a_stop, a_visit, at

FIRST, SECOND, THIRD = (a_delivery(number) for number in (1, 2, 3))
KNOWN = {one.id: one for one in (FIRST, SECOND, THIRD)}


def a_draft_round(shift: str, *ids: DeliveryId, cooperative: str = "erdre", hour: int = 9) -> Round:
    stops = [
        replace(a_stop(kind, id_), starts_at=at(hour, 20 * (kind is StopKind.DROP)), arrives_at=at(hour))
        for id_ in ids
        for kind in StopKind
    ]
    return a_round(
        shift_id=shift, cooperative_id=cooperative, stops=tuple(stops), state=RoundState.DRAFT, published_at=None
    )


def a_plan(*rounds: Round) -> Plan:
    ridden = {id_ for round_ in rounds for id_ in round_.delivery_ids}
    return (
        Plan("plan", TODAY, "", "admin", NOW, 1)
        .begin(at=NOW)
        .draft(
            [PlannedDelivery(id_, 1, ("erdre", "loire")) for id_ in KNOWN],
            [round_.shift_id for round_ in rounds],
            rounds,
            [LeftOut(id_, ("shift",), "Non.") for id_ in KNOWN if id_ not in ridden],
            at=NOW,
        )
    )


ONE = a_plan(a_draft_round("s1", FIRST.id, SECOND.id), a_draft_round("s2", THIRD.id, cooperative="loire"))
OTHER = a_plan(
    a_draft_round("s1", FIRST.id, hour=10),
    replace(a_draft_round("s3", SECOND.id), ends_at=at(8, 45) + timedelta(hours=2)),
)


def test_two_plans_stand_side_by_side_in_figures() -> None:
    comparison = compare(ONE, OTHER, EVERYTHING, KNOWN)
    one, other = comparison.one, comparison.other
    assert (one.rounds, one.deliveries, one.left_out, one.travel_metres) == (2, 3, 0, 8_000)
    assert (other.rounds, other.deliveries, other.left_out) == (2, 2, 1)
    assert (one.work_seconds, one.longest_seconds, one.shortest_seconds) == (7_200, 3_600, 3_600)
    assert (other.work_seconds, other.longest_seconds, other.shortest_seconds) == (10_800, 7_200, 3_600)
    assert one.by_cooperative == {"erdre": 2, "loire": 1}
    assert other.by_cooperative == {"erdre": 2}
    assert (one.late_seconds, other.late_seconds) == (0, 0)


def test_what_changes_hands_is_told_and_what_changes_times_is_counted() -> None:
    comparison = compare(ONE, OTHER, EVERYTHING, KNOWN)
    ridden = (at(9), at(9, 20))
    assert comparison.differences == (
        Difference(SECOND.id, Ridden("s1", *ridden), Ridden("s3", *ridden)),
        Difference(THIRD.id, Ridden("s2", *ridden), None),
    )
    assert comparison.retimed == 1
    assert [(twice.shift_id, bool(twice.one), bool(twice.other)) for twice in comparison.shifts] == [
        ("s1", True, True),
        ("s2", True, False),
        ("s3", False, True),
    ]
    same = compare(ONE, ONE, EVERYTHING, KNOWN)
    assert (same.differences, same.retimed) == ((), 0)


def test_what_another_cooperative_rides_is_told_by_its_name_alone() -> None:
    comparison = compare(ONE, OTHER, Reach("erdre"), KNOWN)
    assert comparison.differences[1] == Difference(THIRD.id, "loire", None)
    assert (comparison.one.rounds, comparison.one.deliveries) == (1, 2)
    assert comparison.one.by_cooperative == {"erdre": 2, "loire": 1}
    assert {twice.shift_id for twice in comparison.shifts} == {"s1", "s3"}


def test_lateness_is_what_stops_begin_after_their_windows() -> None:
    early = {**KNOWN, FIRST.id: replace(FIRST, drop=a_visit("école", end=at(9, 15)))}
    assert compare(ONE, OTHER, EVERYTHING, early).one.late_seconds == 300


def test_only_finished_plans_of_one_day_are_compared() -> None:
    with pytest.raises(PlansOfDifferentDays):
        compare(ONE, replace(OTHER, day=TODAY + timedelta(days=1)), EVERYTHING, KNOWN)
    with pytest.raises(PlanNotReady):
        compare(replace(ONE, state=PlanState.SOLVING), OTHER, EVERYTHING, KNOWN)
