"""What stands in each part of a contract, and whether the ledger says the same."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, String, cast, func, literal, select, union_all

from services.billing.domain.ceiling import Scope, agree_in
from services.billing.domain.contract import Contract
from services.billing.domain.ledger import Account, balances_of
from services.billing.tables import ledger, scopes
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """A part's figures; `is_balanced` says that the entries which count in it give the same to the cent."""

    scope: Scope
    is_balanced: bool


def list_scopes(view: View, contract: Contract) -> tuple[ScopeUse, ...]:
    """Return the parts of a contract in the contract's order: periods, lots, budgets."""
    found: dict[str, Scope] = {}
    moved: dict[str, list[tuple[Account, Account, int]]] = {part.key: [] for part in contract.structure}
    if not moved:
        return ()
    names = {part.key: part.name for part in contract.structure}
    # One statement, so that all figures belong to one moment on every database.
    nothing, word = cast(literal(0), BigInteger), cast(literal(""), String)
    standing = select(
        scopes.c.key.label("keys"),
        word.label("source"),
        word.label("target"),
        scopes.c.ceiling_cents.label("first"),
        scopes.c.held_cents.label("second"),
        scopes.c.owed_cents.label("third"),
        scopes.c.invoiced_cents.label("fourth"),
        cast(scopes.c.reached_percent, BigInteger).label("fifth"),
    ).where(scopes.c.contract_id == contract.id)
    entries = (
        select(
            ledger.c.scopes,
            ledger.c.source,
            ledger.c.target,
            func.sum(ledger.c.amount_cents),
            nothing,
            nothing,
            nothing,
            nothing,
        )
        .where(ledger.c.contract_id == contract.id, ledger.c.scopes != "")
        .group_by(ledger.c.scopes, ledger.c.source, ledger.c.target)
    )
    for row in view.execute(union_all(standing, entries)):
        if not row.source:
            figures = (int(row.first), int(row.second), int(row.third), int(row.fourth), int(row.fifth))
            found[row.keys] = Scope(row.keys, names[row.keys], *figures)
            continue
        for key in row.keys.split():
            moved[key].append((Account(row.source), Account(row.target), int(row.first)))
    return tuple(
        ScopeUse(found[part.key], agree_in(balances_of(moved[part.key]), found[part.key]))
        for part in contract.structure
    )
