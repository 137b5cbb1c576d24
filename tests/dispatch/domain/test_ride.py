from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.errors import BadReport
from services.dispatch.domain.events import (
    BikeKind,
    CountedLoad,
    DeliveryLapsed,
    Fact,
    Ridden,
    StopCompleted,
    StopFailed,
    StopKind,
)
from services.dispatch.domain.failure import FAILURE_REASONS
from services.dispatch.domain.ride import Report, ReportEffect, ReportKind, Ride
from services.dispatch.domain.round import Counted, StopState
from services.kit.errors import Refusals
from tests.dispatch.builders import NOW, a_report, a_ride, a_visit, at

COMPLETE, FAIL, START, ARRIVE = ReportKind.COMPLETE, ReportKind.FAIL, ReportKind.START, ReportKind.ARRIVE


def reported(ride: Ride, *reports: Report) -> tuple[Ride, list[Fact], list[ReportEffect]]:
    facts: list[Fact] = []
    effects = []
    for report in reports:
        recorded = ride.record(report)
        ride = recorded.ride
        facts += recorded.facts
        effects.append(recorded.effect)
    return ride, facts, effects


def test_a_hand_over_is_told_with_what_was_counted() -> None:
    ride = a_ride()
    picked_up = a_report(ride.pickup, COMPLETE, at(9, 2), loads=(Counted("ballot-linge", 2),), note="Un de moins")
    ride, facts, _ = reported(ride, picked_up, a_report(ride.drop, COMPLETE, at(9, 30), proof_ids=("b", "a")))
    assert ride.delivery.state is DeliveryState.DELIVERED
    counted = (CountedLoad("ballot-linge", 3, 2),)
    assert facts == [
        StopCompleted(ride.delivery.id, StopKind.PICKUP, "erdre", at(9, 2), counted, "Un de moins", (), two_bundles()),
        StopCompleted(ride.delivery.id, StopKind.DROP, "erdre", at(9, 30), counted, "", ("a", "b"), two_bundles()),
    ]


def two_bundles(**changes: Any) -> Ridden:
    return replace(Ridden("", 0, None, False, None, 16_000), **changes)


def test_a_hand_over_tells_how_it_was_ridden() -> None:
    delivery = replace(a_ride().delivery, direct_metres=2_400, is_direct_estimated=True)
    ride = a_ride(delivery=delivery, round_id="round", round_metres=9_000, bike_kind=BikeKind.MUSCLE)
    _, facts, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(9)), a_report(ride.drop, COMPLETE, at(9, 30)))
    told = facts[-1]
    assert isinstance(told, StopCompleted)
    assert told.ridden == Ridden("round", 9_000, 2_400, True, BikeKind.MUSCLE, 24_000)


def test_a_failed_drop_was_ridden_with_what_had_been_collected() -> None:
    ride = a_ride()
    picked_up = a_report(ride.pickup, COMPLETE, at(9, 2), loads=(Counted("ballot-linge", 2),), note="Un de moins")
    _, facts, _ = reported(ride, picked_up, a_report(ride.drop, FAIL, at(9, 30), reason_code="site-closed"))
    told = facts[-1]
    assert isinstance(told, StopFailed)
    assert told.ridden == two_bundles()


def test_a_failed_pickup_ends_the_delivery_and_leaves_nothing_to_drop() -> None:
    ride = a_ride()
    failed = a_report(ride.pickup, FAIL, at(9, 2), reason_code="site-closed", note="Rideau baissé")
    ride, facts, _ = reported(ride, failed)
    assert (ride.delivery.state, ride.drop.state) == (DeliveryState.FAILED, StopState.SKIPPED)
    assert facts == [
        StopFailed(
            ride.delivery.id,
            StopKind.PICKUP,
            "erdre",
            at(9, 2),
            "site-closed",
            "Site fermé",
            True,
            "Rideau baissé",
            (),
            two_bundles(load_grams=0),
        )
    ]


