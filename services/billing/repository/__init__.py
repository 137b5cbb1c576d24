"""Whole aggregates in and out: contracts with their prices, ceilings, charges, statements."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_core import to_json
from sqlalchemy import JSON, ColumnElement, Row, String, and_, bindparam, cast, func, insert, or_, select, update

from services.billing.domain.ceiling import Ceiling, Movement, Scope
from services.billing.domain.charge import (
    ORDER_PLACED,
    Acceptance,
    Amendment,
    Charge,
    ChargedLine,
    Cut,
    FactKind,
    HeldLeg,
    HoldDecision,
    Order,
    OrderedLeg,
    Outcome,
    Place,
    Rule,
    Settlement,
    Source,
)
from services.billing.domain.contract import (
    ChargeRules,
    Contract,
    Department,
    LoadMass,
    VatRate,
)
from services.billing.domain.emissions import Baseline
from services.billing.domain.errors import ContractNotFound, CorrectedStatementUnwritable, StatementNotFound
from services.billing.domain.ledger import Entry
from services.billing.domain.leg_facts import LegFacts
from services.billing.domain.money import Tax
from services.billing.domain.price_list import Estimate, PricedLine, PriceLine, PriceList, Unit
from services.billing.domain.revision import Indices
from services.billing.domain.statement import Allowance, DepartmentTotal, Gauge, Item, Month, ScopeGauge, Statement
from services.billing.domain.structure import Structure
from services.billing.repository import parties
from services.billing.repository import penalties as penal
from services.billing.repository import revision as revisions
from services.billing.repository import terms as more_terms
from services.billing.repository.indices import IndexValues
from services.billing.tables import (
    balances,
    charges,
    closings,
    contracts,
    documents,
    exports,
    holds,
    ledger,
    price_lists,
    scopes,
    statement_counts,
    statements,
)
from services.kit.database import Transaction, View, insert_all, insert_new

Json = dict[str, Any]
NO_INDICES = Indices()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a price is made from: a contract, all versions of its price list, and the indices it is revised by."""

    contract: Contract
    price_lists: tuple[PriceList, ...]
    indices: Indices = NO_INDICES


@dataclass(frozen=True, slots=True)
class Locked:
    """A contract's ceiling, locked until the transaction ends, and its terms; `stored` is what its rows say."""

    ceiling: Ceiling
    terms: Terms
    stored: Ceiling


class Contracts:
    """Contracts and their price lists."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, contract_id: str) -> Contract:
        """Return a contract. Raises ContractNotFound."""
        row = self._view.execute(select(contracts).where(contracts.c.id == contract_id)).one_or_none()
        if row is None:
            raise ContractNotFound(contract_id)
        return contract_of(row)

    def by_reference(self, buyer_siret: str, reference: str) -> str | None:
        """Return the id of the buyer's contract with this reference, if there is one."""
        found: str | None = self._view.execute(
            select(contracts.c.id).where(contracts.c.buyer_siret == buyer_siret, contracts.c.reference == reference)
        ).scalar_one_or_none()
        return found

    def ids(self) -> list[str]:
        """Return every contract's id, oldest first."""
        return list(self._view.execute(select(contracts.c.id).order_by(contracts.c.id)).scalars())

    def price_lists(self, contract_id: str) -> tuple[PriceList, ...]:
        """Return the contract's price lists by version."""
        rows = self._view.execute(
            select(price_lists).where(price_lists.c.contract_id == contract_id).order_by(price_lists.c.version)
        )
        return tuple(_price_list(row) for row in rows)


