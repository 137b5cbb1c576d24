"""Billing's stories: register, hold, settle, close; each in the transaction it is given.

Lock order, everywhere: a contract's balance, then its charges, then sellers' numbers by SIRET.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256

from services.billing import messages
from services.billing.domain import acceptance as verifying
from services.billing.domain import charge as charging
from services.billing.domain import price_list as pricing
from services.billing.domain import statement as closing
from services.billing.domain.ceiling import Ceiling, LegAmount, Movement
from services.billing.domain.charge import Charge, Fact, HoldDecision, Order, Settlement
from services.billing.domain.contract import Contract
from services.billing.domain.errors import (
    CeilingExceeded,
    ContractNotFound,
    HoldRefusedEarlier,
    LegUnknown,
    PriceListTooLate,
    ReferenceTaken,
)
from services.billing.domain.price_list import PriceLine, PriceList
from services.billing.domain.statement import Gauge, Month, Statement
from services.billing.repository import (
    Ceilings,
    Charges,
    Contracts,
    Document,
    NewContracts,
    NewDocuments,
    Statements,
)
from services.billing.use_cases import emissions
from services.billing.use_cases.invoicing import issue_invoice
from services.kit.database import Transaction
from services.kit.errors import DomainError, NotYet, Refusals
from services.kit.events import outbox
from services.kit.ids import new_id

ORDER_PLACED = "orders.v1.OrderPlaced"


def register_contract(tx: Transaction, contract: Contract) -> Contract:
    """Let departments order under a contract from now on. Raises what `Contract.check` does, and ReferenceTaken."""
    contract.check()
    contracts = NewContracts(tx)
    opened = Ceiling(contract.id, contract.ceiling_cents, contract.alert_percents).open()
    if not contracts.add(contract, opened.ceiling, terms_id=new_id()):
        other_id = contracts.by_reference(contract.buyer.siret, contract.reference)
        raise ReferenceTaken(contract.reference, other_id or "")
    Ceilings(tx).book(opened.entries, at=contract.registered_at)
    outbox.add(tx, messages.contract_registered(contract))
    return contract


def publish_price_list(
    tx: Transaction, contract_id: str, *, valid_from: date, lines: Sequence[PriceLine], at: datetime
) -> PriceList:
    """Put new unit prices in force from a day on; legs already held for those days are held at the new prices.

    Raises
    ------
    ContractNotFound, PriceListDateTaken, PriceLineTwice, LoadKindMisplaced
    PriceListTooLate
        When a leg of those days is settled already.
    LoadNotPriced
        When a leg held for those days carries a load that the new list does not price.
    CeilingExceeded
        When the new prices would commit more than the contract's maximum.
    """
    tx.write_gathered()
    ceilings, charges = Ceilings(tx), Charges(tx)
    locked = ceilings.lock(contract_id)
    published = locked.terms.price_lists
    price_list = PriceList(new_id(), contract_id, len(published) + 1, valid_from, tuple(lines), at)
    price_list.check()
    until = pricing.check_next(published, valid_from)
    last_settled = charges.last_settled(contract_id, since=valid_from, until=until)
    if last_settled is not None:
        raise PriceListTooLate(valid_from, last_settled)
    held = charges.open(contract_id, since=valid_from, until=until)
    repriced = [(charge, price_list.price(charge.to_price)) for charge in held]
    moved = locked.ceiling.revalue(
        [(LegAmount(charge.order_id, charge.leg, charge.held_cents), new.amount_cents) for charge, new in repriced],
        cause=f"price-list:{price_list.id}",
    )
    ceilings.add_price_list(price_list, terms_id=new_id())
    if repriced:
        charges.reprice(repriced)
        _keep(tx, moved, at=at)
    return price_list


def check_fact(tx: Transaction, fact: Fact) -> None:
    """Refuse what cannot have happened under the contract, or not yet. Locks nothing.

    Raises
    ------
    NotYet
        When the order has not been heard of.
    HoldRefusedEarlier, LegUnknown, SellerNotInContract
    """
    charges = Charges(tx)
    found = charges.look_up(fact.order_id, fact.leg)
    if found is None:
        tx.write_gathered()  # the order may have been placed in this very transaction
        found = charges.look_up(fact.order_id, fact.leg)
    if found is None:
        is_held = charges.decided([fact.order_id]).get(fact.order_id)
        if is_held is None:
            raise NotYet(f"order {fact.order_id} has not been heard of")
        raise LegUnknown(fact.order_id, fact.leg) if is_held else HoldRefusedEarlier(fact.order_id)
    _, terms = found
    terms.contract.seller(fact.cooperative_id)


def book(tx: Transaction, orders: Sequence[Order], facts: Sequence[Fact], *, at: datetime) -> list[HoldDecision]:
    """Hold orders or refuse them, then settle legs by facts that passed `check_fact`; return the new decisions.

    An order is decided once, and the first fact that ends a leg counts: repeats change nothing. All contracts
    concerned are locked first and in one order, so that no two transactions wait for each other.
    """
    ceilings, charges = Ceilings(tx), Charges(tx)
    order_ids = {fact.order_id for fact in facts}
    contract_ids = {order.contract_id for order in orders}
    contract_ids.update(charge.contract_id for charge in charges.find(order_ids).values())
    for contract_id in sorted(contract_ids):
        with suppress(ContractNotFound):
            ceilings.lock(contract_id)
    decisions = _hold(tx, orders, at=at) if orders else []
    if facts:
        # Read again: before the lock somebody may have settled a leg, or held it at another price.
        _settle(tx, facts, charges.find(order_ids), at=at)
    return decisions


def _hold(tx: Transaction, orders: Sequence[Order], *, at: datetime) -> list[HoldDecision]:
    charges = Charges(tx)
    decided = set(charges.decided([order.id for order in orders]))
    decisions: list[HoldDecision] = []
    held: list[Charge] = []
    for order in orders:
        if order.id in decided:
            continue
        decided.add(order.id)
        decision, legs = _decide(tx, order, at=at)
        decisions.append(decision)
        held.extend(legs)
    if decisions:
        charges.add(decisions, held)
    return decisions


def _settle(tx: Transaction, facts: Sequence[Fact], legs: Mapping[tuple[str, int], Charge], *, at: datetime) -> None:
    ceilings = Ceilings(tx)
    settled: dict[tuple[str, int], tuple[Charge, Settlement]] = {}
    for fact in facts:
        leg = fact.order_id, fact.leg
        charge = legs[leg]
        if charge.settlement is not None or leg in settled:
            continue
        locked = ceilings.lock(charge.contract_id)
        settlement = charge.settle(fact, locked.terms.contract, at=at)
        emissions.keep_ridden(tx, charge, fact, locked.terms.contract)
        moved = locked.ceiling.settle(
            charge.order_id,
            charge.leg,
            held_cents=charge.held_cents,
            owed_cents=settlement.amount_cents,
            cause=fact.kind.value,
        )
        settled[leg] = charge, settlement
        outbox.add(tx, messages.leg_settled(charge, settlement))
        _keep(tx, moved, at=at)
    if settled:
        Charges(tx).settle(list(settled.values()))


def _decide(tx: Transaction, order: Order, *, at: datetime) -> tuple[HoldDecision, tuple[Charge, ...]]:
    ceilings = Ceilings(tx)
    try:
        locked = ceilings.lock(order.contract_id)
    except ContractNotFound as refusal:
        return _refuse(tx, order, refusal, left_cents=0, at=at), ()
    legs = [leg.to_price for leg in order.legs]
    try:
        locked.terms.contract.check_order(order.department_id, [leg.service_date for leg in legs])
        estimates = pricing.estimate(locked.terms.price_lists, legs)
        moved = locked.ceiling.hold(
            order.id, {estimate.leg: estimate.amount_cents for estimate in estimates}, cause=ORDER_PLACED
        )
    except DomainError as refusal:
        return _refuse(tx, order, refusal, left_cents=locked.ceiling.left_cents, at=at), ()
    decision = HoldDecision(
        order_id=order.id,
        contract_id=order.contract_id,
        department_id=order.department_id,
        reference=order.reference,
        is_held=True,
        asked_cents=sum(estimate.amount_cents for estimate in estimates),
        left_cents=moved.ceiling.left_cents,
        decided_at=at,
    )
    outbox.add(tx, messages.amount_held(decision))
    _keep(tx, moved, at=at)
    return decision, charging.held(order, estimates, at=at)


def _refuse(tx: Transaction, order: Order, refusal: DomainError, *, left_cents: int, at: datetime) -> HoldDecision:
    faults = refusal.errors if isinstance(refusal, Refusals) else (refusal,)
    decision = HoldDecision(
        order_id=order.id,
        contract_id=order.contract_id,
        department_id=order.department_id,
        reference=order.reference,
        is_held=False,
        asked_cents=refusal.asked_cents if isinstance(refusal, CeilingExceeded) else 0,
        left_cents=left_cents,
        decided_at=at,
        refusal_code=faults[0].code,
        refusal=" ".join(dict.fromkeys(fault.detail for fault in faults)),
    )
    outbox.add(tx, messages.hold_refused(decision))
    return decision


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed month: its statements by seller, none when nothing was owed. `is_new` is False for a repeat."""

    contract_id: str
    month: Month
    statements: tuple[Statement, ...]
    is_new: bool


