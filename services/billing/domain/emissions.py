"""What legs emit and what a van would have: dated factors, shares of a round, a named baseline; rounded when told.

The figure is the legal one: making and using the energy, without making the vehicle. Amounts are kilograms of CO2
equivalent as decimals of 28 digits; nothing is rounded before it is shown.

Source: code des transports, art. L1431-3 and D1431-1 to -23; shares of a round as in EN ISO 14083:2023.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from services.billing.domain.errors import FactorMissing

NOTHING = Decimal(0)


class Scope(StrEnum):
    """What a factor counts. Two figures are compared only when their factors have one scope."""

    LEGAL = "legal"
    """Making and using the energy, as the law wants it told."""
    LIFE_CYCLE = "life-cycle"
    """The vehicle's manufacture too."""
    ACTIVITY = "activity"
    """No emission: a consumption or a mass, to be multiplied by one."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A value in force from a day on, with where it is written; a new value is a new row."""

    id: str
    value: Decimal
    unit: str
    scope: Scope
    valid_from: date
    source: str
    version: str


class BikeKind(StrEnum):
    """What moves a bike."""

    MUSCLE = "muscle"
    ELECTRIC = "electric"


class DistanceSource(StrEnum):
    """How the way from pickup to drop is known."""

    UNKNOWN = "unknown"
    ESTIMATED = "estimated"
    """Reckoned from the straight line."""
    STREETS = "streets"
    TRACKED = "tracked"
    """As it was ridden."""


class MassSource(StrEnum):
    """How the mass of a load is known."""

    WEIGHED = "weighed"
    CATALOGUE = "catalogue"
    """Counted units at the weight of their kind."""
    DEFAULT = "default"
    """Counted units at the contract's default, for want of anything better."""


class Baseline(StrEnum):
    """What the bike is compared with."""

    DEDICATED_VAN = "A"
    """A van that would have ridden for this delivery alone: only where the contract replaced such trips."""
    SHARED_VAN = "B"
    """The delivery's tonne-kilometres in a van on its round."""


@dataclass(frozen=True, slots=True)
class Ridden:
    """How a leg was ridden; `round_id` is empty where no round is known, its metres are planned, way back included.

    `direct_metres` leads from pickup to drop without a detour. A bike of unknown kind counts as an electric one.
    """

    round_id: str
    round_metres: int
    direct_metres: int
    distance_source: DistanceSource
    bike_kind: BikeKind | None
    load_grams: int
    mass_source: MassSource

    @property
    def gram_metres(self) -> int:
        """What its share of a round is weighed by."""
        return self.load_grams * self.direct_metres

    @property
    def level(self) -> int:
        """The law's level of precision: 4 this trip measured, 3 this trip's own figures, 1 a default somewhere."""
        if self.mass_source is MassSource.DEFAULT or self.distance_source in (
            DistanceSource.UNKNOWN,
            DistanceSource.ESTIMATED,
        ):
            return 1
        is_measured = self.mass_source is MassSource.WEIGHED and self.distance_source is DistanceSource.TRACKED
        # Electricity is reckoned by a consumption per kilometre; only a muscle bike needs none to be measured.
        return 4 if is_measured and self.bike_kind is BikeKind.MUSCLE else 3


