"""The CO2 statement of a month: JSON and CSV with a line per leg, written row by row, and one or two pages of paper.

Lines show milligrams of CO2 equivalent and totals grams (three decimals of a kilogram): the totals are those of the
exact figures, hence not always the sums of what the lines show.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from services.billing.documents import OUTCOMES, _day, _draw, _pages, _text, month_in_french
from services.billing.documents.deliveries import as_text
from services.billing.domain.charge import Charge, Outcome
from services.billing.domain.emissions import (
    Baseline,
    BikeKind,
    DistanceSource,
    EmissionTotals,
    Factors,
    LegEmission,
    MassSource,
    Ridden,
    RoundTotal,
    leg_emission,
    rounded,
)
from services.billing.domain.statement import Statement

BIKES = {BikeKind.MUSCLE: "vélo musculaire", BikeKind.ELECTRIC: "vélo à assistance électrique", None: "non renseigné"}
DISTANCES = {
    DistanceSource.UNKNOWN: "inconnue",
    DistanceSource.ESTIMATED: "estimée à vol d'oiseau",
    DistanceSource.STREETS: "par les rues",
    DistanceSource.TRACKED: "mesurée",
}
MASSES = {
    MassSource.WEIGHED: "pesée",
    MassSource.CATALOGUE: "comptée, masse du catalogue",
    MassSource.DEFAULT: "par défaut",
}
BASELINES = {
    Baseline.DEDICATED_VAN: "A, fourgonnette de 3,5 t dédiée à chaque livraison",
    Baseline.SHARED_VAN: "B, fourgonnette de 3,5 t en tournée partagée",
}
METHOD = (
    "Émissions de l'énergie : production (amont) et utilisation. La fabrication des véhicules n'est pas comptée, ni "
    "pour le vélo ni pour la fourgonnette. Les kilomètres d'une tournée, retour compris, sont partagés entre ses "
    "livraisons selon leur masse et leur distance directe. Un trajet facturé sans remise compte ses kilomètres et "
    "n'évite rien. Seuls les totaux sont arrondis, au gramme."
)
FACTOR_NAMES = {
    "electricity_fr": "électricité, France",
    "diesel_road_upstream": "gazole, amont",
    "diesel_road_use": "gazole, utilisation",
    "cargo_bike_consumption": "vélo-cargo électrique",
    "van_3t5_consumption": "fourgonnette, consommation",
    "van_3t5_mean_load": "fourgonnette, charge moyenne",
}
HEADERS = (
    "État", "Date de service", "Commande", "N° de commande", "Trajet", "Service", "Issue", "Véhicule",
    "Distance directe (km)", "Origine de la distance", "Part de la tournée (km)", "Masse (kg)", "Origine de la masse",
    "Niveau de précision", "kgCO2e", "kgCO2e de la référence", "Référence", "Jeu de facteurs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """What a statement's emissions are computed from, and its legs added up."""

    baseline: Baseline
    factors: Factors
    totals: EmissionTotals

    @property
    def version(self) -> str:
        """The versions of the factors in one word."""
        return " ".join(f"{row.id}:{row.version}" for row in self.factors.rows)


@dataclass(frozen=True, slots=True)
class Leg:
    """A charged leg and what is known of its ride."""

    charge: Charge
    ridden: Ridden | None
    round_: RoundTotal | None

    @property
    def is_delivered(self) -> bool:
        """Whether something was handed over."""
        return self.charge.settlement is not None and self.charge.settlement.outcome is Outcome.DELIVERED

    def emission(self, account: Account) -> LegEmission:
        """Return what it comes to."""
        return leg_emission(self.ridden, self.round_, account.factors, account.baseline, is_delivered=self.is_delivered)


def add_up(baseline: Baseline, factors: Factors, legs: Iterable[Leg]) -> Account:
    """Return the account of a statement's legs."""
    account = Account(baseline, factors, EmissionTotals())
    for leg in legs:
        account.totals.add(leg.ridden, leg.emission(account), is_delivered=leg.is_delivered)
    return account


@contextmanager
def json_records(file: BinaryIO, statement: Statement, account: Account) -> Iterator[Callable[[Leg], None]]:
    """Write the account, then take legs one after the other, a record each; amounts are decimal text."""
    head = json.dumps(_head(statement, account), ensure_ascii=False, indent=1).removesuffix("\n}")
    file.write(f'{head},\n "deliveries": ['.encode())
    before = "\n  "

    def add(leg: Leg) -> None:
        nonlocal before
        file.write((before + json.dumps(_record(statement, account, leg), ensure_ascii=False)).encode())
        before = ",\n  "

    yield add
    file.write(b"\n ]\n}\n")


@contextmanager
def csv_rows(file: BinaryIO, statement: Statement, account: Account) -> Iterator[Callable[[Leg], None]]:
    """Open a table with a row per leg: `;`, UTF-8 with its mark, decimal commas, French headers."""
    with as_text(file) as text:
        writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
        writer.writerow(HEADERS)
        yield lambda leg: writer.writerow(_row(statement, account, leg))


