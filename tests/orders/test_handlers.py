import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.dispatch.v1 import events_pb2 as dispatch
from services.contracts.orders.v1 import events_pb2 as orders
from services.kit.database import Database
from services.kit.errors import NotYet
from services.kit.events import outbox
from services.orders import queries
from services.orders.domain.order import Actor, Flow, Order, Status, place
from services.orders.handlers import HEARS
from services.orders.queries import OrderFilter
from services.orders.repository import Contracts
from services.orders.tables import metadata
from services.orders.use_cases import orders as use_cases
from tests.contracts.examples import examples, topics
from tests.orders.builders import CONTRACT, NOW, a_contract, an_order
from tests.orders.test_messages import order_told_by

ORDER = an_order().id


def stamped(event: Any, field: str, at: datetime = NOW) -> Any:
    getattr(event, field).FromDatetime(at)
    return event


def held(cents: int = 2500) -> Any:
    return stamped(billing.AmountHeld(order_id=ORDER, contract_id=CONTRACT, amount_cents=cents), "held_at")


def planned(leg: int = 1, at: datetime = NOW) -> Any:
    event = dispatch.DeliveryPlanned(order_id=ORDER, leg=leg, round_id="r", cooperative_id="erdre")
    event.pickup_at.FromDatetime(NOW + timedelta(days=2))
    event.drop_at.FromDatetime(NOW + timedelta(days=2, minutes=30))
    return stamped(event, "planned_at", at)


def completed(kind: Any, leg: int = 1) -> Any:
    event = dispatch.StopCompleted(
        order_id=ORDER,
        leg=leg,
        stop_kind=kind,
        cooperative_id="erdre",
        loads=[dispatch.CountedLoad(kind="ballot-linge", announced=2, counted=1)],
        note="un ballot manquait",
        proof_ids=["photo"],
    )
    return stamped(event, "completed_at", NOW + timedelta(days=2))


def settled(leg: int = 1, outcome: Any = billing.OUTCOME_DELIVERED) -> Any:
    event = billing.LegSettled(order_id=ORDER, leg=leg, contract_id=CONTRACT, outcome=outcome, amount_cents=1250)
    return stamped(event, "settled_at", NOW + timedelta(days=2))


def failed(leg: int = 1) -> Any:
    event = dispatch.StopFailed(
        order_id=ORDER, leg=leg, stop_kind=dispatch.STOP_KIND_PICKUP, reason="Site fermé", note="personne"
    )
    return stamped(event, "failed_at", NOW + timedelta(days=2))


@pytest.fixture
def furnished(database: Database) -> Database:
    with database.transaction() as tx:
        Contracts(tx).put(tx, a_contract())
    return database


def keep(database: Database, order: Order) -> None:
    with database.transaction() as tx:
        use_cases.add(tx, place(order, actor=Actor.DEPARTMENT))


def tell(database: Database, *events: Any) -> Order:
    for event in events:
        with database.transaction() as tx:
            HEARS[type(event)](tx, event)
    with database.view() as view:
        return queries.get_order(view, ORDER, None)


def said(database: Database) -> list[Any]:
    with database.view() as view:
        return [pending.message for pending in outbox.pending(view, 100)]


def test_an_order_is_followed_from_its_hold_to_its_price(furnished: Database) -> None:
    keep(furnished, an_order())
    order = tell(furnished, held(), planned(), completed(dispatch.STOP_KIND_PICKUP), completed(dispatch.STOP_KIND_DROP))
    assert (order.status, order.held_cents) == (Status.DELIVERED, 2500)
    leg = tell(furnished, settled()).legs[0]
    assert leg.settlement is not None
    assert (leg.settlement.outcome, leg.settlement.amount_cents) == ("delivered", 1250)
    assert (leg.counted[0].counted, leg.remark, leg.proof_ids) == (1, "un ballot manquait", ("photo",))


def test_a_refused_hold_keeps_its_figures(furnished: Database) -> None:
    keep(furnished, an_order())
    event = billing.HoldRefused(
        order_id=ORDER, reason_code="ceiling-exceeded", reason="Il reste 3,00 €.", asked_cents=2500, left_cents=300
    )
    order = tell(furnished, stamped(event, "refused_at"))
    assert order.status is Status.REFUSED
    assert order.refusal is not None
    assert (order.refusal.reason, order.refusal.asked_cents, order.refusal.left_cents) == (
        "Il reste 3,00 €.",
        2500,
        300,
    )


def test_an_order_that_waits_for_an_approval_stays_requested_and_says_why(furnished: Database) -> None:
    keep(furnished, an_order())
    event = billing.ApprovalRequested(order_id=ORDER, reason_code="reserve-reached", reason="Réserve atteinte.")
    order = tell(furnished, stamped(event, "requested_at"))
    assert order.status is Status.REQUESTED
    with furnished.view() as view:
        steps = [(step.what, step.cause) for step in queries.history(view, ORDER)]
    assert ("approval-requested", "Réserve atteinte.") in steps
    assert tell(furnished, held()).status is Status.ACCEPTED


