"""The published examples are one story; billing, given what it hears in it, says exactly what it says in it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, Parse

from services.billing import jobs, queries, use_cases
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Cut
from services.billing.domain.contract import ChargeRules, Department, VatRate
from services.billing.domain.credit_note import Asked
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.domain.status import Status, ToldStatus
from services.billing.handlers import HEARS
from services.billing.use_cases import acceptance, credit_notes
from services.billing.use_cases.statuses import hear_status
from services.contracts.billing.v1 import events_pb2 as said_pb2
from services.kit import clock
from services.kit.database import Database
from services.kit.events import outbox
from tests.billing.builders import BUYER, a_contract, a_cooperative
from tests.contracts.builders import MORE_TERMS
from tests.contracts.examples import Example, event_class, examples

PRICES = (
    PriceLine("COURSE", "Course", Unit.LEG, 1200),
    PriceLine("REMORQUE", "Supplément remorque", Unit.TRAILER, 600),
    PriceLine("LINGE", "Ballot de linge", Unit.LOAD, 150, "ballot-linge"),
    PriceLine("PANNEAU", "Panneau", Unit.LOAD, 200, "panneau"),
    PriceLine("OUTILS", "Caisse d'outils", Unit.LOAD, 0, "caisse-outils"),
)
SIRETS = {"erdre": "90000010000017", "loire": "90000020900016"}


@pytest.fixture(autouse=True)
def real_clock() -> Iterator[None]:
    yield
    clock.reset()


def story(topic: str) -> list[Example]:
    return [example for example in examples() if example.topic == topic]


def told(example: Example) -> tuple[str, dict[str, object]]:
    return example.type, comparable(example.fields)


def comparable(fields: dict[str, object]) -> dict[str, object]:
    """Leave out what depends on when and where it runs."""
    chance = {"requestedAt", "statementId", "creditNoteId", "heldAt", "refusedAt", "settledAt", "crossedAt", "closedAt"}
    return {name: value for name, value in fields.items() if name not in chance}


def register(database: Database, registered: Example) -> None:
    terms = Parse(registered.text, said_pb2.ContractRegistered())
    clock.set_now(registered.occurred_at)
    contract = a_contract(
        id=terms.contract_id,
        reference=terms.reference,
        title=terms.title,
        buyer=replace(BUYER, name=terms.buyer_name),
        cooperatives=tuple(a_cooperative(party.id, party.name, SIRETS[party.id]) for party in terms.cooperatives),
        departments=tuple(Department(party.id, party.name) for party in terms.departments),
        starts_on=date.fromisoformat(terms.starts_on),
        ends_on=date.fromisoformat(terms.ends_on),
        ceiling_cents=terms.ceiling_cents,
        rules=ChargeRules(failure_percent=100, late_cancellation_percent=50),
        vat_rates=(VatRate(date(2014, 1, 1), 200, "CGI, art. 278"),),
        registered_at=registered.occurred_at,
        **MORE_TERMS[terms.reference],
    )
    with database.transaction() as tx:
        use_cases.register_contract(tx, contract)
        use_cases.publish_price_list(
            tx, contract.id, valid_from=contract.starts_on, lines=PRICES, at=registered.occurred_at
        )


def test_billing_says_what_the_examples_say(either_database: Database) -> None:
    for registered in [example for example in story("billing.v1") if example.type.endswith("ContractRegistered")]:
        register(either_database, registered)

    hears = {kind.DESCRIPTOR.full_name: handler for kind, handler in HEARS.items()}
    for example in examples():
        if example.type in hears:
            clock.set_now(example.occurred_at)
            with either_database.transaction() as tx:
                hears[example.type](tx, example.message)
    clock.set_now(datetime(2026, 12, 6, 4, tzinfo=UTC))
    decide_as_told(either_database, "accepted")
    jobs.close_due_months(either_database, delay_days=5)
    correct_as_told(either_database)

    with either_database.view() as view:
        said = [pending.message for pending in outbox.pending(view, 1000)]
    ours = [
        (message.type, comparable(MessageToDict(event_class(message.type).FromString(message.data))))
        for message in said
    ]
    assert sorted(ours, key=repr) == sorted(map(told, story("billing.v1")), key=repr)


def named(event: str, name: str) -> Any:
    (found,) = [one for one in story("billing.v1") if one.type == f"billing.v1.{event}" and one.path.stem == name]
    return found.message


def decide_as_told(database: Database, name: str, cuts: Sequence[Cut] = ()) -> None:
    told = named("ChargeDecided", name)
    by, at = Decider("finances", "Finances"), told.decided_at.ToDatetime(tzinfo=UTC)
    with database.transaction() as tx:
        charge = acceptance.lock(tx, told.order_id, told.leg)
        if name == "accepted":
            acceptance.accept(tx, charge, by=by, at=at)
        elif name == "reduced":
            acceptance.reduce(tx, charge, cuts, by=by, at=at)
        else:
            act = acceptance.dispute if name == "disputed" else acceptance.reject
            act(tx, charge, told.reason, by=by, at=at)


def correct_as_told(database: Database) -> None:
    """Credit a leg of the first statement, cut its price; hear that the second one is refused, reject a leg of it."""
    with database.view() as view:
        by_seller = {one.seller.id: one for one in queries.list_statements(view, queries.Sight(), limit=9)}
    told, disputed = named("StatementCredited", "billed-anew"), named("ChargeDecided", "disputed")
    with database.transaction() as tx:
        credit_notes.credit(
            tx,
            by_seller[told.cooperative_id].id,
            [Asked(disputed.order_id, disputed.leg)],
            reason=told.reason,
            is_billed_anew=told.is_billed_anew,
            at=told.issued_at.ToDatetime(tzinfo=UTC),
        )
    decide_as_told(database, "disputed")
    reduced = named("ChargeDecided", "reduced")
    decide_as_told(database, "reduced", [Cut("LINGE", reduced.given_back_cents, reduced.reason)])
    told = named("StatementCredited", "refused")
    refused_at = told.issued_at.ToDatetime(tzinfo=UTC)
    with database.transaction() as tx:
        refusal = ToldStatus("r-1", Status.REFUSED, refused_at, "CODE_ROUTAGE_ERR", told.reason)
        hear_status(tx, by_seller[told.cooperative_id].id, refusal, at=refused_at)
    decide_as_told(database, "rejected")
