"""Billing's stories: register, hold, settle, close; each in the transaction it is given.

Lock order, everywhere: a contract's balance, then its charges, then sellers' numbers by SIRET.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from services.billing import messages
from services.billing.domain import acceptance as verifying
from services.billing.domain import price_list as pricing
from services.billing.domain import statement as closing
from services.billing.domain.approval import Approval
from services.billing.domain.ceiling import Ceiling, LegAmount, Movement, Scope
from services.billing.domain.ceiling_errors import HoldExpired
from services.billing.domain.charge import (
    ORDER_PLACED,
    Amendment,
    Charge,
    Fact,
    FactKind,
    HeldLeg,
    HoldDecision,
    Order,
    Rule,
    Settlement,
    leg_amount,
)
from services.billing.domain.contract import Contract
from services.billing.domain.errors import (
    CeilingExceeded,
    ContractNotFound,
    HoldRefusedEarlier,
    LegUnknown,
    PriceListTooLate,
    ReferenceTaken,
)
from services.billing.domain.leg_facts import NOTHING_TOLD
from services.billing.domain.policy import Beyond
from services.billing.domain.price_list import LegToPrice, PriceLine, PriceList
from services.billing.domain.statement import Gauge, Month, ScopeGauge, Statement
from services.billing.repository import (
    Ceilings,
    Charges,
    Contracts,
    Document,
    Locked,
    NewContracts,
    NewDocuments,
    Statements,
    Terms,
    indices_of,
)
from services.billing.repository.approvals import Approvals
from services.billing.use_cases import emissions, penalties, revision
from services.billing.use_cases.advance import prepaid
from services.billing.use_cases.invoicing import issue_invoice
from services.kit.database import Transaction
from services.kit.errors import DomainError, NotYet, Refusals, refuse_all
from services.kit.events import outbox
from services.kit.ids import new_id

Outcome = tuple[HoldDecision, Order, tuple[HeldLeg, ...]]
"""A decision about an order, and how its legs are held, if they are."""


def register_contract(tx: Transaction, contract: Contract) -> Contract:
    """Let departments order under a contract from now on.

    Raises
    ------
    ReferenceTaken, what `Contract.check` raises, and what `RevisionTerms.check_indices` does
    """
    contract.check()
    if contract.revision is not None:
        contract.revision.check_indices(indices_of(tx, contract))
    contracts = NewContracts(tx)
    parts = tuple(Scope(part.key, part.name, part.maximum_cents) for part in contract.structure)
    opened = Ceiling(contract.id, contract.ceiling_cents, contract.alert_percents, scopes=parts).open()
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
        When the new prices would commit more than a maximum of the contract.
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
    contract = locked.terms.contract
    repriced = []
    for charge in held:
        new = price_list.price(charge.to_price, contract.zone)
        new = revision.held_at(locked.terms, new, charge.service_date, charge.ordered_at)
        repriced.append((charge, new, new.amount_cents + contract.policy.margin_of(new.amount_cents)))
    moved = locked.ceiling.revalue(
        [(leg_amount(contract, charge, charge.held_cents), new_cents) for charge, _, new_cents in repriced],
        cause=f"price-list:{price_list.id}",
    )
    ceilings.add_price_list(price_list, terms_id=new_id())
    if repriced:
        charges.reprice(repriced)
        keep(tx, moved, at=at)
    return price_list


def check_fact(tx: Transaction, fact: Fact) -> None:
    """Refuse what cannot have happened under the contract, or not yet. Locks nothing.

    Raises
    ------
    NotYet
        When the order has not been heard of.
    HoldRefusedEarlier, LegUnknown, SellerNotInContract
    HoldExpired
        When something would be owed for a leg whose hold was given back because no fact had come.
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
    charge, terms = found
    terms.contract.seller(fact.cooperative_id)
    is_owed = fact.kind is FactKind.HANDED_OVER or fact.is_charged
    if is_owed and charge.settlement is not None and charge.settlement.rule is Rule.EXPIRED:
        raise HoldExpired(charge.order_id, charge.leg, charge.settlement.settled_on)


