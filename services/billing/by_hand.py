"""What whoever runs the service asks for at its console: close a month, take everything that is kept of a statement."""

from datetime import date
from hashlib import sha256
from pathlib import Path

from services.billing import pack, queries, use_cases
from services.billing.documents import archive
from services.billing.domain.errors import ContractNotFound, ReferenceAmbiguous
from services.billing.domain.statement import Month
from services.billing.queries import Sight
from services.billing.use_cases import Closing, Taker
from services.kit.clock import utc_now
from services.kit.database import Database

CONSOLE = "console"
"""The account in whose name exports at the console are logged."""


def close_month(database: Database, contract: str, first_day: date) -> Closing:
    """Close a month of the contract with this id or reference.

    Raises
    ------
    ContractNotFound, ReferenceAmbiguous, MonthNotOver, MonthBeforeContract, LaterMonthClosed
    """
    with database.view() as view:
        found = queries.find_contracts(view, contract)
    if not found:
        raise ContractNotFound(contract)
    if len(found) > 1:
        raise ReferenceAmbiguous(contract, found)
    with database.transaction() as tx:
        return use_cases.close_month(tx, found[0], Month.of(first_day), at=utc_now())


def export(database: Database, statement_id: str, folder: Path, *, taker: str) -> list[Path]:
    """Write the files of a statement's pack and its manifest to a folder; log who took them; return their paths.

    Raises
    ------
    StatementNotFound, InvoiceNotValid, PrintingUnavailable, RulesUnavailable
    """
    now = utc_now()
    with database.view() as view:
        statement = queries.get_statement(view, Sight(), statement_id)
    found = pack.pack(database, statement, at=now)
    listed = archive.manifest(found.facts, found.entries)
    with database.transaction() as tx:
        by = Taker(CONSOLE, taker)
        use_cases.log_taken(tx, statement.id, pack.PACK, sha256(listed).hexdigest(), taker=by, at=now)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / archive.MANIFEST, *(folder / entry.name for entry in found.entries)]
    written[0].write_bytes(listed)
    for path, entry in zip(written[1:], found.entries, strict=True):
        with path.open("wb") as file:
            file.writelines(entry.parts)
    return written
