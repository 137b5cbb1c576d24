"""A billing service of its own for each test: its database, and the whole service behind the real edge."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.billing.settings import BillingSettings
from services.billing.tables import metadata
from services.billing.wiring import billing
from services.kit import clock
from services.kit.database import Database
from services.kit.service import TopicFacts, assemble
from services.kit.settings import HouseSettings
from tests.servers.postgres import PostgresServer

# A billing service alone: the topics of its neighbours are its own here.
TOPICS = [TopicFacts(name, "billing", frozenset({"billing"}), 6) for name in ("orders.v1", "billing.v1", "dispatch.v1")]
NOW = datetime(2026, 12, 2, 9, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/billing.db", metadata)
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once of each kind."""
    url = f"sqlite:///{tmp_path}/billing.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    database = Database(url, metadata)
    database.upgrade()
    yield database
    database.dispose()


@dataclass
class House:
    """A running billing service: clients for each kind of caller."""

    app: FastAPI
    database: Database

    def client(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1", 1))
        return httpx.AsyncClient(transport=transport, base_url="https://billing.example", **options)

    def administrator(self) -> httpx.AsyncClient:
        return self.account("admin", roles=["administrator"])

    def finance(self, **claims: str) -> httpx.AsyncClient:
        return self.account("finances" + "".join(claims.values()), roles=["finance"], claims=claims)

    def dispatcher(self, **claims: str) -> httpx.AsyncClient:
        return self.account("regie" + "".join(claims.values()), roles=["dispatcher"], claims=claims)

    def account(self, login: str, **account: Any) -> httpx.AsyncClient:
        accounts = self.app.state.access.accounts
        if accounts.get(login) is None:
            accounts.add(login, secret="s" * 12, **account)
        token = self.app.state.access.tokens.issue(accounts.get(login), "api", seconds=600)
        return self.client(headers={"Authorization": f"Bearer {token}"})


def house_settings(folder: Path) -> HouseSettings:
    return HouseSettings(
        secret_key="only-for-tests-" + "x" * 32,
        accounts=folder / "accounts.json",
        bus_url=f"sqlite:///{folder}/log.db",
        burst_requests=100_000,
        insecure_cookies=True,
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A billing service on 2 December 2026."""
    clock.set_now(NOW)
    service = billing(BillingSettings(database_url=f"sqlite:///{tmp_path}/billing.db", data_dir=tmp_path))
    app = assemble([service], house_settings(tmp_path), TOPICS)
    async with app.router.lifespan_context(app):
        yield House(app, service.database)
    clock.reset()
