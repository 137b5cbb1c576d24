"""A cooperative's couriers, bikes and shifts, as forms."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.dispatch.domain.courier import BikeTerms, Break, CourierTerms, Point, Share, ShiftTerms, as_skills
from services.dispatch.domain.errors import CooperativeNotFound
from services.dispatch.domain.events import BikeKind
from services.dispatch.domain.limits import SharedEquipment
from services.dispatch.domain.reach import Reach
from services.dispatch.pages import pages
from services.dispatch.queries.crew import (
    ShiftFilter,
    cooperative_names,
    list_bikes,
    list_cooperatives,
    list_couriers,
    list_shares,
    list_shifts,
)
from services.dispatch.repository import crew
from services.dispatch.repository.limits import equipment_of
from services.dispatch.use_cases import crew as use_cases
from services.dispatch.use_cases import instructions, limits
from services.dispatch.use_cases.access import reach_of
from services.kit.database import Database, View
from services.kit.errors import DomainError, Refusals
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Caller, Now, OwnDatabase, ReadView, needs

Reader = Annotated[Caller, needs("dispatch:read")]
Writer = Annotated[Caller, needs("dispatch:write")]
Admin = Annotated[Caller, needs("dispatch:admin")]

GRAMS = 1000
MILLILITRES = 1000
METRES = 1000
PERMILLE = 10


Amount = Annotated[float, Field(allow_inf_nan=False, ge=-1_000_000, le=1_000_000)]
"""A number that can be rounded, in a form's unit; what it may be, the domain says in words."""


class FormBody(BaseModel):
    """A form; fields it does not have are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class CourierForm(FormBody):
    """A courier; without an id, a new one. An unchecked box is not sent."""

    id: str = ""
    cooperative_id: str = ""
    name: str = ""
    phone: str = ""
    account: str = ""
    skills: str = ""
    is_active: bool = False


class BikeForm(FormBody):
    """A bike in kilograms, litres and kilometres; without an id, a new one. Skills are separated by commas."""

    id: str = ""
    cooperative_id: str = ""
    name: str = ""
    kilos: Amount = 0
    litres: Amount = 0
    has_trailer: bool = False
    pieces: int | None = None
    percent: int = 100
    range_kilometres: Amount | None = None
    skills: str = ""
    kind: BikeKind = BikeKind.ELECTRIC
    is_active: bool = False

    @field_validator("pieces", "range_kilometres", mode="before")
    @classmethod
    def _nothing_is_none(cls, given: object) -> object:
        return None if given == "" else given


class SharesForm(FormBody):
    """The shares of a contract's holders, in percent, one of each for every holder."""

    contract_id: str
    cooperative_id: list[str]
    least: list[Amount]
    most: list[Amount]


class EquipmentForm(FormBody):
    """How many there are of an equipment; without a number, enough."""

    cooperative_id: str = ""
    equipment: str = ""
    at_most: int | None = None

    @field_validator("at_most", mode="before")
    @classmethod
    def _nothing_is_none(cls, given: object) -> object:
        return None if given == "" else given


class ShiftForm(FormBody):
    """A shift by local times; one that ends before it starts ends on the next day, and so does a break that begins
    before the shift does. Without minutes there is no break.
    """

    date: date
    courier_id: str = ""
    bike_id: str = ""
    starts: time
    ends: time
    depot: str = ""
    latitude: float
    longitude: float
    break_from: time | None = None
    break_to: time | None = None
    break_minutes: int | None = None

    @field_validator("break_from", "break_to", "break_minutes", mode="before")
    @classmethod
    def _nothing_is_none(cls, given: object) -> object:
        return None if given == "" else given

    def terms(self, zone: ZoneInfo) -> ShiftTerms:
        """Return it for the domain."""
        starts_at, ends_at = self._after(self.starts, zone), self._after(self.ends, zone)
        if ends_at <= starts_at:
            ends_at = self._after(self.ends, zone, days=1)
        breaks = []
        if self.break_minutes is not None and self.break_from and self.break_to:
            start, end = (
                self._after(moment, zone, days=1 if moment < self.starts else 0)
                for moment in (self.break_from, self.break_to)
            )
            breaks.append(Break(start, end, self.break_minutes * 60))
        depot = Point(self.latitude, self.longitude, self.depot)
        return ShiftTerms(self.courier_id, self.bike_id, self.date, starts_at, ends_at, depot, depot, tuple(breaks))

    def _after(self, moment: time, zone: ZoneInfo, *, days: int = 0) -> datetime:
        return datetime.combine(self.date + timedelta(days=days), moment, zone).astimezone(UTC)


