"""Who rides for a cooperative, on which bike, when and from where."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.dispatch.domain.errors import OutOfBounds, OutOfService, ShiftOverlaps
from services.dispatch.domain.events import BikeKind
from services.kit.errors import DomainError, refuse_all

HEAVIEST_GRAMS = 500_000
LARGEST_MILLILITRES = 3_000_000
"""Above these it is no cargo bike, trailer included, but a slip of the pen."""

LATITUDES = (41.0, 51.5)
LONGITUDES = (-5.5, 10.0)
"""Metropolitan France, in WGS 84 degrees: a swapped or forgotten figure falls outside."""

LONGEST_SHIFT = timedelta(hours=14)
LONGEST_BREAK = timedelta(hours=4)
SPEED_PERCENT = (25, 400)
LONGEST_RANGE_METRES = 500_000
MOST_PIECES = 1_000
LONGEST_SKILL = 40
MOST_SKILLS = 20


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
class Share:
    """How much of a contract's deliveries of a day a holder rides, in thousandths: a wish and a limit."""

    cooperative_id: str
    at_least_permille: int = 0
    at_most_permille: int = 1000


def check_shares(shares: Sequence[Share], holders: Collection[str]) -> None:
    """Raise OutOfBounds, or Refusals, when a contract's holders cannot all have what these shares say."""
    faults: list[DomainError] = []
    ids = [share.cooperative_id for share in shares]
    if len(set(ids)) < len(ids):
        faults.append(OutOfBounds("Donnez une seule part par coopérative.", pointer="/shares"))
    for number, share in enumerate(shares):
        if not 0 <= share.at_least_permille <= share.at_most_permille <= 1000:
            faults.append(OutOfBounds("Une part va de 0 à 100 %, le minimum d'abord.", pointer=f"/shares/{number}"))
    if sum(share.at_least_permille for share in shares) > 1000:
        faults.append(OutOfBounds("Les parts minimales dépassent ensemble 100 %.", pointer="/shares"))
    without = len(set(holders) - set(ids))
    if sum(share.at_most_permille for share in shares) + 1000 * without < 1000:
        faults.append(OutOfBounds("Les parts maximales laissent des livraisons à personne.", pointer="/shares"))
    refuse_all(faults)


def as_skills(words: Iterable[str]) -> tuple[str, ...]:
    """Return skills as they are kept and compared: in small letters, each once, in order."""
    return tuple(sorted({" ".join(word.split()).lower() for word in words} - {""}))


