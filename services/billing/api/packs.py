"""What goes with a statement: deliveries, consumption, CO2, and everything in one archive; each export is logged."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from services.billing import pack, queries, use_cases
from services.billing.domain.statement import Statement
from services.billing.queries import Sight
from services.kit.database import Database
from services.kit.http.answers import not_modified
from services.kit.http.edge import Caller, Now, OwnDatabase, needs

router = APIRouter(tags=["statements"])

Reader = Annotated[Caller, needs("invoices:read")]
CHUNK_BYTES = 1 << 18


def _gives(kind: pack.Kind) -> dict[str, Any]:
    """Return what a route says of its answers."""
    told: dict[int, Any] = {200: {"content": {kind.media_type.partition(";")[0]: {}}}}
    if kind.media_type == pack.PDF_TYPE:
        told[503] = {"description": "The machine cannot print."}
    if kind in pack.EMISSIONS:
        told[409] = {"description": "The month was closed before emissions were kept."}
    if kind in pack.REVISION:
        told[409] = {"description": "The statement is at base prices."}
    return {"response_class": Response, "responses": told}


@router.get("/v1/statements/{statement_id}/deliveries.csv", **_gives(pack.DELIVERIES_CSV))
def deliveries_csv(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the list of deliveries as CSV: one line per leg with counted quantities, price codes and proofs."""
    return export(request, database, statement_id, caller, now, pack.DELIVERIES_CSV)


@router.get("/v1/statements/{statement_id}/deliveries.xlsx", **_gives(pack.DELIVERIES_XLSX))
def deliveries_xlsx(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the same list as a spreadsheet."""
    return export(request, database, statement_id, caller, now, pack.DELIVERIES_XLSX)


@router.get("/v1/statements/{statement_id}/deliveries.pdf", **_gives(pack.DELIVERIES_PDF))
def deliveries_pdf(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the same list on paper; a long one by day and department."""
    return export(request, database, statement_id, caller, now, pack.DELIVERIES_PDF)


@router.get("/v1/statements/{statement_id}/consumption.json", **_gives(pack.CONSUMPTION_JSON))
def consumption_json(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take what the contract had consumed of its maximum when the month was closed."""
    return export(request, database, statement_id, caller, now, pack.CONSUMPTION_JSON)


@router.get("/v1/statements/{statement_id}/consumption.csv", **_gives(pack.CONSUMPTION_CSV))
def consumption_csv(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the same as CSV."""
    return export(request, database, statement_id, caller, now, pack.CONSUMPTION_CSV)


@router.get("/v1/statements/{statement_id}/consumption.pdf", **_gives(pack.CONSUMPTION_PDF))
def consumption_pdf(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the same on paper."""
    return export(request, database, statement_id, caller, now, pack.CONSUMPTION_PDF)


@router.get("/v1/statements/{statement_id}/revision.csv", **_gives(pack.REVISION_CSV))
def revision_csv(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the revision calculation sheet as CSV: indices, coefficients, revised items, corrections."""
    return export(request, database, statement_id, caller, now, pack.REVISION_CSV)


@router.get("/v1/statements/{statement_id}/revision.pdf", **_gives(pack.REVISION_PDF))
def revision_pdf(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the same on paper."""
    return export(request, database, statement_id, caller, now, pack.REVISION_PDF)


@router.get("/v1/statements/{statement_id}/co2.json", **_gives(pack.EMISSIONS_JSON))
def co2_json(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take what the month's deliveries emitted: totals, baseline, factors, and a record per leg."""
    return export(request, database, statement_id, caller, now, pack.EMISSIONS_JSON)


@router.get("/v1/statements/{statement_id}/co2.csv", **_gives(pack.EMISSIONS_CSV))
def co2_csv(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the records as CSV."""
    return export(request, database, statement_id, caller, now, pack.EMISSIONS_CSV)


@router.get("/v1/statements/{statement_id}/co2.pdf", **_gives(pack.EMISSIONS_PDF))
def co2_pdf(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take the totals, the method and the factors on paper."""
    return export(request, database, statement_id, caller, now, pack.EMISSIONS_PDF)


@router.get(
    "/v1/statements/{statement_id}/pack.zip",
    response_class=Response,
    responses={200: {"content": {pack.ZIP_TYPE: {}}}, 503: {"description": "The machine cannot print."}},
)
def pack_zip(request: Request, statement_id: str, caller: Reader, database: OwnDatabase, now: Now) -> Response:
    """Take everything that is kept of a statement in one archive: the same bytes until it is credited."""
    statement = _statement(database, caller, statement_id)
    found = pack.pack(database, statement, at=now)
    with ExitStack() as stack:
        file, digest = stack.enter_context(found.zipped())
        if (unchanged := not_modified(request, f'"{digest}"')) is not None:
            return unchanged
        size = file.seek(0, 2)
        file.seek(0)
        _log(database, statement, pack.PACK, digest, caller, now)
        return _streamed(_chunks(file, stack.pop_all()), pack.ZIP_TYPE, found.name, digest, size)


def export(
    request: Request, database: Database, statement_id: str, caller: Caller, now: datetime, kind: pack.Kind
) -> Response:
    """Return a statement's document as it was first rendered, and log who takes it.

    Raises
    ------
    StatementNotFound, EmissionsNotKept, PrintingUnavailable
    """
    statement = _statement(database, caller, statement_id)
    file = pack.kept(database, statement, kind, at=now)
    if (unchanged := not_modified(request, f'"{file.sha256}"')) is not None:
        return unchanged
    _log(database, statement, kind.format, file.sha256, caller, now)
    name = pack.file_name(statement, kind.format)
    return _streamed(pack.parts(database, file), kind.media_type, name, file.sha256, file.size_bytes)


def _statement(database: Database, caller: Caller, statement_id: str) -> Statement:
    with database.view() as view:
        return queries.get_statement(view, Sight.of(caller), statement_id)


def _log(database: Database, statement: Statement, format_: str, sha256: str, caller: Caller, now: datetime) -> None:
    taker = use_cases.Taker(caller.account_id, caller.name)
    with database.transaction() as tx:
        use_cases.log_taken(tx, statement.id, format_, sha256, taker=taker, at=now)


def _streamed(parts: Iterator[bytes], media_type: str, name: str, sha256: str, size: int) -> Response:
    headers = {
        "ETag": f'"{sha256}"',
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return StreamingResponse(parts, media_type=media_type, headers=headers)


def _chunks(file: BinaryIO, stack: ExitStack) -> Iterator[bytes]:
    with stack:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