def as_pdf(statement: Statement, account: Account) -> bytes:
    """Return the account on A4, without its legs. Raises PrintingUnavailable."""
    return _draw(as_html(statement, account), statement.id)


def as_html(statement: Statement, account: Account) -> str:
    """Return what `as_pdf` prints."""
    totals = account.totals
    return _pages.environment.get_template("emissions_paper.html").render(
        statement=statement,
        month=month_in_french(statement.month),
        account=account,
        totals=totals,
        avoided_percent=percent(totals.avoided_kg, totals.van_kg),
        percent=percent,
        baseline=BASELINES[account.baseline],
        method=METHOD,
        factor_names=FACTOR_NAMES,
        day=_day,
        rounded=rounded,
        comma=_comma,
    )


def percent(part: Decimal | int, whole: Decimal | int) -> int | None:
    """Return a share in whole per cent, None of nothing."""
    return int(rounded(Decimal(part) * 100 / Decimal(whole), 0)) if whole else None


def _head(statement: Statement, account: Account) -> dict[str, Any]:
    totals = account.totals
    return {
        "statement_id": statement.id,
        "statement_number": statement.number,
        "month": str(statement.month),
        "contract_id": statement.contract_id,
        "contract_reference": statement.contract_reference,
        "seller": {"id": statement.seller.id, "name": statement.seller.name, "siret": statement.seller.siret},
        "scope": "legal",
        "method": METHOD,
        "level": totals.level,
        "legs_by_level": {str(level): totals.levels[level] for level in sorted(totals.levels)},
        "legs": totals.legs,
        "deliveries_done": totals.deliveries,
        "km_paid": str(rounded(Decimal(totals.direct_metres) / 1000)),
        "km_ridden": str(rounded(totals.km)),
        "goods_kg": str(rounded(Decimal(totals.grams) / 1000)),
        "kg_co2e": str(rounded(totals.kg)),
        "baseline": account.baseline.value,
        "baseline_name": BASELINES[account.baseline],
        "baseline_kg_co2e": str(rounded(totals.van_kg)),
        "avoided_kg_co2e": str(rounded(totals.avoided_kg)),
        "avoided_percent": percent(totals.avoided_kg, totals.van_kg),
        "weighed_percent": percent(totals.weighed, totals.legs),
        "catalogue_mass_percent": percent(totals.catalogued, totals.legs),
        "street_distance_percent": percent(totals.measured, totals.legs),
        "factors": [
            {
                "id": row.id,
                "value": str(row.value),
                "unit": row.unit,
                "scope": row.scope.value,
                "valid_from": row.valid_from.isoformat(),
                "version": row.version,
                "source": row.source,
            }
            for row in account.factors.rows
        ],
        "computed_at": statement.closed_at.isoformat(),
    }


def _record(statement: Statement, account: Account, leg: Leg) -> dict[str, Any]:
    ridden, emission = leg.ridden, leg.emission(account)
    return {
        "delivery_id": f"{leg.charge.order_id}-{leg.charge.leg}",
        "service_date": leg.charge.service_date.isoformat(),
        "is_delivered": leg.is_delivered,
        "vehicle_type": ridden.bike_kind.value if ridden and ridden.bike_kind else None,
        "energy_kwh": None,
        "km_paid": str(rounded(Decimal(ridden.direct_metres) / 1000)) if ridden else None,
        "km_share": str(rounded(emission.km)) if ridden else None,
        "mass_kg": str(rounded(Decimal(ridden.load_grams) / 1000)) if ridden else None,
        "mass_source": ridden.mass_source.value if ridden else None,
        "distance_source": ridden.distance_source.value if ridden else None,
        "level": ridden.level if ridden else None,
        "kg_co2e": str(rounded(emission.kg, 6)) if ridden else None,
        "baseline_kg_co2e": str(rounded(emission.van_kg, 6)) if ridden else None,
        "factor_set_version": account.version,
        "computed_at": statement.closed_at.isoformat(),
    }


def _row(statement: Statement, account: Account, leg: Leg) -> Iterator[Any]:
    charge, ridden, emission = leg.charge, leg.ridden, leg.emission(account)
    yield from (
        statement.number,
        _day(charge.service_date),
        _text(charge.reference),
        charge.order_id,
        charge.leg,
        _text(charge.department_id),
        OUTCOMES[charge.settlement.outcome] if charge.settlement else "",
    )
    if ridden is None:
        yield from ("non renseigné", "", DISTANCES[DistanceSource.UNKNOWN], "", "", "", "", "", "")
    else:
        yield from (
            BIKES[ridden.bike_kind],
            _comma(rounded(Decimal(ridden.direct_metres) / 1000)),
            DISTANCES[ridden.distance_source],
            _comma(rounded(emission.km)),
            _comma(rounded(Decimal(ridden.load_grams) / 1000)),
            MASSES[ridden.mass_source],
            ridden.level,
            _comma(rounded(emission.kg, 6)),
            _comma(rounded(emission.van_kg, 6)),
        )
    yield from (account.baseline.value, account.version)


def _comma(amount: Decimal) -> str:
    return f"{amount:f}".replace(".", ",")
