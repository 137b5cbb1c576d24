"""From any cent back to its facts: events, price list, indices, rule, rounding, decisions, entries, penalties."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from sqlalchemy import func, select

from services.billing import queries
from services.billing.domain.acceptance import Decision
from services.billing.domain.charge import Charge, Source
from services.billing.domain.coefficient import Coefficient
from services.billing.domain.penalty import Penalty
from services.billing.domain.price_list import PriceList
from services.billing.domain.statement import Statement
from services.billing.queries import Sight
from services.billing.queries.month import verification_of
from services.billing.repository import Contracts
from services.billing.repository.penalties import Penalties
from services.billing.repository.revision import Applied, LegCorrection, Revisions
from services.billing.tables import credit_notes, credited_legs, ledger
from services.kit.database import View


@dataclass(frozen=True, slots=True)
class Booked:
    """A ledger entry about a leg."""

    id: int
    source: str
    target: str
    amount_cents: int
    cause: str
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Credited:
    """What a credit note gave back of a leg; with `is_billed_anew`, it was owed again as a whole."""

    note_id: str
    number: str
    statement_id: str
    is_billed_anew: bool
    amount_cents: int


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """A line of a leg: at base price, and before rounding at the revised price it was billed at, in cents."""

    code: str
    label: str
    announced: int
    counted: int
    quantity: int
    base_price_cents: int
    base_cents: int
    revised_price: str
    exact_cents: Fraction
    note: str


@dataclass(frozen=True, slots=True)
class ChargeExplanation:
    """Everything a leg's amount rests on.

    `billed_with` is the coefficient of its statement, None before it is on one or where prices are not revised. Its
    items are rounded as a whole: `rounding_cents` is what this leg's share of that is beyond its own lines. What is due
    is its lines before rounding, that share and the corrections, less what is taken off.
    """

    charge: Charge
    events: tuple[Source, ...]
    price_list: PriceList | None
    lines: tuple[ExplainedLine, ...]
    period: str
    billed_with: Coefficient | None
    rounding_cents: Fraction
    corrections: tuple[LegCorrection, ...]
    decisions: tuple[Decision, ...]
    credits: tuple[Credited, ...]
    penalties: tuple[Penalty, ...]
    entries: tuple[Booked, ...]


def explain_charge(view: View, sight: Sight, order_id: str, leg: int) -> ChargeExplanation:
    """Explain what a leg came to. Raises ChargeNotFound, also for one that is not the caller's."""
    charge = queries.get_charge(view, sight, order_id, leg)
    settlement = charge.settlement
    period, billed_with = "", None
    if charge.revised and charge.statement_id:
        period = Revisions(view).period_of(charge.statement_id, order_id, leg)
        billed_with = next(
            one.coefficient
            for one in Revisions(view).of_statement(charge.statement_id)
            if one.billed_on_id == charge.statement_id and one.period == period
        )
    lines = _lines(charge, billed_with)
    exact_cents = sum((line.exact_cents for line in lines), Fraction(0))
    events = charge.sources
    if settlement:
        events = (*events, Source(settlement.event_id, settlement.fact.value, settlement.occurred_at))
    return ChargeExplanation(
        charge=charge,
        events=events,
        price_list=next(
            (one for one in Contracts(view).price_lists(charge.contract_id) if one.id == charge.estimate.price_list_id),
            None,
        ),
        lines=lines,
        period=period,
        billed_with=billed_with,
        rounding_cents=charge.full_cents - exact_cents if settlement else Fraction(0),
        corrections=tuple(Revisions(view).of_leg(order_id, leg)),
        decisions=verification_of(view, charge).decisions,
        credits=_credits(view, order_id, leg),
        penalties=tuple(Penalties(view).of_leg(order_id, leg)),
        entries=_entries(view, order_id, leg),
    )


def _lines(charge: Charge, billed_with: Coefficient | None) -> tuple[ExplainedLine, ...]:
    coefficient = billed_with if charge.revised else charge.estimate.coefficient
    settled = charge.settlement.lines if charge.settlement else ()
    return tuple(
        ExplainedLine(
            code=line.code,
            label=line.label,
            announced=line.announced,
            counted=line.counted,
            quantity=line.quantity,
            base_price_cents=line.unit_price_cents,
            base_cents=line.amount_cents,
            revised_price=format(coefficient.unit_price(line.unit_price_cents), "f") if coefficient else "",
            exact_cents=(
                coefficient.exact_cents(line.quantity, line.unit_price_cents)
                if coefficient
                else Fraction(line.amount_cents)
            ),
            note=line.note,
        )
        for line in settled
    )


def _credits(view: View, order_id: str, leg: int) -> tuple[Credited, ...]:
    rows = view.execute(
        select(credit_notes, credited_legs.c.amount_cents)
        .join(credited_legs, credited_legs.c.credit_note_id == credit_notes.c.id)
        .where(credited_legs.c.order_id == order_id, credited_legs.c.leg == leg)
        .order_by(credit_notes.c.id)
    )
    return tuple(Credited(row.id, row.number, row.statement_id, row.is_billed_anew, row.amount_cents) for row in rows)


def _entries(view: View, order_id: str, leg: int) -> tuple[Booked, ...]:
    rows = view.execute(select(ledger).where(ledger.c.order_id == order_id, ledger.c.leg == leg).order_by(ledger.c.id))
    return tuple(Booked(row.id, row.source, row.target, row.amount_cents, row.cause, row.booked_at) for row in rows)


@dataclass(frozen=True, slots=True)
class StatementExplanation:
    """What a statement rests on: its coefficients, its price lists, and the ledger entries that invoiced it.

    `invoiced_cents` is what those entries moved: the net total, less what the maximum does not know of.
    """

    statement: Statement
    price_lists: tuple[PriceList, ...]
    applied: tuple[Applied, ...]
    entries: int
    invoiced_cents: int


def explain_statement(view: View, sight: Sight, statement_id: str) -> StatementExplanation:
    """Explain a statement's totals. Raises StatementNotFound."""
    statement = queries.get_statement(view, sight, statement_id)
    versions = {item.price_list_version for item in statement.items}
    invoiced = view.execute(
        select(
            func.count().label("entries"), func.coalesce(func.sum(ledger.c.amount_cents), 0).label("moved_cents")
        ).where(ledger.c.contract_id == statement.contract_id, ledger.c.cause == f"statement:{statement_id}")
    ).one()
    return StatementExplanation(
        statement=statement,
        price_lists=tuple(one for one in Contracts(view).price_lists(statement.contract_id) if one.version in versions),
        applied=tuple(Revisions(view).of_statement(statement_id)),
        entries=invoiced.entries,
        invoiced_cents=int(invoiced.moved_cents),
    )
