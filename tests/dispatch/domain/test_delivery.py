from datetime import timedelta

import pytest

from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.events import DeliveryCancelled, DeliveryId, DeliveryLapsed, DeliveryLeftOut
from tests.dispatch.builders import NOW, a_delivery, a_visit, at

WAITING = a_delivery(state=DeliveryState.WAITING_FOR_HOLD)


def test_money_makes_it_plannable() -> None:
    held, told = WAITING.hold()
    assert (held.state, told) == (DeliveryState.PLANNABLE, None)


def test_without_money_it_is_not_ridden() -> None:
    assert WAITING.refuse_hold().state is DeliveryState.REFUSED


def test_a_cancellation_before_the_hold_is_answered_after_it() -> None:
    waiting, told = WAITING.cancel(is_late=True, at=NOW)
    assert (waiting.state, told) == (DeliveryState.WAITING_FOR_HOLD, None)
    cancelled, told = waiting.hold()
    assert cancelled.state is DeliveryState.CANCELLED
    assert told == DeliveryCancelled(WAITING.id, "", True, NOW)


def test_a_cancellation_before_a_refused_hold_is_answered_by_the_refusal() -> None:
    waiting, _ = WAITING.cancel(is_late=False, at=NOW)
    assert waiting.refuse_hold().state is DeliveryState.REFUSED


def test_a_planned_delivery_can_be_cancelled_and_names_its_cooperative() -> None:
    planned, _ = a_delivery().plan("round", "erdre", pickup_at=at(9), drop_at=at(10), at=NOW)
    cancelled, told = planned.cancel(is_late=False, at=NOW)
    assert cancelled.state is DeliveryState.CANCELLED
    assert told == DeliveryCancelled(planned.id, "erdre", False, NOW)


@pytest.mark.parametrize(
    "state",
    [
        DeliveryState.COLLECTED,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.CANCELLED,
        DeliveryState.LAPSED,
        DeliveryState.REFUSED,
    ],
)
def test_what_was_collected_or_has_ended_is_not_cancelled(state: DeliveryState) -> None:
    delivery = a_delivery(state=state)
    assert delivery.cancel(is_late=False, at=NOW) == (delivery, None)


@pytest.mark.parametrize("state", [DeliveryState.PLANNABLE, DeliveryState.PLANNED])
def test_what_nobody_collected_lapses(state: DeliveryState) -> None:
    delivery = a_delivery(state=state)
    lapsed, told = delivery.lapse(at=NOW)
    assert (lapsed.state, told) == (DeliveryState.LAPSED, DeliveryLapsed(delivery.id, NOW))


@pytest.mark.parametrize("state", [state for state in DeliveryState if not state.startswith("plann")])
def test_nothing_else_lapses(state: DeliveryState) -> None:
    delivery = a_delivery(state=state)
    assert delivery.lapse(at=NOW) == (delivery, None)


def test_new_windows_are_another_edition() -> None:
    drop = a_visit("école", start=at(9), end=at(10))
    amended = a_delivery().amend(a_visit(), drop, "Sonner")
    assert (amended.drop, amended.note, amended.edition) == (drop, "Sonner", 2)


def test_what_was_collected_is_not_amended() -> None:
    collected = a_delivery(state=DeliveryState.COLLECTED)
    assert collected.amend(a_visit(), a_visit("école", end=at(9)), "") is collected


def test_a_withdrawn_delivery_waits_for_another_round() -> None:
    planned, _ = a_delivery().plan("round", "erdre", pickup_at=at(9), drop_at=at(10), at=NOW)
    free, told = planned.withdraw("Vélo volé.", at=NOW + timedelta(hours=1))
    assert free == a_delivery()
    assert told is not None
    assert (told.round_id, told.reason) == ("round", "Vélo volé.")


def test_what_has_ended_in_a_round_stays_ended_when_it_is_withdrawn() -> None:
    cancelled = a_delivery(state=DeliveryState.CANCELLED, round_id="round")
    assert cancelled.withdraw("Vélo volé.", at=NOW) == (cancelled, None)


def test_only_what_waits_is_told_to_be_left_out() -> None:
    assert a_delivery().leave_out(("window",), "Trop serré.", at=NOW) == DeliveryLeftOut(
        a_delivery().id, ("window",), "Trop serré.", NOW
    )
    assert a_delivery(state=DeliveryState.CANCELLED).leave_out((), "", at=NOW) is None


def test_an_id_has_a_text_form() -> None:
    delivery: Delivery = a_delivery(7, 2)
    assert DeliveryId.parse(str(delivery.id)) == delivery.id
    for text in ("", "1", "-1", "x-", "x-y", "x-²", "x-12345"):
        with pytest.raises(ValueError, match=f"^{text}$"):
            DeliveryId.parse(text)