def close_month(tx: Transaction, contract_id: str, month: Month, *, at: datetime) -> Closing:
    """Freeze what was settled up to the month's end into one numbered statement per seller. Closing again is harmless.

    What is contested, or neither accepted nor past the contract's silence, waits for a later month.

    Raises
    ------
    ContractNotFound, MonthNotOver, MonthBeforeContract, LaterMonthClosed
    InvoiceDataMissing, InvoiceNotValid, RulesUnavailable
        When an e-invoice cannot be issued; the caller's transaction must end without a commit, so no number is used.
    """
    tx.write_gathered()
    ceilings, charges, closed = Ceilings(tx), Charges(tx), Statements(tx)
    locked = ceilings.lock(contract_id)
    if closed.is_closed(contract_id, month):
        return Closing(contract_id, month, tuple(closed.of_month(contract_id, month)), is_new=False)
    contract = locked.terms.contract
    today = contract.local_date(at)
    closing.check_month(contract, month, latest_closed=closed.latest_closed(contract_id), today=today)
    silent_until = verifying.silent_until(today, contract.verification_days)
    by_seller: dict[str, list[Charge]] = {}
    for charge in charges.to_invoice(contract_id, month.last_day, silent_until):
        assert charge.settlement is not None
        by_seller.setdefault(charge.settlement.cooperative_id, []).append(charge)
    sellers = sorted((contract.seller(cooperative_id) for cooperative_id in by_seller), key=lambda one: one.siret)
    ids = {seller.id: new_id() for seller in sellers}
    moved = Movement(locked.ceiling, ())
    for seller in sellers:
        amounts = [LegAmount(charge.order_id, charge.leg, charge.due_cents) for charge in by_seller[seller.id]]
        step = moved.ceiling.invoice(amounts, cause=f"statement:{ids[seller.id]}")
        moved = replace(step, entries=moved.entries + step.entries)
    statements = []
    for seller in sellers:
        number = closing.number_text(today.year, closed.count_up(seller.siret, today.year))
        statement = closing.close(
            contract,
            seller,
            month,
            by_seller[seller.id],
            statement_id=ids[seller.id],
            number=number,
            gauge=Gauge.of(moved.ceiling),
            at=at,
        )
        closed.add(statement)
        charges.put_on(statement, month.last_day, silent_until)
        emissions.freeze(tx, statement, contract)
        issue_invoice(tx, statement, by_seller[seller.id], at=at)
        outbox.add(tx, messages.statement_closed(statement))
        statements.append(statement)
    closed.mark_closed(contract_id, month, at=at)
    _keep(tx, moved, at=at)
    return Closing(contract_id, month, tuple(statements), is_new=True)