class NewContracts(Contracts):
    """Adds contracts; what edits one later, parties completed or amendments, does so under its lock in `Ceilings`."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def add(self, contract: Contract, ceiling: Ceiling, *, terms_id: str) -> bool:
        """Add a contract and its balance; return False when its buyer has that reference already."""
        row = {
            "id": contract.id,
            "reference": contract.reference,
            "buyer_siret": contract.buyer.siret,
            "starts_on": contract.starts_on,
            "ends_on": contract.ends_on,
            "terms": _terms(contract),
            "registered_at": contract.registered_at,
        }
        if not insert_new(self._tx, contracts, [row], contracts.c.id).all():
            return False
        self._tx.execute(
            insert(balances).values(
                contract_id=contract.id,
                ceiling_cents=ceiling.ceiling_cents,
                held_cents=ceiling.held_cents,
                owed_cents=ceiling.owed_cents,
                invoiced_cents=ceiling.invoiced_cents,
                reached_percent=ceiling.reached_percent,
                terms_id=terms_id,
            )
        )
        if ceiling.scopes:
            self._tx.execute(insert(scopes), [_from_scope(contract.id, scope) for scope in ceiling.scopes])
        return True


class Ceilings:
    """The hot rows: what stands under each contract's ceiling, and the ledger that explains it.

    A ceiling is read once per transaction and written once, before the commit, however often it moves in between.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._locked = _locked_by_tx.setdefault(tx, {})

    def lock(self, contract_id: str) -> Locked:
        """Return a contract's ceiling; nobody else moves it until this transaction ends. Raises ContractNotFound."""
        if contract_id in self._locked:
            return self._locked[contract_id]
        row = self._tx.execute(_LOCK, {"contract_id": contract_id}).one_or_none()
        if row is None:
            raise ContractNotFound(contract_id)
        terms = _terms_of(self._tx, contract_id, row.terms_id)
        ceiling = Ceiling(
            contract_id,
            row.ceiling_cents,
            terms.contract.alert_percents,
            row.held_cents,
            row.owed_cents,
            row.invoiced_cents,
            row.reached_percent,
            self._scopes(contract_id, terms.contract.structure),
        )
        locked = self._locked[contract_id] = Locked(ceiling, terms, ceiling)
        return locked

    def _scopes(self, contract_id: str, structure: Structure) -> tuple[Scope, ...]:
        parts = tuple(structure)
        if not parts:
            return ()
        # Read after the balance was locked: nobody else writes them now.
        rows = {row.key: row for row in self._tx.execute(_SCOPES, {"contract_id": contract_id})}
        return tuple(scope_of(rows[part.key], part.name) for part in parts)

    def add_price_list(self, price_list: PriceList, *, terms_id: str) -> None:
        """Add a version to a locked contract; from now on its terms are kept under `terms_id`."""
        self._tx.execute(
            insert(price_lists).values(
                id=price_list.id,
                contract_id=price_list.contract_id,
                version=price_list.version,
                valid_from=price_list.valid_from,
                lines=[_from_price_line(line) for line in price_list.lines],
                published_at=price_list.published_at,
            )
        )
        self._tx.execute(
            update(balances).where(balances.c.contract_id == price_list.contract_id).values(terms_id=terms_id)
        )
        locked = self._locked[price_list.contract_id]
        terms = replace(locked.terms, price_lists=(*locked.terms.price_lists, price_list))
        self._locked[price_list.contract_id] = replace(locked, terms=terms)

    def replace_contract(self, contract: Contract, *, terms_id: str) -> None:
        """Write a locked contract's terms anew; from now on they are kept under `terms_id`."""
        self._tx.execute(
            update(contracts)
            .where(contracts.c.id == contract.id)
            .values(ends_on=contract.ends_on, terms=_terms(contract))
        )
        self._tx.execute(update(balances).where(balances.c.contract_id == contract.id).values(terms_id=terms_id))
        locked = self._locked[contract.id]
        self._locked[contract.id] = replace(locked, terms=replace(locked.terms, contract=contract))

    def renew_indices(self, contract_id: str, *, terms_id: str) -> Locked:
        """Read a locked contract's indices anew; from now on its terms are kept under `terms_id`."""
        self._tx.execute(update(balances).where(balances.c.contract_id == contract_id).values(terms_id=terms_id))
        locked = self._locked[contract_id]
        terms = replace(locked.terms, indices=indices_of(self._tx, locked.terms.contract))
        self._locked[contract_id] = replace(locked, terms=terms)
        return self._locked[contract_id]

    def save(self, moved: Movement, *, at: datetime) -> None:
        """Keep what a verb did to a locked ceiling, and add its entries to the ledger."""
        contract_id = moved.ceiling.contract_id
        self._locked[contract_id] = replace(self._locked[contract_id], ceiling=moved.ceiling)
        self._tx.gather(_write_ceilings, contract_id)
        self.book(moved.entries, at=at)

    def book(self, entries: Sequence[Entry], *, at: datetime) -> None:
        """Add entries to the ledger, just before the commit: nothing reads them in the transaction that makes them."""
        self._tx.gather(_write_entries, (entries, at))


MOST_TERMS_KEPT = 1000
_terms_by_id: dict[str, Terms] = {}


def _terms_of(view: View, contract_id: str, terms_id: str) -> Terms:
    """Return the terms kept under an id, which never change."""
    terms = _terms_by_id.get(terms_id)
    if terms is None:
        if len(_terms_by_id) >= MOST_TERMS_KEPT:
            _terms_by_id.clear()
        read = Contracts(view)
        contract = read.get(contract_id)
        terms = _terms_by_id[terms_id] = Terms(contract, read.price_lists(contract_id), indices_of(view, contract))
    return terms


def indices_of(view: View, contract: Contract) -> Indices:
    """Return the values of the indices that a contract's prices follow."""
    if contract.revision is None:
        return NO_INDICES
    return IndexValues(view).of([part.index_id for part in contract.revision.weights])


