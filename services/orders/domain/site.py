"""A department's place: where it is, how to get in, whom to ask for, how long a stop takes there."""

from dataclasses import dataclass, replace

from services.kit.errors import DomainError, refuse_all
from services.orders.domain.errors import OutOfBounds

LATITUDES = (41.0, 51.5)
LONGITUDES = (-5.5, 10.0)
"""Metropolitan France, in WGS 84 degrees: a swapped or forgotten figure falls outside."""

SERVICE_SECONDS = (0, 7_200)


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """What a department says of a site; `service_seconds` is what one stop takes, beside what loads take per unit."""

    name: str
    address: str
    latitude: float
    longitude: float
    access_note: str = ""
    contact: str = ""
    opening_note: str = ""
    service_seconds: int = 180


@dataclass(frozen=True, slots=True)
class Site:
    """A registered site; `version` counts its editions from 1."""

    id: str
    department_id: str
    terms: SiteTerms
    version: int = 1

    def edited(self, terms: SiteTerms) -> "Site":
        """Return the site with new terms. Raises as `check` does."""
        check(terms)
        return replace(self, terms=terms, version=self.version + 1)


def register(site_id: str, department_id: str, terms: SiteTerms) -> Site:
    """Register a site. Raises OutOfBounds, or Refusals with several of them."""
    check(terms)
    return Site(site_id, department_id, terms)


def check(terms: SiteTerms) -> None:
    """Refuse terms that cannot be right, all faults together."""
    faults: list[DomainError] = []
    if not terms.name.strip():
        faults.append(OutOfBounds("Donnez un nom au site.", pointer="/name"))
    if not terms.address.strip():
        faults.append(OutOfBounds("Donnez l'adresse postale du site.", pointer="/address"))
    if not LATITUDES[0] <= terms.latitude <= LATITUDES[1]:
        faults.append(
            OutOfBounds(
                "La latitude est hors de France ; vérifiez qu'elle n'est pas échangée avec la longitude.",
                pointer="/latitude",
                lowest=LATITUDES[0],
                highest=LATITUDES[1],
            )
        )
    if not LONGITUDES[0] <= terms.longitude <= LONGITUDES[1]:
        faults.append(
            OutOfBounds(
                "La longitude est hors de France ; vérifiez qu'elle n'est pas échangée avec la latitude.",
                pointer="/longitude",
                lowest=LONGITUDES[0],
                highest=LONGITUDES[1],
            )
        )
    if not SERVICE_SECONDS[0] <= terms.service_seconds <= SERVICE_SECONDS[1]:
        faults.append(
            OutOfBounds(
                "Le temps sur place va de 0 à 7 200 secondes (2 heures).",
                pointer="/service_seconds",
                lowest=SERVICE_SECONDS[0],
                highest=SERVICE_SECONDS[1],
            )
        )
    refuse_all(faults)
