from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import DomainError, Refusals
from services.orders.domain.errors import (
    AlreadyCollected,
    AlreadyOver,
    NotAmendable,
    OutOfBounds,
    ReturnNeedsOutbound,
    TooLateToAmend,
)
from services.orders.domain.order import (
    Actor,
    Amended,
    CancellationAsked,
    Change,
    CountedLoad,
    Flow,
    Leg,
    Order,
    Planning,
    Refusal,
    Report,
    Settlement,
    Status,
)
from tests.orders.builders import LAUNDRY, NOW, PARIS, a_contract, a_window, an_order, codes

SOON = NOW + timedelta(hours=1)
LATER = NOW + timedelta(hours=40)  # after the cut-off of a pickup window on 26 November at 8:00
RIDE = NOW + timedelta(hours=48)
PLANNING = Planning("round", "erdre", RIDE, RIDE + timedelta(minutes=30))
REPORT = Report(RIDE, "erdre", (CountedLoad("ballot-linge", 2, 1),), "il manquait un ballot", ("photo",))


def accepted(flow: Flow = Flow.ONE_WAY) -> Order:
    return an_order(flow).held(1250, at=NOW).order


def cancel(order: Order, legs: list[int] | None = None, at: object = SOON) -> Change:
    assert at is SOON or at is LATER
    return order.cancel(legs, "plus besoin", a_contract(), at=SOON if at is SOON else LATER, actor=Actor.DEPARTMENT)


def test_a_placed_order_waits_for_its_hold() -> None:
    order = an_order(Flow.EXCHANGE)
    assert order.status is Status.REQUESTED
    assert [leg.status for leg in order.legs] == [Status.REQUESTED, Status.REQUESTED]


def test_a_hold_accepts_every_leg() -> None:
    change = an_order(Flow.LOAN).held(2500, at=SOON)
    assert change.order.held_cents == 2500
    assert {leg.status for leg in change.order.legs} == {Status.ACCEPTED}
    assert [(step.what, step.actor) for step in change.steps] == [("accepted", Actor.BILLING)]


def test_a_refusal_ends_every_leg_and_keeps_the_figures() -> None:
    refusal = Refusal("ceiling-exceeded", "Il reste 12,00 € et la commande en demande 25,00.", 2500, 1200)
    order = an_order(Flow.LOAN).refused(refusal, at=SOON).order
    assert order.status is Status.REFUSED
    assert order.refusal == refusal


def test_the_usual_day() -> None:
    order = accepted()
    order = order.planned(1, PLANNING, at=SOON).order
    assert (order.status, order.legs[0].planning, order.legs[0].cooperative_id) == (Status.PLANNED, PLANNING, "erdre")
    order = order.collected(1, Report(RIDE, "erdre")).order
    assert order.status is Status.COLLECTED
    order = order.delivered(1, REPORT).order
    leg = order.legs[0]
    assert (leg.status, leg.ended_at, leg.remark, leg.proof_ids) == (Status.DELIVERED, RIDE, REPORT.remark, ("photo",))
    assert leg.counted[0].counted == 1
    settled = order.settled(1, Settlement("delivered", 1250, RIDE)).order
    assert settled.legs[0].settlement == Settlement("delivered", 1250, RIDE)
    assert settled.status is Status.DELIVERED


def test_a_withdrawn_round_leads_back_to_accepted_but_an_old_withdrawal_does_not() -> None:
    planned = accepted().planned(1, PLANNING, at=LATER).order
    assert planned.withdrawn(1, "vélo en panne", at=SOON).order.status is Status.PLANNED
    back = planned.withdrawn(1, "vélo en panne", at=LATER + timedelta(minutes=1)).order
    assert (back.status, back.legs[0].planning) == (Status.ACCEPTED, None)
    assert back.planned(1, PLANNING, at=SOON).order.status is Status.ACCEPTED


def test_left_out_is_a_remark_until_the_leg_is_planned() -> None:
    left = accepted().left_out(1, "Aucun vélo n'a assez de place.", at=SOON).order
    assert (left.status, left.legs[0].left_out) == (Status.ACCEPTED, "Aucun vélo n'a assez de place.")
    assert left.planned(1, PLANNING, at=LATER).order.legs[0].left_out == ""


def test_a_hold_heard_after_the_planning_changes_no_status() -> None:
    order = an_order().planned(1, PLANNING, at=SOON).order.held(1250, at=NOW).order
    assert (order.status, order.held_cents) == (Status.PLANNED, 1250)


def test_a_pickup_heard_after_the_drop_is_kept_and_changes_no_status() -> None:
    order = accepted().delivered(1, REPORT).order.collected(1, Report(SOON, "erdre")).order
    assert (order.status, order.legs[0].collected_at) == (Status.DELIVERED, SOON)


def test_the_first_end_that_is_heard_stays() -> None:
    order = accepted().failed(1, REPORT, "site fermé").order
    assert order.lapsed(1, at=LATER).order.status is Status.FAILED
    assert order.legs[0].remark == "site fermé – il manquait un ballot"


