"""Revision clauses, the coefficients statements were made with, and what was regularised; added, never edited.

Only the present state of a leg, in `charges`, follows what is closed, credited and regularised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import JSON, ColumnElement, Row, bindparam, case, exists, insert, select, update

from services.billing.domain.adjustment import Correction, Revised, Share
from services.billing.domain.charge import Charge
from services.billing.domain.coefficient import Coefficient, IndexUse, Rounding
from services.billing.domain.month import Month
from services.billing.domain.revision import CeilingBasis, IndexChoice, IndexWeight, RevisionTerms
from services.billing.tables import applied_coefficients, charges, regularisations, revised_legs, statements
from services.kit.database import Transaction, View

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Applied:
    """A coefficient a statement was made with. `billed_on_id` and `number` are the statement whose legs it is about."""

    statement_id: str
    billed_on_id: str
    number: str
    period: str
    contract_id: str
    cooperative_id: str
    coefficient: Coefficient


@dataclass(frozen=True, slots=True)
class LegCorrection:
    """What a later statement corrected of a leg."""

    statement_id: str
    number: str
    amount_cents: int


class Revisions:
    """What statements were made with, and what was corrected later."""

    def __init__(self, view: View) -> None:
        self._view = view

    def of_statement(self, statement_id: str) -> list[Applied]:
        """Return the coefficients a statement was made with, its own first."""
        found = self._applied(applied_coefficients.c.statement_id == statement_id)
        return sorted(found, key=lambda one: (one.billed_on_id != statement_id, one.number, one.period))

    def provisional(self, contract_id: str) -> list[Applied]:
        """Return the provisional coefficients of a contract that were not dealt with since, oldest first."""
        table = applied_coefficients
        return self._applied(
            (table.c.contract_id == contract_id)
            & table.c.is_provisional
            & table.c.dealt_with_at.is_(None)
            & (table.c.statement_id == table.c.billed_on_id)
        )

    def _applied(self, condition: ColumnElement[bool]) -> list[Applied]:
        rows = self._view.execute(
            select(applied_coefficients, statements.c.number)
            .join_from(applied_coefficients, statements, statements.c.id == applied_coefficients.c.billed_on_id)
            .where(condition)
            .order_by(applied_coefficients.c.statement_id, applied_coefficients.c.period)
        )
        return [
            Applied(
                statement_id=row.statement_id,
                billed_on_id=row.billed_on_id,
                number=row.number,
                period=row.period,
                contract_id=row.contract_id,
                cooperative_id=row.cooperative_id,
                coefficient=coefficient_of(row.coefficient),
            )
            for row in rows
        ]

    def legs_of(self, statement_id: str) -> dict[tuple[str, int], tuple[str, Revised]]:
        """Return the period of a statement's legs and what they came to when it was closed, by order and leg."""
        rows = self._view.execute(select(revised_legs).where(revised_legs.c.statement_id == statement_id))
        return {
            (row.order_id, row.leg): (
                row.period,
                Revised(row.full_cents, row.at_base, beyond_cents=row.beyond_cents, beyond=row.beyond),
            )
            for row in rows
        }

    def period_of(self, statement_id: str, order_id: str, leg: int) -> str:
        """Return the period that decided a leg's coefficient on a statement at revised prices."""
        table = revised_legs
        chosen = table.c.statement_id == statement_id, table.c.order_id == order_id, table.c.leg == leg
        period: str = self._view.execute(select(table.c.period).where(*chosen)).scalar_one()
        return period

    def of_leg(self, order_id: str, leg: int) -> list[LegCorrection]:
        """Return what later statements corrected of a leg; not what went on another one when they were refused."""
        table, anew, carried = regularisations, statements.alias(), regularisations.alias()
        is_carried = exists().where(anew.c.replaces_id == table.c.statement_id, carried.c.statement_id == anew.c.id)
        rows = self._view.execute(
            select(table.c.statement_id, statements.c.number, table.c.amount_cents)
            .join_from(table, statements, statements.c.id == table.c.statement_id)
            .where(table.c.order_id == order_id, table.c.leg == leg, ~is_carried)
            .order_by(table.c.statement_id, table.c.place)
        )
        return [LegCorrection(row.statement_id, row.number, row.amount_cents) for row in rows]

    def are_carried(self, statement_id: str) -> bool:
        """Return whether what a statement corrects went on one that bills it anew."""
        on_another = select(regularisations.c.place).join(statements, statements.c.id == regularisations.c.statement_id)
        return (
            self._view.execute(on_another.where(statements.c.replaces_id == statement_id).limit(1)).first() is not None
        )

    def shares_of(self, statement_id: str) -> list[tuple[Share, ...]]:
        """Return what a statement corrects of earlier legs, item by item; several items may be about one leg."""
        rows = self._view.execute(
            select(regularisations)
            .where(regularisations.c.statement_id == statement_id)
            .order_by(regularisations.c.place, regularisations.c.order_id, regularisations.c.leg)
        )
        shares: dict[int, list[Share]] = {}
        for row in rows:
            share = Share(row.order_id, row.leg, row.department_id, row.amount_cents)
            shares.setdefault(row.place, []).append(share)
        return [tuple(shares.get(place, ())) for place in range(max(shares, default=-1) + 1)]