class CopyForm(FormBody):
    """All shifts of another day, at the same hours."""

    target: date = Field(alias="date")
    source: date


class DayForm(FormBody):
    """The day to come back to."""

    date: date


@dataclass(frozen=True, slots=True)
class Depot:
    """Where the last shift started: what the form proposes."""

    name: str = ""
    latitude: str = ""
    longitude: str = ""


def crew_pages(zone: ZoneInfo) -> APIRouter:
    """Return the pages; times of day are those of `zone`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/tableau/equipe")
    def read_crew(
        request: Request, caller: Reader, view: ReadView, fait: Annotated[str, Query(max_length=20)] = ""
    ) -> HTMLResponse:
        """Show couriers and bikes."""
        return show_crew(request, view, reach_of(caller), done="C'est enregistré." if fait else "")

    @router.post("/tableau/equipe/coursiers")
    def save_courier(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[CourierForm, Form()]
    ) -> Response:
        """Register or change a courier."""
        reach = reach_of(caller)
        terms = CourierTerms(
            form.name, form.phone, form.account, form.is_active or not form.id, as_skills(form.skills.split(","))
        )

        def act() -> None:
            with database.transaction() as tx:
                if form.id:
                    use_cases.change_courier(tx, crew.courier(tx, form.id, reach, lock=True), terms)
                else:
                    use_cases.register_courier(tx, reach, form.cooperative_id or None, terms)

        return _after(act, database, "/tableau/equipe?fait=1", show_crew, request, reach)

    @router.post("/tableau/equipe/velos")
    def save_bike(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[BikeForm, Form()]
    ) -> Response:
        """Register or change a bike."""
        reach = reach_of(caller)
        terms = BikeTerms(
            form.name,
            round(form.kilos * GRAMS),
            round(form.litres * MILLILITRES),
            form.has_trailer,
            form.is_active or not form.id,
            form.pieces,
            form.percent,
            None if form.range_kilometres is None else round(form.range_kilometres * METRES),
            as_skills(form.skills.split(",")),
            form.kind,
        )

        def act() -> None:
            with database.transaction() as tx:
                if form.id:
                    use_cases.change_bike(tx, crew.bike(tx, form.id, reach, lock=True), terms)
                else:
                    use_cases.register_bike(tx, reach, form.cooperative_id or None, terms)

        return _after(act, database, "/tableau/equipe?fait=1", show_crew, request, reach)

    @router.post("/tableau/equipe/parts")
    def agree_shares(
        request: Request, caller: Admin, database: OwnDatabase, form: Annotated[SharesForm, Form()]
    ) -> Response:
        """Keep the shares of a contract's holders."""
        shares = [
            Share(cooperative_id, round(least * PERMILLE), round(most * PERMILLE))
            for cooperative_id, least, most in zip(form.cooperative_id, form.least, form.most, strict=False)
        ]

        def act() -> None:
            with database.transaction() as tx:
                instructions.agree_shares(tx, form.contract_id, shares)

        return _after(act, database, "/tableau/equipe?fait=1", show_crew, request, reach_of(caller))

    @router.post("/tableau/equipe/materiel")
    def share_equipment(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[EquipmentForm, Form()]
    ) -> Response:
        """Keep how many there are of an equipment, beside what else the cooperative shares."""
        reach = reach_of(caller)
        cooperative_id = form.cooperative_id or reach.cooperative_id or ""

        def act() -> None:
            with database.transaction() as tx:
                if not reach.covers(cooperative_id):
                    raise CooperativeNotFound(cooperative_id)
                crew.cooperative(tx, cooperative_id, lock=True)
                named = "".join(as_skills([form.equipment]))
                kept = [one for one in equipment_of(tx, [cooperative_id]) if one.equipment != named]
                if form.at_most is not None:
                    kept.append(SharedEquipment(cooperative_id, named, form.at_most))
                limits.share_equipment(tx, cooperative_id, kept)

        return _after(act, database, "/tableau/equipe?fait=1", show_crew, request, reach)

    @router.get("/tableau/vacations")
    def read_shifts(
        request: Request,
        caller: Reader,
        view: ReadView,
        now: Now,
        jour: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)] = None,
        fait: Annotated[int | None, Query(ge=0)] = None,
    ) -> HTMLResponse:
        """Show the shifts of a day."""
        day = jour or now.astimezone(zone).date()
        done = "" if fait is None else f"{fait} vacation{'s' if fait > 1 else ''} enregistrée{'s' if fait > 1 else ''}."
        return show_shifts(request, view, reach_of(caller), day=day, done=done)

    @router.post("/tableau/vacations")
    def agree_shift(
        request: Request, caller: Writer, database: OwnDatabase, form: Annotated[ShiftForm, Form()]
    ) -> Response:
        """Give a courier a shift."""
        reach = reach_of(caller)
        terms = form.terms(zone)

        def act() -> None:
            with database.transaction() as tx:
                use_cases.agree_shift(tx, reach, terms)

        address = f"/tableau/vacations?date={form.date}&fait=1"
        return _after(act, database, address, show_shifts, request, reach, day=form.date, form=form)

    @router.post("/tableau/vacations/copie")
    def copy_shifts(caller: Writer, database: OwnDatabase, form: Annotated[CopyForm, Form()]) -> Response:
        """Give everybody the hours of another day."""
        reach = reach_of(caller)
        with database.transaction() as tx:
            copied = use_cases.copy_shifts(tx, reach, form.source, form.target, zone)
        return RedirectResponse(f"/tableau/vacations?date={form.target}&fait={copied}", status_code=303)

    @router.post("/tableau/vacations/{shift_id}/suppression")
    def cancel_shift(
        request: Request, shift_id: str, caller: Writer, database: OwnDatabase, form: Annotated[DayForm, Form()]
    ) -> Response:
        """Take a shift away."""
        reach = reach_of(caller)

        def act() -> None:
            with database.transaction() as tx:
                use_cases.cancel_shift(tx, crew.shift(tx, shift_id, reach, lock=True))

        address = f"/tableau/vacations?date={form.date}"
        return _after(act, database, address, show_shifts, request, reach, day=form.date)

    def show_shifts(request: Request, view: View, reach: Reach, *, day: date, **more: Any) -> HTMLResponse:
        shifts = list_shifts(view, ShiftFilter(reach, day, day))
        previous = shifts or list_shifts(view, ShiftFilter(reach, day - timedelta(days=14), day))
        start = previous[-1][0].terms.start if previous else None
        return pages.render(
            request,
            "vacations.html",
            day=day,
            shifts=shifts,
            couriers=list_couriers(view, reach, is_active=True),
            bikes=list_bikes(view, reach, is_active=True),
            depot=Depot(start.name, str(start.latitude), str(start.longitude)) if start else Depot(),
            source=day - timedelta(days=7),
            previous_day=day - timedelta(days=1),
            next_day=day + timedelta(days=1),
            **{"refusals": [], "done": "", "form": None, **more},
        )

    return router


