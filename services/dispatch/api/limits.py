"""What bikes share, over HTTP: equipment of a cooperative, and room at sites."""

from collections.abc import Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.dispatch.api.crew import Reader, Writer
from services.dispatch.domain.errors import CooperativeNotFound
from services.dispatch.domain.limits import SharedEquipment, SiteLimit
from services.dispatch.domain.reach import Reach
from services.dispatch.repository import crew
from services.dispatch.repository import limits as stored
from services.dispatch.use_cases import limits as use_cases
from services.dispatch.use_cases.access import reach_of
from services.kit.database import View
from services.kit.http.answers import Page, check_if_match, etag_of, not_modified
from services.kit.http.edge import Body, ReadView, Tx

router = APIRouter(tags=["limits"])


class EquipmentBody(Body):
    """How many there are of an equipment; `trailer` is a trailer, else one of the skills of bikes."""

    equipment: Annotated[str, Field(max_length=100, examples=["trailer"])]
    at_most: int


class SharedBody(Body):
    """All that a cooperative's bikes share; what is not named there is enough of."""

    equipment: Annotated[list[EquipmentBody], Field(max_length=100)]


class EquipmentOut(BaseModel):
    """How many there are of an equipment."""

    equipment: str
    at_most: int


class SharedOut(BaseModel):
    """What a cooperative's bikes share: at most so many that are registered with it ride at the same time."""

    cooperative_id: str
    equipment: list[EquipmentOut]

    @classmethod
    def of(cls, cooperative_id: str, shared: Sequence[SharedEquipment]) -> Self:
        """Show it."""
        told = [EquipmentOut(equipment=one.equipment, at_most=one.at_most) for one in shared]
        return cls(cooperative_id=cooperative_id, equipment=told)


class SiteLimitBody(Body):
    """How many bikes may call at a site in a day."""

    at_most: int


class SiteLimitOut(BaseModel):
    """How many bikes may call at a site in a day; one that calls several times counts once."""

    site_id: str
    site_name: str
    at_most: int

    @classmethod
    def of(cls, limit: SiteLimit) -> Self:
        """Show it."""
        return cls(site_id=limit.site_id, site_name=limit.site_name, at_most=limit.at_most)


@router.get("/v1/cooperatives/{cooperative_id}/shared-equipment", response_model=SharedOut)
def read_equipment(cooperative_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
    """Return what a cooperative's bikes share."""
    _require(view, cooperative_id, reach_of(caller))
    shared = stored.equipment_of(view, [cooperative_id])
    return not_modified(request, _etag(shared)) or _json(cooperative_id, shared)


@router.put("/v1/cooperatives/{cooperative_id}/shared-equipment", response_model=SharedOut)
def share_equipment(cooperative_id: str, body: SharedBody, caller: Writer, tx: Tx, request: Request) -> Response:
    """Keep what a cooperative's bikes share: the next plans keep to it. If-Match names the version that was read."""
    _require(tx, cooperative_id, reach_of(caller), lock=True)
    check_if_match(request, _etag(stored.equipment_of(tx, [cooperative_id])))
    shared = [SharedEquipment(cooperative_id, one.equipment, one.at_most) for one in body.equipment]
    return _json(cooperative_id, use_cases.share_equipment(tx, cooperative_id, shared))


@router.get("/v1/site-limits")
def read_site_limits(_caller: Reader, view: ReadView) -> Page[SiteLimitOut]:
    """List the sites where only so many bikes may call in a day, by name."""
    return Page(items=[SiteLimitOut.of(limit) for limit in stored.of_sites(view)])


@router.put("/v1/site-limits/{site_id}")
def limit_site(site_id: str, body: SiteLimitBody, caller: Writer, tx: Tx) -> SiteLimitOut:
    """Keep how many bikes may call at a site in a day: the next plans keep to it."""
    return SiteLimitOut.of(use_cases.limit_site(tx, reach_of(caller), site_id, body.at_most))


@router.delete("/v1/site-limits/{site_id}", status_code=204)
def unlimit_site(site_id: str, caller: Writer, tx: Tx) -> None:
    """Let any number of bikes call at a site. Doing it twice is harmless."""
    use_cases.unlimit_site(tx, reach_of(caller), site_id)


def _require(view: View, cooperative_id: str, reach: Reach, *, lock: bool = False) -> None:
    if not reach.covers(cooperative_id):
        raise CooperativeNotFound(cooperative_id)
    crew.cooperative(view, cooperative_id, lock=lock)


def _etag(shared: Sequence[SharedEquipment]) -> str:
    return etag_of(*(part for one in shared for part in (one.equipment, one.at_most)))


def _json(cooperative_id: str, shared: Sequence[SharedEquipment]) -> Response:
    told = SharedOut.of(cooperative_id, shared)
    return Response(told.model_dump_json(), media_type="application/json", headers={"ETag": _etag(shared)})
