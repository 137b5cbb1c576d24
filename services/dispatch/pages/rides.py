"""A courier's day on a phone: the next stop first and large. Positions are neither asked for nor sent."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from services.dispatch.domain.errors import BadReport, EventIdReused, NotACourier
from services.dispatch.domain.events import StopKind
from services.dispatch.domain.ride import Report, ReportEffect, ReportKind
from services.dispatch.domain.round import Counted, RoundState, Stop, StopState
from services.dispatch.pages import pages
from services.dispatch.proofs import Upload, path_of
from services.dispatch.queries.crew import courier_day
from services.dispatch.queries.rounds import around
from services.dispatch.repository import rounds
from services.dispatch.settings import DispatchSettings
from services.dispatch.use_cases import rides
from services.kit.database import View
from services.kit.errors import DomainError, Refusals
from services.kit.http.answers import etag_of
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Caller, Now, OwnDatabase, ReadView, needs
from services.kit.ids import is_id, new_id

Reader = Annotated[Caller, needs("rides:read")]
Writer = Annotated[Caller, needs("rides:write")]

ROOM_FOR_FIELDS = 200_000
"""Bytes a form may have beside its photo."""
READ_BYTES = 64 * 1024

SAID = {
    ReportEffect.RECORDED: "C'est noté.",
    ReportEffect.HELD: "C'est noté ; signalez aussi l'enlèvement pour que la livraison soit transmise.",
    ReportEffect.WITHOUT_EFFECT: "Cet arrêt était déjà clos : rien ne change. Appelez la régulation en cas d'erreur.",
}
_TELEPHONE = re.compile(r"(?:\+33|0)(?:[ .\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]?\d){9}")


def ride_pages(settings: DispatchSettings, zone: ZoneInfo) -> APIRouter:
    """Return the pages; days are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    def show(request: Request, view: View, account: str, day: date, **more: Any) -> HTMLResponse:
        # Read before all it is of: what is shown is as new as that or newer.
        seen = courier_day(view, account, day)
        if seen is None:
            raise NotACourier
        found = rounds.of_courier(view, seen.courier_id, day)
        ridden = [round_ for round_ in found if round_.state is not RoundState.WITHDRAWN]
        stops = [stop for round_ in ridden for stop in round_.as_ridden.stops]
        taken_out = [stop for round_ in ridden for stop in round_.stops if stop.state is StopState.MOVED]
        return pages.render(
            request,
            "ma_tournee.html",
            day=day,
            courier_id=seen.courier_id,
            etag=etag_of(seen.day_print(day, settings)),
            stops=stops,
            taken_out=taken_out,
            next_stop=_next(stops),
            # What was counted at the pickup is what there is to hand over.
            pickups={stop.delivery_id: stop for stop in stops if stop.kind is StopKind.PICKUP},
            breaks=[rest for round_ in ridden for rest in round_.breaks],
            ended=sum(_is_over(stop) for stop in stops),
            withdrawn=[round_ for round_ in found if round_.state is RoundState.WITHDRAWN],
            around=around(view, found),
            poll_seconds=settings.poll_seconds,
            previous_day=day - timedelta(days=1),
            next_day=day + timedelta(days=1),
            new_id=new_id,
            telephone=telephone,
            is_over=_is_over,
            **{"refusals": [], "said": "", **more},
        )

    @router.get("/ma-tournee")
    def read(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        dit: Annotated[str, Query(max_length=20)] = "",
    ) -> HTMLResponse:
        """Show the courier's stops of a day."""
        day = jour or now.astimezone(zone).date()
        said = SAID.get(ReportEffect(dit), "") if dit in set(ReportEffect) else ""
        return show(request, view, caller.account_id, day, said=said)

    @router.post("/ma-tournee/arrets/{stop_id}", max_body_size=settings.proof_bytes + ROOM_FOR_FIELDS)
    async def report(stop_id: str, request: Request, caller: Writer, database: OwnDatabase, now: Now) -> Response:
        """Take a report in as a form sends it, with a photo if there is one; used where the script does not run."""
        account = caller.account_id

        def require_own() -> None:
            with database.view() as view:
                rides.require_stop(view, rides.courier_of(view, account), stop_id)

        def take(given: Report, picture: rides.Picture | None) -> tuple[date, ReportEffect]:
            with database.transaction() as tx:
                courier = rides.courier_of(tx, account)
                rides.require_stop(tx, courier, stop_id)
                (answer,) = rides.record_reports(tx, courier, [given])
                if isinstance(answer, EventIdReused):  # the form was sent twice: it says the time of its arrival
                    effect = ReportEffect.RECORDED
                elif isinstance(answer, DomainError):
                    raise answer
                else:
                    effect = answer.effect
                if picture is not None:
                    rides.keep_proof(tx, courier, stop_id, given.event_id, picture, at=now)
                return _day_of(tx, courier.id, stop_id), effect

        def forget(proof_id: str, picture: rides.Picture) -> None:
            with database.view() as view:
                known = rounds.proof(view, proof_id)
            if known is None or known.sha256 != picture.sha256:
                path_of(settings.data_dir, proof_id, picture.sha256).unlink(missing_ok=True)

        def refuse(refusal: DomainError) -> HTMLResponse:
            with database.view() as view:
                courier = rides.courier_of(view, account)
                rides.require_stop(view, courier, stop_id)
                told = refusal.errors if isinstance(refusal, Refusals) else (refusal,)
                day = _day_of(view, courier.id, stop_id)
                return show(request, view, account, day, refusals=[one.detail for one in told], status=422)

        async with request.form(max_files=1, max_fields=60) as form:
            picture: rides.Picture | None = None
            try:
                given = _report(form, stop_id, now)
                photo = form.get("photo")
                if isinstance(photo, UploadFile) and photo.size:
                    # Before the report, which tells of it; under the report's id, so that sent twice it is one.
                    await run_in_threadpool(require_own)
                    given = replace(given, proof_ids=(given.event_id,))
                    picture = await _put(photo, given.event_id)
                day, effect = await run_in_threadpool(take, given, picture)
            except DomainError as refusal:
                if picture is not None:
                    await run_in_threadpool(forget, given.event_id, picture)
                return await run_in_threadpool(refuse, refusal)
        return RedirectResponse(f"/ma-tournee?date={day}&dit={effect}", status_code=303)

    async def _put(photo: UploadFile, proof_id: str) -> rides.Picture:
        """Put a photo in place on disk. Raises NotAPicture."""
        async with Upload(settings.data_dir) as upload:
            while chunk := await photo.read(READ_BYTES):
                await upload.write(chunk)
            found = await upload.keep(proof_id)
        return rides.Picture(found.media_type, found.bytes, found.sha256, found.sent_sha256)

    @router.get("/ma-tournee/hors-ligne.js")
    def read_offline_script(caller: Reader) -> FileResponse:  # noqa: ARG001 - it only has to be a courier
        """Return the script that lets the page open again without a network; it may only see this page."""
        headers = {"Service-Worker-Allowed": "/ma-tournee", "Cache-Control": "no-cache"}
        return FileResponse(_OFFLINE_SCRIPT, media_type="text/javascript", headers=headers)

    return router


