"""Who reads what: HEARS agrees with topics.yaml, and every reader takes the whole story of the examples."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from services.billing import use_cases as billing_use_cases
from services.billing.tables import metadata as billing_metadata
from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.repository import deliveries
from services.dispatch.tables import metadata as dispatch_metadata
from services.kit.database import Database
from services.orders.domain.order import Actor, Status, place
from services.orders.repository import Orders
from services.orders.tables import metadata as orders_metadata
from tests.contracts.builders import order_of, price_lines, registered_contract
from tests.contracts.examples import SERVICES, event_class, event_types, examples, topics

METADATA = {"orders": orders_metadata, "dispatch": dispatch_metadata, "billing": billing_metadata}


def hears(service: str) -> Mapping[type[Message], Callable[[Any, Any], None]]:
    heard: Mapping[type[Message], Callable[[Any, Any], None]]
    heard = importlib.import_module(f"services.{service}.handlers").HEARS
    return heard


def tell_story(service: str, database: Database) -> set[type[Message]]:
    """Give a service what it hears of the story, one event a transaction; return the kinds of events it was told."""
    told = set()
    for example in examples():
        event, kind = example.message, event_class(example.type)
        with database.transaction() as tx:
            if kind in hears(service):
                hears(service)[kind](tx, event)
                told.add(kind)
            # What the service itself did at that moment of the story.
            elif (service, example.type) == ("orders", "orders.v1.OrderPlaced"):
                Orders(tx).add(place(order_of(event), actor=Actor.DEPARTMENT))
            elif (service, example.type) == ("billing", "billing.v1.ContractRegistered"):
                contract = registered_contract(event)
                billing_use_cases.register_contract(tx, contract)
                billing_use_cases.publish_price_list(
                    tx, contract.id, valid_from=contract.starts_on, lines=price_lines(), at=contract.registered_at
                )
    return told


@pytest.fixture
def database(service: str, tmp_path: Path) -> Iterator[Database]:
    """An empty database of the service."""
    made = Database(f"sqlite:///{tmp_path}/{service}.db", METADATA[service])
    made.upgrade()
    yield made
    made.dispose()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_the_topics_it_is_a_reader_of(service: str) -> None:
    heard = {event.DESCRIPTOR.file.package for event in hears(service)}
    assert heard == {topic for topic, facts in topics().items() if service in facts["readers"]}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_published_events_only(service: str) -> None:
    assert {event.DESCRIPTOR.full_name for event in hears(service)} <= set(event_types())


def test_a_topic_belongs_to_the_service_it_is_named_after() -> None:
    owners = {topic: facts["owner"] for topic, facts in topics().items()}
    # What the processes of one service say to each other is nobody else's, and is said apart.
    own = {topic: owner for topic, owner in owners.items() if owner in topics()[topic]["readers"]}
    assert own == {"dispatch.parts.v1": "dispatch"}
    assert all(topics()[topic]["readers"] == [owner] for topic, owner in own.items())
    assert owners == own | {f"{name}.v1": name for name in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_reader_takes_the_whole_story(service: str, database: Database) -> None:
    assert tell_story(service, database) == set(hears(service)), "an event it hears has no example"


@pytest.mark.parametrize("service", ["orders"])
def test_orders_stand_where_the_story_leaves_them(service: str, database: Database) -> None:
    tell_story(service, database)
    placed = {example.path.stem: example for example in examples() if example.type == "orders.v1.OrderPlaced"}
    with database.transaction() as tx:
        stand = {
            name: [leg.status for leg in Orders(tx).get(example.fields["orderId"], None).legs]
            for name, example in placed.items()
        }
    assert stand == {
        "exchange-recurring": [Status.DELIVERED, Status.FAILED],
        "loan-with-trailer": [Status.DELIVERED, Status.ACCEPTED],
        "one-way": [Status.FAILED],
        "beyond-the-ceiling": [Status.REFUSED],
        "to-be-cancelled": [Status.CANCELLED],
        "to-be-forgotten": [Status.LAPSED],
        "in-a-period": [Status.ACCEPTED],
        "beyond-a-period": [Status.REFUSED],
        "to-be-approved": [Status.REQUESTED],
        "soon-at-the-drop": [Status.REFUSED],
    }


@pytest.mark.parametrize("service", ["dispatch"])
def test_deliveries_stand_where_the_story_leaves_them(service: str, database: Database) -> None:
    tell_story(service, database)
    placed = {example.path.stem: example for example in examples() if example.type == "orders.v1.OrderPlaced"}
    with database.view() as view:
        stand = {
            name: {delivery.state for delivery in deliveries.of_order(view, example.fields["orderId"])}
            for name, example in placed.items()
        }
    # Nobody planned or rode here: those are dispatch's own facts.
    assert stand == {
        "exchange-recurring": {DeliveryState.PLANNABLE},
        "loan-with-trailer": {DeliveryState.PLANNABLE},
        "one-way": {DeliveryState.PLANNABLE},
        "beyond-the-ceiling": {DeliveryState.REFUSED},
        "to-be-cancelled": {DeliveryState.CANCELLED},
        "to-be-forgotten": {DeliveryState.PLANNABLE},
        "in-a-period": {DeliveryState.PLANNABLE},
        "beyond-a-period": {DeliveryState.REFUSED},
        "to-be-approved": {DeliveryState.WAITING_FOR_HOLD},
        "soon-at-the-drop": {DeliveryState.REFUSED},
    }
