"""Plans, with their drafts as one document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, delete, insert, select, update

from services.dispatch.domain.errors import PlanNotFound
from services.dispatch.domain.plan import Computation, LeftOut, Mark, Plan, PlannedDelivery, PlanState
from services.dispatch.domain.planning_settings import PlanningSettings
from services.dispatch.domain.round import Round
from services.dispatch.tables import plan_computations, plans
from services.kit.database import Transaction, View


@dataclass(frozen=True)
class _Content:
    """What a plan came to."""

    inputs: tuple[PlannedDelivery, ...] = ()
    shift_ids: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    settings: PlanningSettings | None = None


_CONTENT = TypeAdapter(_Content)
_MARKS = TypeAdapter(tuple[Mark, ...])


def add(tx: Transaction, new: Plan) -> None:
    """Keep a plan that was asked for."""
    tx.execute(insert(plans).values(id=new.id, **_values(new)))


def get(view: View, plan_id: str, *, lock: bool = False) -> Plan:
    """Return a plan. Raises PlanNotFound."""
    chosen = select(plans).where(plans.c.id == plan_id)
    # Its key is left free: rounds that a readjustment adds to it meanwhile may say whose they are.
    row = view.execute(chosen.with_for_update(key_share=True) if lock else chosen).one_or_none()
    if row is None:
        raise PlanNotFound(plan_id)
    return from_row(row)


def save(tx: Transaction, changed: Plan) -> None:
    """Keep a changed plan."""
    tx.execute(update(plans).where(plans.c.id == changed.id).values(**_values(changed)))


def begin_computation(tx: Transaction, plan_id: str) -> None:
    """Forget how an earlier computation of this plan went."""
    tx.execute(delete(plan_computations).where(plan_computations.c.plan_id == plan_id))
    tx.execute(insert(plan_computations).values(plan_id=plan_id, marks=[], is_stop_asked=False))


def save_marks(tx: Transaction, plan_id: str, marks: Sequence[Mark]) -> None:
    """Keep how good the best plan was, and when."""
    values = _MARKS.dump_python(tuple(marks), mode="json")
    tx.execute(update(plan_computations).where(plan_computations.c.plan_id == plan_id).values(marks=values))


def ask_to_stop(tx: Transaction, plan_id: str) -> None:
    """Let whoever computes the plan stop with the best one found."""
    tx.execute(update(plan_computations).where(plan_computations.c.plan_id == plan_id).values(is_stop_asked=True))


def is_stop_asked(view: View, plan_id: str) -> bool:
    """Return whether somebody wants the best plan found so far."""
    chosen = select(plan_computations.c.is_stop_asked).where(plan_computations.c.plan_id == plan_id)
    return bool(view.execute(chosen).scalar_one_or_none())


def computation(view: View, plan_id: str) -> Computation:
    """Return how a plan's computation goes, or went; nothing is known of plans that are older than this."""
    row = view.execute(select(plan_computations).where(plan_computations.c.plan_id == plan_id)).one_or_none()
    return Computation(_MARKS.validate_python(row.marks), row.is_stop_asked) if row else Computation()


def to_compute(view: View) -> list[str]:
    """Return the ids of the plans that nobody has computed to the end, oldest first."""
    return list(
        view.execute(
            select(plans.c.id).where(plans.c.state.in_([PlanState.REQUESTED, PlanState.SOLVING])).order_by(plans.c.id)
        ).scalars()
    )


def from_row(row: Row[Any]) -> Plan:
    """Make a plan of a row with all columns."""
    content = _CONTENT.validate_python(row.content)
    return Plan(
        id=row.id,
        day=row.day,
        cooperative_id=row.cooperative_id,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        seconds=row.seconds,
        state=PlanState(row.state),
        began_at=row.began_at,
        ended_at=row.ended_at,
        failure=row.failure,
        inputs=content.inputs,
        shift_ids=content.shift_ids,
        rounds=content.rounds,
        left_out=content.left_out,
        settings=content.settings,
        version=row.version,
    )


def _values(plan: Plan) -> dict[str, Any]:
    content = _Content(plan.inputs, plan.shift_ids, plan.rounds, plan.left_out, plan.settings)
    return {
        "day": plan.day,
        "cooperative_id": plan.cooperative_id,
        "requested_by": plan.requested_by,
        "requested_at": plan.requested_at,
        "seconds": plan.seconds,
        "state": plan.state,
        "began_at": plan.began_at,
        "ended_at": plan.ended_at,
        "failure": plan.failure,
        "content": _CONTENT.dump_python(content, mode="json"),
        "version": plan.version,
    }