_locked_by_tx: WeakKeyDictionary[Transaction, dict[str, Locked]] = WeakKeyDictionary()
_LOCK = select(balances).where(balances.c.contract_id == bindparam("contract_id")).with_for_update()
_SAVE = (
    update(balances)
    .where(balances.c.contract_id == bindparam("at"))
    .values(
        ceiling_cents=bindparam("ceiling"),
        held_cents=bindparam("held"),
        owed_cents=bindparam("owed"),
        invoiced_cents=bindparam("invoiced"),
        reached_percent=bindparam("reached"),
    )
)
_SCOPES = select(scopes).where(scopes.c.contract_id == bindparam("contract_id"))
_SAVE_SCOPES = (
    update(scopes)
    .where(scopes.c.contract_id == bindparam("at"), scopes.c.key == bindparam("at_key"))
    .values(
        ceiling_cents=bindparam("ceiling"),
        held_cents=bindparam("held"),
        owed_cents=bindparam("owed"),
        invoiced_cents=bindparam("invoiced"),
        reached_percent=bindparam("reached"),
    )
)


def _write_ceilings(tx: Transaction, contract_ids: list[str]) -> None:
    for contract_id in dict.fromkeys(contract_ids):
        locked = _locked_by_tx[tx][contract_id]
        ceiling = locked.ceiling
        tx.execute(_SAVE, {"at": contract_id, **_figures(ceiling)})
        changed = [now for now, then in zip(ceiling.scopes, locked.stored.scopes, strict=True) if now is not then]
        if changed:
            tx.execute(_SAVE_SCOPES, [{"at": contract_id, "at_key": scope.key, **_figures(scope)} for scope in changed])
        _locked_by_tx[tx][contract_id] = replace(locked, stored=ceiling)


def _figures(one: Ceiling | Scope) -> Json:
    return {
        "ceiling": one.ceiling_cents,
        "held": one.held_cents,
        "owed": one.owed_cents,
        "invoiced": one.invoiced_cents,
        "reached": one.reached_percent,
    }


def _write_entries(tx: Transaction, booked: list[tuple[Sequence[Entry], datetime]]) -> None:
    rows = [
        (
            entry.contract_id,
            entry.source.value,
            entry.target.value,
            entry.amount_cents,
            entry.cause,
            entry.order_id,
            entry.leg,
            _instant_text(at),
            " ".join(entry.scopes),
        )
        for entries, at in booked
        for entry in entries
    ]
    insert_all(tx, ledger, rows, _ENTRY)


_ENTRY = ("contract_id", "source", "target", "amount_cents", "cause", "order_id", "leg", "booked_at", "scopes")


