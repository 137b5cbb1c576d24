"""Credit notes in and out, and what they change of the legs they credit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, tuple_, update

from services.billing.domain.acceptance import Decision
from services.billing.domain.charge import Acceptance, Charge
from services.billing.domain.credit_note import CreditedLeg, CreditNote
from services.billing.domain.money import Tax
from services.billing.domain.price_list import Unit
from services.billing.domain.statement import Item, Month
from services.billing.repository import charge_of
from services.billing.repository.acceptance import decision_of
from services.billing.repository.parties import buyer_of, cooperative_of, from_buyer, from_cooperative
from services.billing.repository.revision import Revisions
from services.billing.tables import (
    charges,
    credit_notes,
    credited_legs,
    decisions,
    internal_note_counts,
    revised_legs,
    statements,
)
from services.kit.database import Transaction, View, insert_new

Json = dict[str, Any]


class CreditNotes:
    """Notes, added and never edited; the contract is locked whenever one is added."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def count_up_internal(self, seller_siret: str, year: int) -> int:
        """Return the seller's next number in the internal series of the year."""
        counts = internal_note_counts
        insert_new(self._tx, counts, [{"seller_siret": seller_siret, "year": year, "last": 0}])
        counted: int = self._tx.execute(
            update(counts)
            .where(counts.c.seller_siret == seller_siret, counts.c.year == year)
            .values(last=counts.c.last + 1)
            .returning(counts.c.last)
        ).scalar_one()
        return counted

    def charges_on(self, statement_id: str) -> dict[tuple[str, int], Charge]:
        """Return the legs that are on a statement, by order and leg."""
        rows = self._tx.execute(select(charges).where(charges.c.statement_id == statement_id))
        return {(row.order_id, row.leg): charge_of(row) for row in rows}

    def add(self, note: CreditNote, given_back_cents: Mapping[tuple[str, int], int]) -> None:
        """Add a note. Its legs owe less from now on, or are on no statement any more when they are billed anew.

        `given_back_cents` is what each leg returns to the maximum: less than its amount where that excludes revision.
        """
        self._tx.execute(
            insert(credit_notes).values(
                id=note.id,
                statement_id=note.statement_id,
                contract_id=note.contract_id,
                buyer_siret=note.buyer.siret,
                seller_siret=note.seller.siret,
                cooperative_id=note.seller.id,
                number=note.number,
                is_internal=note.is_internal,
                is_billed_anew=note.is_billed_anew,
                net_cents=note.net_cents,
                tax_cents=note.tax_cents,
                content=_content(note),
                issued_at=note.issued_at,
            )
        )
        self._tx.execute(
            insert(credited_legs),
            [
                {
                    "credit_note_id": note.id,
                    "order_id": leg.order_id,
                    "leg": leg.leg,
                    "statement_id": note.statement_id,
                    "contract_id": note.contract_id,
                    "department_id": leg.department_id,
                    "reference": leg.reference,
                    "service_date": leg.service_date,
                    "vat_permille": leg.vat_permille,
                    "amount_cents": leg.amount_cents,
                }
                for leg in note.legs
            ],
        )
        if note.is_billed_anew:
            self.put_on(None, note.legs)
        else:
            self._tx.execute(
                _CREDIT,
                [
                    {
                        "at_order": leg.order_id,
                        "at_leg": leg.leg,
                        "less": given_back_cents[leg.order_id, leg.leg],
                        "credited": leg.amount_cents,
                    }
                    for leg in note.legs
                ],
            )

    def to_bill_anew(self, statement_id: str) -> list[Charge]:
        """Return the legs that notes took off a statement and that are on no other, in the order of their dates."""
        taken = (
            select(credited_legs.c.order_id, credited_legs.c.leg)
            .join(credit_notes, credit_notes.c.id == credited_legs.c.credit_note_id)
            .where(credited_legs.c.statement_id == statement_id, credit_notes.c.is_billed_anew)
            .subquery()
        )
        rows = self._tx.execute(
            select(charges)
            .join(taken, (taken.c.order_id == charges.c.order_id) & (taken.c.leg == charges.c.leg))
            .where(charges.c.statement_id.is_(None), charges.c.is_billable)
            .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
        )
        return [charge_of(row) for row in rows]

    def put_on(self, statement_id: str | None, legs: Sequence[Charge | CreditedLeg]) -> None:
        """Tie legs to the statement that bills them anew, or to none."""
        if not legs:
            return
        self._tx.execute(
            _PUT_ON, [{"at_order": leg.order_id, "at_leg": leg.leg, "new_statement": statement_id} for leg in legs]
        )


_THIS_LEG = (charges.c.order_id == bindparam("at_order")) & (charges.c.leg == bindparam("at_leg"))
_CREDIT = (
    update(charges)
    .where(_THIS_LEG)
    .values(
        amount_cents=charges.c.amount_cents - bindparam("less"),
        credited_cents=charges.c.credited_cents + bindparam("credited"),
    )
)
_PUT_ON = update(charges).where(_THIS_LEG).values(statement_id=bindparam("new_statement"))