@dataclass(frozen=True, slots=True)
class CourierTerms:
    """What a cooperative says of a courier; `account` is the log-in he or she rides with, empty without one.

    `skills` are what he or she may be asked for, in the cooperatives' own words (`as_skills`).
    """

    name: str
    phone: str = ""
    account: str = ""
    is_active: bool = True
    skills: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals, for a courier without a name or with skills that are none."""
        refuse_all([*_name_faults(self.name), *skill_faults(self.skills)])


@dataclass(frozen=True, slots=True)
class Courier:
    """Who rides. Positions are never collected: a round is known by its reports alone."""

    id: str
    cooperative_id: str
    terms: CourierTerms
    version: int = 1


@dataclass(frozen=True, slots=True)
class BikeTerms:
    """What a bike carries, trailer included when it has one.

    `capacity_pieces` is how many units of load find a place, None where weight and volume alone say it. With a
    `speed_percent` of 100 it rides as fast as ride times are reckoned. `range_metres` is how far its battery goes in a
    shift, None without such a limit. `skills` are its equipment, in the words of couriers' skills. Of a bike whose
    kind nobody has told, it is taken that it uses electricity.
    """

    name: str
    capacity_grams: int
    capacity_millilitres: int
    has_trailer: bool = False
    is_active: bool = True
    capacity_pieces: int | None = None
    speed_percent: int = 100
    range_metres: int | None = None
    skills: tuple[str, ...] = ()
    kind: BikeKind = BikeKind.ELECTRIC

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
        if self.capacity_pieces is not None and not 0 < self.capacity_pieces <= MOST_PIECES:
            faults.append(OutOfBounds("Le nombre de places va de 1 à 1 000.", pointer="/capacity_pieces"))
        if not SPEED_PERCENT[0] <= self.speed_percent <= SPEED_PERCENT[1]:
            faults.append(OutOfBounds("La vitesse va de 25 à 400 % de l'allure courante.", pointer="/speed_percent"))
        if self.range_metres is not None and not 0 < self.range_metres <= LONGEST_RANGE_METRES:
            faults.append(OutOfBounds("L'autonomie va de 1 m à 500 km.", pointer="/range_metres"))
        refuse_all([*faults, *skill_faults(self.skills)])


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
class Break:
    """A rest that a shift promises: it begins within the window, both ends allowed, and lasts so long."""

    window_start: datetime
    window_end: datetime
    length_seconds: int


@dataclass(frozen=True, slots=True)
class ShiftTerms:
    """A courier's working time with a bike; `day` is the local date on which it starts. Breaks are in order."""

    courier_id: str
    bike_id: str
    day: date
    starts_at: datetime
    ends_at: datetime
    start: Point
    end: Point
    breaks: tuple[Break, ...] = ()

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
        refuse_all([*faults, *self._break_faults()])

    def _break_faults(self) -> Iterator[DomainError]:
        ends_at = self.starts_at
        for number, rest in enumerate(self.breaks):
            length = timedelta(seconds=rest.length_seconds)
            if not timedelta(0) < length <= LONGEST_BREAK:
                yield OutOfBounds("Une pause dure au plus 4 heures.", pointer=f"/breaks/{number}/length_seconds")
            elif rest.window_end < rest.window_start:
                yield OutOfBounds(
                    "La pause doit pouvoir commencer : corrigez son créneau.", pointer=f"/breaks/{number}/window_end"
                )
            elif rest.window_start < self.starts_at or rest.window_end + length > self.ends_at:
                yield OutOfBounds(
                    "La pause doit commencer et finir pendant la vacation.", pointer=f"/breaks/{number}/window_start"
                )
            elif max(ends_at, rest.window_start) > rest.window_end:
                yield OutOfBounds(
                    "Deux pauses se gênent : écartez leurs créneaux.", pointer=f"/breaks/{number}/window_start"
                )
            ends_at = max(ends_at, rest.window_start) + length

    def overlaps(self, other: "ShiftTerms") -> bool:
        """Return whether both are worked at some moment."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


@dataclass(frozen=True, slots=True)
class Shift:
    """A working time as it was agreed. From `lost_since` on nobody rides it: its round goes on until then, and a free
    one is not offered at all.
    """

    id: str
    cooperative_id: str
    terms: ShiftTerms
    version: int = 1
    lost_since: datetime | None = None


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
        # Only what is said: drafts from before these existed keep their prints.
        *((bike.terms.capacity_pieces, "pieces") if bike.terms.capacity_pieces is not None else ()),
        *((bike.terms.speed_percent, "speed") if bike.terms.speed_percent != 100 else ()),
        *((bike.terms.range_metres, "range") if bike.terms.range_metres is not None else ()),
        *bike.terms.skills,
        *courier.terms.skills,
        *((rest.window_start.timestamp(), rest.window_end.timestamp(), rest.length_seconds) for rest in terms.breaks),
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


def skill_faults(skills: Sequence[str]) -> Iterator[DomainError]:
    """Yield what is wrong with skills as they were given."""
    if len(skills) > MOST_SKILLS or any(len(skill) > LONGEST_SKILL for skill in skills):
        yield OutOfBounds("Donnez au plus 20 compétences de 40 lettres.", pointer="/skills")


def _name_faults(name: str) -> list[DomainError]:
    return [] if name.strip() else [OutOfBounds("Donnez un nom.", pointer="/name")]
