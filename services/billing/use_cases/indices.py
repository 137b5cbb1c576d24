"""An index value is recorded as it was published, and what is held at prices that follow it is held at the new ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from services.billing.domain.ceiling import Ceiling, LegAmount, Movement
from services.billing.domain.charge import leg_amount
from services.billing.domain.month import Month
from services.billing.domain.revision import CeilingBasis, IndexStatus, IndexValue, check_next
from services.billing.repository import Ceilings, Charges
from services.billing.repository.indices import NewIndexValues
from services.billing.use_cases import keep, revision
from services.kit.database import Transaction
from services.kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Revalued:
    """What a new index value did to a contract's open holds. `short_cents` did not fit, as `short` says in French."""

    contract_id: str
    legs: int
    change_cents: int
    short_cents: int
    short: str = ""


def record_index_value(
    tx: Transaction,
    index_id: str,
    month: Month,
    value: Decimal,
    *,
    status: IndexStatus,
    published_on: date,
    source: str,
    at: datetime,
) -> tuple[IndexValue, list[Revalued]]:
    """Add a published value as its month's next version; open holds at revised prices follow it.

    What does not fit under a maximum stays held at its earlier price: no leg is ever charged beyond it. Raises
    IndexValueRefused, IndexValueDefinitive.
    """
    tx.write_gathered()
    values = NewIndexValues(tx)
    known = [one for one in values.of([index_id]).values if one.month == month]
    row = IndexValue(index_id, month, value, status, published_on, source, len(known) + 1, at)
    check_next(known, row)
    values.add(row)
    cause = f"index:{index_id}:{month}:{row.version}"
    return row, [
        _revalue(tx, contract.id, cause=cause, at=at) for contract in revision.contracts_following(tx, index_id)
    ]


def _revalue(tx: Transaction, contract_id: str, *, cause: str, at: datetime) -> Revalued:
    charges, ceilings = Charges(tx), Ceilings(tx)
    ceilings.lock(contract_id)
    locked = ceilings.renew_indices(contract_id, terms_id=new_id())
    contract = locked.terms.contract
    if contract.revision is None or contract.revision.ceiling_basis is not CeilingBasis.REVISED:
        return Revalued(contract_id, 0, 0, 0)
    repriced = {}
    changes = []
    for charge in charges.open(contract_id, since=date.min, until=None):
        new = revision.held_at(locked.terms, charge.estimate, charge.service_date, charge.ordered_at)
        if new == charge.estimate:
            continue
        new_cents = new.amount_cents + contract.policy.margin_of(new.amount_cents)
        repriced[charge.order_id, charge.leg] = charge, new, new_cents
        changes.append(leg_amount(contract, charge, new_cents - charge.held_cents))

    def hold_anew(ceiling: Ceiling, some: Sequence[LegAmount]) -> Movement:
        pairs = []
        for change in some:
            charge, _, new_cents = repriced[change.order_id, change.leg]
            pairs.append((leg_amount(contract, charge, charge.held_cents), new_cents))
        return ceiling.revalue(pairs, cause=cause)

    moved, beyond = revision.what_fits(locked.ceiling, changes, hold_anew)
    fitting = [change for change in changes if (change.order_id, change.leg) not in beyond]
    if fitting:
        charges.reprice([repriced[change.order_id, change.leg] for change in fitting])
        keep(tx, moved, at=at)
    return Revalued(
        contract_id,
        len(fitting),
        sum(change.amount_cents for change in fitting),
        sum(change.amount_cents for change, _ in beyond.values()),
        next((text for _, text in beyond.values()), ""),
    )
