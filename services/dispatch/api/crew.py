"""Cooperatives, couriers, bikes and shifts over HTTP: a dispatcher's own cooperative's, the administration's all."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.dispatch.api.shapes import Id, Instant, Name
from services.dispatch.domain.courier import (
    Bike,
    BikeTerms,
    Break,
    Cooperative,
    Courier,
    CourierTerms,
    Point,
    Shift,
    ShiftTerms,
    as_skills,
)
from services.dispatch.domain.errors import CooperativeNotFound
from services.dispatch.domain.events import BikeKind
from services.dispatch.queries import crew as lists
from services.dispatch.repository import crew
from services.dispatch.use_cases import crew as use_cases
from services.dispatch.use_cases.access import reach_of
from services.kit.http.answers import (
    DEFAULT_LIMIT,
    BadCursor,
    Cursor,
    Limit,
    Page,
    check_if_match,
    decode_cursor,
    encode_cursor,
    etag_of,
    not_modified,
    page_answer,
)
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Caller, Once, ReadView, Tx, needs

Reader = Annotated[Caller, needs("dispatch:read")]
Writer = Annotated[Caller, needs("dispatch:write")]
Admin = Annotated[Caller, needs("dispatch:admin")]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", examples=["erdre"])]


class CooperativeBody(Body):
    """A cooperative under the code that contracts use."""

    id: Code
    name: Name


class CooperativeName(Body):
    """Another name."""

    name: Name


class CooperativeOut(BaseModel):
    """A cooperative."""

    id: str
    name: str


Skills = Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=20, examples=[["froid"]])]


class CourierChange(Body):
    """What is said of a courier; `account` is the log-in he or she rides with, `skills` what may be asked of them."""

    name: Name
    phone: Annotated[str, Field(max_length=50)] = ""
    account: Annotated[str, Field(max_length=100)] = ""
    is_active: bool = True
    skills: Skills = ()

    def terms(self) -> CourierTerms:
        """Return it for the domain."""
        return CourierTerms(self.name, self.phone, self.account, self.is_active, as_skills(self.skills))


class CourierBody(CourierChange):
    """A new courier; `cooperative_id` only from whoever may act for several."""

    cooperative_id: Code | None = None


class CourierOut(BaseModel):
    """A courier."""

    id: str
    cooperative_id: str
    name: str
    phone: str
    account: str | None
    is_active: bool
    skills: list[str]

    @classmethod
    def of(cls, courier: Courier) -> Self:
        """Show a courier."""
        terms = courier.terms
        return cls(
            id=courier.id,
            cooperative_id=courier.cooperative_id,
            name=terms.name,
            phone=terms.phone,
            account=terms.account or None,
            is_active=terms.is_active,
            skills=list(terms.skills),
        )


class BikeChange(Body):
    """What a bike carries, its trailer included, and how it rides.

    `capacity_pieces` is how many units of load find a place, null where weight and volume say enough; `speed_percent`
    is 100 for a bike as fast as ride times are reckoned; `range_metres` is how far its battery goes in a shift, null
    without such a limit; `skills` are its equipment; `kind` says what moves it, for what its rides emit.
    """

    name: Name
    capacity_grams: int = Field(ge=1, examples=[160_000])
    capacity_millilitres: int = Field(ge=1, examples=[900_000])
    has_trailer: bool = False
    is_active: bool = True
    capacity_pieces: int | None = Field(None, ge=1)
    speed_percent: int = 100
    range_metres: int | None = Field(None, ge=1, examples=[60_000])
    skills: Skills = ()
    kind: BikeKind = BikeKind.ELECTRIC

    def terms(self) -> BikeTerms:
        """Return it for the domain."""
        return BikeTerms(
            self.name,
            self.capacity_grams,
            self.capacity_millilitres,
            self.has_trailer,
            self.is_active,
            self.capacity_pieces,
            self.speed_percent,
            self.range_metres,
            as_skills(self.skills),
            self.kind,
        )


class BikeBody(BikeChange):
    """A new bike; `cooperative_id` only from whoever may act for several."""

    cooperative_id: Code | None = None


class BikeOut(BaseModel):
    """A bike."""

    id: str
    cooperative_id: str
    name: str
    capacity_grams: int
    capacity_millilitres: int
    has_trailer: bool
    is_active: bool
    capacity_pieces: int | None
    speed_percent: int
    range_metres: int | None
    skills: list[str]
    kind: BikeKind

    @classmethod
    def of(cls, bike: Bike) -> Self:
        """Show a bike."""
        terms = bike.terms
        return cls(
            id=bike.id,
            cooperative_id=bike.cooperative_id,
            name=terms.name,
            capacity_grams=terms.capacity_grams,
            capacity_millilitres=terms.capacity_millilitres,
            has_trailer=terms.has_trailer,
            is_active=terms.is_active,
            capacity_pieces=terms.capacity_pieces,
            speed_percent=terms.speed_percent,
            range_metres=terms.range_metres,
            skills=list(terms.skills),
            kind=terms.kind,
        )


class PointBody(Body):
    """Where a shift starts or ends, WGS 84 degrees."""

    name: Annotated[str, Field(max_length=200)] = ""
    latitude: float = Field(examples=[47.2184])
    longitude: float = Field(examples=[-1.5536])

    def point(self) -> Point:
        """Return it for the domain."""
        return Point(self.latitude, self.longitude, self.name)


class PointOut(BaseModel):
    """Where a shift starts or ends, WGS 84 degrees."""

    name: str
    latitude: float
    longitude: float

    @classmethod
    def of(cls, point: Point) -> Self:
        """Show a point."""
        return cls(name=point.name, latitude=point.latitude, longitude=point.longitude)


class BreakBody(Body):
    """A rest that begins within the window, both ends allowed, and lasts so long."""

    window_start: Instant
    window_end: Instant
    length_seconds: Annotated[int, Field(ge=1, examples=[1800])]


class ShiftBody(Body):
    """A courier's working time with a bike. Its day is the local date of its start; without `end` it ends where it
    started. Breaks are given in order.
    """

    courier_id: Id
    bike_id: Id
    starts_at: Instant
    ends_at: Instant
    start: PointBody
    end: PointBody | None = None
    breaks: Annotated[tuple[BreakBody, ...], Field(max_length=5)] = ()

    def terms(self, zone: ZoneInfo) -> ShiftTerms:
        """Return it for the domain."""
        return ShiftTerms(
            self.courier_id,
            self.bike_id,
            self.starts_at.astimezone(zone).date(),
            self.starts_at,
            self.ends_at,
            self.start.point(),
            (self.end or self.start).point(),
            tuple(Break(rest.window_start, rest.window_end, rest.length_seconds) for rest in self.breaks),
        )


class BreakOut(BaseModel):
    """A rest that a shift promises."""

    window_start: datetime
    window_end: datetime
    length_seconds: int


class ShiftOut(BaseModel):
    """A shift. From `lost_since` on nobody rides it, as an accepted readjustment says; null while it is ridden."""

    id: str
    cooperative_id: str
    courier_id: str
    bike_id: str
    date: date
    starts_at: datetime
    ends_at: datetime
    start: PointOut
    end: PointOut
    breaks: list[BreakOut]
    lost_since: datetime | None

    @classmethod
    def of(cls, shift: Shift) -> Self:
        """Show a shift."""
        terms = shift.terms
        return cls(
            id=shift.id,
            cooperative_id=shift.cooperative_id,
            courier_id=terms.courier_id,
            bike_id=terms.bike_id,
            date=terms.day,
            starts_at=terms.starts_at,
            ends_at=terms.ends_at,
            start=PointOut.of(terms.start),
            end=PointOut.of(terms.end),
            breaks=[
                BreakOut(window_start=rest.window_start, window_end=rest.window_end, length_seconds=rest.length_seconds)
                for rest in terms.breaks
            ],
            lost_since=shift.lost_since,
        )


class ListedShiftOut(ShiftOut):
    """A shift with the names of who rides and what."""

    courier_name: str
    bike_name: str


def crew_router(zone: ZoneInfo) -> APIRouter:
    """Return the routes; a shift's day is its date in `zone`."""
    router = APIRouter(tags=["crew"])

    @router.post("/v1/cooperatives", status_code=201, response_model=CooperativeOut)
    def register_cooperative(body: CooperativeBody, _caller: Admin, tx: Tx, once: Once) -> Response:
        """Register a cooperative."""
        if (kept := once.replay()) is not None:
            return kept
        new = use_cases.register_cooperative(tx, body.id, body.name)
        return once.keep(201, _headers("cooperatives", new), CooperativeOut(id=new.id, name=new.name))

    @router.get("/v1/cooperatives")
    def read_cooperatives(
        caller: Reader,
        view: ReadView,
        request: Request,
        response: Response,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[CooperativeOut]:
        """List cooperatives, by code."""
        after = decode_cursor(cursor, str)[0] if cursor else ""
        rows = lists.list_cooperatives(view, reach_of(caller), after=after, limit=limit + 1)
        shown = [CooperativeOut(id=row.id, name=row.name) for row in rows[:limit]]
        return page_answer(request, response, shown, encode_cursor(shown[-1].id) if len(rows) > limit else None)

    @router.get("/v1/cooperatives/{cooperative_id}", response_model=CooperativeOut)
    def read_cooperative(cooperative_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
        """Return a cooperative."""
        if not reach_of(caller).covers(cooperative_id):
            raise CooperativeNotFound(cooperative_id)
        known = crew.cooperative(view, cooperative_id)
        return _shown(request, known, CooperativeOut(id=known.id, name=known.name))

    @router.put("/v1/cooperatives/{cooperative_id}", response_model=CooperativeOut)
    def rename_cooperative(
        cooperative_id: str, body: CooperativeName, _caller: Admin, tx: Tx, request: Request
    ) -> Response:
        """Rename a cooperative; If-Match names the version that was read."""
        known = crew.cooperative(tx, cooperative_id)
        check_if_match(request, _etag(known))
        renamed = use_cases.rename_cooperative(tx, known, body.name)
        return _json(CooperativeOut(id=renamed.id, name=renamed.name), renamed)

    @router.post("/v1/couriers", status_code=201, response_model=CourierOut)
    def register_courier(body: CourierBody, caller: Writer, tx: Tx, once: Once) -> Response:
        """Register a courier."""
        if (kept := once.replay()) is not None:
            return kept
        new = use_cases.register_courier(tx, reach_of(caller), body.cooperative_id, body.terms())
        return once.keep(201, _headers("couriers", new), CourierOut.of(new))

    @router.get("/v1/couriers")
    def read_couriers(
        caller: Reader,
        view: ReadView,
        request: Request,
        response: Response,
        is_active: bool | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[CourierOut]:
        """List couriers, the first registered first."""
        after = decode_cursor(cursor, str)[0] if cursor else ""
        found = lists.list_couriers(view, reach_of(caller), is_active=is_active, after=after, limit=limit + 1)
        shown = [CourierOut.of(courier) for courier in found[:limit]]
        return page_answer(request, response, shown, encode_cursor(shown[-1].id) if len(found) > limit else None)

    @router.get("/v1/couriers/{courier_id}", response_model=CourierOut)
    def read_courier(courier_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
        """Return a courier."""
        known = crew.courier(view, courier_id, reach_of(caller))
        return _shown(request, known, CourierOut.of(known))

    @router.put("/v1/couriers/{courier_id}", response_model=CourierOut)
    def change_courier(courier_id: str, body: CourierChange, caller: Writer, tx: Tx, request: Request) -> Response:
        """Change a courier; If-Match names the version that was read. One who left is kept, inactive."""
        known = crew.courier(tx, courier_id, reach_of(caller), lock=True)
        check_if_match(request, _etag(known))
        changed = use_cases.change_courier(tx, known, body.terms())
        return _json(CourierOut.of(changed), changed)

    @router.post("/v1/bikes", status_code=201, response_model=BikeOut)
    def register_bike(body: BikeBody, caller: Writer, tx: Tx, once: Once) -> Response:
        """Register a bike."""
        if (kept := once.replay()) is not None:
            return kept
        new = use_cases.register_bike(tx, reach_of(caller), body.cooperative_id, body.terms())
        return once.keep(201, _headers("bikes", new), BikeOut.of(new))

    @router.get("/v1/bikes")
    def read_bikes(
        caller: Reader,
        view: ReadView,
        request: Request,
        response: Response,
        is_active: bool | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[BikeOut]:
        """List bikes, the first registered first."""
        after = decode_cursor(cursor, str)[0] if cursor else ""
        found = lists.list_bikes(view, reach_of(caller), is_active=is_active, after=after, limit=limit + 1)
        shown = [BikeOut.of(bike) for bike in found[:limit]]
        return page_answer(request, response, shown, encode_cursor(shown[-1].id) if len(found) > limit else None)

    @router.get("/v1/bikes/{bike_id}", response_model=BikeOut)
    def read_bike(bike_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
        """Return a bike."""
        known = crew.bike(view, bike_id, reach_of(caller))
        return _shown(request, known, BikeOut.of(known))

    @router.put("/v1/bikes/{bike_id}", response_model=BikeOut)
    def change_bike(bike_id: str, body: BikeChange, caller: Writer, tx: Tx, request: Request) -> Response:
        """Change a bike; If-Match names the version that was read."""
        known = crew.bike(tx, bike_id, reach_of(caller), lock=True)
        check_if_match(request, _etag(known))
        changed = use_cases.change_bike(tx, known, body.terms())
        return _json(BikeOut.of(changed), changed)

    @router.post("/v1/shifts", status_code=201, response_model=ShiftOut)
    def agree_shift(body: ShiftBody, caller: Writer, tx: Tx, once: Once) -> Response:
        """Give a courier a shift on a bike of the same cooperative."""
        if (kept := once.replay()) is not None:
            return kept
        new = use_cases.agree_shift(tx, reach_of(caller), body.terms(zone))
        return once.keep(201, _headers("shifts", new), ShiftOut.of(new))

    @router.get("/v1/shifts")
    def read_shifts(
        caller: Reader,
        view: ReadView,
        request: Request,
        response: Response,
        date_from: date | None = None,
        date_to: date | None = None,
        on: Annotated[date | None, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY, description="Un seul jour.")] = None,
        courier_id: Id | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[ListedShiftOut]:
        """List shifts, by day."""
        wanted = lists.ShiftFilter(reach_of(caller), on or date_from, on or date_to, courier_id)
        found = lists.list_shifts(view, wanted, after=day_and_id(cursor), limit=limit + 1)
        shown = [
            ListedShiftOut(**dict(ShiftOut.of(shift)), courier_name=courier_name, bike_name=bike_name)
            for shift, courier_name, bike_name in found[:limit]
        ]
        following = encode_cursor(shown[-1].date.isoformat(), shown[-1].id) if len(found) > limit else None
        return page_answer(request, response, shown, following)

    @router.get("/v1/shifts/{shift_id}", response_model=ShiftOut)
    def read_shift(shift_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
        """Return a shift."""
        known = crew.shift(view, shift_id, reach_of(caller))
        return _shown(request, known, ShiftOut.of(known))

    @router.put("/v1/shifts/{shift_id}", response_model=ShiftOut)
    def change_shift(shift_id: str, body: ShiftBody, caller: Writer, tx: Tx, request: Request) -> Response:
        """Change a shift that no published round occupies; If-Match names the version that was read."""
        known = crew.shift(tx, shift_id, reach_of(caller), lock=True)
        check_if_match(request, _etag(known))
        changed = use_cases.change_shift(tx, known, body.terms(zone))
        return _json(ShiftOut.of(changed), changed)

    @router.delete("/v1/shifts/{shift_id}", status_code=204)
    def cancel_shift(shift_id: str, caller: Writer, tx: Tx, request: Request) -> None:
        """Take a shift away that no published round occupies; If-Match names the version that was read."""
        known = crew.shift(tx, shift_id, reach_of(caller), lock=True)
        check_if_match(request, _etag(known))
        use_cases.cancel_shift(tx, known)

    @router.delete("/v1/shifts/{shift_id}/loss", response_model=ShiftOut)
    def ride_again(shift_id: str, caller: Writer, tx: Tx) -> Response:
        """Let a shift be ridden again that was lost: plans and readjustments offer it. Doing it twice is harmless.

        What was taken out of its round stays where it is until the day is readjusted again.
        """
        ridden = use_cases.ride_again(tx, crew.shift(tx, shift_id, reach_of(caller), lock=True))
        return _json(ShiftOut.of(ridden), ridden)

    return router


def day_and_id(cursor: str | None) -> tuple[date, str] | None:
    """Read the cursor of a list that is ordered by day and id. Raises BadCursor."""
    if not cursor:
        return None
    day, id_ = decode_cursor(cursor, str, str)
    return day_of_cursor(day), id_


def day_of_cursor(text: str) -> date:
    """Read a day that stands in a cursor. Raises BadCursor."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadCursor("Reprenez la liste depuis le début, puis suivez la valeur « next » telle quelle.") from None


def _etag(thing: Cooperative | Courier | Bike | Shift) -> str:
    return etag_of(thing.id, thing.version)


def _headers(folder: str, thing: Cooperative | Courier | Bike | Shift) -> dict[str, str]:
    return {"Location": f"/v1/{folder}/{thing.id}", "ETag": _etag(thing)}


def _json(told: BaseModel, thing: Any) -> Response:
    return Response(told.model_dump_json(), media_type="application/json", headers={"ETag": _etag(thing)})


def _shown(request: Request, thing: Any, told: BaseModel) -> Response:
    return not_modified(request, _etag(thing)) or _json(told, thing)
