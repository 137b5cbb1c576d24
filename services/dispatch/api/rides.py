"""What a courier's phone asks and says: the day's stops, reports, photos. Positions are never asked for nor taken."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from services.dispatch.api.shapes import FailureReasonOut, Id, Instant, RoundOut
from services.dispatch.domain.errors import NotACourier, ProofNotFound, StopNotFound
from services.dispatch.domain.failure import FAILURE_REASONS
from services.dispatch.domain.ride import Report, ReportKind
from services.dispatch.domain.round import Counted
from services.dispatch.proofs import PHOTO_TYPES, Upload, path_of
from services.dispatch.queries.crew import CourierDay, courier_day
from services.dispatch.queries.rounds import Proof, around, proof
from services.dispatch.repository import rounds
from services.dispatch.settings import DispatchSettings
from services.dispatch.use_cases import rides
from services.dispatch.use_cases.access import reach_of
from services.kit.clock import utc_now
from services.kit.database import Database, View
from services.kit.errors import DomainError, Refusals
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Caller, Now, OwnDatabase, ReadView, Tx, needs, versioned

Reader = Annotated[Caller, needs("rides:read")]
Writer = Annotated[Caller, needs("rides:write")]
ProofReader = Annotated[Caller, needs("proofs:read")]

MOST_REPORTS = 200


class RiderOut(BaseModel):
    """Who rides."""

    id: str
    name: str


class ProofRulesOut(BaseModel):
    """What a stop asks for when it ends. The report goes first, the photo may follow."""

    photo_types: list[str]
    photo_bytes: int
    is_photo_required_on_completion: bool
    is_note_required_on_difference: bool


class AssignmentsOut(BaseModel):
    """A courier's day, with everything needed without a network. Withdrawn rounds stay, with the reason."""

    date: date
    courier: RiderOut
    poll_seconds: int
    rounds: list[RoundOut]
    proof_rules: ProofRulesOut
    failure_reasons: list[FailureReasonOut]


class CountedBody(Body):
    """How many units of a kind there were at the door."""

    kind: str = Field(min_length=1, max_length=64)
    counted: int = Field(ge=0, le=100_000)


class ReportBody(Body):
    """One thing a courier says. `event_id` is made by the device: the same report sent again changes nothing.

    `proof_ids` announces photos that are sent separately.
    """

    event_id: Id
    stop_id: Id
    kind: ReportKind
    occurred_at: Instant
    loads: list[CountedBody] = Field(default=[], max_length=50)
    reason_code: str = Field(default="", max_length=64)
    note: str = Field(default="", max_length=1000)
    proof_ids: list[Id] = Field(default=[], max_length=20)

    def report(self, received_at: datetime) -> Report:
        """Return it for the domain."""
        return Report(
            event_id=self.event_id,
            stop_id=self.stop_id,
            kind=self.kind,
            occurred_at=self.occurred_at,
            received_at=received_at,
            loads=tuple(Counted(load.kind, load.counted) for load in self.loads),
            reason_code=self.reason_code,
            note=self.note,
            proof_ids=tuple(self.proof_ids),
        )


class ReportsBody(Body):
    """Reports in any order, repeated or late."""

    reports: list[ReportBody] = Field(min_length=1, max_length=MOST_REPORTS)


class FaultOut(BaseModel):
    """One thing to correct in a report."""

    code: str
    detail: str
    pointer: str | None


class ReportResultOut(BaseModel):
    """What one report came to; sent again, it is answered the same.

    `effect`: `recorded`; `held`, a drop that waits for its pickup's report; `without_effect`, kept though the stop had
    ended; `refused`, nothing changed and `errors` say what to correct. `flags` name impossible times.
    """

    event_id: str
    effect: str
    detail: str
    flags: list[str]
    errors: list[FaultOut]

    @classmethod
    def of(cls, event_id: str, answer: rides.Answer | DomainError) -> Self:
        """Show what a report was answered."""
        if isinstance(answer, DomainError):
            faults = answer.errors if isinstance(answer, Refusals) else (answer,)
            errors = [FaultOut(code=fault.code, detail=fault.detail, pointer=fault.pointer) for fault in faults]
            return cls(event_id=event_id, effect="refused", detail=answer.detail, flags=[], errors=errors)
        return cls(event_id=event_id, effect=answer.effect, detail=answer.sentence, flags=list(answer.flags), errors=[])


class ReportResultsOut(BaseModel):
    """One result for each report, in the order given."""

    results: list[ReportResultOut]


class KeptProofOut(BaseModel):
    """A photo that is kept, scrubbed of its metadata; `sha256` is of the bytes that are served."""

    id: str
    stop_id: str
    media_type: str
    bytes: int
    sha256: str