@dataclass(frozen=True, slots=True)
class RoundTotal:
    """What the charged legs of a round share: its metres, by their gram-metres."""

    metres: int
    gram_metres: int
    legs: int


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one month, all of one scope where they count emissions, with the rows they come from."""

    rows: tuple[Factor, ...]
    electricity_kg_per_kwh: Decimal
    bike_kwh_per_km: Decimal
    van_kg_per_km: Decimal
    van_kg_per_tonne_km: Decimal

    @classmethod
    def of(cls, rows: Iterable[Factor]) -> "Factors":
        """Compute from the rows of a month, as `in_force` returned them or as they were kept."""
        kept = {row.id: row for row in rows}
        van_kg_per_km = (kept["diesel_road_upstream"].value + kept["diesel_road_use"].value) * kept[
            "van_3t5_consumption"
        ].value
        return cls(
            rows=tuple(kept[id_] for id_ in USED),
            electricity_kg_per_kwh=kept["electricity_fr"].value,
            bike_kwh_per_km=kept["cargo_bike_consumption"].value,
            van_kg_per_km=van_kg_per_km,
            van_kg_per_tonne_km=van_kg_per_km / kept["van_3t5_mean_load"].value,
        )

    def van_kg(self, ridden: Ridden, baseline: Baseline) -> Decimal:
        """Return what the van of the baseline would have emitted for a delivery."""
        km = Decimal(ridden.direct_metres) / 1000
        if baseline is Baseline.DEDICATED_VAN:
            return km * self.van_kg_per_km
        return km * Decimal(ridden.load_grams) / 1_000_000 * self.van_kg_per_tonne_km


USED: Mapping[str, Scope] = {
    "electricity_fr": Scope.LEGAL,
    "diesel_road_upstream": Scope.LEGAL,
    "diesel_road_use": Scope.LEGAL,
    "cargo_bike_consumption": Scope.ACTIVITY,
    "van_3t5_consumption": Scope.ACTIVITY,
    "van_3t5_mean_load": Scope.ACTIVITY,
}
"""What a statement is computed from: each factor in its one scope, so that a life-cycle value is never mixed in."""

UNKNOWN_LOAD_MASS = "unknown_load_mass"


def in_force(rows: Iterable[Factor], id_: str, scope: Scope, on: date) -> Factor:
    """Return the row of a factor in force on a day. Raises FactorMissing."""
    there = [row for row in rows if row.id == id_ and row.scope is scope and row.valid_from <= on]
    if not there:
        raise FactorMissing(id_, on)
    return max(there, key=lambda row: row.valid_from)


def factors_of(rows: Iterable[Factor], on: date) -> Factors:
    """Return the factors of a month, by its first day: a row that begins later counts from the next month on.

    Raises
    ------
    FactorMissing
    """
    all_rows = tuple(rows)
    return Factors.of(in_force(all_rows, id_, scope, on) for id_, scope in USED.items())


def default_grams(counted: Mapping[str, int], grams_by_kind: Mapping[str, int], other_grams: int) -> int:
    """Return the mass of counted loads that nobody knows: the contract's default by kind, else `other_grams` each."""
    return sum(count * grams_by_kind.get(kind, other_grams) for kind, count in counted.items())


@dataclass(frozen=True, slots=True)
class LegEmission:
    """What one leg comes to: its share of the kilometres, what it emitted and what the baseline's van would have."""

    km: Decimal
    kg: Decimal
    van_kg: Decimal


def leg_emission(
    ridden: Ridden | None, round_: RoundTotal | None, factors: Factors, baseline: Baseline, *, is_delivered: bool
) -> LegEmission:
    """Return what a leg emitted. One that delivered nothing counts its kilometres and spares no van.

    A leg of a round bears its share of the round's kilometres, by mass and direct distance; where all of these are
    zero, legs bear equal shares. Without a known round it bears its own direct distance.
    """
    if ridden is None:
        return LegEmission(NOTHING, NOTHING, NOTHING)
    if round_ is None or not round_.metres:
        km = Decimal(ridden.direct_metres) / 1000
    elif round_.gram_metres:
        km = Decimal(round_.metres) * ridden.gram_metres / round_.gram_metres / 1000
    else:
        km = Decimal(round_.metres) / round_.legs / 1000
    kg = NOTHING
    if ridden.bike_kind is not BikeKind.MUSCLE:
        kg = km * factors.bike_kwh_per_km * factors.electricity_kg_per_kwh
    return LegEmission(km, kg, factors.van_kg(ridden, baseline) if is_delivered else NOTHING)


@dataclass(slots=True)
class EmissionTotals:
    """Legs added up; `levels` counts them by precision, 0 for those of which nothing is known."""

    legs: int = 0
    deliveries: int = 0
    km: Decimal = NOTHING
    direct_metres: int = 0
    grams: int = 0
    kg: Decimal = NOTHING
    van_kg: Decimal = NOTHING
    weighed: int = 0
    catalogued: int = 0
    measured: int = 0
    levels: dict[int, int] = field(default_factory=dict)

    @property
    def avoided_kg(self) -> Decimal:
        """What the van would have emitted beyond the bike; below zero when the bike emitted more."""
        return self.van_kg - self.kg

    @property
    def level(self) -> int:
        """The level of the whole: that of its least precise leg. 1 when nothing is known."""
        return max(1, min(self.levels, default=1))

    def add(self, ridden: Ridden | None, emission: LegEmission, *, is_delivered: bool) -> None:
        """Add a leg."""
        self.legs += 1
        self.deliveries += is_delivered
        self.km += emission.km
        self.kg += emission.kg
        self.van_kg += emission.van_kg
        level = ridden.level if ridden else 0
        self.levels[level] = self.levels.get(level, 0) + 1
        if ridden:
            self.direct_metres += ridden.direct_metres
            self.grams += ridden.load_grams if is_delivered else 0
            self.weighed += ridden.mass_source is MassSource.WEIGHED
            self.catalogued += ridden.mass_source is MassSource.CATALOGUE
            self.measured += ridden.distance_source in (DistanceSource.STREETS, DistanceSource.TRACKED)


def rounded(amount: Decimal, decimals: int = 3) -> Decimal:
    """Round for showing: three decimals of a kilogram unless said otherwise, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
