"""Registering and editing what orders are judged by: sites, load kinds, contracts."""

from dataclasses import replace

from services.kit.database import Transaction
from services.kit.ids import new_id
from services.orders.domain import site as sites
from services.orders.domain.contract import CeilingWarning, Contract
from services.orders.domain.load import LoadKind
from services.orders.domain.site import Site, SiteTerms
from services.orders.repository import Contracts, LoadKinds, Sites


def register_site(tx: Transaction, department_id: str, terms: SiteTerms) -> Site:
    """Register a site of a department. Raises OutOfBounds, or Refusals with several."""
    site = sites.register(new_id(), department_id, terms)
    Sites(tx).add(tx, site)
    return site


def edit_site(tx: Transaction, site: Site, terms: SiteTerms) -> Site:
    """Edit a site that was read for it; orders placed before keep what they were told. Raises as `register_site`."""
    edited = site.edited(terms)
    Sites(tx).save(tx, edited)
    return edited


def add_load_kind(tx: Transaction, kind: LoadKind) -> LoadKind:
    """Add a kind of load to the catalogue. Raises LoadKindTaken."""
    LoadKinds(tx).add(tx, kind)
    return kind


def change_load_kind(tx: Transaction, kind: LoadKind) -> LoadKind:
    """Replace what the catalogue says of a kind; orders placed before keep what they were told."""
    LoadKinds(tx).save(tx, kind)
    return kind


def learn_contract(tx: Transaction, contract: Contract) -> None:
    """Keep a contract's terms, unless younger ones are known."""
    contracts = Contracts(tx)
    known = {each.id: each for each in contracts.all()}.get(contract.id)
    if known is None:
        contracts.put(tx, contract)
    elif known.registered_at <= contract.registered_at:
        contracts.put(tx, replace(contract, warning=known.warning))


def learn_warning(tx: Transaction, contract_id: str, warning: CeilingWarning) -> None:
    """Keep the last threshold a contract crossed. Raises NotYet when the contract is not known."""
    contracts = Contracts(tx)
    contract = contracts.get(contract_id)
    if contract.warning is None or contract.warning.crossed_at <= warning.crossed_at:
        contracts.put(tx, replace(contract, warning=warning))
