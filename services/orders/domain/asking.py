"""What a department asks for, judged as a whole: sites, windows and loads become the legs of an order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.kit.errors import DomainError
from services.orders.domain.errors import SameSite, UnknownSite, WrongLegs
from services.orders.domain.load import AskedLoad, LoadKind, weigh
from services.orders.domain.order import Flow, Leg, Visit
from services.orders.domain.site import Site
from services.orders.domain.window import Window, check_way_back, check_windows


@dataclass(frozen=True, slots=True)
class AskedVisit:
    """A site and when a stop there may begin."""

    site_id: str
    window: Window


@dataclass(frozen=True, slots=True)
class AskedLeg:
    """A trip as it is asked for."""

    pickup: AskedVisit
    drop: AskedVisit
    loads: tuple[AskedLoad, ...]


def judge_legs(
    flow: Flow,
    asked: Sequence[AskedLeg],
    sites: Mapping[str, Site],
    catalogue: Mapping[str, LoadKind],
    local_day: Callable[[datetime], date],
    *,
    at: datetime | None,
    faults: list[DomainError],
) -> tuple[Leg, ...]:
    """Make legs of what was asked; everything wrong is added to `faults`, pointers as in the request body.

    `local_day` gives the local date of an instant. With `at`, a pickup window that is over is a fault. A leg with an
    unknown site is left out of the result.
    """
    if len(asked) != flow.legs:
        faults.append(
            WrongLegs(
                f"Ce type de flux demande {flow.legs} trajet{'s' if flow.legs > 1 else ''} ; il y en a {len(asked)}.",
                pointer="/legs",
                wanted=flow.legs,
            )
        )
    legs = []
    for index, each in enumerate(asked):
        pointer = f"/legs/{index}"
        loads, needs_trailer = weigh(each.loads, catalogue, pointer=f"{pointer}/loads", faults=faults)
        visits = []
        for side, visit in (("pickup", each.pickup), ("drop", each.drop)):
            site = sites.get(visit.site_id)
            if site is None:
                faults.append(UnknownSite(visit.site_id, pointer=f"{pointer}/{side}/site_id"))
            else:
                visits.append(_visit(site, visit.window))
        if len(visits) < 2:
            continue
        leg = Leg(index + 1, local_day(visits[0].window.start), visits[0], visits[1], loads, needs_trailer)
        if leg.pickup.site_id == leg.drop.site_id:
            faults.append(
                SameSite("L'enlèvement et la livraison se font sur deux sites.", pointer=f"{pointer}/drop/site_id")
            )
        check_windows(leg.pickup.window, leg.drop.window, pointer=pointer, at=at, faults=faults)
        legs.append(leg)
    if len(asked) == 2:
        if asked[1].pickup.site_id != asked[0].drop.site_id:
            faults.append(
                WrongLegs(
                    "Le retour part du site où l'aller arrive ; choisissez le même site.",
                    pointer="/legs/1/pickup/site_id",
                )
            )
        check_way_back(
            asked[0].drop.window,
            asked[1].pickup.window,
            is_loan=flow is Flow.LOAN,
            pointer="/legs/1",
            faults=faults,
        )
    return tuple(legs)


def _visit(site: Site, window: Window) -> Visit:
    terms = site.terms
    return Visit(
        site.id,
        terms.name,
        terms.address,
        terms.latitude,
        terms.longitude,
        terms.access_note,
        terms.contact,
        terms.service_seconds,
        window,
    )