@lru_cache(maxsize=256)
def _instant_text(at: datetime) -> str:
    """Write an instant as both drivers take it, and as `UtcDateTime` writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Charges:
    """What was held for each leg and what it came to."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def decided(self, order_ids: Sequence[str]) -> dict[str, bool]:
        """Return which of these orders were decided, and whether they were held."""
        statement = _DECIDED_SQLITE if self._tx.dialect == "sqlite" else _DECIDED_POSTGRES
        rows = self._tx.execute(statement, {"order_ids": json.dumps(order_ids)})
        return {row.order_id: row.is_held for row in rows}

    def add(self, decided: Sequence[tuple[HoldDecision, Order, Sequence[HeldLeg]]]) -> None:
        """Add decisions about orders, and the legs of those that were held."""
        insert_all(self._tx, holds, [_from_decision(decision) for decision, _, _ in decided], _DECISION)
        rows = [
            _from_held(order, leg, held, decision.decided_at)
            for decision, order, legs in decided
            for leg, held in zip(order.legs, legs, strict=bool(legs))
        ]
        insert_all(self._tx, charges, rows, _HELD)

    def amend(self, charge: Charge, amendment: Amendment) -> None:
        """Keep a leg's new promise and the event that made it."""
        sources = (*charge.sources, Source(amendment.event_id, "orders.v1.OrderAmended", amendment.amended_at))
        facts = _from_facts(
            charge.ordered_at.isoformat() if charge.ordered_at else None,
            amendment.promised_until[charge.leg],
            charge.leg_facts,
            [_from_source(source.event_id, source.type, source.occurred_at.isoformat()) for source in sources],
        )
        self._tx.execute(
            update(charges)
            .where(charges.c.order_id == charge.order_id, charges.c.leg == charge.leg)
            .values(facts=facts)
        )

    def find(self, order_ids: Collection[str]) -> dict[tuple[str, int], Charge]:
        """Return the charges of these orders, by order and leg."""
        found = self._tx.execute(select(charges).where(charges.c.order_id.in_(order_ids))) if order_ids else ()
        return {(row.order_id, row.leg): charge_of(row) for row in found}

    def look_up(self, order_id: str, leg: int) -> tuple[Charge, Terms] | None:
        """Return a leg's charge and its contract's terms, unlocked; None when nothing was held for such a leg."""
        row = self._tx.execute(_CHARGE, {"order_id": order_id, "leg": leg}).one_or_none()
        return (charge_of(row), _terms_of(self._tx, row.contract_id, row.terms_id)) if row is not None else None

    def settle(self, settled: Sequence[tuple[Charge, Settlement]]) -> None:
        """Write how legs of locked contracts ended."""
        self._tx.execute(
            _SETTLE,
            [
                {
                    "at_order": charge.order_id,
                    "at_leg": charge.leg,
                    "new_outcome": settlement.outcome.value,
                    "new_amount": settlement.amount_cents,
                    "new_billable": settlement.is_billable,
                    "new_cooperative": settlement.cooperative_id,
                    "new_settled_on": settlement.settled_on,
                    "new_settlement": _from_settlement(settlement),
                }
                for charge, settlement in settled
            ],
        )

    def open(self, contract_id: str, *, since: date, until: date | None) -> list[Charge]:
        """Return the legs still held whose service date is from `since` on and before `until`."""
        query = select(charges).where(
            charges.c.contract_id == contract_id, charges.c.outcome.is_(None), charges.c.service_date >= since
        )
        if until is not None:
            query = query.where(charges.c.service_date < until)
        return [charge_of(row) for row in self._tx.execute(query.order_by(charges.c.order_id, charges.c.leg))]

    def stale(self, contract_id: str, *, before: date, limit: int) -> list[tuple[str, int]]:
        """Return order and leg of the first holds whose service date is before a day, unlocked."""
        query = (
            select(charges.c.order_id, charges.c.leg)
            .where(charges.c.contract_id == contract_id, charges.c.outcome.is_(None), charges.c.service_date < before)
            .order_by(charges.c.service_date, charges.c.order_id, charges.c.leg)
            .limit(limit)
        )
        return [(row.order_id, row.leg) for row in self._tx.execute(query)]

    def last_settled(self, contract_id: str, *, since: date, until: date | None) -> date | None:
        """Return the latest service date from `since` on and before `until` of a billable leg, if there is one."""
        query = select(func.max(charges.c.service_date)).where(
            charges.c.contract_id == contract_id, charges.c.is_billable, charges.c.service_date >= since
        )
        if until is not None:
            query = query.where(charges.c.service_date < until)
        last: date | None = self._tx.execute(query).scalar_one()
        return last

    def reprice(self, estimates: Sequence[tuple[Charge, Estimate, int]]) -> None:
        """Hold legs at new estimates: charge, estimate and what is held for it, margin included, in cents."""
        self._tx.execute(
            _REPRICE,
            [
                {
                    "at_order": charge.order_id,
                    "at_leg": charge.leg,
                    "new_list": estimate.price_list_id,
                    "new_version": estimate.price_list_version,
                    "new_estimate": _from_lines(estimate.lines),
                    "new_held": held_cents,
                    "new_coefficient": estimate.coefficient and revisions.from_coefficient(estimate.coefficient),
                }
                for charge, estimate, held_cents in estimates
            ],
        )

    def to_invoice(self, contract_id: str, until: date, silent_until: date) -> list[Charge]:
        """Return the billable legs settled up to and on a day that are on no statement, in the order of their dates.

        Those about which nobody said anything are among them when they were settled up to and on `silent_until`.
        """
        rows = self._tx.execute(
            select(charges)
            .where(charges.c.contract_id == contract_id, _may_be_invoiced(until, silent_until))
            .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
        )
        return [charge_of(row) for row in rows]

    def has_unbilled(self, contract_id: str) -> bool:
        """Return whether a billable leg of the contract is on no statement yet."""
        query = select(
            select(charges.c.leg)
            .where(charges.c.contract_id == contract_id, charges.c.is_billable, charges.c.statement_id.is_(None))
            .exists()
        )
        return bool(self._tx.execute(query).scalar_one())

    def put_on(self, statement: Statement, until: date, silent_until: date) -> int:
        """Tie to a statement what `to_invoice` returned of its seller; return how many legs."""
        return self._tx.execute(
            update(charges)
            .where(
                charges.c.contract_id == statement.contract_id,
                charges.c.cooperative_id == statement.seller.id,
                _may_be_invoiced(until, silent_until),
            )
            .values(statement_id=statement.id)
        ).rowcount


def _may_be_invoiced(until: date, silent_until: date) -> ColumnElement[bool]:
    return and_(
        charges.c.is_billable,
        charges.c.statement_id.is_(None),
        charges.c.settled_on <= until,
        or_(
            charges.c.acceptance.in_([Acceptance.ACCEPTED.value, Acceptance.REDUCED.value]),
            and_(charges.c.acceptance == Acceptance.DELIVERED.value, charges.c.settled_on <= silent_until),
        ),
    )


