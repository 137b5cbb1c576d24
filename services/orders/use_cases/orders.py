"""Placing, amending and cancelling orders, and hearing what became of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.kit.database import Transaction, View
from services.kit.errors import DomainError, refuse_all
from services.kit.events import outbox
from services.kit.ids import new_id
from services.orders import messages
from services.orders.domain.asking import AskedLeg, judge_legs
from services.orders.domain.contract import Contract, choose
from services.orders.domain.errors import NoContract, UnknownDepartment
from services.orders.domain.load import LoadKind
from services.orders.domain.order import Actor, Change, Flow, Leg, Order, place
from services.orders.domain.recurring_request import LegTemplate
from services.orders.domain.site import Site
from services.orders.domain.window import Window
from services.orders.repository import Contracts, LoadKinds, Orders, Sites

DEFAULT_ZONE = "Europe/Paris"


@dataclass(frozen=True, slots=True)
class Asked:
    """An order as a department asks for it; without a contract, the only one that applies is taken."""

    department_id: str
    flow: Flow
    legs: tuple[AskedLeg, ...]
    contract_id: str | None = None
    client_reference: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What an order would be made of."""

    contract: Contract
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Registers:
    """What orders are judged by, read once."""

    sites: Mapping[str, Site]
    catalogue: Mapping[str, LoadKind]
    contracts: Sequence[Contract]

    @classmethod
    def read(cls, view: View, department_id: str, legs: Collection[AskedLeg | LegTemplate]) -> "Registers":
        """Read what these legs need."""
        site_ids = {site_id for leg in legs for site_id in (leg.pickup.site_id, leg.drop.site_id)}
        return cls(
            Sites(view).among(site_ids, department_id),
            LoadKinds(view).all(),
            [contract for contract in Contracts(view).all() if contract.is_open_to(department_id)],
        )


def judge(asked: Asked, registers: Registers, *, at: datetime, faults: list[DomainError]) -> Judged | None:
    """Judge an order as a whole; everything wrong is added to `faults`, and then there is nothing to place."""
    named = [contract for contract in registers.contracts if contract.id == asked.contract_id]
    zone = ZoneInfo(next((contract.zone for contract in (*named, *registers.contracts)), DEFAULT_ZONE))

    def local_day(instant: datetime) -> date:
        return instant.astimezone(zone).date()

    before = len(faults)
    legs = judge_legs(asked.flow, asked.legs, registers.sites, registers.catalogue, local_day, at=at, faults=faults)
    days = [local_day(leg.pickup.window.start) for leg in asked.legs] or [local_day(at)]
    try:
        contract = choose(
            registers.contracts, department_id=asked.department_id, day=days[0], contract_id=asked.contract_id
        )
    except DomainError as refusal:
        faults.append(refusal)
        return None
    for index, day in enumerate(days[1:], 1):
        if not contract.covers(day):
            faults.append(
                NoContract(
                    f"Le marché {contract.reference} ne couvre pas le {day:%d/%m/%Y} ; rapprochez le retour.",
                    pointer=f"/legs/{index}/pickup/window/start",
                    date=day.isoformat(),
                )
            )
    return Judged(contract, legs) if len(faults) == before else None


def check_order(tx: Transaction, asked: Asked, *, at: datetime) -> Judged:
    """Run every check of `place_order` and create nothing.

    Raises
    ------
    DomainError
        What is wrong; `Refusals` when there are several things.
    """
    faults: list[DomainError] = []
    if not asked.department_id:
        faults.append(UnknownDepartment("Indiquez pour quel service vous commandez.", pointer="/department_id"))
    judged = judge(asked, Registers.read(tx, asked.department_id, asked.legs), at=at, faults=faults)
    if asked.client_reference is not None:
        try:
            Orders(tx).check_client_reference(asked.department_id, asked.client_reference)
        except DomainError as refusal:
            faults.append(refusal)
    refuse_all(faults)
    assert judged is not None
    return judged


def place_order(
    tx: Transaction, asked: Asked, *, actor: Actor, at: datetime, order_id: str | None = None
) -> tuple[Order, Contract]:
    """Let an order exist and say so, under an id of its own unless one is given; tell the contract it falls under.

    Raises as `check_order`.
    """
    judged = check_order(tx, asked, at=at)
    (reference,) = Orders(tx).next_references(at.year, 1)
    order = Order(
        id=order_id or new_id(),
        reference=reference,
        department_id=asked.department_id,
        contract_id=judged.contract.id,
        flow=asked.flow,
        legs=judged.legs,
        placed_at=at,
        note=asked.note,
        client_reference=asked.client_reference,
    )
    return add(tx, place(order, actor=actor)), judged.contract


def amend_order(
    tx: Transaction,
    order: Order,
    windows: Mapping[int, tuple[Window | None, Window | None]],
    note: str | None,
    *,
    at: datetime,
) -> Order:
    """Change windows or the note of an order that was read for it. Raises as `Order.amend`."""
    contract = Contracts(tx).get(order.contract_id)
    return save(tx, order.amend(windows, note, contract, at=at, actor=Actor.DEPARTMENT))


def cancel_order(tx: Transaction, order: Order, legs: Collection[int] | None, reason: str, *, at: datetime) -> Order:
    """Ask to cancel an order that was read for it, or some of its legs. Raises as `Order.cancel`."""
    contract = Contracts(tx).get(order.contract_id)
    return save(tx, order.cancel(legs, reason, contract, at=at, actor=Actor.DEPARTMENT))


def hear(tx: Transaction, order_id: str, verb: Callable[[Order], Change]) -> Order:
    """Let an order take note of a fact. Raises NotYet when the order is not known."""
    return save(tx, verb(Orders(tx).told_of(order_id)))


def add(tx: Transaction, change: Change) -> Order:
    """Keep a new order and tell the others."""
    Orders(tx).add(change)
    return _told(tx, change)


def save(tx: Transaction, change: Change) -> Order:
    """Keep a changed order and tell the others what concerns them."""
    Orders(tx).save(change)
    return _told(tx, change)


def _told(tx: Transaction, change: Change) -> Order:
    for fact in change.said:
        outbox.add(tx, messages.message_of(fact))
    return change.order