def show_crew(request: Request, view: View, reach: Reach, **more: Any) -> HTMLResponse:
    """Return the page of couriers and bikes."""
    bikes = list_bikes(view, reach, is_active=None)
    cooperatives = list_cooperatives(view, reach, after="", limit=200)
    return pages.render(
        request,
        "equipe.html",
        couriers=list_couriers(view, reach, is_active=None),
        bikes=bikes,
        cooperatives=cooperatives,
        equipment=sorted({skill for bike in bikes for skill in bike.terms.skills}),
        shared=equipment_of(view, [row.id for row in cooperatives]),
        cooperative_names=cooperative_names(view),
        is_everything=reach.is_everything,
        contracts=list_shares(view) if reach.is_everything else [],
        **{"refusals": [], "done": "", **more},
    )


def _after(
    act: Callable[[], None],
    database: Database,
    address: str,
    show: Callable[..., HTMLResponse],
    request: Request,
    reach: Reach,
    **more: Any,
) -> Response:
    """Do it and go on, or show the page again with everything that was refused."""
    try:
        act()
    except DomainError as refusal:
        with database.view() as view:
            return show(request, view, reach, refusals=refusals_of(refusal), status=422, **more)
    return RedirectResponse(address, status_code=303)


def refusals_of(refusal: DomainError) -> list[str]:
    """Return every sentence of a refusal."""
    return [one.detail for one in (refusal.errors if isinstance(refusal, Refusals) else (refusal,))]
