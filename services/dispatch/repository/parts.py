"""Parts of big days while they are searched; whoever asked for one takes it away again."""

from sqlalchemy import delete, insert, select, update

from services.dispatch.domain.part import PlanPart
from services.dispatch.tables import plan_parts
from services.kit.database import Transaction, View


def add(tx: Transaction, new: PlanPart) -> None:
    """Keep a part that is asked for."""
    tx.execute(
        insert(plan_parts).values(
            id=new.id,
            plan_id=new.plan_id,
            requested_at=new.requested_at,
            seconds=new.seconds,
            seed=new.seed,
            span_start=new.span_start,
            span_end=new.span_end,
            problem=new.problem,
            start=new.start,
        )
    )


def waiting(view: View) -> list[str]:
    """Return the ids of the parts that nobody has answered, oldest first."""
    chosen = select(plan_parts.c.id).where(plan_parts.c.answer.is_(None))
    return list(view.execute(chosen.order_by(plan_parts.c.id)).scalars())


def is_waiting(view: View, part_id: str) -> bool:
    """Return whether a part is still asked for and not answered."""
    chosen = select(plan_parts.c.id).where(plan_parts.c.id == part_id, plan_parts.c.answer.is_(None))
    return view.execute(chosen).first() is not None


def get_waiting(view: View, part_id: str) -> PlanPart | None:
    """Return a part, None where it was answered or taken away meanwhile."""
    row = view.execute(
        select(plan_parts).where(plan_parts.c.id == part_id, plan_parts.c.answer.is_(None))
    ).one_or_none()
    if row is None:
        return None
    return PlanPart(
        row.id,
        row.plan_id,
        row.requested_at,
        row.seconds,
        row.seed,
        row.problem,
        row.start,
        row.span_start,
        row.span_end,
    )


def answer(tx: Transaction, part_id: str, found: bytes) -> bool:
    """Keep the answer to a part unless there is one; empty says that the search failed. Return whether it was kept."""
    chosen = update(plan_parts).where(plan_parts.c.id == part_id, plan_parts.c.answer.is_(None))
    return tx.execute(chosen.values(answer=found)).rowcount == 1


def answer_to(view: View, part_id: str) -> bytes | None:
    """Return the answer to a part, None as long as there is none."""
    found: bytes | None = view.execute(
        select(plan_parts.c.answer).where(plan_parts.c.id == part_id)
    ).scalar_one_or_none()
    return found


def remove(tx: Transaction, part_id: str) -> None:
    """Take a part away."""
    tx.execute(delete(plan_parts).where(plan_parts.c.id == part_id))


def remove_all(tx: Transaction, plan_id: str) -> None:
    """Take away what a process that died had asked for to make this plan."""
    tx.execute(delete(plan_parts).where(plan_parts.c.plan_id == plan_id))
