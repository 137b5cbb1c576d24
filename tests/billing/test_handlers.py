"""What billing hears has its effect once, whatever else the transaction holds, in whatever order it is said again."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml
from google.protobuf.message import Message as ProtoMessage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.billing import queries, use_cases
from services.billing.domain.charge import Order
from services.billing.domain.contract import Contract
from services.billing.domain.errors import CeilingExceeded, OrderUnreadable, PriceListDateTaken, PriceListTooLate
from services.billing.domain.statement import Month
from services.billing.handlers import HEARS
from services.billing.queries import ChargeFilter, Sight
from services.billing.tables import metadata
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.kit import clock
from services.kit.database import Database
from services.kit.errors import NotYet
from services.kit.events import outbox
from tests.billing.builders import (
    NOON,
    PRICES,
    a_contract,
    a_leg_to_price,
    an_order,
    hear,
    order_placed,
    publish,
    register,
    stamp,
    stop_completed,
)
from tests.servers.parts import PROJECT


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    clock.set_now(NOON)
    yield
    clock.reset()


@pytest.fixture
def contract(database: Database) -> Contract:
    return register(database, a_contract())


def ceiling_figures(database: Database, contract: Contract) -> tuple[int, int, bool]:
    with database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
    return use.ceiling.held_cents, use.ceiling.owed_cents, use.is_balanced


def test_billing_hears_only_topics_it_may_read() -> None:
    topics = yaml.safe_load((PROJECT / "proto" / "topics.yaml").read_text(encoding="utf-8"))
    for event in HEARS:
        topic = event.DESCRIPTOR.full_name.rpartition(".")[0]
        assert "billing" in topics[topic]["readers"]


def test_an_order_placed_is_held(database: Database, contract: Contract) -> None:
    hear(database, order_placed(an_order(contract)))
    assert ceiling_figures(database, contract) == (1260, 0, True)


def test_many_orders_of_one_transaction_are_held_together(database: Database, contract: Contract) -> None:
    orders = [an_order(contract) for _ in range(50)]
    hear(database, *(order_placed(order) for order in orders))
    assert ceiling_figures(database, contract) == (50 * 1260, 0, True)


def test_an_order_and_its_hand_over_may_come_in_one_transaction(database: Database, contract: Contract) -> None:
    first, second = an_order(contract), an_order(contract)
    hear(
        database,
        order_placed(first),
        order_placed(second),
        stop_completed(first.id, is_drop=False),
        stop_completed(first.id),
        stop_completed(second.id),
    )
    assert ceiling_figures(database, contract) == (0, 2 * 1140, True)


def test_a_pickup_ends_nothing(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hear(database, order_placed(order), stop_completed(order.id, is_drop=False))
    assert ceiling_figures(database, contract) == (1260, 0, True)


def test_every_fact_that_ends_a_leg_is_heard(database: Database, contract: Contract) -> None:
    orders = [an_order(contract) for _ in range(4)]
    hear(database, *(order_placed(order) for order in orders))
    at = stamp(NOON)
    hear(
        database,
        dispatch_pb2.StopFailed(
            order_id=orders[0].id, leg=1, stop_kind=dispatch_pb2.STOP_KIND_PICKUP, is_billable=True, failed_at=at
        ),
        dispatch_pb2.DeliveryCancelled(order_id=orders[1].id, leg=1, is_late=True, cancelled_at=at),
        dispatch_pb2.DeliveryCancelled(order_id=orders[2].id, leg=1, cancelled_at=at),
        dispatch_pb2.DeliveryLapsed(order_id=orders[3].id, leg=1, lapsed_at=at),
    )
    assert ceiling_figures(database, contract) == (0, 630 + 315, True)


def test_a_fact_that_comes_too_early_waits(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    with pytest.raises(NotYet):
        hear(database, stop_completed(order.id))
    hear(database, order_placed(order))
    hear(database, stop_completed(order.id))
    assert ceiling_figures(database, contract) == (0, 1140, True)


def test_what_is_kept_tells_the_whole_leg(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hear(database, order_placed(order), stop_completed(order.id))
    with database.view() as view:
        (charge,) = queries.list_charges(view, Sight(), ChargeFilter(order_id=order.id), limit=10)
    assert (charge.reference, charge.department_id) == (order.reference, order.department_id)
    assert (charge.origin, charge.destination) == (order.legs[0].origin, order.legs[0].destination)
    assert charge.service_date == date(2026, 11, 16)
    assert charge.settlement is not None
    assert (charge.settlement.occurred_at, charge.settlement.proof_ids) == (NOON, ("p-1",))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda event: event.ClearField("legs"),
        lambda event: event.legs.append(event.legs[0]),
        lambda event: setattr(event, "order_id", "42"),
        lambda event: setattr(event.legs[0], "service_date", "2026-02-30"),
    ],
)
def test_an_order_that_cannot_be_is_refused_before_it_meets_its_neighbours(
    database: Database, contract: Contract, spoil: Callable[[orders_pb2.OrderPlaced], None]
) -> None:
    event = order_placed(an_order(contract))
    spoil(event)
    with pytest.raises(OrderUnreadable):
        hear(database, event)


def test_odd_characters_and_sizes_stop_nobody(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    event = order_placed(an_order(contract))
    event.reference = "\0R" * 500
    event.legs[0].pickup.site_name = "\0école" * 200
    strange = order_placed(an_order(contract, department_id="\0x" * 300))
    huge = order_placed(an_order(contract, legs=[a_leg_to_price(loads={"panneau": 2**62})]))
    nowhere = order_placed(an_order(a_contract(id="no-contract" * 20)))
    hear(either_database, event, strange, huge, nowhere)
    assert ceiling_figures(either_database, contract) == (1260, 0, True)


class AnyStory(RuleBasedStateMachine):
    """Events in any order, said again at any time, with prices and closings in between."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name)}/billing.db", metadata)
        self.database.upgrade()
        self.contract = register(self.database, a_contract(ceiling_cents=30_000))
        self.orders: list[Order] = []
        self.heard: list[ProtoMessage] = []
        self.now = NOON
        self.month = Month(2026, 11)

    def teardown(self) -> None:
        clock.reset()
        if hasattr(self, "database"):
            self.database.dispose()
            self.folder.cleanup()

    def take(self, event: ProtoMessage) -> None:
        clock.set_now(self.now)
        hear(self.database, event)
        self.heard.append(event)

    def said(self) -> int:
        with self.database.view() as view:
            return outbox.backlog(view).count

    @rule(counts=st.lists(st.integers(1, 20), min_size=1, max_size=2), offset=st.integers(-3, 40))
    def place(self, counts: list[int], offset: int) -> None:
        day = date.fromordinal(self.now.date().toordinal() + offset)
        legs = [a_leg_to_price(number, day, {"panneau": count}) for number, count in enumerate(counts, start=1)]
        order = an_order(self.contract, legs=legs)
        self.take(order_placed(order))
        self.orders.append(order)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), counted=st.integers(0, 30), kind=st.integers(0, 3), is_charged=st.booleans())
    def end(self, data: st.DataObject, counted: int, kind: int, is_charged: bool) -> None:
        order = data.draw(st.sampled_from(self.orders))
        leg = data.draw(st.sampled_from([leg.to_price.number for leg in order.legs]))
        at = stamp(self.now)
        events: list[ProtoMessage] = [
            dispatch_pb2.StopCompleted(
                order_id=order.id,
                leg=leg,
                stop_kind=dispatch_pb2.STOP_KIND_DROP,
                completed_at=at,
                loads=[dispatch_pb2.CountedLoad(kind="panneau", counted=counted)],
            ),
            dispatch_pb2.StopFailed(order_id=order.id, leg=leg, is_billable=is_charged, failed_at=at),
            dispatch_pb2.DeliveryCancelled(order_id=order.id, leg=leg, is_late=is_charged, cancelled_at=at),
            dispatch_pb2.DeliveryLapsed(order_id=order.id, leg=leg, lapsed_at=at),
        ]
        with self.database.view() as view:
            is_held = bool(queries.list_charges(view, Sight(), ChargeFilter(order_id=order.id), limit=1))
        if is_held:
            self.take(events[kind])

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        before, figures = self.said(), ceiling_figures(self.database, self.contract)
        hear(self.database, data.draw(st.sampled_from(self.heard)))
        assert self.said() == before
        assert ceiling_figures(self.database, self.contract) == figures

    @rule(offset=st.integers(0, 60), cents=st.integers(0, 2000))
    def change_prices(self, offset: int, cents: int) -> None:
        day = date.fromordinal(self.now.date().toordinal() + offset)
        prices = [replace(PRICES[0], unit_price_cents=cents), *PRICES[1:]]
        with suppress(PriceListDateTaken, PriceListTooLate, CeilingExceeded), self.database.transaction() as tx:
            publish(tx, self.contract, day, prices)

    @rule()
    def close_the_month(self) -> None:
        self.now = datetime.combine(self.month.next.first_day, NOON.time(), UTC)
        with self.database.transaction() as tx:
            use_cases.close_month(tx, self.contract.id, self.month, at=self.now)
        self.month = self.month.next

    @invariant()
    def the_books_balance(self) -> None:
        assert ceiling_figures(self.database, self.contract)[2]

    @invariant()
    def statements_are_what_their_lines_say(self) -> None:
        with self.database.view() as view:
            statements = queries.list_statements(view, Sight(), limit=100)
            lines = {one.id: queries.lines_of(view, one.id) for one in statements}
        for statement in statements:
            assert statement.net_cents == sum(
                line.settlement.amount_cents for line in lines[statement.id] if line.settlement
            )
        numbers = sorted(one.number for one in statements)
        for year in {number[:4] for number in numbers}:
            of_year = [number for number in numbers if number.startswith(year)]
            assert of_year == [f"{year}-{count:05d}" for count in range(1, len(of_year) + 1)]


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