_OFFLINE_SCRIPT = Path(__file__).parents[1] / "static" / "hors-ligne.js"


def telephone(contact: str) -> str:
    """Return the first French telephone number in a text, to be called; nothing when there is none."""
    found = _TELEPHONE.search(contact)
    return re.sub(r"[^+\d]", "", found.group()) if found else ""


def _day_of(view: View, courier_id: str, stop_id: str) -> date:
    day = rounds.day_of_stop(view, courier_id, stop_id)
    assert day is not None
    return day


def _is_over(stop: Stop) -> bool:
    return stop.has_ended or stop.state is StopState.HELD


def _next(stops: list[Stop]) -> Stop | None:
    return next((stop for stop in stops if not _is_over(stop)), None)


def _report(form: FormData, stop_id: str, now: datetime) -> Report:
    """Read a report out of a form. Raises BadReport."""
    given: Mapping[str, str] = {name: value.strip() for name, value in form.items() if isinstance(value, str)}
    event_id = given.get("event_id", "")
    if given.get("kind", "") not in set(ReportKind) or not is_id(event_id):
        raise BadReport("Le formulaire est incomplet : rechargez la page et recommencez.")
    kind = ReportKind(given["kind"])
    counted = []
    for name, value in given.items():
        if not name.startswith("compte-") or kind is not ReportKind.COMPLETE:
            continue
        if not value.isascii() or not value.isdigit() or len(value) > 6:
            raise BadReport("Comptez en nombres entiers.", pointer="/loads")
        counted.append(Counted(name.removeprefix("compte-"), int(value)))
    return Report(
        event_id=event_id,
        stop_id=stop_id,
        kind=kind,
        occurred_at=now,
        received_at=now,
        loads=tuple(counted),
        reason_code=given.get("reason_code", "") if kind is ReportKind.FAIL else "",
        note=given.get("note", "")[:1000],
    )
