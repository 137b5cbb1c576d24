"""An orders service of its own for each test: its database, and the whole service behind the real edge."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.kit import clock
from services.kit.database import Database, Transaction
from services.kit.service import TopicFacts, assemble
from services.kit.settings import HouseSettings
from services.orders.handlers import HEARS
from services.orders.repository import Contracts, Sites
from services.orders.settings import OrdersSettings
from services.orders.tables import metadata
from services.orders.wiring import orders
from tests.orders.builders import NOW, SITES, a_contract
from tests.servers.postgres import PostgresServer

# An orders service alone: the topics of its neighbours are its own here.
TOPICS = [TopicFacts(name, "orders", frozenset({"orders"}), 6) for name in ("orders.v1", "billing.v1", "dispatch.v1")]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/orders.db", metadata)
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once of each kind."""
    url = f"sqlite:///{tmp_path}/orders.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    database = Database(url, metadata)
    database.upgrade()
    yield database
    database.dispose()


def furnish(tx: Transaction) -> None:
    """Register the sites and the contract of the builders."""
    Contracts(tx).put(tx, a_contract())
    for site in SITES.values():
        Sites(tx).add(tx, site)


@pytest.fixture
def clock_at_now() -> Iterator[datetime]:
    clock.set_now(NOW)
    yield NOW
    clock.reset()


@dataclass
class House:
    """A running orders service with a contract and some sites: clients for each kind of caller."""

    app: FastAPI
    database: Database

    def client(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1", 1))
        return httpx.AsyncClient(transport=transport, base_url="https://orders.example", **options)

    def as_department(self, department: str = "proprete") -> httpx.AsyncClient:
        return self._as(department, roles=["department"], claims={"department": department})

    def as_administrator(self) -> httpx.AsyncClient:
        return self._as("admin", roles=["administrator"])

    def as_courier(self) -> httpx.AsyncClient:
        return self._as("amel", roles=["courier"])

    def as_machine(self, scopes: list[str], **claims: str) -> httpx.AsyncClient:
        return self._as("machine", scopes=scopes, claims=claims, is_machine=True)

    def _as(self, login: str, **account: Any) -> httpx.AsyncClient:
        accounts = self.app.state.access.accounts
        if accounts.get(login) is None:
            accounts.add(login, secret="s" * 12, **account)
        token = self.app.state.access.tokens.issue(accounts.get(login), "api", seconds=600)
        return self.client(headers={"Authorization": f"Bearer {token}"})

    def tell(self, event: Any) -> None:
        """Let the service hear an event as its consumer would."""
        with self.database.transaction() as tx:
            HEARS[type(event)](tx, event)


def house_settings(folder: Path, **changes: Any) -> HouseSettings:
    return HouseSettings(
        secret_key="only-for-tests-" + "x" * 32,
        accounts=folder / "accounts.json",
        bus_url=f"sqlite:///{folder}/log.db",
        burst_requests=100_000,
        **changes,
    )


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    service = orders(OrdersSettings(database_url=f"sqlite:///{folder}/orders.db", data_dir=folder))
    app = assemble([service], house_settings(folder), TOPICS)
    async with app.router.lifespan_context(app):
        await asyncio.to_thread(_furnish, service.database)
        yield House(app, service.database)


def _furnish(database: Database) -> None:
    with database.transaction() as tx:
        furnish(tx)


@pytest.fixture
async def house(tmp_path: Path, clock_at_now: datetime) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened
