"""Contracts, price lists, orders and facts with sensible defaults: a test says only what matters to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.message import Message as ProtoMessage
from google.protobuf.timestamp_pb2 import Timestamp

from services.billing import use_cases
from services.billing.domain.charge import ORDER_PLACED, Charge, Fact, FactKind, Order, OrderedLeg, Place, Source
from services.billing.domain.contract import Buyer, ChargeRules, Contract, Cooperative, Department, VatRate
from services.billing.domain.invoicing import Contact, DirectoryEntry, PostalAddress, VatRegime, vat_number_of
from services.billing.domain.price_list import LegToPrice, Load, PriceLine, PriceList, Unit
from services.billing.handlers import HEARS
from services.contracts.dispatch.v1 import events_pb2 as dispatch_pb2
from services.contracts.orders.v1 import events_pb2 as orders_pb2
from services.kit.database import Database, Transaction
from services.kit.ids import new_id

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
LIABLE_SINCE = date(2014, 1, 1)
ERDRE = Cooperative(
    "erdre",
    "Les Coursiers de l'Erdre",
    "90000010000017",
    "4 quai de Versailles, 44000 Nantes",
    postal_address=PostalAddress(("4 quai de Versailles",), "44000", "Nantes"),
    legal_form="SCIC SA à capital variable",
    share_capital="capital de 45 000 euros",
    vat_regimes=(VatRegime(LIABLE_SINCE, vat_number_of("900000100"), "CGI, art. 256"),),
    iban="FR7630001007941234567890185",
    bic="BDFEFRPPCCT",
    contact=Contact("Service facturation", "+33200000000", "factures@erdre.example"),
)
LOIRE = Cooperative(
    "loire",
    "Vélo-Cargo Loire",
    "90000020900016",
    "12 bd de la Prairie-au-Duc, 44200 Nantes",
    postal_address=PostalAddress(("12 bd de la Prairie-au-Duc",), "44200", "Nantes"),
    legal_form="SCOP SARL à capital variable",
    vat_regimes=(VatRegime(LIABLE_SINCE, vat_number_of("900000209"), "CGI, art. 256"),),
    iban="FR7630006000011234567890189",
)
BUYER = Buyer(
    "Ville de Nantes (démonstration)",
    "90000030800016",
    engagement_number="EJ-2026-0042",
    postal_address=PostalAddress(("2 rue de l'Hôtel-de-Ville",), "44094", "Nantes"),
    directory_entries=(DirectoryEntry(date(2025, 12, 1), False, True),),
)
PROPRETE = Department("proprete", "Propreté des bâtiments")
VOIRIE = Department("voirie", "Voirie et signalisation")

PRICES = (
    PriceLine("COURSE", "Course", Unit.LEG, 900),
    PriceLine("REMORQUE", "Supplément remorque", Unit.TRAILER, 350),
    PriceLine("LINGE", "Ballot de linge", Unit.LOAD, 120, "ballot-linge"),
    PriceLine("PANNEAU", "Panneau", Unit.LOAD, 205, "panneau"),
    PriceLine("PIED", "Pied de panneau", Unit.LOAD, 0, "pied-panneau"),
)


def a_cooperative(id_: str, name: str, siret: str) -> Cooperative:
    """Return a cooperative that may issue invoices."""
    regime = replace(ERDRE.vat_regimes[0], vat_number=vat_number_of(siret[:9]))
    return replace(ERDRE, id=id_, name=name, siret=siret, vat_regimes=(regime,))


def a_contract(**changes: Any) -> Contract:
    """Return a contract of 2026 and 2027: 90,000.00 EUR, 20 % VAT; half of a billable failure, a quarter when late."""
    contract = Contract(
        id=new_id(),
        reference=f"VELO-{new_id()[-6:]}",
        title="Transports à vélo des services municipaux",
        buyer=BUYER,
        cooperatives=(ERDRE, LOIRE),
        departments=(PROPRETE, VOIRIE),
        starts_on=date(2026, 1, 1),
        ends_on=date(2027, 12, 31),
        ceiling_cents=9_000_000,
        zone="Europe/Paris",
        cutoff_minutes=720,
        rules=ChargeRules(failure_percent=50, late_cancellation_percent=25),
        vat_rates=(VatRate(date(2014, 1, 1), 200, "CGI, art. 278"),),
        alert_percents=(50, 75, 90, 100),
        registered_at=datetime(2025, 12, 15, 9, tzinfo=UTC),
    )
    return replace(contract, **changes)


def a_price_list(**changes: Any) -> PriceList:
    """Return version 1, in force from the first day of 2026."""
    price_list = PriceList(new_id(), new_id(), 1, date(2026, 1, 1), PRICES, datetime(2025, 12, 15, 9, tzinfo=UTC))
    return replace(price_list, **changes)


def a_leg_to_price(
    number: int = 1,
    service_date: date = date(2026, 11, 16),
    loads: Mapping[str, int] = {"ballot-linge": 3},
    *,
    needs_trailer: bool = False,
) -> LegToPrice:
    """Return a leg carrying three bundles: 9.00 + 3 x 1.20 = 12.60 EUR by the default prices."""
    return LegToPrice(
        number, service_date, needs_trailer, tuple(Load(kind, kind.title(), count) for kind, count in loads.items())
    )


def an_order(
    contract: Contract,
    *,
    legs: Sequence[LegToPrice] | None = None,
    department_id: str = "proprete",
    order_id: str = "",
    reference: str = "C-0001",
) -> Order:
    """Return an order of one leg for the cleaning department."""
    asked = [a_leg_to_price()] if legs is None else legs
    school, laundry = Place(new_id(), "École Aristide-Briand"), Place(new_id(), "Espace Tardieu")
    return Order(
        id=order_id or new_id(),
        reference=reference,
        contract_id=contract.id,
        department_id=department_id,
        legs=tuple(OrderedLeg(leg, laundry, school) for leg in asked),
    )


def a_charge(contract: Contract, leg: LegToPrice | None = None, price_list: PriceList | None = None) -> Charge:
    """Return the charge of a one-leg order, held and not settled."""
    asked = leg or a_leg_to_price()
    estimate = (price_list or a_price_list()).price(asked)
    order = an_order(contract, legs=[asked])
    (ordered,) = order.legs
    return Charge(
        order_id=order.id,
        leg=asked.number,
        contract_id=contract.id,
        department_id=order.department_id,
        reference=order.reference,
        service_date=asked.service_date,
        origin=ordered.origin,
        destination=ordered.destination,
        needs_trailer=asked.needs_trailer,
        estimate=estimate,
        held_at=NOON,
        sources=(Source("", ORDER_PLACED, NOON),),
    )


def handed_over(order_id: str, leg: int = 1, **changes: Any) -> Fact:
    """Return that the courier of the leading cooperative handed a leg over, as announced, on 16 November 2026."""
    fact = Fact(FactKind.HANDED_OVER, order_id, leg, occurred_at=NOON, cooperative_id="erdre")
    return replace(fact, **changes)


def failed(order_id: str, leg: int = 1, *, is_billable: bool = True, **changes: Any) -> Fact:
    """Return that a leg failed by the requester's cause."""
    fact = Fact(
        FactKind.FAILED,
        order_id,
        leg,
        occurred_at=NOON,
        cooperative_id="erdre",
        is_charged=is_billable,
        reason_code="site-closed",
        reason="Site fermé",
    )
    return replace(fact, **changes)