def book(
    tx: Transaction,
    orders: Sequence[Order],
    facts: Sequence[Fact],
    amendments: Sequence[Amendment] = (),
    *,
    at: datetime,
) -> list[HoldDecision]:
    """Hold orders or refuse them, then settle legs by facts that passed `check_fact`; return the new decisions.

    Amendments of what was promised are kept in between; those of orders that were refused are of no use.

    An order is decided once, later when it waits for an approval, and the first fact that ends a leg counts: repeats
    change nothing. All contracts concerned are locked first and in one order, so that no two transactions wait for
    each other.
    """
    ceilings, charges = Ceilings(tx), Charges(tx)
    order_ids = {fact.order_id for fact in facts}
    contract_ids = {order.contract_id for order in orders}
    contract_ids.update(charge.contract_id for charge in charges.find(order_ids).values())
    for contract_id in sorted(contract_ids):
        with suppress(ContractNotFound):
            ceilings.lock(contract_id)
    decisions = _hold(tx, orders, at=at) if orders else []
    for amendment in amendments:
        for charge in charges.find([amendment.order_id]).values():
            if charge.leg in amendment.promised_until:
                charges.amend(charge, amendment)
    if facts:
        # Read again: before the lock somebody may have settled a leg, or held it at another price.
        _settle(tx, facts, charges.find(order_ids), at=at)
    return decisions


def _hold(tx: Transaction, orders: Sequence[Order], *, at: datetime) -> list[HoldDecision]:
    charges = Charges(tx)
    decided = set(charges.decided([order.id for order in orders]))
    by_contract: dict[str, list[Order]] = {}
    for order in orders:
        if order.id not in decided:
            decided.add(order.id)
            by_contract.setdefault(order.contract_id, []).append(order)
    outcomes = [one for contract_id, theirs in by_contract.items() for one in _decide(tx, contract_id, theirs, at=at)]
    if outcomes:
        charges.add(outcomes)
    return [decision for decision, _, _ in outcomes]


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
            scopes=leg_amount(locked.terms.contract, charge, 0).scopes,
        )
        settled[leg] = charge, settlement
        outbox.add(tx, messages.leg_settled(charge, settlement))
        keep(tx, moved, at=at)
    if settled:
        Charges(tx).settle(list(settled.values()))


def _decide(tx: Transaction, contract_id: str, orders: Sequence[Order], *, at: datetime) -> list[Outcome]:
    """Hold orders of one contract or refuse them; one that waits for a named person, or has waited, is left out."""
    try:
        terms = Ceilings(tx).lock(contract_id).terms
    except ContractNotFound as refusal:
        return [(refuse(tx, order, refusal, left_cents=0, at=at), order, ()) for order in orders]
    if terms.contract.policy.beyond is Beyond.APPROVAL:
        known = Approvals(tx).known([order.id for order in orders])
        orders = [order for order in orders if order.id not in known]
    asking = _Asking(terms)
    return _take(tx, contract_id, [(order, asking.of(order)) for order in orders], at=at)


def _take(
    tx: Transaction, contract_id: str, asked: "Sequence[tuple[Order, _Asked | DomainError]]", *, at: datetime
) -> list[Outcome]:
    """Hold in one step what fits under every maximum as a whole; else each half for itself, and so on to one order."""
    if len(asked) < 2:
        alone = [_take_one(tx, order, what, at=at) for order, what in asked]
        return [one for one in alone if one is not None]
    locked = Ceilings(tx).lock(contract_id)
    moved = _held_together(locked, [what for _, what in asked if isinstance(what, _Asked)])
    if moved is None:
        middle = len(asked) // 2
        return _take(tx, contract_id, asked[:middle], at=at) + _take(tx, contract_id, asked[middle:], at=at)
    outcomes: list[Outcome] = []
    left_cents = locked.ceiling.left_cents
    for order, what in asked:
        if isinstance(what, DomainError):
            outcomes.append((refuse(tx, order, what, left_cents=left_cents, at=at), order, ()))
        else:
            left_cents -= what.cents
            outcomes.append(_accept(tx, order, what, left_cents=left_cents, at=at))
    keep(tx, moved, at=at)
    return outcomes


def _held_together(locked: Locked, asked: "Sequence[_Asked]") -> Movement | None:
    policy = locked.terms.contract.policy
    if policy.order_limit_cents is not None and any(one.cents > policy.order_limit_cents for one in asked):
        return None
    amounts = [amount for one in asked for amount in one.amounts]
    return locked.ceiling.hold_together(amounts, cause=ORDER_PLACED, reserve_percent=policy.reserve_percent)


