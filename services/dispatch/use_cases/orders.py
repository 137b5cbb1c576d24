"""What dispatch does when orders or billing say something."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial

from services.dispatch import messages
from services.dispatch.domain.delivery import Delivery, Visit
from services.dispatch.domain.events import DeliveryId, Fact
from services.dispatch.domain.ride import Ride
from services.dispatch.repository import crew, deliveries, rounds
from services.dispatch.use_cases.rides import ride_of
from services.kit.database import Transaction
from services.kit.errors import NotYet
from services.kit.events import outbox


def keep_contract(tx: Transaction, contract_id: str, reference: str, holders: Sequence[tuple[str, str]]) -> None:
    """Keep which cooperatives (id, name) may ride under a contract."""
    crew.save_holders(tx, contract_id, reference, holders)


def keep_order(tx: Transaction, placed: Iterable[Delivery]) -> None:
    """Keep each leg of a new order as a delivery."""
    deliveries.add(tx, placed)


def hold(tx: Transaction, order_id: str, contract_id: str) -> None:
    """Let an order's deliveries be planned, or answer a cancellation that was asked before.

    Raises
    ------
    NotYet
        While the order, or who holds its contract, is not known.
    """
    known = _known(tx, order_id)
    if not crew.holders(tx, [contract_id]):
        raise NotYet(f"contract {contract_id} is not known yet")
    for delivery in known:
        held, cancelled = delivery.hold()
        deliveries.save(tx, held)
        _tell(tx, cancelled)


def refuse_hold(tx: Transaction, order_id: str) -> None:
    """Drop an order's deliveries: there is no money for them. Raises NotYet."""
    for delivery in _known(tx, order_id):
        deliveries.save(tx, delivery.refuse_hold())


def amend_order(
    tx: Transaction, order_id: str, legs: dict[int, tuple[Visit, Visit]], note: str, *, at: datetime
) -> None:
    """Take new windows over; a round that is published shows them. Raises NotYet."""
    for delivery in _known(tx, order_id):
        if delivery.id.leg not in legs:
            continue
        pickup, drop = legs[delivery.id.leg]
        amended = delivery.amend(pickup, drop, note)
        deliveries.save_terms(tx, amended)
        if amended is not delivery:
            _change_ride(tx, amended, partial(Ride.amended, delivery=amended), at=at)


def cancel_legs(tx: Transaction, order_id: str, legs: Collection[int], *, is_late: bool, at: datetime) -> None:
    """Cancel what nobody has collected, and say so; what was collected is ridden to its end. Raises NotYet."""
    for delivery in _known(tx, order_id):
        if delivery.id.leg not in legs:
            continue
        changed, cancelled = delivery.cancel(is_late=is_late, at=at)
        deliveries.save(tx, changed)
        _tell(tx, cancelled)
        if cancelled is not None:
            _change_ride(tx, changed, partial(Ride.cancelled, delivery=changed), at=at)


def lapse_delivery(tx: Transaction, delivery_id: DeliveryId, *, at: datetime) -> bool:
    """End a delivery in no round whose day has passed; return whether it lapsed."""
    delivery = deliveries.by_id(tx, [delivery_id], lock=True)[delivery_id]
    if delivery.round_id:
        return False
    changed, lapsed = delivery.lapse(at=at)
    deliveries.save(tx, changed)
    _tell(tx, lapsed)
    return lapsed is not None


def _known(tx: Transaction, order_id: str) -> list[Delivery]:
    known = deliveries.of_order(tx, order_id, lock=True)
    if not known:
        raise NotYet(f"order {order_id} is not known yet")
    return known


def _change_ride(tx: Transaction, delivery: Delivery, change: Callable[[Ride], Ride], *, at: datetime) -> None:
    """Show on the courier's phone what became of a delivery of a published round."""
    if not delivery.round_id:
        return
    round_ = rounds.by_id(tx, [delivery.round_id], lock=True)[delivery.round_id]
    ride = change(ride_of(round_, delivery))
    rounds.save_stops(tx, ride.pickup, ride.drop)
    rounds.save(tx, round_.with_stops(ride.pickup, ride.drop, at=at))
    rounds.touch(tx, round_.courier_id, round_.day)


def _tell(tx: Transaction, fact: Fact | None) -> None:
    if fact is not None:
        outbox.add(tx, messages.message(fact))
