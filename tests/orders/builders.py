"""Orders things with sensible defaults: say only what matters."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.kit.errors import DomainError, Refusals
from services.orders.domain.asking import AskedLeg, AskedVisit, judge_legs
from services.orders.domain.contract import Contract, Department
from services.orders.domain.load import DEFAULT_KINDS, AskedLoad
from services.orders.domain.order import Actor, Flow, Order, place
from services.orders.domain.recurrence import Recurrence
from services.orders.domain.recurring_request import LegTemplate, RequestTerms, VisitTemplate
from services.orders.domain.site import Site, SiteTerms
from services.orders.domain.window import LocalWindow, Window

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 24)
PARIS = ZoneInfo("Europe/Paris")
CATALOGUE = {kind.code: kind for kind in DEFAULT_KINDS}
LAUNDRY, SCHOOL, GARDEN = (f"01900000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
CONTRACT = "01900000-0000-7000-8000-0000000000c1"
DEPARTMENT = "proprete"


def a_site(site_id: str = LAUNDRY, department_id: str = DEPARTMENT, **terms: Any) -> Site:
    return Site(site_id, department_id, replace(SiteTerms("Blanchisserie", "1 rue du Lavoir", 47.21, -1.54), **terms))


SITES = {
    LAUNDRY: a_site(LAUNDRY),
    SCHOOL: a_site(
        SCHOOL, name="École des Châtaigniers", latitude=47.22, access_note="portail bleu", contact="Mme Roy"
    ),
    GARDEN: a_site(GARDEN, name="Jardin des Plantes", latitude=47.23),
}


def a_contract(**changes: Any) -> Contract:
    contract = Contract(
        id=CONTRACT,
        reference="2026-VELO-01",
        title="Tournées à vélo",
        departments=(Department(DEPARTMENT, "Propreté"), Department("voirie", "Voirie")),
        starts_on=date(2026, 1, 1),
        ends_on=date(2027, 12, 31),
        zone="Europe/Paris",
        cutoff_minutes=24 * 60,
        registered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return replace(contract, **changes)


def a_window(day: date = date(2026, 11, 26), start: str = "08:00", end: str = "10:00") -> Window:
    return Window(*(datetime.combine(day, time.fromisoformat(text), PARIS) for text in (start, end)))


def a_leg(
    *,
    start: str = LAUNDRY,
    end: str = SCHOOL,
    day: date = date(2026, 11, 26),
    count: int = 2,
    kind: str = "ballot-linge",
) -> AskedLeg:
    return AskedLeg(
        AskedVisit(start, a_window(day)), AskedVisit(end, a_window(day, "09:00", "12:00")), (AskedLoad(kind, count),)
    )


def legs_of(flow: Flow, day: date = date(2026, 11, 26)) -> tuple[AskedLeg, ...]:
    if flow is Flow.ONE_WAY:
        return (a_leg(day=day),)
    return a_leg(day=day), a_leg(start=SCHOOL, end=LAUNDRY, day=day + timedelta(days=flow is Flow.LOAN))


def faults_of(flow: Flow, *legs: AskedLeg, at: datetime | None = NOW) -> list[DomainError]:
    faults: list[DomainError] = []
    judge_legs(flow, legs, SITES, CATALOGUE, a_contract().local_day, at=at, faults=faults)
    return faults


def an_order(flow: Flow = Flow.ONE_WAY, **changes: Any) -> Order:
    faults: list[DomainError] = []
    legs = judge_legs(flow, legs_of(flow), SITES, CATALOGUE, a_contract().local_day, at=NOW, faults=faults)
    assert not faults
    order = Order(
        id="01900000-0000-7000-8000-00000000000a",
        reference="CMD-2026-000001",
        department_id=DEPARTMENT,
        contract_id=CONTRACT,
        flow=flow,
        legs=legs,
        placed_at=NOW,
    )
    return place(replace(order, **changes), actor=Actor.DEPARTMENT).order


def a_recurrence(rule: str = "FREQ=WEEKLY;BYDAY=TU,FR", **changes: Any) -> Recurrence:
    return replace(Recurrence(start_on=date(2026, 11, 24), zone="Europe/Paris", rule=rule), **changes)


def local_window(start: str = "08:00", end: str = "10:00", day_offset: int = 0) -> LocalWindow:
    return LocalWindow(time.fromisoformat(start), time.fromisoformat(end), day_offset)


def some_terms(flow: Flow = Flow.ONE_WAY, **changes: Any) -> RequestTerms:
    back = 1 if flow is Flow.LOAN else 0
    way_out = LegTemplate(
        VisitTemplate(LAUNDRY, local_window()),
        VisitTemplate(SCHOOL, local_window("09:00", "12:00")),
        (AskedLoad("ballot-linge", 2),),
    )
    way_back = LegTemplate(
        VisitTemplate(SCHOOL, local_window("10:00", "12:00", back)),
        VisitTemplate(LAUNDRY, local_window("11:00", "16:00", back)),
        (AskedLoad("ballot-linge", 2),),
    )
    legs = (way_out,) if flow is Flow.ONE_WAY else (way_out, way_back)
    return replace(RequestTerms("Linge de l'école", flow, legs, a_recurrence()), **changes)


def codes(error: DomainError | list[DomainError]) -> list[tuple[str, str | None]]:
    """The codes and pointers of a refusal, or of several."""
    faults = error.errors if isinstance(error, Refusals) else error if isinstance(error, list) else [error]
    return [(fault.code, fault.pointer) for fault in faults]