def _take_one(tx: Transaction, order: Order, asked: "_Asked | DomainError", *, at: datetime) -> Outcome | None:
    """Hold an order or refuse it; return None when it waits for a named person from now on."""
    locked = Ceilings(tx).lock(order.contract_id)
    policy = locked.terms.contract.policy
    try:
        if isinstance(asked, DomainError):
            raise asked
        moved = _held(locked.ceiling, order, asked)
        concerns = policy.concerns(locked.ceiling, asked.amounts)
        if concerns and policy.beyond is Beyond.APPROVAL:
            _wait(tx, order, asked, concerns, at=at)
            return None
        refuse_all(concerns)
    except DomainError as refusal:
        return refuse(tx, order, refusal, left_cents=locked.ceiling.left_cents, at=at), order, ()
    outcome = _accept(tx, order, asked, left_cents=moved.ceiling.left_cents, at=at)
    keep(tx, moved, at=at)
    return outcome


def hold_approved(tx: Transaction, order: Order, *, at: datetime) -> HoldDecision:
    """Hold an order that a named person approved: at the prices in force now, and under every maximum as it is now.

    Raises what refuses an order; it can be approved again later.
    """
    locked = Ceilings(tx).lock(order.contract_id)
    asked = _Asking(locked.terms).of(order)
    if isinstance(asked, DomainError):
        raise asked
    moved = _held(locked.ceiling, order, asked)
    outcome = _accept(tx, order, asked, left_cents=moved.ceiling.left_cents, at=at)
    keep(tx, moved, at=at)
    Charges(tx).add([outcome])
    return outcome[0]


class _Asked(NamedTuple):
    """What an order would take in all, and leg by leg in the order's order."""

    cents: int
    legs: tuple[HeldLeg, ...]
    amounts: tuple[LegAmount, ...]