def next_due(tx: Transaction, contract_id: str, *, delay_days: int, at: datetime) -> Month | None:
    """Return the month of a contract that a schedule should close now, if there is one. Raises ContractNotFound."""
    contract = Contracts(tx).get(contract_id)
    return closing.next_due(
        contract,
        latest_closed=Statements(tx).latest_closed(contract_id),
        has_unbilled=Charges(tx).has_unbilled(contract_id),
        today=contract.local_date(at),
        delay_days=delay_days,
    )


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes an export."""

    account_id: str
    name: str


def keep_document(tx: Transaction, statement_id: str, format_: str, content: bytes, *, at: datetime) -> Document:
    """Keep a statement's bytes unless some were kept before; return the kept ones."""
    rendered = Document(statement_id, format_, sha256(content).hexdigest(), content)
    return NewDocuments(tx).keep_first(rendered, at=at)


def keep_export(
    tx: Transaction, statement_id: str, format_: str, content: bytes, *, taker: Taker, at: datetime
) -> Document:
    """Do the same, and log who takes them."""
    document = keep_document(tx, statement_id, format_, content, at=at)
    NewDocuments(tx).log_export(document, account_id=taker.account_id, account_name=taker.name, at=at)
    return document


def log_export(
    tx: Transaction, statement_id: str, format_: str, content: bytes, *, taker: Taker, at: datetime
) -> Document:
    """Log who takes bytes that are made anew each time; return them with their hash."""
    document = Document(statement_id, format_, sha256(content).hexdigest(), content)
    NewDocuments(tx).log_export(document, account_id=taker.account_id, account_name=taker.name, at=at)
    return document


def log_taken(tx: Transaction, statement_id: str, format_: str, sha256: str, *, taker: Taker, at: datetime) -> None:
    """Log who takes bytes of which only the hash is at hand."""
    document = Document(statement_id, format_, sha256, b"")
    NewDocuments(tx).log_export(document, account_id=taker.account_id, account_name=taker.name, at=at)


def _keep(tx: Transaction, moved: Movement, *, at: datetime) -> None:
    Ceilings(tx).save(moved, at=at)
    for crossed in moved.crossed:
        outbox.add(tx, messages.ceiling_nearly_reached(moved.ceiling.contract_id, crossed, at=at))
