"""An advance is taken back by the statements of the cooperative that got it."""

from dataclasses import replace

from services.billing.domain.advance import recovered_cents
from services.billing.domain.ceiling import Ceiling
from services.billing.domain.contract import Contract
from services.billing.domain.statement import Statement
from services.billing.domain.status import life_of
from services.billing.repository.penalties import prepaid_by_statement
from services.billing.repository.statuses import Statuses
from services.kit.database import Transaction


def prepaid(tx: Transaction, contract: Contract, ceiling: Ceiling, statement: Statement) -> Statement:
    """Return a statement that is being made with what it takes back of the contract's advance, never beyond its total.

    `ceiling` is locked and holds the statement. What a statement refused by the platform took back was never paid, and
    is taken back anew.
    """
    if contract.advance is None or statement.seller.id != contract.seller(contract.advance.cooperative_id).id:
        return statement
    due_cents = recovered_cents(
        contract.advance, executed_cents=ceiling.invoiced_cents, maximum_cents=ceiling.ceiling_cents
    )
    earlier = prepaid_by_statement(tx, contract.id)
    told = Statuses(tx)
    earlier_cents = sum(cents for id_, cents in earlier.items() if not life_of(told.of(id_)).is_dead)
    return replace(statement, prepaid_cents=min(max(0, due_cents - earlier_cents), max(0, statement.gross_cents)))