class _Asking:
    """What orders of one contract would take; what many of them ask alike is looked up and priced once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._contract = terms.contract
        self._price_lists = terms.price_lists
        self._is_priced_by_facts = any(price_list.is_priced_by_facts for price_list in terms.price_lists)
        self._leg = cache(self._leg_alone)

    def of(self, order: Order) -> _Asked | DomainError:
        """Return what an order would take, or why it cannot be held whatever is left."""
        try:
            return self._of(order)
        except DomainError as refusal:
            return refusal

    def _of(self, order: Order) -> _Asked:
        try:
            # What hardly two orders have alike is told only where prices depend on it.
            ordered_at = order.placed_at if self._contract.revision else None
            asked = [leg.to_price for leg in order.legs]
            if not self._is_priced_by_facts:
                asked = [replace(leg, facts=NOTHING_TOLD) for leg in asked]
            legs = tuple([self._leg(order.department_id, leg, ordered_at) for leg in asked])
        except DomainError:
            self._check(order)
            raise
        amounts = tuple([LegAmount(order.id, leg.number, leg.held_cents, leg.scopes) for leg in legs])
        return _Asked(sum([leg.held_cents for leg in legs]), legs, amounts)

    def _leg_alone(self, department_id: str, leg: LegToPrice, ordered_at: datetime | None) -> HeldLeg:
        contract = self._contract
        contract.check_order(department_id, [leg.service_date])
        lot = contract.structure.lot_of(leg.number, department_id, [load.kind for load in leg.loads])
        (estimate,) = pricing.estimate(self._price_lists, [leg], contract.zone)
        estimate = revision.held_at(self._terms, estimate, leg.service_date, ordered_at)
        held_cents = estimate.amount_cents + contract.policy.margin_of(estimate.amount_cents)
        return HeldLeg(
            leg.number, estimate, held_cents, lot, contract.structure.scopes_of(department_id, leg.service_date, lot)
        )

    def _check(self, order: Order) -> None:
        """Raise what is wrong with an order: of all its legs, not only of the first."""
        legs = [leg.to_price for leg in order.legs]
        self._contract.check_order(order.department_id, [leg.service_date for leg in legs])
        self._check_lots(order.department_id, legs)
        pricing.estimate(self._price_lists, legs, self._contract.zone)

    def _check_lots(self, department_id: str, legs: Sequence[LegToPrice]) -> None:
        faults: list[DomainError] = []
        for leg in legs:
            try:
                self._contract.structure.lot_of(leg.number, department_id, [load.kind for load in leg.loads])
            except DomainError as fault:
                faults.append(fault)
        refuse_all(faults)


def _held(ceiling: Ceiling, order: Order, asked: _Asked) -> Movement:
    return ceiling.hold(
        order.id,
        {amount.leg: amount.amount_cents for amount in asked.amounts},
        cause=ORDER_PLACED,
        scopes_by_leg={amount.leg: amount.scopes for amount in asked.amounts},
    )


def _accept(tx: Transaction, order: Order, asked: _Asked, *, left_cents: int, at: datetime) -> Outcome:
    decision = HoldDecision(
        order_id=order.id,
        contract_id=order.contract_id,
        department_id=order.department_id,
        reference=order.reference,
        is_held=True,
        asked_cents=asked.cents,
        left_cents=left_cents,
        decided_at=at,
    )
    outbox.add(tx, messages.amount_held(decision))
    return decision, order, asked.legs


def _wait(tx: Transaction, order: Order, asked: _Asked, concerns: Sequence[DomainError], *, at: datetime) -> None:
    approval = Approval(
        order=order,
        first_service_date=min(leg.to_price.service_date for leg in order.legs),
        asked_cents=asked.cents,
        reason_code=concerns[0].code,
        reason=" ".join(concern.detail for concern in concerns),
        asked_at=at,
    )
    Approvals(tx).add(approval)
    outbox.add(tx, messages.approval_requested(approval))


def refuse(tx: Transaction, order: Order, refusal: DomainError, *, left_cents: int, at: datetime) -> HoldDecision:
    """Say that an order is not held, and why: of several exhausted scopes, the figures are those of the tightest."""
    faults = refusal.errors if isinstance(refusal, Refusals) else (refusal,)
    exhausted = [fault for fault in faults if isinstance(fault, CeilingExceeded)]
    decision = HoldDecision(
        order_id=order.id,
        contract_id=order.contract_id,
        department_id=order.department_id,
        reference=order.reference,
        is_held=False,
        asked_cents=max((fault.asked_cents for fault in exhausted), default=0),
        left_cents=min((fault.left_cents for fault in exhausted), default=left_cents),
        decided_at=at,
        refusal_code=faults[0].code,
        refusal=" ".join(dict.fromkeys(fault.detail for fault in faults)),
    )
    outbox.add(tx, messages.hold_refused(decision, exhausted))
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

    What is contested, or neither accepted nor past the contract's silence, waits for a later month. A seller whose
    earlier statements are corrected has a statement even with no legs.

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
    revised, moved = revision.revise_month(tx, contract, locked.ceiling, by_seller, month, at=at)
    by_seller = {**{seller_id: [] for seller_id in revised.corrections}, **revised.charges}
    sellers = sorted((contract.seller(cooperative_id) for cooperative_id in by_seller), key=lambda one: one.siret)
    ids = {seller.id: new_id() for seller in sellers}
    for seller in sellers:
        amounts = [leg_amount(contract, charge, charge.standing_cents) for charge in by_seller[seller.id]]
        step = moved.ceiling.invoice(amounts, cause=f"statement:{ids[seller.id]}")
        moved = replace(step, entries=moved.entries + step.entries, crossed=moved.crossed + step.crossed)
    revised.keep_corrected(tx, at=at)
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
            scopes=ScopeGauge.all_of(moved.ceiling),
            at=at,
            revised=revised.lines,
            corrections=revised.corrections.get(seller.id, ()),
        )
        statement = prepaid(tx, contract, moved.ceiling, statement)
        closed.add(statement)
        revised.keep(tx, statement)
        charges.put_on(statement, month.last_day, silent_until)
        emissions.freeze(tx, statement, contract)
        issue_invoice(tx, statement, by_seller[seller.id], at=at)
        outbox.add(tx, messages.statement_closed(statement))
        statements.append(statement)
    penalties.compute(tx, contract, month, at=at)
    closed.mark_closed(contract_id, month, at=at)
    keep(tx, moved, at=at)
    return Closing(contract_id, month, tuple(statements), is_new=True)


def next_due(tx: Transaction, contract_id: str, *, delay_days: int, at: datetime) -> Month | None:
    """Return the month of a contract that a schedule should close now, if there is one. Raises ContractNotFound."""
    contract = Contracts(tx).get(contract_id)
    return closing.next_due(
        contract,
        latest_closed=Statements(tx).latest_closed(contract_id),
        has_unbilled=Charges(tx).has_unbilled(contract_id) or revision.is_correction_due(tx, contract),
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


def keep(tx: Transaction, moved: Movement, *, at: datetime) -> None:
    """Keep what a verb did to a locked ceiling, and say which alert levels were crossed."""
    Ceilings(tx).save(moved, at=at)
    for crossed in moved.crossed:
        outbox.add(tx, messages.ceiling_nearly_reached(moved.ceiling.contract_id, crossed, at=at))