def test_a_failed_drop_ends_the_delivery() -> None:
    ride = a_ride()
    ride, facts, _ = reported(
        ride,
        a_report(ride.pickup, COMPLETE, at(9)),
        a_report(ride.drop, FAIL, at(9, 30), reason_code="bike-breakdown"),
    )
    assert ride.delivery.state is DeliveryState.FAILED
    assert isinstance(facts[1], StopFailed)
    assert not facts[1].is_billable


def test_a_drop_before_its_pickup_is_held_and_told_after_it() -> None:
    ride = a_ride()
    ride, facts, effects = reported(ride, a_report(ride.drop, COMPLETE, at(9, 30)))
    assert (facts, effects, ride.drop.state) == ([], [ReportEffect.HELD], StopState.HELD)
    assert ride.delivery.state is DeliveryState.COLLECTED  # handed over, so it was collected: too late to cancel
    ride, facts, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(9)))
    assert [fact.stop_kind for fact in facts if isinstance(fact, StopCompleted)] == [StopKind.PICKUP, StopKind.DROP]
    assert ride.delivery.state is DeliveryState.DELIVERED


def test_a_held_drop_whose_pickup_failed_comes_to_nothing() -> None:
    ride = a_ride()
    ride, facts, _ = reported(
        ride,
        a_report(ride.drop, COMPLETE, at(9, 30)),
        a_report(ride.pickup, FAIL, at(9), reason_code="load-not-ready"),
    )
    assert [type(fact) for fact in facts] == [StopFailed]
    assert (ride.delivery.state, ride.drop.state) == (DeliveryState.FAILED, StopState.SKIPPED)


def test_the_first_report_that_ends_a_stop_wins() -> None:
    ride = a_ride()
    ride, facts, effects = reported(
        ride,
        a_report(ride.pickup, COMPLETE, at(9)),
        a_report(ride.pickup, FAIL, at(8, 50), reason_code="site-closed"),
    )
    assert ride.pickup.state is StopState.COMPLETED
    assert len(facts) == 1
    assert effects == [ReportEffect.RECORDED, ReportEffect.WITHOUT_EFFECT]


def test_the_first_report_of_a_held_drop_wins_too() -> None:
    ride = a_ride()
    ride, facts, effects = reported(
        ride,
        a_report(ride.drop, COMPLETE, at(9, 30)),
        a_report(ride.drop, FAIL, at(9, 20), reason_code="load-refused"),
        a_report(ride.pickup, COMPLETE, at(9)),
    )
    assert effects == [ReportEffect.HELD, ReportEffect.WITHOUT_EFFECT, ReportEffect.RECORDED]
    assert [type(fact) for fact in facts] == [StopCompleted, StopCompleted]


@pytest.mark.parametrize("kind", [START, ARRIVE])
def test_of_several_starts_or_arrivals_the_earliest_counts(kind: ReportKind) -> None:
    ride = a_ride()
    times = [at(9), at(8, 50), at(9, 10)]
    ride, _, _ = reported(ride, *(a_report(ride.pickup, kind, moment) for moment in times))
    assert (ride.pickup.started_at if kind is START else ride.pickup.arrived_at) == at(8, 50)


def test_a_drop_with_an_earlier_time_than_its_pickup_is_flagged() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(10)), a_report(ride.drop, COMPLETE, at(9)))
    assert ride.drop.flags == ("drop-before-pickup",)


@pytest.mark.parametrize(
    ("occurred_at", "flag"),
    [(at(18, 6), "in-the-future"), (NOW - timedelta(minutes=6), "before-publication")],
)
def test_an_impossible_time_is_kept_and_flagged_but_the_receipt_is_told(occurred_at: datetime, flag: str) -> None:
    ride = a_ride()
    ride, facts, _ = reported(ride, a_report(ride.pickup, COMPLETE, occurred_at, received_at=at(18)))
    assert ride.pickup.flags == (flag,)
    assert ride.pickup.reported_at == occurred_at
    assert isinstance(facts[0], StopCompleted)
    assert facts[0].completed_at == at(18)


