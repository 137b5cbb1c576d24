"""Two plans of a day side by side, over HTTP."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.dispatch.api.crew import Reader
from services.dispatch.api.planning_settings import PlanningSettingsBody
from services.dispatch.domain.comparison import Figures, Ridden
from services.dispatch.domain.plan import Plan
from services.dispatch.domain.round import Round
from services.dispatch.queries.comparison import Compared, read_comparison
from services.dispatch.use_cases.access import reach_of
from services.dispatch.use_cases.plans import require_plan
from services.kit.http.edge import ReadView

router = APIRouter(tags=["plans"])


class CooperativeCountOut(BaseModel):
    """How many deliveries a cooperative rides in a plan."""

    cooperative_id: str
    cooperative_name: str
    deliveries: int


class FiguresOut(BaseModel):
    """What a plan comes to for the caller; `settings` are those it was computed with, null where nobody kept them.

    `late_seconds` is by how much stops begin after their windows, all together.
    """

    plan_id: str
    ended_at: datetime | None
    rounds: int
    deliveries: int
    left_out: int
    travel_seconds: int
    travel_metres: int
    work_seconds: int
    longest_seconds: int
    shortest_seconds: int
    late_seconds: int
    cooperatives: list[CooperativeCountOut]
    settings: PlanningSettingsBody | None

    @classmethod
    def of(cls, plan: Plan, figures: Figures, compared: Compared) -> Self:
        """Show one of two plans."""
        return cls(
            plan_id=plan.id,
            ended_at=plan.ended_at,
            rounds=figures.rounds,
            deliveries=figures.deliveries,
            left_out=figures.left_out,
            travel_seconds=figures.travel_seconds,
            travel_metres=figures.travel_metres,
            work_seconds=figures.work_seconds,
            longest_seconds=figures.longest_seconds,
            shortest_seconds=figures.shortest_seconds,
            late_seconds=figures.late_seconds,
            cooperatives=[
                CooperativeCountOut(
                    cooperative_id=id_, cooperative_name=compared.cooperative_names.get(id_, id_), deliveries=count
                )
                for id_, count in figures.by_cooperative.items()
            ],
            settings=PlanningSettingsBody.of(plan.settings) if plan.settings else None,
        )


class PlaceOut(BaseModel):
    """Where a plan has a delivery: in a shift of the caller's, or with another cooperative."""

    shift_id: str | None
    courier_name: str | None
    cooperative_id: str | None
    pickup_at: datetime | None
    drop_at: datetime | None

    @classmethod
    def of(cls, ridden: Ridden | str | None, compared: Compared) -> Self | None:
        """Show it; None where the plan leaves the delivery out."""
        if ridden is None:
            return None
        if isinstance(ridden, str):
            return cls(shift_id=None, courier_name=None, cooperative_id=ridden, pickup_at=None, drop_at=None)
        return cls(
            shift_id=ridden.shift_id,
            courier_name=compared.shift_names.get(ridden.shift_id),
            cooperative_id=None,
            pickup_at=ridden.pickup_at,
            drop_at=ridden.drop_at,
        )


class DifferenceOut(BaseModel):
    """A delivery that the two plans give to different shifts; null where one leaves it out."""

    delivery_id: str
    reference: str
    one: PlaceOut | None
    other: PlaceOut | None


class RoundFaceOut(BaseModel):
    """What a shift rides in a plan."""

    deliveries: int
    work_seconds: int
    travel_seconds: int
    travel_metres: int

    @classmethod
    def of(cls, round_: Round | None) -> Self | None:
        """Show it; None where it rides nothing."""
        if round_ is None:
            return None
        return cls(
            deliveries=len(round_.delivery_ids),
            work_seconds=round((round_.ends_at - round_.starts_at).total_seconds()),
            travel_seconds=round_.travel_seconds,
            travel_metres=round_.travel_metres,
        )


class ShiftTwiceOut(BaseModel):
    """A shift of the caller's in both plans."""

    shift_id: str
    courier_name: str | None
    one: RoundFaceOut | None
    other: RoundFaceOut | None


class ComparisonOut(BaseModel):
    """Two plans of a day, for the caller's rounds; `retimed` counts deliveries that keep their shift but not their
    times.
    """

    one: FiguresOut
    other: FiguresOut
    differences: list[DifferenceOut]
    retimed: int
    shifts: list[ShiftTwiceOut]


@router.get("/v1/plans/{plan_id}/comparison")
def read_plans_side_by_side(
    plan_id: str,
    caller: Reader,
    view: ReadView,
    other_id: Annotated[str, Query(alias="with", max_length=60, description="L'autre plan du même jour.")],
) -> ComparisonOut:
    """Compare two drafts of a day, or what was published of them, to choose which one to publish."""
    reach = reach_of(caller)
    one, other = require_plan(view, plan_id, reach), require_plan(view, other_id, reach)
    compared = read_comparison(view, one, other, reach)
    comparison = compared.comparison
    return ComparisonOut(
        one=FiguresOut.of(one, comparison.one, compared),
        other=FiguresOut.of(other, comparison.other, compared),
        differences=[
            DifferenceOut(
                delivery_id=str(each.delivery_id),
                reference=compared.deliveries[each.delivery_id].reference,
                one=PlaceOut.of(each.one, compared),
                other=PlaceOut.of(each.other, compared),
            )
            for each in comparison.differences
        ],
        retimed=comparison.retimed,
        shifts=[
            ShiftTwiceOut(
                shift_id=each.shift_id,
                courier_name=compared.shift_names.get(each.shift_id),
                one=RoundFaceOut.of(each.one),
                other=RoundFaceOut.of(each.other),
            )
            for each in comparison.shifts
        ],
    )