# Cancelling


def test_a_cancellation_before_the_cut_off_is_free_and_after_it_late() -> None:
    early = cancel(accepted())
    assert early.order.status is Status.CANCELLING
    assert early.said == (CancellationAsked(early.order.id, (1,), "plus besoin", is_late=False, at=SOON),)
    late = cancel(accepted(), at=LATER)
    assert [said.is_late for said in late.said if isinstance(said, CancellationAsked)] == [True]
    assert late.order.legs[0].is_late_cancellation


def test_legs_before_and_after_their_cut_off_are_told_apart() -> None:
    order = accepted(Flow.EXCHANGE)
    back = order.legs[1]
    next_week = a_window(date(2026, 12, 3))
    order = replace(order, legs=(order.legs[0], replace(back, pickup=replace(back.pickup, window=next_week))))
    said = [
        (asked.legs, asked.is_late) for asked in cancel(order, at=LATER).said if isinstance(asked, CancellationAsked)
    ]
    assert said == [((2,), False), ((1,), True)]


def test_dispatch_confirms_a_cancellation() -> None:
    order = cancel(accepted()).order.cancelled(1, is_late=False, at=LATER).order
    assert order.status is Status.CANCELLED


def test_a_courier_who_has_the_load_wins_against_a_cancellation() -> None:
    order = cancel(accepted()).order.collected(1, REPORT).order
    assert order.status is Status.COLLECTED
    assert order.delivered(1, REPORT).order.status is Status.DELIVERED


def test_planning_and_holding_do_not_hide_a_cancellation_under_way() -> None:
    order = cancel(an_order()).order
    assert order.held(1250, at=SOON).order.status is Status.CANCELLING
    assert order.planned(1, PLANNING, at=SOON).order.status is Status.CANCELLING
    assert order.planned(1, PLANNING, at=SOON).order.withdrawn(1, "", at=LATER).order.status is Status.CANCELLING
    refused = order.refused(Refusal("x", "y", 1, 0), at=SOON).order
    assert refused.status is Status.REFUSED


def test_a_collected_leg_cannot_be_cancelled() -> None:
    order = accepted().collected(1, REPORT).order
    with pytest.raises(AlreadyCollected) as refused:
        cancel(order)
    assert refused.value.facts["leg"] == 1


def test_what_is_over_or_asked_already_cannot_be_cancelled() -> None:
    with pytest.raises(AlreadyOver):
        cancel(accepted().delivered(1, REPORT).order)
    with pytest.raises(AlreadyOver):
        cancel(accepted().delivered(1, REPORT).order, [1])
    with pytest.raises(AlreadyOver):
        cancel(cancel(accepted()).order)
    with pytest.raises(OutOfBounds):
        cancel(accepted(), [2])


def test_the_legs_of_an_exchange_stand_on_their_own() -> None:
    order = accepted(Flow.EXCHANGE).failed(1, REPORT, "fermé").order
    assert order.legs[1].status is Status.ACCEPTED
    assert cancel(accepted(Flow.EXCHANGE)).order.legs[1].status is Status.CANCELLING
    both = cancel(accepted(Flow.EXCHANGE), [1]).order
    assert [leg.status for leg in both.legs] == [Status.CANCELLING, Status.ACCEPTED]


def test_cancelling_an_exchange_whose_outbound_is_on_the_bike_names_that_leg() -> None:
    order = accepted(Flow.EXCHANGE).collected(1, REPORT).order
    with pytest.raises(AlreadyCollected):
        cancel(order)
    assert cancel(order, [2]).order.legs[1].status is Status.CANCELLING


@pytest.mark.parametrize(
    "end",
    [
        lambda order: order.failed(1, REPORT, "site fermé"),
        lambda order: order.lapsed(1, at=RIDE),
        lambda order: order.cancelled(1, is_late=True, at=RIDE),
    ],
)
def test_a_loan_whose_outbound_did_not_happen_gives_up_its_return_for_free(end: Callable[[Order], Change]) -> None:
    change = end(accepted(Flow.LOAN))
    assert change.order.legs[1].status is Status.CANCELLING
    (asked,) = change.said
    assert isinstance(asked, CancellationAsked)
    assert (asked.legs, asked.is_late, asked.at) == ((2,), False, RIDE)
    again = end(change.order)
    assert again.said == ()


def test_cancelling_a_loan_asks_for_the_way_out_only() -> None:
    change = cancel(accepted(Flow.LOAN))
    assert [leg.status for leg in change.order.legs] == [Status.CANCELLING, Status.ACCEPTED]
    delivered_after_all = change.order.collected(1, REPORT).order.delivered(1, REPORT)
    assert delivered_after_all.said == ()
    assert delivered_after_all.order.legs[1].status is Status.ACCEPTED


