"""What plans are weighed by, over HTTP: for every day, and for a day that has its own."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from services.dispatch.api.crew import Reader, Writer
from services.dispatch.domain.planning_settings import KeptSettings, PlanningSettings
from services.dispatch.repository import planning_settings as stored
from services.dispatch.use_cases import planning_settings as use_cases
from services.kit.http.answers import check_if_match, etag_of, not_modified
from services.kit.http.edge import FIRST_DAY, LAST_DAY, Body, Now, ReadView, Tx

router = APIRouter(tags=["planning settings"])

Day = Annotated[
    date | None,
    Query(alias="date", ge=FIRST_DAY, le=LAST_DAY, description="Le jour dont ce sont les réglages ; sans lui, tous."),
]


class PlanningSettingsBody(Body):
    """What a plan is weighed by; every price is in seconds of riding.

    `courier_seconds`: riding in a shift at all. `balance_weight`: seconds for each second between the longest day and
    the shortest. `ordinary_seconds`: leaving a delivery out, null for more than any way of riding it.
    `can_wait_seconds`: leaving out one that can wait. `tolerance_seconds`: how long after its window a stop may begin.
    `late_weight`: seconds for each second of that.
    """

    courier_seconds: Annotated[int, Field(examples=[1_800])] = 0
    balance_weight: int = 0
    ordinary_seconds: int | None = None
    can_wait_seconds: int = 3_600
    tolerance_seconds: int = 0
    late_weight: int = 10

    @classmethod
    def of(cls, settings: PlanningSettings) -> Self:
        """Show settings."""
        return cls(**asdict(settings))

    def settings(self) -> PlanningSettings:
        """Return it for the domain."""
        return PlanningSettings(**self.model_dump())


class PlanningSettingsOut(BaseModel):
    """What a plan is weighed by, in seconds of riding.

    `date` is the day that has these of its own, null where they are those of every day; `set_at` is null where nobody
    has set any.
    """

    date: date | None
    courier_seconds: int
    balance_weight: int
    ordinary_seconds: int | None
    can_wait_seconds: int
    tolerance_seconds: int
    late_weight: int
    set_by: str
    set_at: datetime | None

    @classmethod
    def of(cls, kept: KeptSettings) -> Self:
        """Show settings."""
        return cls(date=kept.day, set_by=kept.set_by, set_at=kept.set_at, **asdict(kept.settings))


@router.get("/v1/planning-settings", response_model=PlanningSettingsOut)
def read_settings(_caller: Reader, view: ReadView, request: Request, on: Day = None) -> Response:
    """Return what a day's plans are weighed by, or what every day's are that has nothing of its own."""
    kept = stored.in_force(view, on)
    return not_modified(request, etag(kept)) or _json(kept)


@router.put("/v1/planning-settings", response_model=PlanningSettingsOut)
def set_settings(
    body: PlanningSettingsBody, caller: Writer, tx: Tx, now: Now, request: Request, on: Day = None
) -> Response:
    """Weigh the next plans like that; drafts stay as they are. If-Match names the version that was read."""
    stored.lock(tx)
    check_if_match(request, etag(stored.in_force(tx, on)))
    return _json(use_cases.set_for(tx, on, body.settings(), set_by=caller.name, at=now))


@router.delete("/v1/planning-settings", response_model=PlanningSettingsOut)
def forget_settings(
    _caller: Writer, tx: Tx, on: Annotated[date, Query(alias="date", ge=FIRST_DAY, le=LAST_DAY)]
) -> Response:
    """Weigh a day's plans as every other day's again, and return these settings. Doing it twice is harmless."""
    stored.lock(tx)
    use_cases.forget_for(tx, on)
    return _json(stored.in_force(tx, on))


def etag(kept: KeptSettings) -> str:
    """Return which version of the settings this is."""
    return etag_of("planning-settings", str(kept.day), kept.version, str(kept.set_at))


def _json(kept: KeptSettings) -> Response:
    told = PlanningSettingsOut.of(kept)
    return Response(told.model_dump_json(), media_type="application/json", headers={"ETag": etag(kept)})
