"""A month's lines at revised prices, and later the correction of what was billed with a provisional coefficient.

An item is rounded once, on quantity times revised unit price; its legs share it to the cent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction

from services.billing.domain.adjustment import Correction, LineId, RevisedLine, Share
from services.billing.domain.charge import Charge
from services.billing.domain.coefficient import Coefficient, shared
from services.billing.domain.contract import Contract
from services.billing.domain.money import in_french
from services.billing.domain.month import Month
from services.billing.domain.revision import RevisionTerms
from services.billing.domain.statement import REGULARISATION, ItemKey, item_key

Leg = tuple[str, int]


def period_of(contract: Contract, terms: RevisionTerms, executed_on: date, ordered_at: datetime | None) -> Month:
    """Return the month that decides a leg's coefficient; one whose order date was not kept counts as just ordered."""
    ordered_on = contract.local_date(ordered_at) if ordered_at else executed_on
    return terms.period(executed=Month.of(executed_on), ordered=Month.of(ordered_on))


def revise(
    charges: Sequence[Charge], revision_of: Callable[[Charge], tuple[str, Coefficient]]
) -> dict[LineId, RevisedLine]:
    """Put the lines of settled legs at their revised prices; `revision_of` tells a leg's period and coefficient.

    Legs share an item's rounding in the order they are given.
    """
    ids: dict[ItemKey, list[LineId]] = {}
    exact: dict[ItemKey, list[Fraction]] = {}
    revisions: dict[ItemKey, tuple[str, Coefficient]] = {}
    for charge in charges:
        assert charge.settlement is not None
        period, coefficient = revision_of(charge)
        for place, line in enumerate(charge.settlement.lines):
            key = item_key(charge, line, period)
            revisions[key] = period, coefficient
            ids.setdefault(key, []).append((charge.order_id, charge.leg, place))
            exact.setdefault(key, []).append(coefficient.exact_cents(line.quantity, line.unit_price_cents))
    return {
        line_id: RevisedLine(*revisions[key], amount_cents)
        for key, amounts in exact.items()
        for line_id, amount_cents in zip(ids[key], shared(amounts), strict=True)
    }


def cents_by_leg(revised: Mapping[LineId, RevisedLine]) -> dict[Leg, int]:
    """Sum revised lines by order and leg."""
    sums: dict[Leg, int] = {}
    for (order_id, leg, _), line in revised.items():
        sums[order_id, leg] = sums.get((order_id, leg), 0) + line.amount_cents
    return sums


def changes_of(
    billed: Sequence[Charge], now: Mapping[Leg, Charge], *, period: str, before: Coefficient, definitive: Coefficient
) -> dict[LineId, int]:
    """Return by line what is still owed (or, below zero, owed back) for legs billed with a provisional coefficient.

    `billed` are all legs of one statement and period as they were billed, in its order, so that the shares of each
    item's rounding are those of then; `now` are those still on it. One that was credited whole stays so, and no leg
    gives back more than is left of it. What found no room under the maximum is owed again.
    """
    then_lines = revise(billed, lambda _: (period, before))
    now_lines = revise(billed, lambda _: (period, definitive))
    changes: dict[LineId, int] = {}
    for charge in billed:
        present = now.get((charge.order_id, charge.leg))
        if present is None or charge.settlement is None or (present.credited_cents and not present.due_cents):
            continue
        owed_cents = charge.revised.beyond_cents if charge.revised else 0
        left_cents = present.due_cents
        for place in range(len(charge.settlement.lines)):
            line_id = charge.order_id, charge.leg, place
            owed_cents += now_lines[line_id].amount_cents - then_lines[line_id].amount_cents
            change_cents = max(owed_cents, -left_cents)
            if change_cents:
                changes[line_id] = change_cents
            left_cents, owed_cents = left_cents + change_cents, 0
    return changes


def regularise(
    billed: Sequence[Charge],
    changes: Mapping[LineId, int],
    beyond: Collection[Leg],
    *,
    number: str,
    period: str,
    before: Coefficient,
    definitive: Coefficient,
    beyond_text: str = "",
) -> list[Correction]:
    """Return one correction for each item of statement `number` that changes, at the tax rate it was billed with.

    Legs `beyond` the maximum are not charged more; the item says so, with `beyond_text`.
    """
    shares: dict[ItemKey, list[Share]] = {}
    refused_cents: dict[ItemKey, int] = {}
    for charge in billed:
        assert charge.settlement is not None
        for place, line in enumerate(charge.settlement.lines):
            change_cents = changes.get((charge.order_id, charge.leg, place), 0)
            if not change_cents:
                continue
            key = item_key(charge, line, period)
            parts = shares.setdefault(key, [])
            if (charge.order_id, charge.leg) in beyond:
                refused_cents[key] = refused_cents.get(key, 0) + change_cents
            else:
                parts.append(Share(charge.order_id, charge.leg, charge.department_id, change_cents))
    change = f"coefficient de {period} : {_comma(before)} devient {_comma(definitive)}"
    corrections = []
    for key, parts in sorted(shares.items()):
        label = f"Régularisation de l'état {number}, prix {key[0]}, {change}"
        if key in refused_cents:
            label += f" ; {in_french(refused_cents[key])} non facturés, {beyond_text}"
        corrections.append(Correction(REGULARISATION, label, key[3], tuple(parts)))
    return corrections


def corrected_already(charges: Sequence[Charge]) -> list[Correction]:
    """Return what takes back, by tax rate, what other statements corrected of legs whose own one was refused since.

    Those legs are billed anew at the definitive price, which holds the correction once more.
    """
    shares: dict[int, list[Share]] = {}
    for charge in charges:
        if charge.settlement is not None and charge.revised is not None and charge.revised.corrected_cents:
            share = Share(charge.order_id, charge.leg, charge.department_id, -charge.revised.corrected_cents)
            shares.setdefault(charge.settlement.vat_permille, []).append(share)
    label = "Régularisations déjà facturées de trajets facturés à nouveau"
    return [Correction(REGULARISATION, label, permille, tuple(parts)) for permille, parts in sorted(shares.items())]


def _comma(coefficient: Coefficient) -> str:
    return format(coefficient.value, "f").replace(".", ",")
