"""The pages of a department's sites: list, register, edit."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.kit.errors import DomainError
from services.kit.http.edge import ReadView, Tx
from services.orders import queries
from services.orders.domain.site import Site, SiteTerms
from services.orders.pages.edge import Reader, Writer, own_department, pages, see_other
from services.orders.pages.form import Form, Submitted
from services.orders.repository import Sites
from services.orders.use_cases import registers as use_cases
from services.orders.use_cases.access import department_of

router = APIRouter(include_in_schema=False)


@router.get("/demandes/sites")
def show_all(request: Request, caller: Reader, view: ReadView, fait: str = "") -> Response:
    """List the sites."""
    return pages.render(
        request, "sites.html", sites=queries.list_sites(view, department_of(caller)), done=fait, can_write=_may(caller)
    )


@router.get("/demandes/sites/nouveau")
def show_form(request: Request, caller: Writer) -> Response:
    """Show the empty form."""
    own_department(caller)
    return _form(request, Form({"service_minutes": "3"}), None)


@router.post("/demandes/sites/nouveau")
def register(request: Request, caller: Writer, tx: Tx, submitted: Submitted) -> Response:
    """Register a site."""
    department_id = own_department(caller)
    form = Form(submitted)
    terms = _terms(form)
    if terms is not None:
        try:
            use_cases.register_site(tx, department_id, terms)
            return see_other("/demandes/sites?fait=enregistre")
        except DomainError as refusal:
            form.refused(refusal, _place)
    return _form(request, form, None)


@router.get("/demandes/sites/{site_id}")
def show(site_id: str, request: Request, caller: Writer, view: ReadView) -> Response:
    """Show a site, to be edited."""
    site = Sites(view).get(site_id, department_of(caller))
    terms = site.terms
    values = {
        "name": terms.name,
        "address": terms.address,
        "latitude": f"{terms.latitude}".replace(".", ","),
        "longitude": f"{terms.longitude}".replace(".", ","),
        "access_note": terms.access_note,
        "contact": terms.contact,
        "opening_note": terms.opening_note,
        "service_minutes": str(terms.service_seconds // 60),
        "version": str(site.version),
    }
    return _form(request, Form(values), site)


@router.post("/demandes/sites/{site_id}")
def edit(site_id: str, request: Request, caller: Writer, tx: Tx, submitted: Submitted) -> Response:
    """Edit a site, unless it has changed since it was shown."""
    site = Sites(tx).get(site_id, department_of(caller), for_update=True)
    form = Form(submitted)
    terms = _terms(form)
    if form.value("version") != str(site.version):
        form.fault("name", "Ce site a changé entre-temps ; rouvrez-le depuis la liste avant de le modifier.")
    elif terms is not None:
        try:
            use_cases.edit_site(tx, site, terms)
            return see_other("/demandes/sites?fait=modifie")
        except DomainError as refusal:
            form.refused(refusal, _place)
    return _form(request, form, site)


def _terms(form: Form) -> SiteTerms | None:
    name = form.text("name", longest=200, needed="Donnez un nom au site.")
    address = form.text("address", longest=400, needed="Donnez l'adresse postale du site.")
    latitude, longitude = form.degrees("latitude"), form.degrees("longitude")
    minutes = form.whole("service_minutes", 0, 120)
    notes = {
        field: form.text(field, longest=longest)
        for field, longest in (("access_note", 1_000), ("contact", 200), ("opening_note", 1_000))
    }
    if form.faults or latitude is None or longitude is None or minutes is None:
        return None
    return SiteTerms(name, address, latitude, longitude, service_seconds=minutes * 60, **notes)


def _place(pointer: str) -> str:
    name = pointer.removeprefix("/")
    return "service_minutes" if name == "service_seconds" else name or "name"


def _form(request: Request, form: Form, site: Site | None) -> Response:
    return pages.render(request, "site.html", status=422 if form.faults else 200, form=form, site=site)


def _may(caller: Any) -> bool:
    return bool(caller.has("orders:write") and department_of(caller))
