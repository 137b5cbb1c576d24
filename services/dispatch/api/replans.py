"""Readjustments over HTTP: a published day that changed, what is proposed for it, accepted as one."""

from datetime import date, datetime
from typing import Annotated, Protocol, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.dispatch.api.crew import Reader, Writer
from services.dispatch.api.shapes import Id, Instant
from services.dispatch.domain.errors import DeliveryNotFound
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.replan import (
    ChangeKind,
    CourierLate,
    DeliveryChange,
    Happened,
    Replan,
    ShiftLost,
    SiteShut,
    Strictness,
)
from services.dispatch.queries.replans import Told, told
from services.dispatch.repository import replans
from services.dispatch.use_cases.access import reach_of
from services.dispatch.use_cases.replans import accept
from services.kit.database import Database, View
from services.kit.http.edge import Body, Now, OwnDatabase, ReadView, Tx


class Propose(Protocol):
    """Computes and keeps a proposal."""

    def __call__(
        self, database: Database, day: date, happened: Happened, reach: Reach, *, requested_by: str, at: datetime
    ) -> Replan: ...


class LostBody(Body):
    """Nobody rides this shift from then on."""

    shift_id: Id
    since: Instant


class LateBody(Body):
    """Whoever rides this shift goes on so many minutes later than planned."""

    shift_id: Id
    minutes: Annotated[int, Field(ge=1, le=600)]


class ClosedBody(Body):
    """Nothing can be collected or handed over at this site until then."""

    site_id: Annotated[str, Field(min_length=1, max_length=64)]
    until: Instant


class ReplanBody(Body):
    """What happened to a published day. Deliveries in no round are given one where there is room, unless `with_new` is
    false; `pinned` ones keep round and times. Cancelled ones are known already.
    """

    date: date
    lost: Annotated[tuple[LostBody, ...], Field(max_length=50)] = ()
    late: Annotated[tuple[LateBody, ...], Field(max_length=50)] = ()
    closed: Annotated[tuple[ClosedBody, ...], Field(max_length=50)] = ()
    with_new: bool = True
    pinned: Annotated[tuple[Annotated[str, Field(max_length=60)], ...], Field(max_length=1000)] = ()
    strictness: Strictness = Strictness.MEASURED

    def happened(self) -> Happened:
        """Return it for the domain. Raises DeliveryNotFound."""
        return Happened(
            tuple(ShiftLost(one.shift_id, one.since) for one in self.lost),
            tuple(CourierLate(one.shift_id, one.minutes) for one in self.late),
            tuple(SiteShut(one.site_id, one.until) for one in self.closed),
            self.with_new,
            tuple(_delivery_id(text) for text in self.pinned),
            self.strictness,
        )


class StopChangeOut(BaseModel):
    """When a stop begins: as published and as proposed; null where it is in no round."""

    kind: StopKind
    before: datetime | None
    after: datetime | None


class ChangeOut(BaseModel):
    """What becomes of a delivery, and why, as a code and in French."""

    delivery_id: str
    reference: str
    kind: ChangeKind
    from_shift_id: str | None
    to_shift_id: str | None
    stops: list[StopChangeOut]
    code: str
    makes_room_for: str | None
    reason_codes: list[str]
    why: str

    @classmethod
    def of(cls, change: DeliveryChange, words: Told) -> Self:
        """Show a change."""
        return cls(
            delivery_id=str(change.delivery_id),
            reference=words.deliveries[change.delivery_id].reference,
            kind=change.kind,
            from_shift_id=change.from_shift,
            to_shift_id=change.to_shift,
            stops=[StopChangeOut(kind=stop.kind, before=stop.before, after=stop.after) for stop in change.stops],
            code=change.code,
            makes_room_for=str(change.makes_room_for) if change.makes_room_for else None,
            reason_codes=list(change.codes),
            why=words.why(change),
        )


class ReplanOut(BaseModel):
    """A proposal: all that changes, none of it done before it is accepted; `kept` deliveries stay as they are."""

    id: str
    date: date
    requested_by: str
    requested_at: datetime
    accepted_at: datetime | None
    strictness: Strictness
    kept: int
    changes: list[ChangeOut]

    @classmethod
    def of(cls, replan: Replan, words: Told) -> Self:
        """Show a proposal."""
        return cls(
            id=replan.id,
            date=replan.day,
            requested_by=replan.requested_by,
            requested_at=replan.requested_at,
            accepted_at=replan.accepted_at,
            strictness=replan.happened.strictness,
            kept=replan.kept,
            changes=[ChangeOut.of(change, words) for change in replan.changes],
        )


def replan_router(propose: Propose) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["replans"])

    @router.post("/v1/replans", status_code=201)
    def request_replan(
        body: ReplanBody, caller: Writer, database: OwnDatabase, now: Now, response: Response
    ) -> ReplanOut:
        """Compute, in a few seconds, how a published day goes on after what happened. Nothing changes yet.

        What has begun or is aboard stays; the more strict, the less else changes.
        """
        reach = reach_of(caller)
        replan = propose(database, body.date, body.happened(), reach, requested_by=caller.name, at=now)
        response.headers["Location"] = f"/v1/replans/{replan.id}"
        with database.view() as view:
            return _shown(view, replan, reach)

    @router.get("/v1/replans/{replan_id}")
    def read_replan(replan_id: str, caller: Reader, view: ReadView) -> ReplanOut:
        """Return a proposal."""
        reach = reach_of(caller)
        return _shown(view, replans.get(view, replan_id, reach), reach)

    @router.post("/v1/replans/{replan_id}/acceptance")
    def accept_replan(replan_id: str, caller: Writer, tx: Tx, now: Now) -> ReplanOut:
        """Change the published rounds as proposed; couriers see it at their next poll. Doing it twice is harmless.

        A shift told as lost stays lost until it is said to be ridden again. 409 when something it touches has changed
        since or a start it proposes is past, with what; then nothing changes.
        """
        reach = reach_of(caller)
        return _shown(tx, accept(tx, replan_id, reach, at=now), reach)

    return router


def _shown(view: View, replan: Replan, reach: Reach) -> ReplanOut:
    return ReplanOut.of(replan, told(view, replan, reach))


def _delivery_id(text: str) -> DeliveryId:
    try:
        return DeliveryId.parse(text)
    except ValueError:
        raise DeliveryNotFound(text, "/pinned") from None
