"""What the platform says of a statement: kept once, and a refusal cancels the statement."""

from datetime import datetime

from services.billing.domain.status import DEAD, ToldStatus
from services.billing.repository import Ceilings, Statements
from services.billing.repository.statuses import NewStatuses
from services.billing.use_cases.credit_notes import cancel_refused
from services.kit.database import Transaction


def hear_status(tx: Transaction, statement_id: str, told: ToldStatus, *, at: datetime) -> bool:
    """Keep a status; return False for a repeat. A refusal cancels the statement; a second one finds nothing left of it.

    Raises
    ------
    StatementNotFound, StatusReasonMissing, StatusIdTaken
    """
    told.check()
    tx.write_gathered()
    statement = Statements(tx).get(statement_id)
    Ceilings(tx).lock(statement.contract_id)
    is_new = NewStatuses(tx).add(statement_id, told, at=at)
    if is_new and told.status in DEAD:
        cancel_refused(tx, statement_id, reason=told.reason or told.reason_code, at=at)
    return is_new
