"""Rows for lists, gauges and pages, straight to the screen; who sees what is part of every query."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)

from services.billing.domain.ceiling import Ceiling, Totals, agree
from services.billing.domain.charge import Acceptance, Charge, Outcome
from services.billing.domain.contract import Contract
from services.billing.domain.errors import ChargeNotFound, ContractNotFound, StatementNotFound
from services.billing.domain.ledger import Account, balances_of
from services.billing.domain.price_list import PriceList
from services.billing.domain.statement import Month, Statement
from services.billing.queries.lines import on_statement
from services.billing.repository import Contracts, Document, Documents, charge_of, contract_of, statement_of
from services.billing.repository.credit_notes import as_closed
from services.billing.tables import (
    balances,
    charges,
    closings,
    contracts,
    documents,
    exports,
    holds,
    ledger,
    statements,
)
from services.kit.database import View
from services.kit.http.access import Caller


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller may see: the contracts of one buyer, the statements of one cooperative, the charges of one
    department; None sees all of them.
    """

    buyer_siret: str | None = None
    cooperative_id: str | None = None
    department_id: str | None = None

    @classmethod
    def of(cls, caller: Caller) -> "Sight":
        """Return what this caller may see. A dispatcher without a cooperative sees nothing."""
        if "administrator" in caller.roles:
            return cls()
        cooperative_id = caller.claim("cooperative")
        if "dispatcher" in caller.roles and "finance" not in caller.roles:
            cooperative_id = cooperative_id or ""
        department_id = caller.claim("department") if "finance" not in caller.roles else None
        if "department" in caller.roles and "finance" not in caller.roles:
            department_id = department_id or ""
        return cls(caller.claim("buyer"), cooperative_id, department_id)


@dataclass(frozen=True, slots=True)
class Consumption:
    """What stands under a contract's ceiling, by department too; cents excluding tax.

    `is_balanced` says that ledger, charges and the contract's own figures agree to the cent.
    """

    contract: Contract
    ceiling: Ceiling
    departments: tuple["DepartmentUse", ...]
    accounts: dict[Account, int]
    is_balanced: bool


@dataclass(frozen=True, slots=True)
class DepartmentUse:
    """What one department's orders hold, owe and were invoiced."""

    department_id: str
    name: str
    held_cents: int
    owed_cents: int
    invoiced_cents: int

    @property
    def committed_cents(self) -> int:
        """Held, owed and invoiced together."""
        return self.held_cents + self.owed_cents + self.invoiced_cents


@dataclass(frozen=True, slots=True)
class Export:
    """Who took which bytes of a statement, when."""

    format: str
    sha256: str
    account_id: str
    account_name: str
    exported_at: datetime


def list_contracts(view: View, sight: Sight, *, after: str | None = None, limit: int) -> list[Contract]:
    """Return contracts, oldest first, after the id `after`."""
    rows = view.execute(
        select(contracts)
        .where(_contracts_of(sight), contracts.c.id > after if after else true())
        .order_by(contracts.c.id)
        .limit(limit)
    )
    return [contract_of(row) for row in rows]


def get_contract(view: View, sight: Sight, contract_id: str) -> Contract:
    """Return a contract. Raises ContractNotFound, also for one that is not the caller's."""
    row = view.execute(select(contracts).where(contracts.c.id == contract_id, _contracts_of(sight))).one_or_none()
    if row is None:
        raise ContractNotFound(contract_id)
    return contract_of(row)


def find_contracts(view: View, name: str) -> list[str]:
    """Return the ids of the contracts with this id or reference, oldest first."""
    rows = view.execute(
        select(contracts.c.id)
        .where((contracts.c.id == name) | (contracts.c.reference == name))
        .order_by(contracts.c.id)
    )
    return list(rows.scalars())


def list_price_lists(view: View, sight: Sight, contract_id: str) -> tuple[PriceList, ...]:
    """Return a contract's price lists by version. Raises ContractNotFound."""
    get_contract(view, sight, contract_id)
    return Contracts(view).price_lists(contract_id)


def latest_closed(view: View, contract_id: str) -> Month | None:
    """Return the latest closed month of a contract, if there is one."""
    text = view.execute(select(func.max(closings.c.month)).where(closings.c.contract_id == contract_id)).scalar_one()
    return Month.parse(text) if text else None


