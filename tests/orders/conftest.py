"""An orders service of its own for each test: its database, and the whole service behind the real edge."""

import asyncio
import json
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
from services.kit.http.access import SESSION_COOKIE, Access, Use
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


ACCOUNTS: list[dict[str, Any]] = [
    *(
        {"login": name, "roles": ["department"], "claims": {"department": name}}
        for name in ("proprete", "voirie", "culture")
    ),
    {"login": "admin", "roles": ["administrator"]},
    {"login": "amel", "roles": ["courier"]},
    {"login": "machine", "scopes": ["orders:read", "orders:write"], "is_machine": True},
    {"login": "machine-proprete", "scopes": ["orders:write"], "claims": {"department": "proprete"}, "is_machine": True},
]
"""Who is known to the house; nobody logs in with a password here, so that none needs to be hashed."""


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
        return self.as_account(department)

    def as_administrator(self) -> httpx.AsyncClient:
        return self.as_account("admin")

    def as_account(self, login: str) -> httpx.AsyncClient:
        """A program with a token of this account; see ACCOUNTS."""
        return self.client(headers={"Authorization": f"Bearer {self._token(login, 'api')}"})

    def session_of(self, login: str) -> dict[str, str]:
        """The cookie of a browser in which this account has logged in."""
        return {SESSION_COOKIE: self._token(login, "session")}

    def _token(self, login: str, use: Use) -> str:
        access: Access = self.app.state.access
        account = access.accounts.get(login)
        assert account is not None
        return access.tokens.issue(account, use, seconds=3_600)

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
    accounts = [{"name": account["login"], "secret_hash": "none", **account} for account in ACCOUNTS]
    (folder / "accounts.json").write_text(json.dumps({"accounts": accounts}), encoding="utf-8")
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
