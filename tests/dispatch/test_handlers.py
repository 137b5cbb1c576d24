import pytest

from services.contracts.dispatch.v1.events_pb2 import DeliveryCancelled
from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.events import DeliveryId
from services.dispatch.repository import crew, deliveries
from services.kit.database import Database
from services.kit.errors import NotYet
from tests.dispatch.builders import (
    CONTRACT,
    NOW,
    a_leg,
    amount_held,
    at,
    contract_registered,
    hold_refused,
    order_amended,
    order_cancelled,
    order_id,
    order_placed,
    stamp,
)
from tests.dispatch.conftest import hear, told


def state_of(database: Database, number: int = 1, leg: int = 1) -> DeliveryState:
    with database.view() as view:
        return deliveries.by_id(view, [DeliveryId(order_id(number), leg)])[DeliveryId(order_id(number), leg)].state


def cancelled(number: int = 1, leg: int = 1, *, is_late: bool = False) -> DeliveryCancelled:
    return DeliveryCancelled(order_id=order_id(number), leg=leg, is_late=is_late, cancelled_at=stamp(NOW))


def test_each_leg_of_an_order_waits_for_its_hold(either_database: Database) -> None:
    hear(either_database, contract_registered(), order_placed(1, a_leg(1), a_leg(2, pickup="école", drop="musée")))
    assert state_of(either_database, leg=2) is DeliveryState.WAITING_FOR_HOLD
    hear(either_database, amount_held())
    assert {state_of(either_database, leg=leg) for leg in (1, 2)} == {DeliveryState.PLANNABLE}
    assert told(either_database) == []


def test_an_order_told_twice_is_kept_once(either_database: Database) -> None:
    hear(either_database, contract_registered(), order_placed(), amount_held(), order_placed())
    assert state_of(either_database) is DeliveryState.PLANNABLE


def test_an_order_without_money_is_not_ridden(either_database: Database) -> None:
    hear(either_database, order_placed(), hold_refused())
    assert state_of(either_database) is DeliveryState.REFUSED


@pytest.mark.parametrize("event", [amount_held(), hold_refused(), order_cancelled(), order_amended(1, a_leg())])
def test_what_builds_on_an_unknown_order_is_given_again_later(database: Database, event: object) -> None:
    hear(database, contract_registered())
    with pytest.raises(NotYet):
        hear(database, event)  # type: ignore[arg-type]


def test_a_hold_waits_until_it_is_known_who_may_ride(database: Database) -> None:
    hear(database, order_placed())
    with pytest.raises(NotYet):
        hear(database, amount_held())
    hear(database, contract_registered(), amount_held())
    assert state_of(database) is DeliveryState.PLANNABLE


def test_a_cancellation_before_the_hold_is_answered_after_it(either_database: Database) -> None:
    hear(either_database, contract_registered(), order_placed(), order_cancelled(is_late=True))
    assert told(either_database) == []
    hear(either_database, amount_held())
    assert told(either_database) == [cancelled(is_late=True)]
    assert state_of(either_database) is DeliveryState.CANCELLED


def test_a_cancellation_of_what_was_refused_is_answered_by_the_refusal(database: Database) -> None:
    hear(database, order_placed(), order_cancelled(), hold_refused())
    assert (told(database), state_of(database)) == ([], DeliveryState.REFUSED)


def test_only_the_legs_named_are_cancelled(database: Database) -> None:
    hear(
        database, contract_registered(), order_placed(1, a_leg(1), a_leg(2)), amount_held(), order_cancelled(legs=(2,))
    )
    assert told(database) == [cancelled(leg=2)]
    assert state_of(database, leg=1) is DeliveryState.PLANNABLE


def test_a_cancellation_told_twice_is_answered_once(database: Database) -> None:
    hear(database, contract_registered(), order_placed(), amount_held(), order_cancelled(), order_cancelled())
    assert told(database) == [cancelled()]


def test_new_windows_are_taken_over(database: Database) -> None:
    amended = order_amended(1, a_leg(window=(9, 10)))
    hear(database, contract_registered(), order_placed(1, a_leg(1), a_leg(2)), amount_held(), amended)
    with database.view() as view:
        first, second = deliveries.of_order(view, order_id(1))
    assert (first.pickup.window_start, first.drop.window_end, first.edition) == (at(9), at(10), 2)
    assert (second.pickup.window_start, second.edition) == (at(8), 1)


def test_who_may_ride_is_whoever_was_named_last(database: Database) -> None:
    hear(database, contract_registered("erdre", "loire"), contract_registered("loire"), order_placed(), amount_held())
    with database.view() as view:
        assert crew.holders(view, [CONTRACT]) == {CONTRACT: frozenset({"loire"})}