def get_consumption(view: View, sight: Sight, contract_id: str) -> Consumption:
    """Return what stands under a contract's ceiling, and whether its entries say the same. Raises ContractNotFound."""
    contract = get_contract(view, sight, contract_id)
    moved: list[tuple[Account, Account, int]] = []
    uses: dict[str, DepartmentUse] = {}
    ceiling = Ceiling(contract.id, contract.ceiling_cents, contract.alert_percents)
    names = {department.id: department.name for department in contract.departments}
    # One statement, so that all figures belong to one moment on every database.
    for row in view.execute(union_all(_entry_sums(contract_id), _balance(contract_id), _uses(contract_id))):
        figures = int(row.first), int(row.second), int(row.third)
        if row.kind == "entries":
            moved.append((Account(row.name), Account(row.other), figures[0]))
        elif row.kind == "balance":
            ceiling = replace(
                ceiling,
                ceiling_cents=int(row.name),
                held_cents=figures[0],
                owed_cents=figures[1],
                invoiced_cents=figures[2],
                reached_percent=int(row.other),
            )
        else:
            uses[row.name] = DepartmentUse(row.name, names.get(row.name, row.name), *figures)
    accounts = balances_of(moved)
    charged = Totals(
        sum(use.held_cents for use in uses.values()),
        sum(use.owed_cents for use in uses.values()),
        sum(use.invoiced_cents for use in uses.values()),
    )
    departments = tuple(
        uses.get(department.id) or DepartmentUse(department.id, department.name, 0, 0, 0)
        for department in contract.departments
    )
    return Consumption(contract, ceiling, departments, accounts, agree(accounts, ceiling, charged))


def _entry_sums(contract_id: str) -> Select[Any]:
    return (
        select(
            _word("entries").label("kind"),
            ledger.c.source.label("name"),
            ledger.c.target.label("other"),
            func.sum(ledger.c.amount_cents).label("first"),
            _NOTHING.label("second"),
            _NOTHING.label("third"),
        )
        .where(ledger.c.contract_id == contract_id)
        .group_by(ledger.c.source, ledger.c.target)
    )


def _balance(contract_id: str) -> Select[Any]:
    return select(
        _word("balance"),
        cast(balances.c.ceiling_cents, String),
        cast(balances.c.reached_percent, String),
        balances.c.held_cents,
        balances.c.owed_cents,
        balances.c.invoiced_cents,
    ).where(balances.c.contract_id == contract_id)


def _uses(contract_id: str) -> Select[Any]:
    is_open = charges.c.outcome.is_(None)
    is_invoiced = charges.c.statement_id.is_not(None)
    return (
        select(
            _word("department"),
            charges.c.department_id,
            _word(""),
            func.sum(case((is_open, charges.c.held_cents), else_=0)),
            func.sum(case((is_open | is_invoiced, 0), else_=charges.c.amount_cents)),
            func.sum(case((is_invoiced, charges.c.amount_cents), else_=0)),
        )
        .where(charges.c.contract_id == contract_id)
        .group_by(charges.c.department_id)
    )


def _word(text: str) -> ColumnElement[str]:
    return cast(literal(text), String)


_NOTHING: ColumnElement[int] = cast(literal(0), BigInteger)


@dataclass(frozen=True, slots=True)
class ChargeFilter:
    """Which charges to list; None does not filter.

    `month` is the month a leg was settled in, or its service date's while it is held.
    """

    contract_id: str | None = None
    month: Month | None = None
    department_id: str | None = None
    order_id: str | None = None
    statement_id: str | None = None
    acceptance: Acceptance | None = None


def list_charges(
    view: View, sight: Sight, wanted: ChargeFilter, *, after: tuple[str, int] | None = None, limit: int
) -> list[Charge]:
    """Return charges by order id (which sorts by age) and leg, after the pair `after`."""
    conditions = [_charges_of(sight)]
    if wanted.contract_id is not None:
        conditions.append(charges.c.contract_id == wanted.contract_id)
    if wanted.department_id is not None:
        conditions.append(charges.c.department_id == wanted.department_id)
    if wanted.order_id is not None:
        conditions.append(charges.c.order_id == wanted.order_id)
    if wanted.statement_id is not None:
        conditions.append(charges.c.statement_id == wanted.statement_id)
    if wanted.acceptance is not None:
        # Of what is held or was released nothing is to be accepted.
        settled = charges.c.outcome != Outcome.RELEASED.value
        conditions.append(and_(charges.c.acceptance == wanted.acceptance.value, settled))
    if wanted.month is not None:
        day = func.coalesce(charges.c.settled_on, charges.c.service_date)
        conditions.append(day.between(wanted.month.first_day, wanted.month.last_day))
    if after is not None:
        conditions.append(tuple_(charges.c.order_id, charges.c.leg) > tuple_(*after))
    rows = view.execute(_CHARGES.where(*conditions).order_by(charges.c.order_id, charges.c.leg).limit(limit))
    return [charge_of(row) for row in rows]


def get_charge(view: View, sight: Sight, order_id: str, leg: int) -> Charge:
    """Return a leg's charge. Raises ChargeNotFound, also for one that is not the caller's."""
    conditions = _charges_of(sight), charges.c.order_id == order_id, charges.c.leg == leg
    row = view.execute(_CHARGES.where(*conditions)).one_or_none()
    if row is None:
        raise ChargeNotFound(order_id, leg)
    return charge_of(row)


