"""Orders heard together are held in one step where that changes nothing: each is decided as if it had come alone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.billing import use_cases
from services.billing.domain.charge import Order
from services.billing.domain.contract import Contract
from services.billing.domain.policy import Beyond, HoldPolicy
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.billing.tables import approvals, balances, charges, holds, ledger, scopes
from services.contracts.billing.v1 import events_pb2 as said_pb2
from services.kit.database import Database
from services.kit.events import outbox
from services.kit.ids import new_id
from tests.billing.builders import ERDRE, NOON, a_contract, a_leg_to_price, an_order, register

PARTS = Structure(
    periods=(
        Period(1, date(2026, 1, 1), date(2026, 12, 31), 25_000, Decision.FIRM),
        Period(2, date(2027, 1, 1), date(2027, 12, 31), 15_000, Decision.TACIT),
    ),
    lots=(Lot(1, "Linge", "64120000", 30_000, load_kinds=("ballot-linge",)), Lot(2, "Tout", "64120000", 20_000)),
    budgets=(Budget(14_000, "proprete", 2026), Budget(20_000, "voirie")),
)
POLICIES = (
    HoldPolicy(),
    HoldPolicy(reserve_percent=10, order_limit_cents=4_000, margin_percent=7),
    HoldPolicy(Beyond.APPROVAL, reserve_percent=10, order_limit_cents=4_000),
)
LEGS = st.tuples(
    st.sampled_from([date(2026, 11, 16), date(2026, 11, 17), date(2027, 2, 1), date(2030, 1, 1)]),
    st.sampled_from([("ballot-linge", 3), ("ballot-linge", 30), ("panneau", 2), ("pied-panneau", 1), ("piano", 1)]),
)
ORDERS = st.lists(
    st.tuples(st.sampled_from(["proprete", "voirie"]), st.lists(LEGS, min_size=1, max_size=3)), min_size=2, max_size=24
)


def orders_under(
    contract: Contract, asked: Sequence[tuple[str, Sequence[tuple[date, tuple[str, int]]]]]
) -> list[Order]:
    return [
        an_order(
            contract,
            department_id=department_id,
            legs=[a_leg_to_price(number, day, dict([load])) for number, (day, load) in enumerate(legs, 1)],
            reference=f"C-{index}",
        )
        for index, (department_id, legs) in enumerate(asked)
    ]


def told(database: Database, contract: Contract) -> list[tuple[str, dict[str, Any]]]:
    """Return the events about a contract's orders and levels, in their order, without the ids made anew."""
    chance = {"orderId", "contractId"}
    with database.view() as view:
        found = [one.message for one in outbox.pending(view, 10_000)]
    events = []
    for message in found:
        kind = message.type.rpartition(".")[2]
        said = MessageToDict(getattr(said_pb2, kind).FromString(message.data))
        if said["contractId"] == contract.id and kind != "ContractRegistered":
            events.append((kind, {name: value for name, value in said.items() if name not in chance}))
    return events


def kept(database: Database, contract: Contract) -> list[list[tuple[Any, ...]]]:
    """Return every row about a contract, in order, without the ids made anew."""
    chance = {"id", "order_id", "contract_id", "terms_id", "price_list_id", "content", "contract_reference"}
    chance |= {"origin_site_id", "destination_site_id"}
    rows = []
    for table in (balances, scopes, holds, charges, ledger, approvals):
        names = [column.name for column in table.columns if column.name not in chance]
        order = ("id",) if table is ledger else ("reference", "leg", "key")
        query = select(*[table.c[name] for name in names]).where(table.c.contract_id == contract.id)
        query = query.order_by(*[table.c[name] for name in order if name in table.c])
        with database.view() as view:
            rows.append([tuple(row) for row in view.execute(query)])
    return rows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ORDERS, policy=st.sampled_from(POLICIES), has_parts=st.booleans())
def test_orders_heard_together_are_decided_as_if_each_had_come_alone(
    database: Database,
    asked: Sequence[tuple[str, Sequence[tuple[date, tuple[str, int]]]]],
    policy: HoldPolicy,
    *,
    has_parts: bool,
) -> None:
    terms = a_contract(
        ceiling_cents=40_000, policy=policy, alert_percents=(30, 97), structure=PARTS if has_parts else Structure()
    )
    alone = register(database, terms)
    elsewhere = replace(terms.buyer, siret=ERDRE.siret)
    together = register(database, replace(terms, id=new_id(), buyer=elsewhere))
    for order in orders_under(alone, asked):
        with database.transaction() as tx:
            use_cases.book(tx, [order], [], at=NOON)
    with database.transaction() as tx:
        use_cases.book(tx, orders_under(together, asked), [], at=NOON)
    assert told(database, together) == told(database, alone)
    assert kept(database, together) == kept(database, alone)