def ride_router(settings: DispatchSettings, zone: ZoneInfo) -> APIRouter:
    """Return the routes under `/v1/me`, and the proofs for everybody they concern."""
    router = APIRouter(tags=["rides"])

    def day_version(view: View, request: Request, caller: Caller | None) -> str:
        """Name what an answer depends on; "" leaves the refusal of a strange date or account to the endpoint."""
        text = request.query_params.get("date", "")
        try:
            day = date.fromisoformat(text) if text else _today()
        except ValueError:
            return ""
        seen = courier_day(view, caller.account_id, day) if caller else None
        if seen is None:
            return ""
        return seen.day_print(day, settings)

    def _today() -> date:
        return utc_now().astimezone(zone).date()

    @router.get("/v1/me/assignments", response_model=AssignmentsOut)
    def read_assignments(
        caller: Reader,
        view: ReadView,
        _etag: Annotated[str, versioned(day_version)],
        on: Annotated[
            date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY, description="Par défaut, aujourd'hui.")
        ] = None,
    ) -> Response:
        """Return the caller's stops of a day. Poll with If-None-Match, every `poll_seconds`: unchanged is 304."""
        day = on or _today()
        seen = courier_day(view, caller.account_id, day)
        if seen is None:
            raise NotACourier
        told = show_assignments(view, seen, day, settings).model_dump_json()
        return Response(told, media_type="application/json", headers={"Cache-Control": "private, no-cache"})

    @router.post("/v1/me/reports")
    def report(body: ReportsBody, caller: Writer, tx: Tx, now: Now) -> ReportResultsOut:
        """Take reports in: late, doubled and in any order. One result each; 404 when no stop is the caller's."""
        courier = rides.courier_of(tx, caller.account_id)
        answers = rides.record_reports(tx, courier, [one.report(now) for one in body.reports])
        if all(isinstance(answer, StopNotFound) for answer in answers):
            raise StopNotFound(body.reports[0].stop_id, "/reports/0/stop_id")
        return ReportResultsOut(
            results=[
                ReportResultOut.of(one.event_id, answer) for one, answer in zip(body.reports, answers, strict=True)
            ]
        )

    @router.put(
        "/v1/me/stops/{stop_id}/proofs/{proof_id}",
        response_model=KeptProofOut,
        max_body_size=settings.proof_bytes,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PHOTO_TYPES},
            }
        },
    )
    async def keep_proof(
        stop_id: Id, proof_id: Id, request: Request, caller: Writer, database: OwnDatabase, now: Now
    ) -> Response:
        """Keep a photo of a stop: the body is the JPEG or PNG itself. Sent again, the answer is the same."""
        picture = await take_photo(request.stream(), stop_id, proof_id, caller.account_id, database, now, settings)
        told = KeptProofOut(
            id=proof_id, stop_id=stop_id, media_type=picture.media_type, bytes=picture.bytes, sha256=picture.sha256
        )
        headers = {"Location": f"/v1/proofs/{proof_id}"}
        return Response(told.model_dump_json(), media_type="application/json", headers=headers)

    @router.get("/v1/proofs/{proof_id}", response_class=FileResponse)
    def read_proof(proof_id: str, caller: ProofReader, view: ReadView) -> FileResponse:
        """Return a photo to its courier, the cooperative's dispatchers, the department that ordered."""
        found = proof(view, proof_id)
        if found is None or not _is_for(caller, found):
            raise ProofNotFound(proof_id)
        path = path_of(settings.data_dir, proof_id, found.sha256)
        if not path.is_file():
            raise ProofNotFound(proof_id)
        headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{found.sha256}"'}
        return FileResponse(path, media_type=found.media_type, headers=headers)

    return router


def show_assignments(view: View, seen: CourierDay, day: date, settings: DispatchSettings) -> AssignmentsOut:
    """Return a courier's day."""
    found = rounds.of_courier(view, seen.courier_id, day)
    facts = around(view, found)
    return AssignmentsOut(
        date=day,
        courier=RiderOut(id=seen.courier_id, name=seen.name),
        poll_seconds=settings.poll_seconds,
        rounds=[RoundOut.of(round_, facts) for round_ in found],
        proof_rules=ProofRulesOut(
            photo_types=list(PHOTO_TYPES),
            photo_bytes=settings.proof_bytes,
            is_photo_required_on_completion=False,
            is_note_required_on_difference=True,
        ),
        failure_reasons=[FailureReasonOut.of(reason) for reason in FAILURE_REASONS.values()],
    )


async def take_photo(
    chunks: AsyncIterator[bytes],
    stop_id: str,
    proof_id: str,
    account: str,
    database: Database,
    now: datetime,
    settings: DispatchSettings,
) -> rides.Picture:
    """Keep a photo of one of the account's own stops. Raises NotACourier, StopNotFound, NotAPicture, ProofElsewhere."""

    def known(sent_sha256: str) -> rides.Picture | None:
        with database.view() as view:
            rides.require_stop(view, rides.courier_of(view, account), stop_id)
            return rides.kept_picture(view, stop_id, proof_id, sent_sha256) if sent_sha256 else None

    def keep(picture: rides.Picture) -> None:
        with database.transaction() as tx:
            rides.keep_proof(tx, rides.courier_of(tx, account), stop_id, proof_id, picture, at=now)

    await run_in_threadpool(known, "")
    async with Upload(settings.data_dir) as upload:
        async for chunk in chunks:
            await upload.write(chunk)
        kept = await run_in_threadpool(known, upload.sent_sha256())
        if kept is not None:
            return kept
        found = await upload.keep(proof_id)
    picture = rides.Picture(found.media_type, found.bytes, found.sha256, found.sent_sha256)
    await run_in_threadpool(keep, picture)
    return picture


def _is_for(caller: Caller, found: Proof) -> bool:
    return (
        (bool(found.account) and found.account == caller.account_id)
        or (caller.has("dispatch:read") and reach_of(caller).covers(found.cooperative_id))
        or caller.claim("department") == found.department_id
    )
