"""Sites, the load catalogue and known contracts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from services.kit.http.answers import (
    DEFAULT_LIMIT,
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
from services.kit.http.edge import Caller, Once, ReadView, Tx, needs
from services.orders import queries
from services.orders.api.bodies import KnownContractOut, LoadKindBody, LoadKindChange, LoadKindOut, SiteBody, SiteOut
from services.orders.domain.errors import UnknownDepartment
from services.orders.domain.load import LoadKind, load_kind
from services.orders.domain.site import Site
from services.orders.repository import LoadKinds, Sites
from services.orders.use_cases import registers as use_cases
from services.orders.use_cases.access import department_of, ordering_for

router = APIRouter(tags=["registers"])

Reader = Annotated[Caller, needs("orders:read")]
Writer = Annotated[Caller, needs("orders:write")]


@router.post("/v1/sites", status_code=201, response_model=SiteOut)
def register_site(body: SiteBody, caller: Writer, tx: Tx, once: Once) -> Response:
    """Register a site of the caller's department."""
    if (kept := once.replay()) is not None:
        return kept
    department_id = ordering_for(caller, body.department_id)
    if not department_id:
        raise UnknownDepartment("Indiquez à quel service appartient le site.", pointer="/department_id")
    site = use_cases.register_site(tx, department_id, body.terms())
    return once.keep(201, {"Location": f"/v1/sites/{site.id}", "ETag": _etag(site)}, SiteOut.of(site))


@router.get("/v1/sites")
def read_sites(
    caller: Reader,
    view: ReadView,
    request: Request,
    response: Response,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[SiteOut]:
    """List sites by name."""
    after = decode_cursor(cursor, str, str) if cursor else None
    sites = queries.list_sites(
        view, department_of(caller), after=(after[0], after[1]) if after else None, limit=limit + 1
    )
    following = encode_cursor(sites[limit - 1].terms.name, sites[limit - 1].id) if len(sites) > limit else None
    return page_answer(request, response, [SiteOut.of(site) for site in sites[:limit]], following)


@router.get("/v1/sites/{site_id}", response_model=SiteOut)
def read_site(site_id: str, caller: Reader, view: ReadView, request: Request) -> Response:
    """Return a site."""
    site = Sites(view).get(site_id, department_of(caller))
    unchanged = not_modified(request, _etag(site))
    return _site(site) if unchanged is None else unchanged


@router.put("/v1/sites/{site_id}", response_model=SiteOut)
def edit_site(site_id: str, body: SiteBody, caller: Writer, tx: Tx, request: Request) -> Response:
    """Replace what is said of a site; If-Match names the version that was read. Its department stays."""
    site = Sites(tx).get(site_id, department_of(caller), for_update=True)
    check_if_match(request, _etag(site))
    if body.department_id not in (None, site.department_id):
        raise UnknownDepartment(
            "Un site ne change pas de service ; enregistrez-le à nouveau.", pointer="/department_id"
        )
    return _site(use_cases.edit_site(tx, site, body.terms()))


@router.get("/v1/load-kinds", dependencies=[needs("orders:read")])
def read_load_kinds(view: ReadView) -> Page[LoadKindOut]:
    """Return the whole load catalogue."""
    return Page(items=[LoadKindOut.of(kind) for kind in LoadKinds(view).all().values()])


@router.post("/v1/load-kinds", status_code=201, response_model=LoadKindOut, dependencies=[needs("orders:admin")])
def add_load_kind(body: LoadKindBody, tx: Tx, once: Once) -> Response:
    """Add a kind of load to the catalogue."""
    if (kept := once.replay()) is not None:
        return kept
    kind = use_cases.add_load_kind(tx, load_kind(**body.model_dump()))
    return once.keep(201, {"Location": f"/v1/load-kinds/{kind.code}", "ETag": _etag_of(kind)}, LoadKindOut.of(kind))


@router.get("/v1/load-kinds/{code}", response_model=LoadKindOut, dependencies=[needs("orders:read")])
def read_load_kind(code: str, view: ReadView, request: Request) -> Response:
    """Return a kind of load."""
    kind = LoadKinds(view).get(code)
    return not_modified(request, _etag_of(kind)) or _load_kind(kind)


@router.put("/v1/load-kinds/{code}", response_model=LoadKindOut, dependencies=[needs("orders:admin")])
def change_load_kind(code: str, body: LoadKindChange, tx: Tx, request: Request) -> Response:
    """Replace what is said of a kind; If-Match names the version that was read. Orders placed before stay."""
    check_if_match(request, _etag_of(LoadKinds(tx).get(code, for_update=True)))
    return _load_kind(use_cases.change_load_kind(tx, load_kind(code=code, **body.model_dump())))


@router.get("/v1/known-contracts")
def read_contracts(caller: Reader, view: ReadView) -> Page[KnownContractOut]:
    """Return the contracts the caller's department may order under, as heard from billing."""
    own = department_of(caller)
    return Page(items=[KnownContractOut.of(each, own) for each in queries.list_contracts(view, own)])


def _etag(site: Site) -> str:
    return etag_of(site.id, site.version)


def _etag_of(kind: LoadKind) -> str:
    return etag_of(LoadKindOut.of(kind).model_dump_json())


def _load_kind(kind: LoadKind) -> Response:
    body = LoadKindOut.of(kind).model_dump_json()
    return Response(body, media_type="application/json", headers={"ETag": _etag_of(kind)})


def _site(site: Site) -> Response:
    body = SiteOut.of(site).model_dump_json()
    return Response(body, media_type="application/json", headers={"ETag": _etag(site)})
