"""A month's penalties and what is due of them, for the statement (état liquidatif)."""

from collections.abc import Sequence

from services.billing.domain.contract import Contract
from services.billing.domain.errors import ContractNotFound, NoPenaltyTerms, PenaltyNotFound
from services.billing.domain.penalty import Penalty, PenaltyStatement, Status, liquidate
from services.billing.domain.statement import Month
from services.billing.queries import Sight
from services.billing.repository import Contracts
from services.billing.repository.penalties import Penalties
from services.kit.database import View


def get_statement(view: View, sight: Sight, contract_id: str, month: Month) -> PenaltyStatement:
    """Return the penalties of a month. Raises ContractNotFound, also for another's, and NoPenaltyTerms."""
    contract = visible_contract(view, sight, contract_id)
    if contract.penalties is None:
        raise NoPenaltyTerms(contract.reference)
    found = Penalties(view).until(contract_id, month)
    due = liquidate(contract.penalties, contract.ceiling_cents, found)
    seen = _seen(sight, found)
    return PenaltyStatement(
        contract,
        month,
        tuple(one for one in seen if one.month == month),
        tuple(one for one in seen if one.month < month and one.status is not Status.APPLIED and due.due_cents[one.id]),
        due,
    )


def get_penalty(view: View, sight: Sight, penalty_id: str) -> Penalty:
    """Return a penalty. Raises PenaltyNotFound, also for one that is not the caller's."""
    penalty = Penalties(view).get(penalty_id)
    try:
        visible_contract(view, sight, penalty.contract_id)
    except ContractNotFound:
        raise PenaltyNotFound(penalty_id) from None
    if not _seen(sight, [penalty]):
        raise PenaltyNotFound(penalty_id)
    return penalty


def visible_contract(view: View, sight: Sight, contract_id: str) -> Contract:
    """Return a contract to its buyer, and to a cooperative that holds it. Raises ContractNotFound."""
    contract = Contracts(view).get(contract_id)
    is_buyers = sight.buyer_siret in (None, contract.buyer.siret)
    is_holders = sight.cooperative_id is None or any(one.id == sight.cooperative_id for one in contract.cooperatives)
    if not (is_buyers and is_holders):
        raise ContractNotFound(contract_id)
    return contract


def _seen(sight: Sight, penalties: Sequence[Penalty]) -> list[Penalty]:
    return [one for one in penalties if sight.cooperative_id in (None, one.cooperative_id)]