@pytest.mark.parametrize("name", list(HEARS))
def test_a_fact_about_something_unknown_must_wait(furnished: Database, name: type[Any]) -> None:
    if name is billing.ContractRegistered:
        return
    with furnished.transaction() as tx, pytest.raises(NotYet):
        HEARS[name](tx, name())


def test_the_two_topics_may_arrive_in_any_interleaving(tmp_path_factory: pytest.TempPathFactory) -> None:
    by_billing = [held(), settled()]
    by_dispatch = [planned(), completed(dispatch.STOP_KIND_PICKUP), completed(dispatch.STOP_KIND_DROP)]
    ends = set()
    for number, places in enumerate(itertools.combinations(range(5), 2)):
        database = Database(f"sqlite:///{tmp_path_factory.mktemp(str(number))}/orders.db", metadata)
        database.upgrade()
        keep(database, an_order())
        first, second = iter(by_billing), iter(by_dispatch)
        order = tell(database, *(next(first if turn in places else second) for turn in range(5)))
        ends.add(replace(order, version=0))
        database.dispose()
    assert len(ends) == 1


def test_a_loan_that_was_not_placed_gives_up_its_return_and_says_so_once(furnished: Database) -> None:
    keep(furnished, an_order(Flow.LOAN))
    order = tell(furnished, held(), failed())
    assert [leg.status for leg in order.legs] == [Status.FAILED, Status.CANCELLING]
    cancelled = [message for message in said(furnished) if message.type == "orders.v1.OrderCancelled"]
    assert len(cancelled) == 1
    event = orders.OrderCancelled.FromString(cancelled[0].data)
    assert (list(event.legs), event.is_late) == ([2], False)
    answer = stamped(dispatch.DeliveryCancelled(order_id=ORDER, leg=2), "cancelled_at")
    order = tell(furnished, answer)
    assert order.status is Status.FAILED
    assert len(said(furnished)) == 2


def test_left_out_withdrawn_and_lapsed_are_told_with_their_reasons(furnished: Database) -> None:
    keep(furnished, an_order())
    left_out = stamped(dispatch.DeliveryLeftOut(order_id=ORDER, leg=1, reason="Trop lourd."), "left_out_at")
    assert tell(furnished, held(), left_out).legs[0].left_out == "Trop lourd."
    withdrawn = dispatch.DeliveryWithdrawn(order_id=ORDER, leg=1, round_id="r", reason="Vélo en panne.")
    withdrawn = stamped(withdrawn, "withdrawn_at", NOW + timedelta(minutes=2))
    order = tell(furnished, planned(at=NOW + timedelta(minutes=1)), withdrawn)
    assert order.status is Status.ACCEPTED
    order = tell(furnished, stamped(dispatch.DeliveryLapsed(order_id=ORDER, leg=1), "lapsed_at"))
    assert order.status is Status.LAPSED
    with furnished.view() as view:
        causes = [step.cause for step in queries.history(view, ORDER) if step.cause]
    assert causes == ["Trop lourd.", "Vélo en panne."]


def test_a_contract_and_its_warnings_are_learnt(furnished: Database) -> None:
    contract = billing.ContractRegistered(
        contract_id="c2",
        reference="R",
        title="Autre",
        departments=[billing.Party(id="voirie", name="Voirie")],
        starts_on="2026-01-01",
        ends_on="2026-12-31",
        zone="Europe/Paris",
        cutoff_minutes=60,
    )
    warning = billing.CeilingNearlyReached(contract_id="c2", threshold_percent=80, ceiling_cents=100, left_cents=20)
    for event in (stamped(contract, "registered_at"), stamped(warning, "crossed_at")):
        with furnished.transaction() as tx:
            HEARS[type(event)](tx, event)
    with furnished.view() as view:
        (known,) = queries.list_contracts(view, "voirie")[1:]
    assert (known.id, known.cutoff_minutes) == ("c2", 60)
    assert known.warning is not None
    assert known.warning.threshold_percent == 80


def test_the_story_of_the_examples_is_understood_to_its_end(database: Database) -> None:
    for example in examples():
        event = example.message
        if isinstance(event, orders.OrderPlaced):
            keep(database, order_told_by(event))
        elif type(event) in HEARS:
            with database.transaction() as tx:
                HEARS[type(event)](tx, event)
    with database.view() as view:
        statuses = [order.status for order in queries.list_orders(view, OrderFilter(), limit=100)]
    assert len(statuses) == sum(example.type == "orders.v1.OrderPlaced" for example in examples())
    assert statuses.count(Status.REQUESTED) == 1  # it waits for an approval


def test_what_is_heard_comes_from_topics_that_are_meant_for_orders() -> None:
    heard = {event.DESCRIPTOR.full_name.rpartition(".")[0] for event in HEARS}
    assert heard == {name for name, facts in topics().items() if "orders" in facts["readers"]}