def cancelled(order_id: str, leg: int = 1, *, is_late: bool = False, **changes: Any) -> Fact:
    """Return that a leg was cancelled before any round was published."""
    return replace(Fact(FactKind.CANCELLED, order_id, leg, occurred_at=NOON, is_charged=is_late), **changes)


def lapsed(order_id: str, leg: int = 1) -> Fact:
    """Return that nobody rode a leg."""
    return Fact(FactKind.LAPSED, order_id, leg, occurred_at=NOON)


def register(database: Database, contract: Contract, prices: Sequence[PriceLine] | None = PRICES) -> Contract:
    """Register a contract, with a price list in force from its first day unless `prices` is None."""
    with database.transaction() as tx:
        use_cases.register_contract(tx, contract)
        if prices is not None:
            publish(tx, contract, contract.starts_on, prices)
    return contract


def publish(tx: Transaction, contract: Contract, valid_from: date, prices: Sequence[PriceLine] = PRICES) -> PriceList:
    """Publish a price list."""
    return use_cases.publish_price_list(tx, contract.id, valid_from=valid_from, lines=prices, at=NOON)


def hold(database: Database, order: Order, *, at: datetime = NOON) -> bool:
    """Hold an order in a transaction of its own; return whether it was held now."""
    with database.transaction() as tx:
        decisions = use_cases.book(tx, [order], [], at=at)
    return any(decision.is_held for decision in decisions)


def settle(database: Database, fact: Fact, *, at: datetime = NOON) -> None:
    """Settle a leg in a transaction of its own."""
    with database.transaction() as tx:
        use_cases.check_fact(tx, fact)
        use_cases.book(tx, [], [fact], at=at)


def stamp(instant: datetime) -> Timestamp:
    """Return an instant as events carry it."""
    result = Timestamp()
    result.FromDatetime(instant)
    return result


def order_placed(order: Order) -> orders_pb2.OrderPlaced:
    """Return the event that orders says of an order."""
    return orders_pb2.OrderPlaced(
        order_id=order.id,
        reference=order.reference,
        contract_id=order.contract_id,
        department_id=order.department_id,
        flow=orders_pb2.FLOW_ONE_WAY,
        placed_at=stamp(NOON),
        legs=[
            orders_pb2.Leg(
                number=leg.to_price.number,
                service_date=leg.to_price.service_date.isoformat(),
                pickup=orders_pb2.Visit(site_id=leg.origin.site_id, site_name=leg.origin.name),
                drop=orders_pb2.Visit(site_id=leg.destination.site_id, site_name=leg.destination.name),
                needs_trailer=leg.to_price.needs_trailer,
                loads=[
                    orders_pb2.Load(kind=load.kind, label=load.label, count=load.count) for load in leg.to_price.loads
                ],
            )
            for leg in order.legs
        ],
    )


def stop_completed(order_id: str, leg: int = 1, *, is_drop: bool = True) -> dispatch_pb2.StopCompleted:
    """Return the event that dispatch says of a completed stop."""
    return dispatch_pb2.StopCompleted(
        order_id=order_id,
        leg=leg,
        stop_kind=dispatch_pb2.STOP_KIND_DROP if is_drop else dispatch_pb2.STOP_KIND_PICKUP,
        cooperative_id="erdre",
        completed_at=stamp(NOON),
        loads=[dispatch_pb2.CountedLoad(kind="ballot-linge", announced=3, counted=2)],
        proof_ids=["p-1"],
    )


def hear(database: Database, *events: ProtoMessage) -> None:
    """Give events to their handlers, in one transaction."""
    with database.transaction() as tx:
        for event in events:
            HEARS[type(event)](tx, event)