class NewRevisions(Revisions):
    """Keeps what a closing revised."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self._tx = tx

    def apply(self, applied: Sequence[Applied]) -> None:
        """Keep the coefficients of a statement."""
        if applied:
            self._tx.execute(
                insert(applied_coefficients),
                [
                    {
                        "statement_id": one.statement_id,
                        "billed_on_id": one.billed_on_id,
                        "period": one.period,
                        "contract_id": one.contract_id,
                        "cooperative_id": one.cooperative_id,
                        "is_provisional": one.coefficient.is_provisional,
                        "coefficient": from_coefficient(one.coefficient),
                    }
                    for one in applied
                ],
            )

    def deal_with(self, applied: Sequence[Applied], *, at: datetime) -> None:
        """Keep that the legs of provisional coefficients were reckoned again with the definitive ones."""
        for one in applied:
            self._tx.execute(
                update(applied_coefficients)
                .where(
                    applied_coefficients.c.statement_id == one.billed_on_id,
                    applied_coefficients.c.billed_on_id == one.billed_on_id,
                    applied_coefficients.c.period == one.period,
                )
                .values(dealt_with_at=at)
            )

    def freeze(self, statement_id: str, legs: Sequence[Charge], period_by_leg: Mapping[tuple[str, int], str]) -> None:
        """Keep what the legs of a statement that is being closed come to, and write it on the legs."""
        revised = [(charge, charge.revised) for charge in legs if charge.revised is not None]
        if revised:
            self._tx.execute(
                insert(revised_legs),
                [
                    {
                        "statement_id": statement_id,
                        "order_id": charge.order_id,
                        "leg": charge.leg,
                        "period": period_by_leg[charge.order_id, charge.leg],
                        "full_cents": now.full_cents,
                        "at_base": now.at_base,
                        "beyond_cents": now.beyond_cents,
                        "beyond": now.beyond,
                    }
                    for charge, now in revised
                ],
            )
            self.write([charge for charge, _ in revised])

    def write(self, legs: Sequence[Charge]) -> None:
        """Write what revised legs come to now, and what they take of the maximum."""
        rows = [
            {
                "at_order": charge.order_id,
                "at_leg": charge.leg,
                "standing": charge.standing_cents,
                "new_revised": from_revised(charge.revised),
            }
            for charge in legs
            if charge.revised is not None
        ]
        if rows:
            self._tx.execute(_WRITE, rows)

    def regularise(self, statement_id: str, contract_id: str, corrections: Sequence[Correction]) -> None:
        """Keep what a statement corrects of earlier legs."""
        rows = [
            {
                "statement_id": statement_id,
                "place": place,
                "order_id": share.order_id,
                "leg": share.leg,
                "contract_id": contract_id,
                "department_id": share.department_id,
                "amount_cents": share.amount_cents,
            }
            for place, correction in enumerate(corrections)
            for share in correction.shares
        ]
        if rows:
            self._tx.execute(insert(regularisations), rows)


_WRITE = (
    update(charges)
    .where((charges.c.order_id == bindparam("at_order")) & (charges.c.leg == bindparam("at_leg")))
    .values(
        amount_cents=bindparam("standing"),
        # A leg's share of its item's rounding, or a later index, may be above what it was held at.
        held_cents=case(
            (charges.c.held_cents > bindparam("standing"), charges.c.held_cents), else_=bindparam("standing")
        ),
        revised=bindparam("new_revised", type_=JSON),
    )
)


# Values <-> JSON


def from_revised(revised: Revised) -> Json:
    """Write what a leg comes to at revised prices."""
    return {
        "full_cents": revised.full_cents,
        "at_base": revised.at_base,
        "beyond_cents": revised.beyond_cents,
        "beyond": revised.beyond,
        "corrected_cents": revised.corrected_cents,
        "given_back_cents": revised.given_back_cents,
    }


def revised_of(row: Row[Any]) -> Revised | None:
    """Read it from a row of `charges`."""
    return Revised(**row.revised) if row.revised else None


def from_coefficient(coefficient: Coefficient) -> Json:
    """Write a coefficient with all it was reckoned from; numbers are text."""
    return {
        "value": format(coefficient.value, "f"),
        "exact": str(coefficient.exact),
        "fixed": format(coefficient.fixed, "f"),
        "uses": [
            {
                "index_id": use.index_id,
                "weight": format(use.weight, "f"),
                "base_month": use.base_month,
                "base_value": format(use.base_value, "f"),
                "wanted_month": use.wanted_month,
                "month": use.month,
                "value": format(use.value, "f"),
                "version": use.version,
                "is_provisional": use.is_provisional,
            }
            for use in coefficient.uses
        ],
        "rounding": coefficient.rounding.value,
        "step": format(coefficient.step, "f"),
        "price_decimals": coefficient.price_decimals,
        "is_provisional": coefficient.is_provisional,
        "is_capped": coefficient.is_capped,
    }


def coefficient_of(kept: Json) -> Coefficient:
    """Read a coefficient back."""
    return Coefficient(
        value=Decimal(kept["value"]),
        exact=Fraction(kept["exact"]),
        fixed=Decimal(kept["fixed"]),
        uses=tuple(
            IndexUse(
                **{
                    **use,
                    "weight": Decimal(use["weight"]),
                    "base_value": Decimal(use["base_value"]),
                    "value": Decimal(use["value"]),
                }
            )
            for use in kept["uses"]
        ),
        rounding=Rounding(kept["rounding"]),
        step=Decimal(kept["step"]),
        price_decimals=kept["price_decimals"],
        is_provisional=kept["is_provisional"],
        is_capped=kept["is_capped"],
    )


def from_terms(terms: RevisionTerms) -> Json:
    """Write a revision clause."""
    return {
        "fixed": format(terms.fixed, "f"),
        "weights": [{"index_id": part.index_id, "weight": format(part.weight, "f")} for part in terms.weights],
        "base_month": str(terms.base_month),
        "first_month": str(terms.first_month),
        "choice": terms.choice.value,
        "lag_months": terms.lag_months,
        "every_months": terms.every_months,
        "rounding": terms.rounding.value,
        "step": format(terms.step, "f"),
        "price_decimals": terms.price_decimals,
        "yearly_cap_permille": terms.yearly_cap_permille,
        "ceiling_basis": terms.ceiling_basis.value,
        "only_beyond_months": terms.only_beyond_months,
    }


def terms_of(kept: Json) -> RevisionTerms:
    """Read a revision clause back."""
    return RevisionTerms(
        **{
            **kept,
            "fixed": Decimal(kept["fixed"]),
            "weights": tuple(IndexWeight(part["index_id"], Decimal(part["weight"])) for part in kept["weights"]),
            "base_month": Month.parse(kept["base_month"]),
            "first_month": Month.parse(kept["first_month"]),
            "choice": IndexChoice(kept["choice"]),
            "rounding": Rounding(kept["rounding"]),
            "step": Decimal(kept["step"]),
            "ceiling_basis": CeilingBasis(kept["ceiling_basis"]),
        }
    )
