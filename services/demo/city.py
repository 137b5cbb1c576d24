"""The demo city as plain facts: real public sites of Nantes; everything else (contracts, people, prices) is invented.

Sites come from `nantes-sites.csv`, whose first lines name the sources and their licences.
"""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

SITES_FILE = Path(__file__).with_name("nantes-sites.csv")
ZONE = "Europe/Paris"


@dataclass(frozen=True, slots=True)
class Site:
    """A public place: position in WGS 84 degrees."""

    name: str
    kind: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who may log in to the demo, with the role and claims of the account."""

    login: str
    name: str
    role: str
    claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cooperative:
    """A fictional cooperative and its couriers' logins; the SIRET numbers are invented and pass the key check."""

    id: str
    name: str
    siret: str
    address: str
    depot: str
    couriers: tuple[str, ...]


COOPERATIVES = (
    Cooperative(
        "erdre",
        "Les Coursiers de l'Erdre",
        "90000000100010",
        "4 quai de Versailles, 44000 Nantes",
        "Hôtel de Ville",
        ("amel", "bastien", "chloe", "driss"),
    ),
    Cooperative(
        "loire",
        "Vélo-Cargo Loire",
        "90000000200018",
        "12 boulevard de la Prairie-au-Duc, 44200 Nantes",
        "Chapidock",
        ("elise", "farid", "gwenn"),
    ),
)

DEPARTMENTS = {
    "proprete": "Propreté des bâtiments",
    "voirie": "Voirie et signalisation",
    "espaces-verts": "Nature et jardins",
}

PEOPLE = (
    Person("admin", "Administration de la ville", "administrator"),
    Person("finances", "Direction des finances", "finance"),
    *(Person(code, name, "department", (("department", code),)) for code, name in DEPARTMENTS.items()),
    *(
        Person(
            f"regie-{cooperative.id}",
            f"Régulation, {cooperative.name}",
            "dispatcher",
            (("cooperative", cooperative.id),),
        )
        for cooperative in COOPERATIVES
    ),
    *(
        Person(courier, courier.capitalize(), "courier", (("cooperative", cooperative.id),))
        for cooperative in COOPERATIVES
        for courier in cooperative.couriers
    ),
)


def sites() -> list[Site]:
    """Read the city's sites, in the file's order."""
    with SITES_FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [Site(row["name"], row["kind"], float(row["latitude"]), float(row["longitude"])) for row in rows]


def months_of_service(first_day: date) -> tuple[date, date]:
    """Return the first and last day of the contracts of a demo that plays the month of `first_day`."""
    return date(first_day.year, 1, 1), date(first_day.year + 1, 12, 31)