# All ids in one parameter: a place for each would make the statement another one for each number of them.
_AMONG = bindparam("order_ids", type_=String)
_DECIDED = select(holds.c.order_id, holds.c.is_held)
_DECIDED_SQLITE = _DECIDED.where(holds.c.order_id.in_(select(func.json_each(_AMONG).table_valued("value").c.value)))
_DECIDED_POSTGRES = _DECIDED.where(holds.c.order_id.in_(select(func.json_array_elements_text(cast(_AMONG, JSON)))))
_CHARGE = (
    select(charges, balances.c.terms_id)
    .join_from(charges, balances, balances.c.contract_id == charges.c.contract_id)
    .where(charges.c.order_id == bindparam("order_id"), charges.c.leg == bindparam("leg"))
)
_THIS_LEG = (charges.c.order_id == bindparam("at_order")) & (charges.c.leg == bindparam("at_leg"))
_SETTLE = (
    update(charges)
    .where(_THIS_LEG)
    .values(
        outcome=bindparam("new_outcome"),
        amount_cents=bindparam("new_amount"),
        is_billable=bindparam("new_billable"),
        cooperative_id=bindparam("new_cooperative"),
        settled_on=bindparam("new_settled_on"),
        settlement=bindparam("new_settlement"),
    )
)
_REPRICE = (
    update(charges)
    .where(_THIS_LEG)
    .values(
        price_list_id=bindparam("new_list"),
        price_list_version=bindparam("new_version"),
        estimate=bindparam("new_estimate"),
        held_cents=bindparam("new_held"),
        coefficient=bindparam("new_coefficient", type_=charges.c.coefficient.type),
    )
)