def billed_on(view: View, statement_id: str) -> list[Charge]:
    """Return all legs of a statement at revised prices as they were billed, whatever was credited or taken off since.

    They are in the order of their dates.
    """
    on_it = select(revised_legs.c.order_id, revised_legs.c.leg).where(revised_legs.c.statement_id == statement_id)
    rows = view.execute(
        select(charges)
        .where(tuple_(charges.c.order_id, charges.c.leg).in_(on_it))
        .order_by(charges.c.service_date, charges.c.reference, charges.c.order_id, charges.c.leg)
    )
    restored = as_closed(view, statement_id)
    return [restored(charge_of(row)) for row in rows]


def as_closed(view: View, statement_id: str) -> Callable[[Charge], Charge]:
    """Return what gives a statement's leg as it was when that was closed: what was done since is undone."""
    head = view.execute(
        select(statements.c.number, statements.c.closed_at).where(statements.c.id == statement_id)
    ).one_or_none()
    on_it = credited_legs.alias()
    touched = {
        (row.order_id, row.leg)
        for row in view.execute(select(on_it.c.order_id, on_it.c.leg).where(on_it.c.statement_id == statement_id))
    }
    frozen = Revisions(view).legs_of(statement_id)
    if head is None or not (touched or frozen):
        return lambda charge: charge
    earlier: dict[tuple[str, int], int] = {}
    for row in view.execute(
        # Ids are made in the order of time: a note with a lower one than the statement's was there before it.
        select(credited_legs)
        .join(credit_notes, credit_notes.c.id == credited_legs.c.credit_note_id)
        .join(on_it, (on_it.c.order_id == credited_legs.c.order_id) & (on_it.c.leg == credited_legs.c.leg))
        .where(on_it.c.statement_id == statement_id, credit_notes.c.is_billed_anew.is_(False))
        .where(credit_notes.c.id < statement_id)
        .distinct()
    ):
        earlier[row.order_id, row.leg] = earlier.get((row.order_id, row.leg), 0) + row.amount_cents
    decided: dict[tuple[str, int], Decision] = {}
    for row in view.execute(
        select(decisions)
        .join(on_it, (on_it.c.order_id == decisions.c.order_id) & (on_it.c.leg == decisions.c.leg))
        .where(on_it.c.statement_id == statement_id, decisions.c.decided_at <= head.closed_at)
        .order_by(decisions.c.number)
    ):
        decided[row.order_id, row.leg] = decision_of(row)

    def restored(charge: Charge) -> Charge:
        leg = charge.order_id, charge.leg
        if leg in touched:
            last = decided.get(leg)
            charge = replace(
                charge,
                statement_id=statement_id,
                statement_number=head.number,
                acceptance=last.acceptance if last else Acceptance.DELIVERED,
                cuts=last.cuts if last else (),
                decisions=last.number if last else 0,
                credited_cents=earlier.get(leg, 0),
            )
        return replace(charge, revised=frozen[leg][1]) if leg in frozen else charge

    return restored


def credit_note_of(view: View, row: Row[Any]) -> CreditNote:
    """Read a row of `credit_notes` and its legs."""
    content: Json = row.content
    legs = view.execute(
        select(credited_legs)
        .where(credited_legs.c.credit_note_id == row.id)
        .order_by(
            credited_legs.c.service_date, credited_legs.c.reference, credited_legs.c.order_id, credited_legs.c.leg
        )
    )
    return CreditNote(
        id=row.id,
        number=row.number,
        statement_id=row.statement_id,
        statement_number=content["statement_number"],
        statement_issued_on=date.fromisoformat(content["statement_issued_on"]),
        contract_id=row.contract_id,
        contract_reference=content["contract_reference"],
        contract_title=content["contract_title"],
        buyer=buyer_of(content["buyer"]),
        seller=cooperative_of(content["seller"]),
        month=Month.parse(content["month"]),
        reason=content["reason"],
        is_internal=row.is_internal,
        is_billed_anew=row.is_billed_anew,
        issued_on=date.fromisoformat(content["issued_on"]),
        issued_at=row.issued_at,
        items=tuple(Item(**{**item, "unit": Unit(item["unit"])}) for item in content["items"]),
        taxes=tuple(Tax(**tax) for tax in content["taxes"]),
        legs=tuple(
            CreditedLeg(
                leg.order_id,
                leg.leg,
                leg.department_id,
                leg.reference,
                leg.service_date,
                leg.vat_permille,
                leg.amount_cents,
            )
            for leg in legs
        ),
    )


def _content(note: CreditNote) -> Json:
    return {
        "statement_number": note.statement_number,
        "statement_issued_on": note.statement_issued_on.isoformat(),
        "contract_reference": note.contract_reference,
        "contract_title": note.contract_title,
        "buyer": from_buyer(note.buyer),
        "seller": from_cooperative(note.seller),
        "month": str(note.month),
        "reason": note.reason,
        "issued_on": note.issued_on.isoformat(),
        "items": [asdict(item) for item in note.items],
        "taxes": [asdict(tax) for tax in note.taxes],
    }
