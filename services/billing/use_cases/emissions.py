"""Keep how legs were ridden, and freeze what a month's emissions are computed from; in the caller's transaction."""

from dataclasses import replace

from services.billing.domain.charge import Charge, Fact
from services.billing.domain.contract import Contract
from services.billing.domain.emissions import (
    UNKNOWN_LOAD_MASS,
    MassSource,
    Scope,
    default_grams,
    factors_of,
    in_force,
)
from services.billing.domain.statement import Statement
from services.billing.repository.emissions import Basis, Rides
from services.billing.repository.factors import all_factors
from services.kit.database import Transaction


def keep_ridden(tx: Transaction, charge: Charge, fact: Fact, contract: Contract) -> None:
    """Keep how a leg was ridden, if it was told; loads of unknown mass count at the contract's default, flagged."""
    ridden = fact.ridden
    if ridden is None:
        return
    if ridden.mass_source is MassSource.DEFAULT:
        unit = in_force(all_factors(), UNKNOWN_LOAD_MASS, Scope.ACTIVITY, charge.service_date)
        by_kind = {mass.load_kind: mass.grams for mass in contract.load_masses}
        ridden = replace(ridden, load_grams=default_grams(charge.counted(fact), by_kind, int(unit.value * 1000)))
    Rides(tx).add(charge.order_id, charge.leg, ridden)


def freeze(tx: Transaction, statement: Statement, contract: Contract) -> None:
    """Tie a new statement to the factors of its month and to the rounds of its legs. Raises FactorMissing."""
    factors = factors_of(all_factors(), statement.month.first_day)
    Rides(tx).freeze(statement.id, Basis(contract.co2_baseline, factors))
