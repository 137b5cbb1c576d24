"""What bikes share: equipment of a cooperative that there is less of than bikes, and sites with room for a few."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.dispatch.domain.courier import LONGEST_SKILL, Bike, Shift
from services.dispatch.domain.errors import OutOfBounds
from services.kit.errors import DomainError, refuse_all

TRAILER = "trailer"
MOST = 1_000
MOST_EQUIPMENT = 20


@dataclass(frozen=True, slots=True)
class SharedEquipment:
    """At most so many bikes of a cooperative that are registered with this equipment ride at the same time.

    `equipment` is a trailer or one of the skills of bikes, in their words.
    """

    cooperative_id: str
    equipment: str
    at_most: int

    def is_used_by(self, shift: Shift, bike: Bike) -> bool:
        """Return whether who rides in this shift takes one."""
        has_it = bike.terms.has_trailer if self.equipment == TRAILER else self.equipment in bike.terms.skills
        return shift.cooperative_id == self.cooperative_id and has_it


def check_equipment(shared: Sequence[SharedEquipment]) -> None:
    """Raise OutOfBounds, or Refusals with several of them, for what a cooperative cannot share like that."""
    faults: list[DomainError] = []
    if len(shared) > MOST_EQUIPMENT:
        faults.append(OutOfBounds("Donnez au plus 20 équipements partagés.", pointer="/equipment"))
    for number, one in enumerate(shared):
        if not 0 < len(one.equipment) <= LONGEST_SKILL:
            faults.append(
                OutOfBounds("Nommez l'équipement, en 40 lettres au plus.", pointer=f"/equipment/{number}/equipment")
            )
        elif any(one.equipment == other.equipment for other in shared[:number]):
            faults.append(
                OutOfBounds("Cet équipement figure deux fois : gardez un seul nombre.", pointer=f"/equipment/{number}")
            )
        if not 0 <= one.at_most <= MOST:
            faults.append(
                OutOfBounds("Le nombre d'équipements va de 0 à 1 000.", pointer=f"/equipment/{number}/at_most")
            )
    refuse_all(faults)


@dataclass(frozen=True, slots=True)
class SiteLimit:
    """At most so many bikes call at a site in a day; one that calls several times counts once."""

    site_id: str
    site_name: str
    at_most: int

    def check(self) -> None:
        """Raise OutOfBounds."""
        if not 1 <= self.at_most <= MOST:
            raise OutOfBounds("Le nombre de vélos va de 1 à 1 000 ; à 0, notez une fermeture.", pointer="/at_most")


def together(shifts: Iterable[Shift]) -> list[frozenset[str]]:
    """Return the largest sets of shifts that are all worked at some moment."""
    shifts = list(shifts)
    moments = {
        frozenset(other.id for other in shifts if other.terms.starts_at <= shift.terms.starts_at < other.terms.ends_at)
        for shift in shifts
    }
    return sorted((one for one in moments if not any(one < other for other in moments)), key=sorted)
