"""The load catalogue: what can be carried, what one unit weighs, how many fit on one bike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.kit.errors import DomainError, refuse_all
from services.orders.domain.errors import OutOfBounds, RepeatedLoadKind, TooMuchForOneBike, UnknownLoadKind


@dataclass(frozen=True, slots=True)
class LoadKind:
    """One kind of load; grams and millilitres are per unit, `max_per_bike` counts units of this kind alone.

    Each unit takes `unit_seconds` to load and to unload, on top of the site's time. `longest_ride_seconds` is how long
    it may be on the way, None without a limit.
    """

    code: str
    label: str
    unit_grams: int
    unit_millilitres: int
    needs_trailer: bool
    max_per_bike: int
    unit_seconds: int = 0
    longest_ride_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A number of units of one kind, as the catalogue described it when it was asked for."""

    kind: str
    label: str
    count: int
    unit_grams: int
    unit_millilitres: int
    unit_seconds: int = 0
    longest_ride_seconds: int | None = None

    @property
    def grams(self) -> int:
        """Weight of all units."""
        return self.count * self.unit_grams

    @property
    def millilitres(self) -> int:
        """Volume of all units."""
        return self.count * self.unit_millilitres


@dataclass(frozen=True, slots=True)
class AskedLoad:
    """What a request says of a load: a code of the catalogue and how many."""

    kind: str
    count: int


DEFAULT_KINDS = (
    LoadKind("ballot-linge", "ballot de linge", 8_000, 40_000, needs_trailer=False, max_per_bike=10),
    LoadKind("panneau", "panneau temporaire", 6_000, 25_000, needs_trailer=False, max_per_bike=12),
    LoadKind("pied-panneau", "pied de panneau", 9_000, 12_000, needs_trailer=False, max_per_bike=10),
    LoadKind("caisse-outils", "caisse d'outils", 18_000, 60_000, needs_trailer=False, max_per_bike=4),
    LoadKind("outil-long", "outil long", 4_000, 30_000, needs_trailer=True, max_per_bike=12),
    LoadKind("bac-plantes", "bac de plantes", 15_000, 70_000, needs_trailer=True, max_per_bike=6),
    LoadKind("carton-papier", "carton de documents", 12_000, 30_000, needs_trailer=False, max_per_bike=8),
)
"""What a new house starts with; administrators add to it."""


SLOWEST_UNIT_SECONDS = 600
SHORTEST_RIDE_SECONDS = 600
LONGEST_RIDE_SECONDS = 86_400


def load_kind(
    *,
    code: str,
    label: str,
    unit_grams: int,
    unit_millilitres: int,
    needs_trailer: bool,
    max_per_bike: int,
    unit_seconds: int = 0,
    longest_ride_seconds: int | None = None,
) -> LoadKind:
    """Describe a kind of load. Raises OutOfBounds, or Refusals, for a unit that no bike carries or for odd times."""
    faults: list[DomainError] = []
    if not 1 <= unit_grams <= 150_000:
        faults.append(OutOfBounds("Donnez un poids par unité entre 1 g et 150 kg.", pointer="/unit_grams"))
    if not 1 <= unit_millilitres <= 1_500_000:
        faults.append(
            OutOfBounds("Donnez un volume par unité entre 1 ml et 1 500 litres.", pointer="/unit_millilitres")
        )
    if not 0 <= unit_seconds <= SLOWEST_UNIT_SECONDS:
        faults.append(
            OutOfBounds(
                "Charger une unité prend de 0 à 600 secondes.", pointer="/unit_seconds", highest=SLOWEST_UNIT_SECONDS
            )
        )
    if longest_ride_seconds is not None and not SHORTEST_RIDE_SECONDS <= longest_ride_seconds <= LONGEST_RIDE_SECONDS:
        faults.append(
            OutOfBounds(
                "Une charge reste au plus de 10 minutes à 24 heures à bord ; sans limite, ne donnez rien.",
                pointer="/longest_ride_seconds",
                lowest=SHORTEST_RIDE_SECONDS,
                highest=LONGEST_RIDE_SECONDS,
            )
        )
    refuse_all(faults)
    return LoadKind(
        code, label, unit_grams, unit_millilitres, needs_trailer, max_per_bike, unit_seconds, longest_ride_seconds
    )


def weigh(
    asked: Sequence[AskedLoad], catalogue: Mapping[str, LoadKind], *, pointer: str, faults: list[DomainError]
) -> tuple[tuple[Load, ...], bool]:
    """Turn what was asked into loads and whether a trailer is needed.

    What is wrong is added to `faults`, below `pointer`: an unknown or repeated kind, or more than one bike carries
    (kinds share a bike in proportion: half of one maximum and half of another fill it).
    """
    loads: list[Load] = []
    filled = Fraction(0)
    needs_trailer = False
    for index, line in enumerate(asked):
        place = f"{pointer}/{index}"
        kind = catalogue.get(line.kind)
        if kind is None:
            faults.append(UnknownLoadKind(line.kind, pointer=f"{place}/kind"))
        elif any(load.kind == line.kind for load in loads):
            faults.append(
                RepeatedLoadKind(
                    f"« {kind.label} » figure deux fois ; réunissez les deux lignes.", pointer=f"{place}/kind"
                )
            )
        else:
            loads.append(
                Load(
                    kind.code,
                    kind.label,
                    line.count,
                    kind.unit_grams,
                    kind.unit_millilitres,
                    kind.unit_seconds,
                    kind.longest_ride_seconds,
                )
            )
            filled += Fraction(line.count, kind.max_per_bike)
            needs_trailer = needs_trailer or kind.needs_trailer
    if filled > 1:
        faults.append(
            TooMuchForOneBike(
                f"Ce chargement remplit {float(filled):.1f} vélos".replace(".", ",")
                + " ; un trajet se fait avec un seul : répartissez-le en plusieurs commandes.",
                pointer=pointer,
                grams=sum(load.grams for load in loads),
                max_per_bike={load.kind: catalogue[load.kind].max_per_bike for load in loads},
            )
        )
    return tuple(loads), needs_trailer
