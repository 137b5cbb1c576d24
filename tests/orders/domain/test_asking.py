from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.orders.domain.asking import AskedLeg
from services.orders.domain.load import AskedLoad
from services.orders.domain.order import Flow
from tests.orders.builders import GARDEN, LAUNDRY, NOW, SCHOOL, a_leg, a_window, codes, faults_of, legs_of


@pytest.mark.parametrize("flow", list(Flow))
def test_a_sound_request_has_no_fault(flow: Flow) -> None:
    assert faults_of(flow, *legs_of(flow)) == []


def test_all_faults_are_told_at_once_with_their_places() -> None:
    upside_down = replace(a_window(), end=a_window().start)
    wrong = AskedLeg(
        replace(a_leg().pickup, site_id="nowhere"),
        replace(a_leg().drop, window=upside_down),
        (AskedLoad("éléphant", 1), AskedLoad("ballot-linge", 900)),
    )
    same = a_leg(start=SCHOOL, end=SCHOOL, day=date(2026, 11, 20))
    assert codes(faults_of(Flow.ONE_WAY, wrong, same)) == [
        ("wrong-legs", "/legs"),
        ("unknown-load-kind", "/legs/0/loads/0/kind"),
        ("too-much-for-one-bike", "/legs/0/loads"),
        ("unknown-site", "/legs/0/pickup/site_id"),
        ("same-site", "/legs/1/drop/site_id"),
        ("window-in-the-past", "/legs/1/pickup/window/end"),
        ("bad-window", "/legs/1/pickup/window"),
    ]


def test_the_way_back_starts_where_the_way_out_ended() -> None:
    way_out, way_back = legs_of(Flow.LOAN)
    elsewhere = replace(way_back, pickup=replace(way_back.pickup, site_id=GARDEN))
    assert codes(faults_of(Flow.LOAN, way_out, elsewhere)) == [("wrong-legs", "/legs/1/pickup/site_id")]


def test_a_loan_is_not_retrieved_before_it_is_placed() -> None:
    way_out, way_back = legs_of(Flow.LOAN)
    early = replace(way_back, pickup=replace(way_back.pickup, window=a_window(start="08:30", end="10:00")))
    assert codes(faults_of(Flow.LOAN, way_out, early)) == [("bad-window", "/legs/1/pickup/window")]
    assert faults_of(Flow.EXCHANGE, way_out, early) == []


def test_what_is_dropped_must_have_been_picked_up_within_two_days() -> None:
    leg = a_leg()
    before = replace(leg, drop=replace(leg.drop, window=a_window(start="06:00", end="08:00")))
    assert codes(faults_of(Flow.ONE_WAY, before)) == [("bad-window", "/legs/0/drop/window")]
    long_after = replace(leg, drop=replace(leg.drop, window=a_window(date(2026, 11, 29))))
    assert codes(faults_of(Flow.ONE_WAY, long_after)) == [("bad-window", "/legs/0/drop/window")]
    next_morning = replace(leg, drop=replace(leg.drop, window=a_window(date(2026, 11, 27))))
    assert faults_of(Flow.ONE_WAY, next_morning) == []


def test_a_window_is_at_most_a_day_long() -> None:
    leg = a_leg()
    window = replace(a_window(), end=a_window().start + timedelta(hours=26))
    assert codes(faults_of(Flow.ONE_WAY, replace(leg, pickup=replace(leg.pickup, window=window)))) == [
        ("bad-window", "/legs/0/pickup/window/end")
    ]


def test_a_pickup_window_that_is_open_now_can_still_be_asked() -> None:
    leg = a_leg()
    open_now = replace(
        leg.pickup, window=replace(a_window(), start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1))
    )
    today = replace(
        leg, pickup=open_now, drop=replace(leg.drop, window=replace(open_now.window, end=NOW + timedelta(hours=3)))
    )
    assert faults_of(Flow.ONE_WAY, today) == []
    assert LAUNDRY in {today.pickup.site_id}