def lines_of(view: View, statement_id: str, *, limit: int | None = None) -> list[Charge]:
    """Return the charges on a statement (the first `limit`), in the order of their dates: the same each time.

    They are as they were when it was closed, whatever was credited, taken off or decided since.
    """
    rows = view.execute(
        _CHARGES.where(on_statement(view, statement_id))
        .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
        .limit(limit)
    )
    restored = as_closed(view, statement_id)
    return [restored(charge_of(row)) for row in rows]


_CHARGES = select(charges, statements.c.number.label("statement_number")).join_from(
    charges, statements, statements.c.id == charges.c.statement_id, isouter=True
)


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """An order that was not held, and why."""

    order_id: str
    department_id: str
    reference: str
    code: str
    reason: str
    asked_cents: int
    left_cents: int
    refused_at: datetime


def list_refusals(view: View, contract_id: str, *, limit: int) -> list[RefusedOrder]:
    """Return the latest refusals under a contract, newest first."""
    rows = view.execute(
        select(holds)
        .where(holds.c.contract_id == contract_id, holds.c.is_held.is_(False))
        .order_by(holds.c.decided_at.desc(), holds.c.order_id.desc())
        .limit(limit)
    )
    return [
        RefusedOrder(
            row.order_id,
            row.department_id,
            row.reference,
            row.refusal_code,
            row.refusal,
            row.asked_cents,
            row.left_cents,
            row.decided_at,
        )
        for row in rows
    ]


def list_statements(
    view: View,
    sight: Sight,
    *,
    contract_id: str | None = None,
    month: Month | None = None,
    after: str | None = None,
    limit: int,
) -> list[Statement]:
    """Return statements, newest first, after (older than) the id `after`."""
    conditions = [_statements_of(sight)]
    if contract_id is not None:
        conditions.append(statements.c.contract_id == contract_id)
    if month is not None:
        conditions.append(statements.c.month == str(month))
    if after is not None:
        conditions.append(statements.c.id < after)
    rows = view.execute(select(statements).where(*conditions).order_by(statements.c.id.desc()).limit(limit))
    return [statement_of(row) for row in rows]


def get_statement(view: View, sight: Sight, statement_id: str) -> Statement:
    """Return a statement. Raises StatementNotFound, also for one that is not the caller's."""
    row = view.execute(select(statements).where(statements.c.id == statement_id, _statements_of(sight))).one_or_none()
    if row is None:
        raise StatementNotFound(statement_id)
    return statement_of(row)


def get_document(view: View, statement_id: str, format_: str) -> Document | None:
    """Return a statement's bytes as they were first rendered, if they were."""
    return Documents(view).get(statement_id, format_)


def list_without(view: View, format_: str, *, limit: int) -> list[Statement]:
    """Return the oldest statements that were never rendered in this format."""
    rows = view.execute(
        select(statements)
        .where(~exists().where(documents.c.statement_id == statements.c.id, documents.c.format == format_))
        .order_by(statements.c.id)
        .limit(limit)
    )
    return [statement_of(row) for row in rows]


def list_exports(view: View, statement_id: str, *, limit: int) -> list[Export]:
    """Return who took a statement, the latest first."""
    rows = view.execute(
        select(exports).where(exports.c.statement_id == statement_id).order_by(exports.c.id.desc()).limit(limit)
    )
    return [Export(row.format, row.sha256, row.account_id, row.account_name, row.exported_at) for row in rows]


def _contracts_of(sight: Sight) -> ColumnElement[bool]:
    # A cooperative sees its statements, not the city's whole contract.
    if sight.cooperative_id is not None:
        return false()
    return contracts.c.buyer_siret == sight.buyer_siret if sight.buyer_siret is not None else true()


def charges_in_sight(sight: Sight) -> ColumnElement[bool]:
    """Return the condition on charges that the caller may see."""
    return _charges_of(sight)


def _charges_of(sight: Sight) -> ColumnElement[bool]:
    if sight.department_id is not None:
        return and_(charges.c.department_id == sight.department_id, _charges_of(replace(sight, department_id=None)))
    if sight.cooperative_id is not None:
        return charges.c.cooperative_id == sight.cooperative_id if sight.cooperative_id else false()
    if sight.buyer_siret is None:
        return true()
    return charges.c.contract_id.in_(select(contracts.c.id).where(contracts.c.buyer_siret == sight.buyer_siret))


def _statements_of(sight: Sight) -> ColumnElement[bool]:
    return and_(
        statements.c.cooperative_id == sight.cooperative_id if sight.cooperative_id is not None else true(),
        statements.c.buyer_siret == sight.buyer_siret if sight.buyer_siret is not None else true(),
    )
