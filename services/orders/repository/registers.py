"""The registers an order is judged by: sites, load kinds, and the contracts heard from billing."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, event, insert, select, update

from services.kit.database import Transaction, View, insert_new, put
from services.kit.errors import NotYet
from services.orders import tables
from services.orders.domain.contract import CeilingWarning, Contract, Department
from services.orders.domain.errors import LoadKindTaken, NotFound
from services.orders.domain.load import DEFAULT_KINDS, LoadKind
from services.orders.domain.site import Site, SiteTerms

# Built once: SQLAlchemy then finds what it compiled for them without looking at them again.
_SITES = select(tables.sites).where(
    tables.sites.c.id.in_(bindparam("site_ids", expanding=True)),
    tables.sites.c.department_id == bindparam("department_id"),
)
_KINDS = select(tables.load_kinds).order_by(tables.load_kinds.c.label)
_CONTRACTS = select(tables.known_contracts)
_CONTRACT = select(tables.known_contracts).where(tables.known_contracts.c.id == bindparam("contract_id"))

_TERMS = ("name", "address", "latitude", "longitude", "access_note", "contact", "opening_note", "service_seconds")


def site_of(row: Row[Any]) -> Site:
    """Return the site in this row."""
    return Site(row.id, row.department_id, SiteTerms(*(getattr(row, name) for name in _TERMS)), row.version)


class Sites:
    """Departments' sites."""

    def __init__(self, view: View) -> None:
        self._view = view

    def get(self, site_id: str, department_id: str | None, *, for_update: bool = False) -> Site:
        """Return a site of this department (of any, with None). Raises NotFound."""
        query = select(tables.sites).where(tables.sites.c.id == site_id)
        if department_id is not None:
            query = query.where(tables.sites.c.department_id == department_id)
        row = self._view.execute(query.with_for_update() if for_update else query).one_or_none()
        if row is None:
            raise NotFound("Ce site n'existe pas ; choisissez-en un dans la liste des sites.", site_id=site_id)
        return site_of(row)

    def among(self, site_ids: Collection[str], department_id: str) -> Mapping[str, Site]:
        """Return those of these sites that the department has, by id."""
        rows = self._view.execute(_SITES, {"site_ids": list(site_ids), "department_id": department_id})
        return {row.id: site_of(row) for row in rows}

    def add(self, tx: Transaction, site: Site) -> None:
        """Keep a new site."""
        tx.execute(insert(tables.sites).values(_site_row(site)))

    def save(self, tx: Transaction, site: Site) -> None:
        """Keep an edited site."""
        tx.execute(update(tables.sites).where(tables.sites.c.id == site.id).values(_site_row(site)))


def _site_row(site: Site) -> dict[str, Any]:
    return {"id": site.id, "department_id": site.department_id, "version": site.version, **asdict(site.terms)}


@event.listens_for(tables.load_kinds, "after_create")
def _fill_the_catalogue(_table: Table, connection: Connection, **_options: Any) -> None:
    connection.execute(insert(tables.load_kinds), [asdict(kind) for kind in DEFAULT_KINDS])


class LoadKinds:
    """The load catalogue."""

    def __init__(self, view: View) -> None:
        self._view = view

    def all(self) -> Mapping[str, LoadKind]:
        """Return the whole catalogue, by code, in the order of labels."""
        rows = self._view.execute(_KINDS)
        return {row.code: LoadKind(**row._mapping) for row in rows}

    def get(self, code: str, *, for_update: bool = False) -> LoadKind:
        """Return a kind. Raises NotFound."""
        chosen = select(tables.load_kinds).where(tables.load_kinds.c.code == code)
        row = self._view.execute(chosen.with_for_update() if for_update else chosen).one_or_none()
        if row is None:
            raise NotFound(
                f"Le catalogue n'a pas de type de charge « {code} » : ajoutez-le ou corrigez le code.", code=code
            )
        return LoadKind(**row._mapping)

    def save(self, tx: Transaction, kind: LoadKind) -> None:
        """Keep a changed kind."""
        tx.execute(update(tables.load_kinds).where(tables.load_kinds.c.code == kind.code).values(asdict(kind)))

    def add(self, tx: Transaction, kind: LoadKind) -> None:
        """Add a kind. Raises LoadKindTaken."""
        new = insert_new(tx, tables.load_kinds, [asdict(kind)], tables.load_kinds.c.code).one_or_none()
        if new is None:
            raise LoadKindTaken(
                f"Le catalogue a déjà un type de charge « {kind.code} » ; choisissez un autre code.", pointer="/code"
            )


class Contracts:
    """The contracts this service has heard of."""

    def __init__(self, view: View) -> None:
        self._view = view

    def all(self) -> tuple[Contract, ...]:
        """Return every contract, by reference."""
        rows = self._view.execute(_CONTRACTS)
        return tuple(sorted((_contract_of(row) for row in rows), key=lambda contract: contract.reference))

    def get(self, contract_id: str) -> Contract:
        """Return a contract. Raises NotYet when billing has not told of it."""
        row = self._view.execute(_CONTRACT, {"contract_id": contract_id}).one_or_none()
        if row is None:
            raise NotYet(f"contract {contract_id} is not known yet")
        return _contract_of(row)

    def put(self, tx: Transaction, contract: Contract) -> None:
        """Keep what was last heard of a contract."""
        put(
            tx,
            tables.known_contracts,
            {
                "id": contract.id,
                "registered_at": contract.registered_at,
                "terms": {
                    "reference": contract.reference,
                    "title": contract.title,
                    "departments": [[department.id, department.name] for department in contract.departments],
                    "starts_on": contract.starts_on.isoformat(),
                    "ends_on": contract.ends_on.isoformat(),
                    "zone": contract.zone,
                    "cutoff_minutes": contract.cutoff_minutes,
                },
                "warning": None
                if contract.warning is None
                else {**asdict(contract.warning), "crossed_at": contract.warning.crossed_at.isoformat()},
            },
        )


def _contract_of(row: Row[Any]) -> Contract:
    terms, warning = row.terms, row.warning
    return Contract(
        id=row.id,
        reference=terms["reference"],
        title=terms["title"],
        departments=tuple(Department(*each) for each in terms["departments"]),
        starts_on=date.fromisoformat(terms["starts_on"]),
        ends_on=date.fromisoformat(terms["ends_on"]),
        zone=terms["zone"],
        cutoff_minutes=terms["cutoff_minutes"],
        registered_at=row.registered_at,
        warning=warning and CeilingWarning(**{**warning, "crossed_at": datetime.fromisoformat(warning["crossed_at"])}),
    )