def test_a_phone_whose_clock_is_a_little_fast_is_believed() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(18, 4), received_at=at(18)))
    assert (ride.pickup.flags, ride.pickup.ended_at) == ((), at(18, 4))


def test_a_difference_needs_a_word() -> None:
    ride = a_ride()
    with pytest.raises(BadReport) as refusal:
        ride.record(a_report(ride.pickup, COMPLETE, at(9), loads=(Counted("ballot-linge", 2),), note="  "))
    assert refusal.value.pointer == "/note"


def test_all_faults_of_a_report_are_told_together() -> None:
    ride = a_ride()
    loads = (Counted("panneau", 1), Counted("panneau", 1), Counted("ballot-linge", 1))
    with pytest.raises(Refusals) as refusal:
        ride.record(a_report(ride.pickup, COMPLETE, at(9), loads=loads, reason_code="weather"))
    assert [error.pointer for error in refusal.value.errors] == [
        "/loads/0/kind",
        "/loads/1/kind",
        "/loads",
        "/note",
        "/reason_code",
    ]


@pytest.mark.parametrize(
    ("stop", "code"),
    [("pickup", ""), ("pickup", "no-such-reason"), ("pickup", "load-refused"), ("drop", "load-not-ready")],
)
def test_a_failure_has_a_reason_that_fits_its_stop(stop: str, code: str) -> None:
    ride = a_ride()
    with pytest.raises(BadReport) as refusal:
        ride.record(a_report(getattr(ride, stop), FAIL, at(9), reason_code=code))
    assert refusal.value.pointer == "/reason_code"


def test_only_a_completed_stop_is_counted() -> None:
    ride = a_ride()
    with pytest.raises(BadReport) as refusal:
        ride.record(a_report(ride.pickup, ARRIVE, at(9), loads=(Counted("ballot-linge", 3),)))
    assert refusal.value.pointer == "/loads"


def test_what_nobody_collected_lapses_with_its_day() -> None:
    ride, facts = a_ride().close(at=at(23))
    assert facts == (DeliveryLapsed(ride.delivery.id, at(23)),)
    assert {ride.pickup.state, ride.drop.state} == {StopState.LAPSED}
    assert ride.close(at=at(23)) == (ride, ())


def test_a_drop_held_to_the_end_of_the_day_lets_its_pickup_be_deduced() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.drop, COMPLETE, at(9, 30), loads=(Counted("ballot-linge", 2),), note="2"))
    ride, facts = ride.close(at=at(23))
    assert ride.delivery.state is DeliveryState.DELIVERED
    assert ride.pickup.flags == ("pickup-deduced",)
    told = [(fact.stop_kind, fact.completed_at, fact.loads) for fact in facts if isinstance(fact, StopCompleted)]
    counted = (CountedLoad("ballot-linge", 3, 2),)
    assert told == [(StopKind.PICKUP, at(9, 30), counted), (StopKind.DROP, at(9, 30), counted)]


def test_a_failed_drop_held_to_the_end_of_the_day_is_told_after_the_deduced_pickup() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.drop, FAIL, at(9, 30), reason_code="load-refused"))
    ride, facts = ride.close(at=at(23))
    assert [type(fact) for fact in facts] == [StopCompleted, StopFailed]
    assert ride.delivery.state is DeliveryState.FAILED


def test_a_load_that_was_collected_and_not_brought_does_not_lapse() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(9)))
    assert ride.close(at=at(23)) == (ride, ())


@pytest.mark.parametrize("state", [StopState.CANCELLED, StopState.LAPSED])
def test_a_report_after_the_end_is_kept_without_effect(state: StopState) -> None:
    ride = a_ride()
    if state is StopState.CANCELLED:
        delivery, _ = ride.delivery.cancel(is_late=False, at=NOW)
        ended = ride.cancelled(delivery)
    else:
        ended, _ = ride.close(at=NOW)
    after, facts, effects = reported(ended, a_report(ride.pickup, COMPLETE, at(9)))
    assert (after, facts, effects) == (ended, [], [ReportEffect.WITHOUT_EFFECT])


