"""A dispatcher's board: everything about one day, as one cooperative may see it, or the administration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.dispatch.domain.courier import Bike, Shift
from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.plan import Computation, LeftOut, Plan
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.round import Round, RoundState
from services.dispatch.queries.comparison import has_two_drafts
from services.dispatch.queries.crew import ShiftFilter, cooperative_names, list_shifts
from services.dispatch.queries.deliveries import DeliveryFilter, list_deliveries
from services.dispatch.queries.reasons import shift_names
from services.dispatch.queries.rounds import Around, around, latest_plan
from services.dispatch.repository import closures, crew, instructions, plans, rounds
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that nobody takes yet, and why, in French."""

    delivery: Delivery
    sentence: str
    left_out: LeftOut | None = None
    instruction: Instruction | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A shift with the round that is ridden in it, or that a draft proposes."""

    shift: Shift
    courier_name: str
    bike: Bike
    round: Round | None

    @property
    def most_grams(self) -> int:
        """The heaviest the bike gets."""
        return max((stop.aboard_grams for stop in self.round.stops), default=0) if self.round else 0

    @property
    def most_millilitres(self) -> int:
        """The fullest the bike gets."""
        return max((stop.aboard_millilitres for stop in self.round.stops), default=0) if self.round else 0


@dataclass(frozen=True, slots=True)
class Other:
    """What another cooperative takes, as a count."""

    name: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class Board:
    """One day. `plan` is the newest that concerns the caller, `computation` how it was made; `drafts` are its rounds
    that may still be published. `shift_names` says who rides the plan's shifts, of those the caller may know.
    """

    day: date
    counts: dict[str, int]
    plan: Plan | None
    computation: Computation
    shift_names: dict[str, str]
    drafts: Sequence[Round]
    rows: Sequence[Row]
    withdrawn: Sequence[Round]
    waiting: Sequence[Waiting]
    others: Sequence[Other]
    around: Around
    cooperative_names: dict[str, str]
    can_compare: bool = False

    @property
    def rounds(self) -> list[Round]:
        """Every round on the board, in the order of its rows."""
        return [row.round for row in self.rows if row.round]


def read_board(view: View, day: date, reach: Reach) -> Board:
    """Return the board of a day."""
    names = cooperative_names(view)
    deliveries = {one.id: one for one in list_deliveries(view, DeliveryFilter(reach, day, day), after=None, limit=None)}
    published = rounds.of_day(view, day, reach)
    ridden = {round_.shift_id: round_.as_ridden for round_ in published if round_.state is not RoundState.WITHDRAWN}
    plan = latest_plan(view, reach, day)
    drafts = [
        round_
        for round_ in (plan.drafts_within(reach) if plan else ())
        if round_.shift_id not in ridden
        # Another plan of the day may have been published instead.
        and not any(id_ in deliveries and deliveries[id_].round_id for id_ in round_.delivery_ids)
    ]
    proposed = {round_.shift_id: round_ for round_ in drafts}
    shifts = list_shifts(view, ShiftFilter(reach, day, day))
    bikes = crew.bikes_by_id(view, {shift.terms.bike_id for shift, _, _ in shifts})
    rows = [
        Row(shift, name, bikes[shift.terms.bike_id], ridden.get(shift.id) or proposed.get(shift.id))
        for shift, name, _ in shifts
    ]
    shown = [row.round for row in rows if row.round] + [
        round_ for round_ in published if round_.state is RoundState.WITHDRAWN
    ]
    # The shift of a draft may be gone, and with it its row.
    shown += [round_ for round_ in drafts if round_ not in shown]
    taken = _taken_by_others(plan, deliveries, reach, names)
    counts: dict[str, int] = {}
    for delivery in deliveries.values():
        counts[delivery.state] = counts.get(delivery.state, 0) + 1
    others: dict[str, int] = {}
    for name in taken.values():
        others[name] = others.get(name, 0) + 1
    return Board(
        day=day,
        counts=counts,
        plan=plan,
        computation=plans.computation(view, plan.id) if plan else Computation(),
        shift_names=shift_names(view, plan.shift_ids, reach) if plan else {},
        drafts=drafts,
        rows=sorted(rows, key=lambda row: (row.shift.cooperative_id, row.shift.terms.starts_at, row.courier_name)),
        withdrawn=[round_ for round_ in published if round_.state is RoundState.WITHDRAWN],
        waiting=_waiting(plan, deliveries, drafts, taken, instructions.of_deliveries(view, deliveries)),
        others=[Other(name, count) for name, count in sorted(others.items())],
        around=around(view, shown),
        cooperative_names=names,
        can_compare=bool(drafts) and has_two_drafts(view, day),
    )


def read_obstacles(view: View, board: Board, *, at: datetime) -> dict[str, list[str]]:
    """Return why drafts of a board cannot be published any more, in French, by the ids of these rounds alone."""
    if board.plan is None or not board.drafts:
        return {}
    prints = crew.free_prints(view, board.day, [round_.shift_id for round_ in board.drafts])
    shut = closures.around(view, [stop.starts_at for round_ in board.drafts for stop in round_.stops])
    told = {}
    for round_ in board.drafts:
        found = board.plan.obstacles([round_], board.around.deliveries, prints, shut, at=at)
        if found:
            told[round_.id] = [one["detail"] for one in found]
    return told


def _taken_by_others(
    plan: Plan | None, deliveries: dict[DeliveryId, Delivery], reach: Reach, names: dict[str, str]
) -> dict[DeliveryId, str]:
    """Return which of these deliveries another cooperative has, or is proposed, with its name."""
    taken = {
        delivery.id: names.get(delivery.cooperative_id, delivery.cooperative_id)
        for delivery in deliveries.values()
        if delivery.cooperative_id and not reach.covers(delivery.cooperative_id)
    }
    for round_ in plan.rounds if plan else ():
        if round_.state is RoundState.DRAFT and not reach.covers(round_.cooperative_id):
            for delivery_id in round_.delivery_ids:
                delivery = deliveries.get(delivery_id)
                if delivery is not None and delivery.state is DeliveryState.PLANNABLE:
                    taken[delivery_id] = names.get(round_.cooperative_id, round_.cooperative_id)
    return taken


def _waiting(
    plan: Plan | None,
    deliveries: dict[DeliveryId, Delivery],
    drafts: Sequence[Round],
    taken: dict[DeliveryId, str],
    given: dict[DeliveryId, Instruction],
) -> list[Waiting]:
    """Return what stands in nobody's round yet, with why."""
    taken_or_proposed = {delivery_id for round_ in drafts for delivery_id in round_.delivery_ids} | taken.keys()
    left_out = {item.delivery_id: item for item in plan.left_out} if plan else {}
    waiting = []
    for delivery in deliveries.values():
        instruction = given.get(delivery.id)
        if delivery.state is DeliveryState.WAITING_FOR_HOLD:
            sentence = "Attend l'accord du marché (engagement du montant)."
            waiting.append(Waiting(delivery, sentence, instruction=instruction))
        elif delivery.state is DeliveryState.PLANNABLE and delivery.id not in taken_or_proposed:
            item = left_out.get(delivery.id)
            sentence = item.sentence if item else "Pas encore planifiée : calculez un plan."
            waiting.append(Waiting(delivery, sentence, item, instruction))
    return waiting
