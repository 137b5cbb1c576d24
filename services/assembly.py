"""Names and settings -> one app; the only room that knows all three services.

A service is imported when it is to run: a process that runs one of them does not load the others' libraries.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from services.kit.service import Link, Navigation, Service, assemble
from services.kit.settings import MIN_KEY_CHARACTERS, HouseSettings

NAMES = ("orders", "dispatch", "billing")
ROLES = ("department", "dispatcher", "courier", "finance", "administrator")

NAVIGATION = Navigation(
    links=(
        Link("/demandes", "Demandes", "orders:read"),
        Link("/calendrier", "Calendrier", "orders:read"),
        Link("/tableau", "Tableau", "dispatch:read"),
        Link("/ma-tournee", "Ma tournée", "rides:read"),
        Link("/finances", "Finances", "invoices:read"),
    ),
    role_scopes={
        "department": frozenset({"orders:read"}),
        "dispatcher": frozenset({"dispatch:read", "invoices:read"}),
        "courier": frozenset({"rides:read"}),
        "finance": frozenset({"invoices:read"}),
        "administrator": frozenset({"orders:read", "dispatch:read", "invoices:read"}),
    },
)
"""The way to every page of the house, also to those that another process answers for."""


def build(name: str, **settings: Any) -> Service:
    """Return a service by name, set by its environment and, before that, by `settings`. Raises KeyError."""
    if name == "orders":
        from services.orders.settings import OrdersSettings
        from services.orders.wiring import orders

        return orders(OrdersSettings(**settings))
    if name == "dispatch":
        from services.dispatch.settings import DispatchSettings
        from services.dispatch.wiring import dispatch

        return dispatch(DispatchSettings(**settings))
    if name == "billing":
        from services.billing.settings import BillingSettings
        from services.billing.wiring import billing

        return billing(BillingSettings(**settings))
    raise KeyError(name)


def house(names: Sequence[str], settings: HouseSettings) -> FastAPI:
    """Return the app that runs these services. Raises what `assemble` raises."""
    return assemble([build(name) for name in names], settings, navigation=NAVIGATION)


def described(names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the OpenAPI document of these services; `folder` may be thrown away afterwards."""
    services = [build(name, database_url=f"sqlite:///{folder}/{name}.db", data_dir=folder / name) for name in names]
    settings = HouseSettings(
        secret_key=SecretStr("-" * MIN_KEY_CHARACTERS), accounts=folder / "none.json", bus_url="kafka://nobody:9092"
    )
    return assemble(services, settings, navigation=NAVIGATION).openapi()