def test_new_windows_show_on_stops_that_are_still_to_do() -> None:
    ride = a_ride()
    ride, _, _ = reported(ride, a_report(ride.pickup, COMPLETE, at(9)))
    amended = ride.amended(replace(ride.delivery, drop=a_visit("école", start=at(14), end=at(15))))
    assert (amended.pickup.flags, amended.drop.flags) == ((), ("amended",))


@st.composite
def honest_reports(draw: st.DrawFn) -> list[Report]:
    """What an honest device says of a delivery: each stop ends once at most, in the order it happened."""
    ride = a_ride()
    clock = at(8)
    reports = []

    def happened(kind: ReportKind, stop_kind: StopKind, **more: object) -> None:
        nonlocal clock
        clock += timedelta(minutes=draw(st.integers(1, 20)))
        stop = ride.pickup if stop_kind is StopKind.PICKUP else ride.drop
        reports.append(a_report(stop, kind, clock, **more))

    for stop_kind in StopKind:
        if draw(st.booleans()):
            happened(START, stop_kind)
        if draw(st.booleans()):
            happened(ARRIVE, stop_kind)
        outcome = draw(st.sampled_from(["complete", "short", "fail", "nothing"]))
        if outcome == "nothing":
            return reports
        if outcome == "fail":
            codes = sorted(code for code, reason in FAILURE_REASONS.items() if stop_kind in reason.stop_kinds)
            happened(FAIL, stop_kind, reason_code=draw(st.sampled_from(codes)))
            return reports
        loads = (Counted("ballot-linge", 2),) if outcome == "short" else ()
        happened(COMPLETE, stop_kind, loads=loads, note="Un manquait" if loads else "")
    return reports


@given(honest_reports().flatmap(lambda reports: st.tuples(st.just(reports), _shuffles_of(reports))))
@settings(max_examples=300)
def test_the_same_reports_doubled_and_in_any_order_come_to_the_same(both: tuple[list[Report], list[Report]]) -> None:
    in_order, in_any_order = both
    expected, expected_facts, _ = reported(a_ride(), *in_order)
    ride, facts, _ = reported(a_ride(), *in_any_order)
    assert ride == expected
    assert facts == expected_facts


def _shuffles_of(reports: list[Report]) -> st.SearchStrategy[list[Report]]:
    doubles = st.lists(st.sampled_from(reports), max_size=4) if reports else st.just([])
    return doubles.flatmap(lambda more: st.permutations(reports + more))


@given(st.data())
@settings(max_examples=300)
def test_whatever_comes_each_stop_is_told_once_and_pickups_first(data: st.DataObject) -> None:
    ride = a_ride()
    reports = data.draw(st.lists(_any_report(ride), max_size=12))
    ride, facts, _ = reported(ride, *reports)
    ride, closing = ride.close(at=at(23))
    told = [*facts, *closing]
    stops = [fact.stop_kind for fact in told if isinstance(fact, StopCompleted | StopFailed)]
    assert len(stops) == len(set(stops))
    assert stops == sorted(stops, key=list(StopKind).index)
    ends = [
        fact
        for fact in told
        if isinstance(fact, StopFailed | DeliveryLapsed)
        or (isinstance(fact, StopCompleted) and fact.stop_kind is StopKind.DROP)
    ]
    assert len(ends) == (1 if ride.delivery.has_ended else 0)
    assert all(isinstance(before, StopCompleted) for before, _ in pairwise(told))


def _any_report(ride: Ride) -> st.SearchStrategy[Report]:
    def make(stop_kind: StopKind, kind: ReportKind, minutes: int) -> Report:
        stop = ride.pickup if stop_kind is StopKind.PICKUP else ride.drop
        return a_report(stop, kind, at(8) + timedelta(minutes=minutes), reason_code="weather" if kind is FAIL else "")

    return st.builds(make, st.sampled_from(StopKind), st.sampled_from(ReportKind), st.integers(0, 60))
