"""Plans over HTTP: asked for, watched, changed by hand, published."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from services.dispatch.api.crew import Reader, Writer
from services.dispatch.api.shapes import Id, PlanOut
from services.dispatch.domain.plan import Plan
from services.dispatch.domain.reach import Reach
from services.dispatch.queries.crew import cooperative_names
from services.dispatch.queries.reasons import shift_names
from services.dispatch.queries.rounds import around, list_plans
from services.dispatch.repository import plans as stored
from services.dispatch.travel import Roads
from services.dispatch.use_cases import moves, plans
from services.dispatch.use_cases.access import reach_of
from services.kit.database import Database, View
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    page_answer,
)
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Now, Once, OwnDatabase, ReadView, Tx


class PlanBody(Body):
    """A plan for a day, computed for so many seconds."""

    date: date
    seconds: Annotated[float | None, Field(gt=0, le=plans.LONGEST_SECONDS)] = None


class MoveBody(Body):
    """A delivery to another place: into the draft round of a shift (positions count from 1 among its stops, the moved
    pickup and drop included; the end without one), or out of every round.
    """

    delivery_id: str = Field(max_length=60)
    shift_id: Id | None = None
    pickup_position: Annotated[int, Field(ge=1, le=1000)] | None = None
    drop_position: Annotated[int, Field(ge=1, le=1000)] | None = None


def plan_router(default_seconds: float, zone: ZoneInfo, wake: Callable[[Database], None], roads: Roads) -> APIRouter:
    """Return the routes; `wake` is called when there is a plan to compute."""
    router = APIRouter(tags=["plans"])

    @router.post("/v1/plans", status_code=202, response_model=PlanOut)
    def request_plan(body: PlanBody, caller: Writer, tx: Tx, now: Now, once: Once) -> Response:
        """Ask for a plan of a day's deliveries that are in no published round; today's begins some minutes after its
        computation. The answer says where to watch it.
        """
        if (kept := once.replay()) is not None:
            return kept
        reach = reach_of(caller)
        plan = plans.request_plan(
            tx, reach, body.date, seconds=body.seconds or default_seconds, requested_by=caller.name, at=now
        )
        database = tx.database
        tx.after_commit(lambda: wake(database))
        return once.keep(202, {"Location": f"/v1/plans/{plan.id}"}, show_plan(tx, plan, reach, now, zone))

    @router.get("/v1/plans")
    def read_plans(
        caller: Reader,
        view: ReadView,
        now: Now,
        request: Request,
        response: Response,
        on: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[PlanOut]:
        """List plans, the newest first."""
        reach = reach_of(caller)
        before = decode_cursor(cursor, str)[0] if cursor else None
        found = list_plans(view, reach, on, before=before, limit=limit + 1)
        shown = [show_plan(view, plan, reach, now, zone) for plan in found[:limit]]
        return page_answer(request, response, shown, encode_cursor(shown[-1].id) if len(found) > limit else None)

    @router.get("/v1/plans/{plan_id}")
    def read_plan(plan_id: str, caller: Reader, view: ReadView, now: Now) -> PlanOut:
        """Return a plan: how far it is, then its rounds and what it leaves out, with reasons."""
        reach = reach_of(caller)
        return show_plan(view, plans.require_plan(view, plan_id, reach), reach, now, zone)

    @router.post("/v1/plans/{plan_id}/publication")
    def publish(plan_id: str, caller: Writer, tx: Tx, now: Now) -> PlanOut:
        """Let the couriers of the caller's cooperative see their rounds; the administration publishes all.

        Doing it twice is harmless. 409 when what the draft was made from has changed or has passed, with what.
        """
        reach = reach_of(caller)
        plan, _ = plans.publish_plan(tx, plan_id, reach, at=now)
        return show_plan(tx, plan, reach, now, zone)

    @router.post("/v1/plans/{plan_id}/stop", status_code=202)
    def stop(plan_id: str, caller: Writer, tx: Tx, now: Now) -> PlanOut:
        """End the computation early with the best plan found so far; it is a draft a moment later.

        Doing it twice is harmless. 409 when nobody computes the plan now.
        """
        reach = reach_of(caller)
        return show_plan(tx, plans.stop_plan(tx, plan_id, reach), reach, now, zone)

    @router.post("/v1/plans/{plan_id}/moves")
    def move(plan_id: str, body: MoveBody, caller: Writer, database: OwnDatabase, now: Now) -> PlanOut:
        """Move a delivery in the draft; refused with what would go wrong when it cannot be ridden like that."""
        reach = reach_of(caller)
        wanted = moves.Move(body.delivery_id, body.shift_id, body.pickup_position, body.drop_position)
        return show_moved(database, plan_id, wanted, reach, zone, roads, now)

    return router


def show_moved(
    database: Database,
    plan_id: str,
    wanted: moves.Move,
    reach: Reach,
    zone: ZoneInfo,
    roads: Roads,
    now: datetime,
) -> PlanOut:
    """Move a delivery and return the plan. Travel is asked for between reading and writing."""
    with database.view() as view:
        scene = moves.read_scene(view, plan_id, wanted, reach, zone)
    ridden = roads.matrix(scene.day.places)
    with database.transaction() as tx:
        plan = moves.move_delivery(tx, wanted, scene, ridden.seconds, ridden.metres)
        return show_plan(tx, plan, reach, now, zone)


def show_plan(view: View, plan: Plan, reach: Reach, now: datetime, zone: ZoneInfo) -> PlanOut:
    """Return a plan as somebody with this reach may see it."""
    rounds = plan.rounds_within(reach)
    left_out = [item.delivery_id for item in plan.left_out_within(reach)]
    return PlanOut.of(
        plan,
        reach,
        around(view, rounds, left_out),
        shift_names(view, plan.shift_ids, reach),
        cooperative_names(view),
        stored.computation(view, plan.id),
        now,
        zone,
    )
