"""A closed statement is corrected by a credit note and new lines, never by an edit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.billing import messages
from services.billing.domain import credit_note as crediting
from services.billing.domain import statement as closing
from services.billing.domain.adjustment import Revised
from services.billing.domain.ceiling import Movement
from services.billing.domain.charge import Acceptance, Charge, leg_amount
from services.billing.domain.credit_note import Asked, CreditedLeg, CreditNote
from services.billing.domain.errors import NothingToBillAnew, StatementRefused
from services.billing.domain.statement import Gauge, ScopeGauge, Statement
from services.billing.domain.status import life_of
from services.billing.repository import Ceilings, Statements
from services.billing.repository.credit_notes import CreditNotes
from services.billing.repository.revision import NewRevisions
from services.billing.repository.statuses import Statuses
from services.billing.use_cases import keep, revision
from services.billing.use_cases.advance import prepaid
from services.billing.use_cases.invoicing import issue_credit, issue_invoice
from services.kit.database import Transaction
from services.kit.events import outbox
from services.kit.ids import new_id


def credit(
    tx: Transaction,
    statement_id: str,
    asked: Sequence[Asked],
    *,
    reason: str,
    is_billed_anew: bool,
    at: datetime,
) -> CreditNote:
    """Credit legs of a closed statement, whole or in part, under the seller's next number.

    Every scope of the original delivery gets its amount back, the period by that day. With `is_billed_anew`
    the legs are owed again instead, and go on the next statement.

    Raises
    ------
    StatementNotFound, StatementRefused
    LegNotOnStatement, CreditTooHigh, CreditNotWhole, or Refusals with several of them
    InvoiceDataMissing, InvoiceNotValid, RulesUnavailable
        When its e-invoice is refused: nothing is issued, no number is used.
    """
    tx.write_gathered()
    statement = Statements(tx).get(statement_id)
    Ceilings(tx).lock(statement.contract_id)
    if life_of(Statuses(tx).of(statement_id)).is_dead:
        raise StatementRefused(statement.number)
    charges = CreditNotes(tx).charges_on(statement_id)
    legs = crediting.choose(statement, charges, asked, is_billed_anew=is_billed_anew)
    note = _issue(tx, statement, charges, legs, reason=reason, is_internal=False, is_billed_anew=is_billed_anew, at=at)
    issue_credit(tx, note, statement, at=at)
    return note


def cancel_refused(tx: Transaction, statement_id: str, *, reason: str, at: datetime) -> CreditNote | None:
    """Cancel a refused statement by an internal note over all that is left of it; None when nothing is.

    Its number stays used. What was delivered is still owed: it leaves the invoiced part of the ceiling and waits, as
    owed, for a statement that bills it anew. What other statements corrected of it since stays on them. Raises
    StatementNotFound.
    """
    tx.write_gathered()
    statement = Statements(tx).get(statement_id)
    Ceilings(tx).lock(statement.contract_id)
    charges = CreditNotes(tx).charges_on(statement_id)
    legs = [
        crediting.credited(charge, charge.billed_cents)
        for charge in charges.values()
        if charge.due_cents or not charge.credited_cents
    ]
    if not legs:
        return None
    return _issue(tx, statement, charges, legs, reason=reason, is_internal=True, is_billed_anew=True, at=at)


def bill_anew(tx: Transaction, statement_id: str, *, at: datetime) -> Statement:
    """Put the legs that notes took off a statement on a corrected one, under a new number; disputed ones wait.

    What a refused statement corrected of earlier ones goes on it too. Legs are at the revised prices now in force.

    Raises
    ------
    StatementNotFound, NothingToBillAnew, CorrectedStatementUnwritable
    """
    tx.write_gathered()
    ceilings, closed, notes = Ceilings(tx), Statements(tx), CreditNotes(tx)
    refused = closed.get(statement_id)
    locked = ceilings.lock(refused.contract_id)
    contract = locked.terms.contract
    billed = [charge for charge in notes.to_bill_anew(statement_id) if charge.acceptance is not Acceptance.DISPUTED]
    seller = contract.seller(refused.seller.id)
    revised, moved = revision.revise_anew(tx, contract, locked.ceiling, seller.id, billed, at=at)
    if life_of(Statuses(tx).of(statement_id)).is_dead:
        revised.corrections.setdefault(seller.id, []).extend(revision.carried_from(tx, refused))
    billed, corrections = revised.charges[seller.id], revised.corrections.get(seller.id, [])
    if not billed and not corrections:
        raise NothingToBillAnew(refused.number)
    id_ = new_id()
    step = moved.ceiling.invoice(
        [leg_amount(contract, charge, charge.standing_cents) for charge in billed], cause=f"statement:{id_}"
    )
    moved = replace(step, entries=moved.entries + step.entries, crossed=moved.crossed + step.crossed)
    year = contract.local_date(at).year
    statement = closing.close(
        contract,
        seller,
        refused.month,
        billed,
        statement_id=id_,
        number=closing.number_text(year, closed.count_up(seller.siret, year)),
        gauge=Gauge.of(moved.ceiling),
        scopes=ScopeGauge.all_of(moved.ceiling),
        at=at,
        replaces=refused.number,
        revised=revised.lines,
        corrections=corrections,
    )
    statement = prepaid(tx, contract, moved.ceiling, statement)
    closed.add(statement, replaces_id=refused.id)
    revised.keep(tx, statement)
    notes.put_on(statement.id, billed)
    issue_invoice(tx, statement, billed, at=at)
    keep(tx, moved, at=at)
    outbox.add(tx, messages.statement_closed(statement))
    return statement


def _credited(charge: Charge, leg: CreditedLeg, note: CreditNote) -> Charge:
    """Return a leg after a note: what it came to is credited, or owed again as it stands, its corrections included.

    An internal note gives back nothing of what other statements corrected: that stays told apart.
    """
    if charge.revised is None:
        return charge
    if not note.is_billed_anew:
        given_back_cents = charge.revised.given_back_cents + charge.given_back(leg.amount_cents)
        revised = replace(charge.revised, given_back_cents=given_back_cents)
        return replace(charge, revised=revised, credited_cents=charge.credited_cents + leg.amount_cents)
    folded_cents = 0 if note.is_internal else charge.revised.corrected_cents
    revised = Revised(
        charge.revised.full_cents + folded_cents - charge.revised.beyond_cents,
        charge.revised.at_base,
        corrected_cents=charge.revised.corrected_cents - folded_cents,
        given_back_cents=charge.revised.given_back_cents,
    )
    return replace(charge, revised=revised)


def _issue(
    tx: Transaction,
    statement: Statement,
    charges: Mapping[tuple[str, int], Charge],
    legs: Sequence[CreditedLeg],
    *,
    reason: str,
    is_internal: bool,
    is_billed_anew: bool,
    at: datetime,
) -> CreditNote:
    ceilings, notes = Ceilings(tx), CreditNotes(tx)
    locked = ceilings.lock(statement.contract_id)
    id_ = new_id()
    given_back_cents = {}
    for leg in legs:
        charge = charges[leg.order_id, leg.leg]
        given_back_cents[leg.order_id, leg.leg] = (
            charge.standing_cents if is_billed_anew else charge.given_back(leg.amount_cents)
        )
    amounts = [leg_amount(locked.terms.contract, charges[leg], cents) for leg, cents in given_back_cents.items()]
    give = locked.ceiling.take_back if is_billed_anew else locked.ceiling.credit
    moved: Movement = give(amounts, cause=f"credit-note:{id_}")
    year = locked.terms.contract.local_date(at).year
    number = (
        crediting.internal_number_text(year, notes.count_up_internal(statement.seller.siret, year))
        if is_internal
        else closing.number_text(year, Statements(tx).count_up(statement.seller.siret, year))
    )
    note = crediting.issue(
        locked.terms.contract,
        statement,
        legs,
        note_id=id_,
        number=number,
        reason=reason,
        is_internal=is_internal,
        is_billed_anew=is_billed_anew,
        at=at,
    )
    notes.add(note, given_back_cents)
    NewRevisions(tx).write([_credited(charges[leg.order_id, leg.leg], leg, note) for leg in legs])
    ceilings.save(moved, at=at)
    outbox.add(tx, messages.statement_credited(note))
    return note
