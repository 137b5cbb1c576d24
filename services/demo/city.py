"""The demo city as plain facts: real public sites of Nantes; everything else (contracts, people, prices) is invented.

Sites come from `nantes-sites.csv`, whose first lines name the sources and their licences.
"""

import csv
from dataclasses import dataclass
from datetime import date, time
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
    """A fictional cooperative and its couriers' logins.

    SIRET, VAT number and IBAN are invented and pass their key checks.
    """

    id: str
    name: str
    siret: str
    address: str
    depot: str
    shift: tuple[time, time]
    couriers: tuple[str, ...]
    street: str
    postcode: str
    legal_form: str
    share_capital: str
    vat_number: str
    iban: str


COOPERATIVES = (
    Cooperative(
        "erdre",
        "Les Coursiers de l'Erdre",
        "90000010000017",
        "4 quai de Versailles, 44000 Nantes",
        "Hôtel de Ville",
        (time(6, 30), time(11, 0)),
        ("amel", "bastien", "chloe", "driss"),
        "4 quai de Versailles",
        "44000",
        "SCIC SA à capital variable",
        "capital de 45 000 euros",
        "FR74900000100",
        "FR7630001007941234567890185",
    ),
    Cooperative(
        "loire",
        "Vélo-Cargo Loire",
        "90000020900016",
        "12 boulevard de la Prairie-au-Duc, 44200 Nantes",
        "Chapidock",
        (time(9, 30), time(18, 30)),
        ("elise", "farid", "gwenn"),
        "12 boulevard de la Prairie-au-Duc",
        "44200",
        "SCOP SARL à capital variable",
        "capital de 18 500 euros",
        "FR13900000209",
        "FR7630006000011234567890189",
    ),
)

DEPARTMENTS = {
    "proprete": "Propreté des bâtiments",
    "voirie": "Voirie et signalisation",
    "espaces-verts": "Nature et jardins",
}

PAGE_OF_ROLE = {
    "administrator": "/",
    "finance": "/finances",
    "department": "/demandes",
    "dispatcher": "/tableau",
    "courier": "/ma-tournee",
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


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when a stop may begin, local wall-clock time."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class LegTemplate:
    """One trip of a request: from which site to which, how many days after the occurrence, in which windows."""

    from_site: str
    to_site: str
    day_offset: int
    pickup: Window
    drop: Window
    loads: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A recurring request of a department: RFC 5545 rule, flow and legs."""

    department: str
    title: str
    flow: str
    rule: str
    legs: tuple[LegTemplate, ...]


LAUNDRY = "Espace Tardieu"
SIGN_DEPOT = "Maison de l'Administration Nouvelle"
TOOL_DEPOT = "Complexe sportif Mangin-Beaulieu"
CLOTH_RULES = (
    "FREQ=WEEKLY;BYDAY=MO,TH",
    "FREQ=WEEKLY;BYDAY=TU,FR",
    "FREQ=WEEKLY;BYDAY=WE",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
)
SIGN_RULES = ("FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=TU")
TOOL_RULES = ("FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;BYDAY=TH")


def requests(scale: int = 1) -> list[RequestTemplate]:
    """Return what the three departments ask for; with a larger `scale` only every `scale`-th request."""
    places = sites()
    schools = [site.name for site in places if site.kind in ("ecole", "creche")]
    streets = [site.name for site in places if site.kind in ("culture", "college")]
    gardens = [site.name for site in places if site.kind in ("lycee", "maison_quartier", "hopital")]
    cloths = [
        RequestTemplate(
            "proprete",
            f"Linge de nettoyage, {school}",
            "exchange",
            CLOTH_RULES[index % len(CLOTH_RULES)],
            (
                LegTemplate(
                    LAUNDRY,
                    school,
                    0,
                    Window("06:30", "10:00"),
                    Window("07:30", "12:00"),
                    (("ballot-linge", 2 + index % 3),),
                ),
                LegTemplate(
                    school,
                    LAUNDRY,
                    0,
                    Window("07:30", "12:30"),
                    Window("09:00", "17:00"),
                    (("ballot-linge", 2 + index % 3),),
                ),
            ),
        )
        for index, school in enumerate(schools[:28])
    ]
    signs = [
        RequestTemplate(
            "voirie",
            f"Panneaux temporaires, {street}",
            "loan",
            SIGN_RULES[index % len(SIGN_RULES)],
            (
                LegTemplate(
                    SIGN_DEPOT,
                    street,
                    0,
                    Window("07:00", "11:00"),
                    Window("08:00", "13:00"),
                    (("panneau", 3), ("pied-panneau", 3)),
                ),
                LegTemplate(
                    street,
                    SIGN_DEPOT,
                    3,
                    Window("13:00", "16:30"),
                    Window("13:30", "18:00"),
                    (("panneau", 3), ("pied-panneau", 3)),
                ),
            ),
        )
        for index, street in enumerate(streets[:9])
    ]
    tools = [
        RequestTemplate(
            "espaces-verts",
            f"Outils de jardin, {garden}",
            "loan",
            TOOL_RULES[index % len(TOOL_RULES)],
            (
                LegTemplate(
                    TOOL_DEPOT, garden, 0, Window("07:00", "10:30"), Window("07:30", "12:00"), (("caisse-outils", 1),)
                ),
                LegTemplate(
                    garden, TOOL_DEPOT, 1, Window("14:00", "17:00"), Window("14:30", "18:00"), (("caisse-outils", 1),)
                ),
            ),
        )
        for index, garden in enumerate(gardens[:8])
    ]
    return [*cloths, *signs, *tools][::scale]


@dataclass(frozen=True, slots=True)
class Contract:
    """A fictional public contract; the ceiling is decimal text in euros, excluding tax.

    A service code means that the buyer's entry in the public directory demands it on each invoice.
    """

    reference: str
    title: str
    departments: tuple[str, ...]
    ceiling: str
    engagement_number: str
    service_code: str = ""


CONTRACTS = (
    Contract("2026-CYCLO-01", "Cyclologistique des services municipaux", ("proprete", "voirie"), "90000.00", "EJ-0417"),
    # Near enough to its ceiling that a month of tools does not fit.
    Contract("2026-CYCLO-02", "Prêt d'outils de jardin à vélo", ("espaces-verts",), "700.00", "EJ-0418", "NATURE-44"),
)

PRICES = (
    ("TRAJET", "Trajet, par enlèvement et remise", "leg", None, "9.45"),
    ("BALLOT", "Ballot de linge", "load", "ballot-linge", "0.80"),
    ("PANNEAU", "Panneau temporaire", "load", "panneau", "1.10"),
    ("PIED", "Pied de panneau", "load", "pied-panneau", "0.60"),
    ("OUTILS", "Caisse d'outils", "load", "caisse-outils", "2.30"),
)