class Statements:
    """Closed months and their numbered statements."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def latest_closed(self, contract_id: str) -> Month | None:
        """Return the latest closed month of a contract, if there is one."""
        text = self._tx.execute(
            select(func.max(closings.c.month)).where(closings.c.contract_id == contract_id)
        ).scalar_one()
        return Month.parse(text) if text else None

    def is_closed(self, contract_id: str, month: Month) -> bool:
        """Return whether the month was closed."""
        query = select(closings.c.month).where(closings.c.contract_id == contract_id, closings.c.month == str(month))
        return self._tx.execute(query).one_or_none() is not None

    def mark_closed(self, contract_id: str, month: Month, *, at: datetime) -> None:
        """Keep that the month is closed."""
        self._tx.execute(insert(closings).values(contract_id=contract_id, month=str(month), closed_at=at))

    def count_up(self, seller_siret: str, year: int) -> int:
        """Return the seller's next number of the year: 1, 2, 3 ...; given back if the transaction is rolled back."""
        insert_new(self._tx, statement_counts, [{"seller_siret": seller_siret, "year": year, "last": 0}])
        counted: int = self._tx.execute(
            update(statement_counts)
            .where(statement_counts.c.seller_siret == seller_siret, statement_counts.c.year == year)
            .values(last=statement_counts.c.last + 1)
            .returning(statement_counts.c.last)
        ).scalar_one()
        return counted

    def add(self, statement: Statement, *, replaces_id: str | None = None) -> None:
        """Add a statement; it is never edited.

        Raises
        ------
        CorrectedStatementUnwritable
            When the database was made before a month could have a second one.
        """
        row = {
            "id": statement.id,
            "contract_id": statement.contract_id,
            "buyer_siret": statement.buyer.siret,
            "seller_siret": statement.seller.siret,
            "cooperative_id": statement.seller.id,
            "number": statement.number,
            "month": str(statement.month),
            "net_cents": statement.net_cents,
            "tax_cents": statement.tax_cents,
            "prepaid_cents": statement.prepaid_cents,
            "content": _from_statement(statement),
            "closed_at": statement.closed_at,
            "replaces_id": replaces_id,
        }
        if replaces_id is None:
            self._tx.execute(insert(statements), [row])
        elif not insert_new(self._tx, statements, [row], statements.c.id).all():
            raise CorrectedStatementUnwritable(str(statement.month))

    def get(self, statement_id: str) -> Statement:
        """Return a statement. Raises StatementNotFound."""
        row = self._tx.execute(select(statements).where(statements.c.id == statement_id)).one_or_none()
        if row is None:
            raise StatementNotFound(statement_id)
        return statement_of(row)

    def of_month(self, contract_id: str, month: Month) -> list[Statement]:
        """Return a closed month's statements, by number."""
        rows = self._tx.execute(
            select(statements)
            .where(statements.c.contract_id == contract_id, statements.c.month == str(month))
            .order_by(statements.c.seller_siret, statements.c.id)
        )
        return [statement_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Document:
    """A statement's bytes in one format, as first rendered."""

    statement_id: str
    format: str
    sha256: str
    content: bytes
    made_with: str = ""


class Documents:
    """Rendered statements, and who took them."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, statement_id: str, format_: str) -> Document | None:
        """Return the bytes that were rendered, if they were."""
        row = self._view.execute(
            select(documents).where(documents.c.statement_id == statement_id, documents.c.format == format_)
        ).one_or_none()
        return (
            Document(row.statement_id, row.format, row.sha256, row.content, row.made_with) if row is not None else None
        )


class NewDocuments(Documents):
    """Keeps what was rendered first and logs every export."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def keep_first(self, document: Document, *, at: datetime) -> Document:
        """Keep these bytes unless others were kept before; return the ones that are kept."""
        row = {
            "statement_id": document.statement_id,
            "format": document.format,
            "sha256": document.sha256,
            "content": document.content,
            "made_with": document.made_with,
            "rendered_at": at,
        }
        if insert_new(self._tx, documents, [row], documents.c.format).all():
            return document
        kept = self.get(document.statement_id, document.format)
        if kept is None:
            raise StatementNotFound(document.statement_id)
        return kept

    def log_export(self, document: Document, *, account_id: str, account_name: str, at: datetime) -> None:
        """Log who took which bytes."""
        self._tx.execute(
            insert(exports).values(
                statement_id=document.statement_id,
                format=document.format,
                sha256=document.sha256,
                account_id=account_id,
                account_name=account_name,
                exported_at=at,
            )
        )


# Rows <-> domain. JSON columns hold whole parts that are only read and written together.


def _terms(contract: Contract) -> Json:
    return {
        "title": contract.title,
        "buyer": parties.from_buyer(contract.buyer),
        "cooperatives": [parties.from_cooperative(cooperative) for cooperative in contract.cooperatives],
        "departments": [{"id": department.id, "name": department.name} for department in contract.departments],
        "ceiling_cents": contract.ceiling_cents,
        "zone": contract.zone,
        "cutoff_minutes": contract.cutoff_minutes,
        "failure_percent": contract.rules.failure_percent,
        "late_cancellation_percent": contract.rules.late_cancellation_percent,
        "vat_rates": [
            {"valid_from": rate.valid_from.isoformat(), "permille": rate.permille, "source": rate.source}
            for rate in contract.vat_rates
        ],
        "alert_percents": list(contract.alert_percents),
        "co2_baseline": contract.co2_baseline.value,
        "load_masses": [{"load_kind": mass.load_kind, "grams": mass.grams} for mass in contract.load_masses],
        "verification_days": contract.verification_days,
        **more_terms.written(contract),
        "penalties": contract.penalties and penal.from_terms(contract.penalties),
        "advance": contract.advance and penal.from_advance(contract.advance),
        "revision": contract.revision and revisions.from_terms(contract.revision),
    }


def contract_of(row: Row[Any]) -> Contract:
    """Read a row of `contracts`."""
    terms: Json = row.terms
    return Contract(
        id=row.id,
        reference=row.reference,
        title=terms["title"],
        buyer=parties.buyer_of(terms["buyer"]),
        cooperatives=tuple(parties.cooperative_of(party) for party in terms["cooperatives"]),
        departments=tuple(Department(**party) for party in terms["departments"]),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        ceiling_cents=terms["ceiling_cents"],
        zone=terms["zone"],
        cutoff_minutes=terms["cutoff_minutes"],
        rules=ChargeRules(terms["failure_percent"], terms["late_cancellation_percent"]),
        vat_rates=tuple(
            VatRate(date.fromisoformat(rate["valid_from"]), rate["permille"], rate["source"])
            for rate in terms["vat_rates"]
        ),
        alert_percents=tuple(terms["alert_percents"]),
        registered_at=row.registered_at,
        co2_baseline=Baseline(terms.get("co2_baseline", Baseline.SHARED_VAN)),
        load_masses=tuple(LoadMass(**mass) for mass in terms.get("load_masses", ())),
        verification_days=terms.get("verification_days", 0),
        **more_terms.read(terms),
        penalties=penal.terms_of(terms["penalties"]) if terms.get("penalties") else None,
        advance=penal.advance_of(terms["advance"]) if terms.get("advance") else None,
        revision=revisions.terms_of(terms["revision"]) if terms.get("revision") else None,
    )


def scope_of(row: Row[Any], name: str) -> Scope:
    """Read a row of `scopes`; what it is called is in the contract's terms."""
    return Scope(
        row.key, name, row.ceiling_cents, row.held_cents, row.owed_cents, row.invoiced_cents, row.reached_percent
    )


def _from_scope(contract_id: str, scope: Scope) -> Json:
    return {
        "contract_id": contract_id,
        "key": scope.key,
        "ceiling_cents": scope.ceiling_cents,
        "held_cents": scope.held_cents,
        "owed_cents": scope.owed_cents,
        "invoiced_cents": scope.invoiced_cents,
        "reached_percent": scope.reached_percent,
    }


def _from_price_line(line: PriceLine) -> Json:
    return {
        "code": line.code,
        "label": line.label,
        "unit": line.unit.value,
        "unit_price_cents": line.unit_price_cents,
        "load_kind": line.load_kind,
        "at_least": line.at_least,
        "below": line.below,
    }


def _price_list(row: Row[Any]) -> PriceList:
    return PriceList(
        id=row.id,
        contract_id=row.contract_id,
        version=row.version,
        valid_from=row.valid_from,
        lines=tuple(PriceLine(**{**line, "unit": Unit(line["unit"])}) for line in row.lines),
        published_at=row.published_at,
    )


def _from_lines(lines: Sequence[PricedLine]) -> list[Json]:
    return [
        {
            "code": line.code,
            "label": line.label,
            "unit": line.unit.value,
            "quantity": line.quantity,
            "unit_price_cents": line.unit_price_cents,
            "load_kind": line.load_kind,
        }
        for line in lines
    ]


@lru_cache(maxsize=1024)
def _estimate_text(lines: tuple[PricedLine, ...]) -> str:
    return to_json(_from_lines(lines)).decode()


def _from_decision(decision: HoldDecision) -> tuple[Any, ...]:
    return (
        decision.order_id,
        decision.contract_id,
        decision.department_id,
        decision.reference,
        decision.is_held,
        decision.refusal_code,
        decision.refusal,
        decision.asked_cents,
        decision.left_cents,
        _instant_text(decision.decided_at),
    )


_DECISION = (
    "order_id",
    "contract_id",
    "department_id",
    "reference",
    "is_held",
    "refusal_code",
    "refusal",
    "asked_cents",
    "left_cents",
    "decided_at",
)


def _from_held(order: Order, leg: OrderedLeg, held: HeldLeg, at: datetime) -> tuple[Any, ...]:
    placed_at = order.placed_at.isoformat() if order.placed_at else None
    placed = _from_source(order.event_id, ORDER_PLACED, placed_at or at.isoformat())
    coefficient = held.estimate.coefficient
    return (
        order.id,
        held.number,
        order.contract_id,
        order.department_id,
        order.reference,
        leg.to_price.service_date.isoformat(),
        leg.origin.site_id,
        leg.origin.name,
        leg.destination.site_id,
        leg.destination.name,
        leg.to_price.needs_trailer,
        held.estimate.price_list_id,
        held.estimate.price_list_version,
        _estimate_text(held.estimate.lines),
        held.held_cents,
        _instant_text(at),
        to_json(_from_facts(placed_at, leg.promised_until, leg.to_price.facts, [placed])).decode(),
        0,
        False,
        "",
        held.lot,
        coefficient and to_json(revisions.from_coefficient(coefficient)).decode(),
    )


_HELD = (
    "order_id",
    "leg",
    "contract_id",
    "department_id",
    "reference",
    "service_date",
    "origin_site_id",
    "origin_name",
    "destination_site_id",
    "destination_name",
    "needs_trailer",
    "price_list_id",
    "price_list_version",
    "estimate",
    "held_cents",
    "held_at",
    "facts",
    "amount_cents",
    "is_billable",
    "cooperative_id",
    "lot",
    "coefficient",
)


def _from_facts(
    ordered_at: str | None, promised_until: datetime | None, leg_facts: LegFacts, sources: Sequence[Json]
) -> Json:
    return {
        "ordered_at": ordered_at,
        "promised_until": promised_until and promised_until.isoformat(),
        "metres": leg_facts.metres,
        "pickup_at": leg_facts.pickup_at and leg_facts.pickup_at.isoformat(),
        "is_first": leg_facts.is_first,
        "sources": sources,
    }


def _from_source(event_id: str, kind: str, occurred_at: str) -> Json:
    return {"event_id": event_id, "type": kind, "occurred_at": occurred_at}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _from_settlement(settlement: Settlement) -> Json:
    return {
        "rule": settlement.rule.value,
        "percent": settlement.percent,
        "lines": [
            {
                "code": line.code,
                "label": line.label,
                "unit": line.unit.value,
                "quantity": line.quantity,
                "unit_price_cents": line.unit_price_cents,
                "announced": line.announced,
                "counted": line.counted,
                "note": line.note,
            }
            for line in settlement.lines
        ],
        "vat_permille": settlement.vat_permille,
        "fact": settlement.fact.value,
        "occurred_at": settlement.occurred_at.isoformat(),
        "settled_at": settlement.settled_at.isoformat(),
        "reason_code": settlement.reason_code,
        "reason": settlement.reason,
        "note": settlement.note,
        "proof_ids": list(settlement.proof_ids),
        "event_id": settlement.event_id,
        "revised_cents": settlement.revised_cents,
    }


def _settlement(row: Row[Any]) -> Settlement:
    kept: Json = row.settlement
    return Settlement(
        outcome=Outcome(row.outcome),
        rule=Rule(kept["rule"]),
        percent=kept["percent"],
        lines=tuple(ChargedLine(**{**line, "unit": Unit(line["unit"])}) for line in kept["lines"]),
        cooperative_id=row.cooperative_id,
        vat_permille=kept["vat_permille"],
        fact=FactKind(kept["fact"]),
        occurred_at=datetime.fromisoformat(kept["occurred_at"]),
        settled_at=datetime.fromisoformat(kept["settled_at"]),
        settled_on=row.settled_on,
        reason_code=kept["reason_code"],
        reason=kept["reason"],
        note=kept["note"],
        proof_ids=tuple(kept["proof_ids"]),
        event_id=kept.get("event_id", ""),
        revised_cents=kept.get("revised_cents"),
    )


def charge_of(row: Row[Any]) -> Charge:
    """Read a row of `charges`; a `statement_number` column beside it is read too."""
    lines = tuple(PricedLine(**{**line, "unit": Unit(line["unit"])}) for line in row.estimate)
    coefficient = revisions.coefficient_of(row.coefficient) if row.coefficient else None
    estimate = Estimate(row.leg, row.price_list_id, row.price_list_version, lines, coefficient)
    facts: Json = row.facts or {}
    return Charge(
        order_id=row.order_id,
        leg=row.leg,
        contract_id=row.contract_id,
        department_id=row.department_id,
        reference=row.reference,
        service_date=row.service_date,
        origin=Place(row.origin_site_id, row.origin_name),
        destination=Place(row.destination_site_id, row.destination_name),
        needs_trailer=row.needs_trailer,
        estimate=estimate,
        held_at=row.held_at,
        settlement=_settlement(row) if row.outcome else None,
        statement_id=row.statement_id or "",
        statement_number=getattr(row, "statement_number", None) or "",
        acceptance=Acceptance(row.acceptance),
        cuts=tuple(Cut(**cut) for cut in row.cuts or ()),
        decisions=row.decisions,
        credited_cents=row.credited_cents,
        margin_cents=row.held_cents - estimate.amount_cents,
        lot=row.lot,
        ordered_at=_instant(facts.get("ordered_at")),
        promised_until=_instant(facts.get("promised_until")),
        sources=tuple(
            Source(source["event_id"], source["type"], datetime.fromisoformat(source["occurred_at"]))
            for source in facts.get("sources", ())
        ),
        leg_facts=LegFacts(
            facts.get("metres"),
            _instant(facts.get("pickup_at")),
            _instant(facts.get("ordered_at")),
            facts.get("is_first", True),
        ),
        revised=revisions.revised_of(row),
    )


def _from_statement(statement: Statement) -> Json:
    return {
        "contract_reference": statement.contract_reference,
        "contract_title": statement.contract_title,
        "buyer": parties.from_buyer(statement.buyer),
        "seller": parties.from_cooperative(statement.seller),
        "issued_on": statement.issued_on.isoformat(),
        "items": [
            {
                "code": item.code,
                "label": item.label,
                "unit": item.unit.value,
                "price_list_version": item.price_list_version,
                "quantity": item.quantity,
                "unit_price_cents": item.unit_price_cents,
                "vat_permille": item.vat_permille,
                "amount_cents": item.amount_cents,
                **(_from_revised_item(item) if item.coefficient else {}),
            }
            for item in statement.items
        ],
        "taxes": [
            {"permille": tax.permille, "base_cents": tax.base_cents, "tax_cents": tax.tax_cents}
            for tax in statement.taxes
        ],
        "departments": [
            {"id": part.id, "name": part.name, "legs": part.legs, "amount_cents": part.amount_cents}
            for part in statement.departments
        ],
        "legs": statement.legs,
        "first_day": statement.first_day.isoformat(),
        "last_day": statement.last_day.isoformat(),
        "gauge": _from_gauge(statement.gauge),
        "scopes": [
            {"key": scope.key, "name": scope.name, "gauge": _from_gauge(scope.gauge)} for scope in statement.scopes
        ],
        "allowances": [
            {
                "reason": allowance.reason,
                "vat_permille": allowance.vat_permille,
                "legs": allowance.legs,
                "amount_cents": allowance.amount_cents,
            }
            for allowance in statement.allowances
        ],
        "replaces": statement.replaces,
        "prepaid_cents": statement.prepaid_cents,
    }


def _from_revised_item(item: Item) -> Json:
    return {
        "period": item.period,
        "coefficient": item.coefficient,
        "revised_unit_price": item.revised_unit_price,
        "base_cents": item.base_cents,
        "is_provisional": item.is_provisional,
    }


def _from_gauge(gauge: Gauge) -> Json:
    return {
        "ceiling_cents": gauge.ceiling_cents,
        "invoiced_cents": gauge.invoiced_cents,
        "owed_cents": gauge.owed_cents,
        "held_cents": gauge.held_cents,
    }


def statement_of(row: Row[Any]) -> Statement:
    """Read a row of `statements`."""
    content: Json = row.content
    return Statement(
        id=row.id,
        contract_id=row.contract_id,
        contract_reference=content["contract_reference"],
        contract_title=content["contract_title"],
        buyer=parties.buyer_of(content["buyer"]),
        seller=parties.cooperative_of(content["seller"]),
        number=row.number,
        month=Month.parse(row.month),
        issued_on=date.fromisoformat(content["issued_on"]),
        closed_at=row.closed_at,
        items=tuple(Item(**{**item, "unit": Unit(item["unit"])}) for item in content["items"]),
        taxes=tuple(Tax(**tax) for tax in content["taxes"]),
        departments=tuple(DepartmentTotal(**part) for part in content["departments"]),
        legs=content["legs"],
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        gauge=Gauge(**content["gauge"]),
        allowances=tuple(Allowance(**allowance) for allowance in content.get("allowances", ())),
        replaces=content.get("replaces", ""),
        scopes=tuple(
            ScopeGauge(scope["key"], scope["name"], Gauge(**scope["gauge"])) for scope in content.get("scopes", ())
        ),
        prepaid_cents=content.get("prepaid_cents", 0),
    )
