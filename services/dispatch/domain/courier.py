"""Who rides for a cooperative, on which bike, when and from where."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.dispatch.domain.errors import OutOfBounds, OutOfService, ShiftOverlaps
from services.kit.errors import DomainError, refuse_all

HEAVIEST_GRAMS = 500_000
LARGEST_MILLILITRES = 3_000_000
"""Above these it is no cargo bike, trailer included, but a slip of the pen."""

LATITUDES = (41.0, 51.5)
LONGITUDES = (-5.5, 10.0)
"""Metropolitan France, in WGS 84 degrees: a swapped or forgotten figure falls outside."""

LONGEST_SHIFT = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Cooperative:
    """Employs couriers and owns bikes. `id` is the short code that contracts use; `version` counts from 1."""

    id: str
    name: str
    version: int = 1

    def renamed(self, name: str) -> "Cooperative":
        """Return it under another name. Raises OutOfBounds."""
        refuse_all(_name_faults(name))
        return replace(self, name=name, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class CourierTerms:
    """What a cooperative says of a courier; `account` is the log-in he or she rides with, empty without one."""

    name: str
    phone: str = ""
    account: str = ""
    is_active: bool = True

    def check(self) -> None:
        """Raise OutOfBounds for a courier without a name."""
        refuse_all(_name_faults(self.name))


@dataclass(frozen=True, slots=True)
class Courier:
    """Who rides. Positions are never collected: a round is known by its reports alone."""

    id: str
    cooperative_id: str
    terms: CourierTerms
    version: int = 1


@dataclass(frozen=True, slots=True)
class BikeTerms:
    """What a bike carries, trailer included when it has one."""

    name: str
    capacity_grams: int
    capacity_millilitres: int
    has_trailer: bool = False
    is_active: bool = True

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        faults = _name_faults(self.name)
        if not 0 < self.capacity_grams <= HEAVIEST_GRAMS:
            faults.append(
                OutOfBounds("La charge utile va de 1 g à 500 kg.", pointer="/capacity_grams", highest=HEAVIEST_GRAMS)
            )
        if not 0 < self.capacity_millilitres <= LARGEST_MILLILITRES:
            faults.append(
                OutOfBounds(
                    "Le volume utile va de 1 ml à 3 000 litres.",
                    pointer="/capacity_millilitres",
                    highest=LARGEST_MILLILITRES,
                )
            )
        refuse_all(faults)


@dataclass(frozen=True, slots=True)
class Bike:
    """What is ridden."""

    id: str
    cooperative_id: str
    terms: BikeTerms
    version: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """Where a shift starts or ends; `name` may be empty."""

    latitude: float
    longitude: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class ShiftTerms:
    """A courier's working time with a bike; `day` is the local date on which it starts."""

    courier_id: str
    bike_id: str
    day: date
    starts_at: datetime
    ends_at: datetime
    start: Point
    end: Point

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        faults: list[DomainError] = []
        if self.ends_at <= self.starts_at:
            faults.append(OutOfBounds("La vacation doit finir après son début.", pointer="/ends_at"))
        elif self.ends_at - self.starts_at > LONGEST_SHIFT:
            faults.append(OutOfBounds("Une vacation dure au plus 14 heures ; partagez-la.", pointer="/ends_at"))
        for name, point in (("start", self.start), ("end", self.end)):
            if not LATITUDES[0] <= point.latitude <= LATITUDES[1]:
                faults.append(
                    OutOfBounds(
                        "La latitude est hors de France ; vérifiez qu'elle n'est pas échangée avec la longitude.",
                        pointer=f"/{name}/latitude",
                    )
                )
            if not LONGITUDES[0] <= point.longitude <= LONGITUDES[1]:
                faults.append(
                    OutOfBounds(
                        "La longitude est hors de France ; vérifiez qu'elle n'est pas échangée avec la latitude.",
                        pointer=f"/{name}/longitude",
                    )
                )
        refuse_all(faults)

    def overlaps(self, other: "ShiftTerms") -> bool:
        """Return whether both are worked at some moment."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


@dataclass(frozen=True, slots=True)
class Shift:
    """A working time as it was agreed."""

    id: str
    cooperative_id: str
    terms: ShiftTerms
    version: int = 1


def shift_print(shift: Shift, courier: Courier, bike: Bike) -> str:
    """Return a name for everything about a shift that a plan depends on: it changes when any of that changes."""
    terms = shift.terms
    facts = (
        courier.id,
        bike.id,
        bike.terms.capacity_grams,
        bike.terms.capacity_millilitres,
        bike.terms.has_trailer,
        terms.starts_at.timestamp(),
        terms.ends_at.timestamp(),
        *(terms.start.latitude, terms.start.longitude, terms.end.latitude, terms.end.longitude),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def agree(shift: Shift, courier: Courier, bike: Bike, others: Iterable[Shift]) -> Shift:
    """Return the shift when courier and bike can ride it beside their `others`.

    Raises
    ------
    OutOfBounds, OutOfService, ShiftOverlaps
        Or Refusals with several of them.
    """
    shift.terms.check()
    faults: list[DomainError] = []
    if not courier.terms.is_active:
        faults.append(
            OutOfService(f"{courier.terms.name} ne roule plus : choisissez quelqu'un d'autre.", pointer="/courier_id")
        )
    if not bike.terms.is_active:
        faults.append(OutOfService(f"« {bike.terms.name} » est hors service : changez de vélo.", pointer="/bike_id"))
    for other in others:
        if other.id == shift.id or not other.terms.overlaps(shift.terms):
            continue
        if other.terms.courier_id == courier.id:
            faults.append(ShiftOverlaps(courier.terms.name, other.id, "/courier_id"))
        if other.terms.bike_id == bike.id:
            faults.append(ShiftOverlaps(f"Le vélo « {bike.terms.name} »", other.id, "/bike_id"))
    refuse_all(faults)
    return shift


def _name_faults(name: str) -> list[DomainError]:
    return [] if name.strip() else [OutOfBounds("Donnez un nom.", pointer="/name")]
