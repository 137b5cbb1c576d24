"""How charged legs were ridden, and what a closed month's emissions are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, insert, select, update

from services.billing.domain.emissions import (
    Baseline,
    BikeKind,
    DistanceSource,
    Factor,
    Factors,
    MassSource,
    Ridden,
    RoundTotal,
    Scope,
)
from services.billing.tables import charges, emissions, rides
from services.kit.database import Transaction, View


@dataclass(frozen=True, slots=True)
class Basis:
    """What a statement's emissions are computed from, as frozen with it."""

    baseline: Baseline
    factors: Factors


class Rides:
    """How legs were ridden: added when they are settled, tied to their rounds when their month is closed."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(self, order_id: str, leg: int, ridden: Ridden) -> None:
        """Keep how a leg was ridden, just before the commit: nothing reads it in the transaction that settles it."""
        self._tx.gather(_write_rides, (order_id, leg, ridden))

    def freeze(self, statement_id: str, basis: Basis) -> None:
        """Keep what a statement's emissions are computed from: factors, baseline, and what each of its rounds came to.

        A round is what all its charged legs were told of it, also those under other contracts: the latest, hence the
        longest, of its planned metres.
        """
        self._tx.execute(
            insert(emissions).values(
                statement_id=statement_id,
                baseline=basis.baseline.value,
                factors=[_from_factor(row) for row in basis.factors.rows],
            )
        )
        rounds = (
            select(rides.c.round_id)
            .join(charges, _SAME_LEG)
            .where(charges.c.statement_id == statement_id, rides.c.round_id != "")
        )
        totals = self._tx.execute(
            select(
                rides.c.round_id,
                func.max(rides.c.round_metres).label("metres"),
                func.sum(rides.c.gram_metres).label("gram_metres"),
                func.count().label("legs"),
            )
            .join(charges, _SAME_LEG)
            .where(rides.c.round_id.in_(rounds), charges.c.is_billable)
            .group_by(rides.c.round_id)
        ).all()
        # Looked up leg by leg: a list of the whole month would be gone through again for each of its rounds.
        own = exists().where(_SAME_LEG, charges.c.statement_id == statement_id)
        if totals:
            self._tx.execute(
                update(rides)
                .where(rides.c.round_id == bindparam("round"), own)
                .values(
                    total_metres=bindparam("metres"),
                    total_gram_metres=bindparam("gram_metres_in_all"),
                    total_legs=bindparam("legs"),
                ),
                [
                    {
                        "round": row.round_id,
                        "metres": int(row.metres),
                        "gram_metres_in_all": int(row.gram_metres),
                        "legs": row.legs,
                    }
                    for row in totals
                ],
            )


_SAME_LEG = (charges.c.order_id == rides.c.order_id) & (charges.c.leg == rides.c.leg)


def _write_rides(tx: Transaction, added: Sequence[tuple[str, int, Ridden]]) -> None:
    tx.execute(
        insert(rides),
        [
            {
                "order_id": order_id,
                "leg": leg,
                "round_id": ridden.round_id,
                "round_metres": ridden.round_metres,
                "direct_metres": ridden.direct_metres,
                "distance_source": ridden.distance_source.value,
                "bike_kind": ridden.bike_kind.value if ridden.bike_kind else None,
                "load_grams": ridden.load_grams,
                "mass_source": ridden.mass_source.value,
                "gram_metres": ridden.gram_metres,
            }
            for order_id, leg, ridden in added
        ],
    )


def basis_of(view: View, statement_id: str) -> Basis | None:
    """Return what a statement's emissions are computed from; None when it was closed before they were kept."""
    row = view.execute(select(emissions).where(emissions.c.statement_id == statement_id)).one_or_none()
    if row is None:
        return None
    return Basis(Baseline(row.baseline), Factors.of(_factor(kept) for kept in row.factors))


def ridden_of(row: Row[Any]) -> tuple[Ridden | None, RoundTotal | None]:
    """Read the columns of `rides` in a row, null where the leg has none: how it was ridden, and in what round."""
    if row.mass_source is None:
        return None, None
    ridden = Ridden(
        row.round_id,
        row.round_metres,
        row.direct_metres,
        DistanceSource(row.distance_source),
        BikeKind(row.bike_kind) if row.bike_kind else None,
        row.load_grams,
        MassSource(row.mass_source),
    )
    if row.total_legs is None:
        return ridden, None
    return ridden, RoundTotal(row.total_metres, row.total_gram_metres, row.total_legs)


def _from_factor(row: Factor) -> dict[str, str]:
    return {
        "id": row.id,
        "value": str(row.value),
        "unit": row.unit,
        "scope": row.scope.value,
        "valid_from": row.valid_from.isoformat(),
        "source": row.source,
        "version": row.version,
    }


def _factor(kept: dict[str, str]) -> Factor:
    return Factor(
        kept["id"],
        Decimal(kept["value"]),
        kept["unit"],
        Scope(kept["scope"]),
        date.fromisoformat(kept["valid_from"]),
        kept["source"],
        kept["version"],
    )