def test_the_way_back_of_a_loan_can_be_given_up_only_once_the_way_out_was_delivered() -> None:
    with pytest.raises(ReturnNeedsOutbound):
        cancel(accepted(Flow.LOAN), [2])
    placed = accepted(Flow.LOAN).delivered(1, REPORT).order
    assert cancel(placed).order.legs[1].status is Status.CANCELLING
    assert cancel(placed, [1, 2]).order.legs[1].status is Status.CANCELLING


# Amending


def test_windows_change_before_the_cut_off() -> None:
    windows = {1: (a_window(start="09:00", end="11:00"), a_window(start="10:00", end="12:00"))}
    change = accepted().amend(windows, "sonner", a_contract(), at=SOON, actor=Actor.DEPARTMENT)
    assert change.order.note == "sonner"
    assert change.order.legs[0].pickup.window.start.hour == 9
    (said,) = change.said
    assert isinstance(said, Amended)
    assert said.legs == (1,)
    assert change.order.version == accepted().version + 1


def test_amending_is_refused_after_the_cut_off_with_its_time() -> None:
    with pytest.raises(TooLateToAmend) as refused:
        accepted().amend({}, "vite", a_contract(), at=LATER, actor=Actor.DEPARTMENT)
    assert "25/11/2026 à 08:00" in refused.value.detail


def test_a_planned_or_ended_order_is_not_amended() -> None:
    with pytest.raises(NotAmendable):
        accepted().planned(1, PLANNING, at=SOON).order.amend({}, "x", a_contract(), at=SOON, actor=Actor.DEPARTMENT)
    with pytest.raises(NotAmendable):
        accepted().lapsed(1, at=SOON).order.amend({}, "x", a_contract(), at=SOON, actor=Actor.DEPARTMENT)


def test_an_amended_leg_keeps_its_day_and_all_faults_are_told() -> None:
    tomorrow = a_window(date(2026, 11, 27))
    upside_down = replace(tomorrow, end=tomorrow.start - timedelta(hours=1))
    with pytest.raises(Refusals) as refused:
        accepted().amend({1: (tomorrow, upside_down)}, None, a_contract(), at=SOON, actor=Actor.DEPARTMENT)
    assert codes(refused.value) == [
        ("bad-window", "/legs/0/drop/window/end"),
        ("bad-window", "/legs/0/pickup/window/start"),
    ]


# Any order of facts

_at = st.integers(0, 100).map(lambda minutes: NOW + timedelta(minutes=minutes))
_leg = st.integers(1, 2)
_facts = st.one_of(
    st.builds(lambda at: lambda order: order.held(100, at=at), _at),
    st.builds(lambda leg, at: lambda order: order.planned(leg, PLANNING, at=at), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.withdrawn(leg, "panne", at=at), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.left_out(leg, "plein", at=at), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.collected(leg, Report(at, "erdre")), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.delivered(leg, Report(at, "erdre")), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.failed(leg, Report(at, "erdre"), "fermé"), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.cancelled(leg, is_late=False, at=at), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.lapsed(leg, at=at), _leg, _at),
    st.builds(lambda leg, at: lambda order: order.settled(leg, Settlement("delivered", 5, at)), _leg, _at),
)


def _ask_to_cancel(order: Order) -> Change:
    try:
        return cancel(order)
    except DomainError:
        return Change(order, (), ())


@given(st.sampled_from([Flow.EXCHANGE, Flow.LOAN]), st.lists(_facts | st.just(_ask_to_cancel), max_size=15))
def test_ended_legs_stay_ended_and_no_return_is_asked_away_twice(
    flow: Flow, facts: list[Callable[[Order], Change]]
) -> None:
    order = an_order(flow)
    asked: list[int] = []
    for fact in facts:
        before = order
        change = fact(order)
        order = change.order
        asked += [leg for said in change.said if isinstance(said, CancellationAsked) for leg in said.legs]
        for old, new in zip(before.legs, order.legs, strict=True):
            assert not old.status.is_end or new.status is old.status
            went_back = old.status is Status.COLLECTED and new.status in (Status.PLANNED, Status.ACCEPTED)
            assert not went_back
        assert order.status in {leg.status for leg in order.legs}
    assert len(asked) == len(set(asked))


@given(st.permutations(range(3)))
def test_facts_of_two_topics_lead_to_the_same_end_in_any_order(turn: list[int]) -> None:
    facts: list[Callable[[Order], Change]] = [
        lambda order: order.held(1250, at=SOON),
        lambda order: order.delivered(1, REPORT),
        lambda order: order.settled(1, Settlement("delivered", 1250, RIDE)),
    ]
    order = an_order()
    for index in turn:
        order = facts[index](order).order
    leg: Leg = order.legs[0]
    assert (order.status, order.held_cents, leg.ended_at) == (Status.DELIVERED, 1250, RIDE)
    assert leg.settlement == Settlement("delivered", 1250, RIDE)


def test_local_dates_are_those_of_the_contract() -> None:
    order = an_order()
    assert order.legs[0].service_date == date(2026, 11, 26)
    assert order.legs[0].pickup.site_id == LAUNDRY
    assert order.legs[0].pickup.window.start.tzinfo == PARIS
