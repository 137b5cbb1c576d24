"""A dispatch service of its own for each test: its database, and the whole service behind the real edge."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf.message import Message as ProtoMessage
from pydantic import SecretStr

from services.contracts.dispatch.v1 import events_pb2 as says
from services.dispatch.handlers import HEARS
from services.dispatch.jobs import Solver
from services.dispatch.settings import DispatchSettings
from services.dispatch.tables import metadata
from services.dispatch.wiring import dispatch
from services.kit import clock
from services.kit.database import Database
from services.kit.events import outbox
from services.kit.events.bus import Partition, Topic
from services.kit.events.log import LogBus
from services.kit.events.message import Message
from services.kit.service import TopicFacts, assemble
from services.kit.settings import HouseSettings
from tests.dispatch.builders import NOW, PLACES, TODAY, amount_held, at, contract_registered, order_placed
from tests.servers.postgres import PostgresServer

# A dispatch service alone: the topics of its neighbours are its own here. One partition keeps what it says in order.
TOPICS = [
    TopicFacts(name, "dispatch", frozenset({"dispatch"}), 1)
    for name in ("orders.v1", "billing.v1", "dispatch.v1", "dispatch.parts.v1")
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/dispatch.db", metadata)
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once of each kind."""
    url = f"sqlite:///{tmp_path}/either.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    database = Database(url, metadata)
    database.upgrade()
    yield database
    database.dispose()


def hear(database: Database, *events: ProtoMessage) -> None:
    """Let the service hear events as its consumer would."""
    for event in events:
        with database.transaction() as tx:
            HEARS[type(event)](tx, event)


def told(database: Database) -> list[ProtoMessage]:
    """Return what the service has said that was not relayed, in order: all of it, where no lane runs."""
    with database.view() as view:
        return [_event(pending.message) for pending in outbox.pending(view, 10_000)]


def _event(message: Message) -> ProtoMessage:
    event: ProtoMessage = getattr(says, message.type.rpartition(".")[2])()
    event.ParseFromString(message.data)
    return event


@dataclass
class House:
    """A running dispatch service: clients for each kind of caller."""

    app: FastAPI
    database: Database
    folder: Path
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1", 1))
        client = httpx.AsyncClient(transport=transport, base_url="https://dispatch.example", **options)
        self.clients.append(client)
        return client

    def as_dispatcher(self, cooperative: str = "erdre") -> httpx.AsyncClient:
        return self._as(f"regie-{cooperative}", roles=["dispatcher"], claims={"cooperative": cooperative})

    def as_administrator(self) -> httpx.AsyncClient:
        return self._as("admin", roles=["administrator"])

    def as_courier(self, login: str = "amel") -> httpx.AsyncClient:
        return self._as(login, roles=["courier"])

    def as_department(self, department: str = "proprete") -> httpx.AsyncClient:
        return self._as(department, roles=["department"], claims={"department": department})

    def as_machine(self, scopes: Sequence[str], **claims: str) -> httpx.AsyncClient:
        return self._as("machine", scopes=scopes, claims=claims, is_machine=True)

    def _as(self, login: str, **account: Any) -> httpx.AsyncClient:
        accounts = self.app.state.access.accounts
        if accounts.get(login) is None:
            accounts.add(login, secret="s" * 12, **account)
        token = self.app.state.access.tokens.issue(accounts.get(login), "api", seconds=600)
        return self.client(headers={"Authorization": f"Bearer {token}"})

    async def hear(self, *events: ProtoMessage) -> None:
        await asyncio.to_thread(hear, self.database, *events)

    async def told(self) -> list[ProtoMessage]:
        """Return everything the service has said, in order, as a reader of the log finds it."""
        while await asyncio.to_thread(told, self.database):  # noqa: ASYNC110 - the relay has no event to wait for
            await asyncio.sleep(0.02)

        async def beginning(partitions: Collection[Partition]) -> dict[Partition, int]:
            return dict.fromkeys(partitions, 0)

        bus = LogBus(self.folder / "log.db", [Topic("dispatch.v1", 1)])
        subscription = await bus.subscribe("tests", ["dispatch.v1"], beginning)
        events: list[ProtoMessage] = []
        while found := await subscription.poll(10_000, 0.05):
            events += [_event(one.message) for delivered in found.values() for one in delivered]
        await subscription.close()
        await bus.close()
        return events


@pytest.fixture
def clock_at_now() -> Iterator[datetime]:
    clock.set_now(NOW)
    yield NOW
    clock.reset()


@pytest.fixture(scope="session")
def solver() -> Iterator[Solver]:
    """A solver's process for all tests: to start one takes seconds."""
    solver = Solver()
    yield solver
    solver.stop()


@pytest.fixture
async def house(tmp_path: Path, clock_at_now: datetime, solver: Solver) -> AsyncIterator[House]:
    """A running service in which it is the eve of TODAY, five in the afternoon."""
    settings = DispatchSettings(
        database_url=f"sqlite:///{tmp_path}/dispatch.db", data_dir=tmp_path / "data", replan_seconds=2
    )
    service = dispatch(settings, solver)
    app = assemble(
        [service],
        HouseSettings(
            secret_key=SecretStr("only-for-tests-" + "x" * 32),
            accounts=tmp_path / "accounts.json",
            bus_url=f"sqlite:///{tmp_path}/log.db",
            burst_requests=100_000,
        ),
        TOPICS,
    )
    async with app.router.lifespan_context(app):
        house = House(app, service.database, tmp_path)
        yield house
        for client in house.clients:
            await client.aclose()


def checked(answer: httpx.Response, status: int = 200) -> Any:
    """Return the JSON of an answer that has this status."""
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def furnish(house: House, cooperative: str = "erdre", *couriers: str, **shift: Any) -> dict[str, Any]:
    """Register a cooperative and a courier with bike and shift for each name; return the shifts by name."""
    checked(
        await house.as_administrator().post("/v1/cooperatives", json={"id": cooperative, "name": cooperative.title()}),
        201,
    )
    return {name: await hire(house, cooperative, name, **shift) for name in couriers or ("amel",)}


async def hire(house: House, cooperative: str, name: str, **shift: Any) -> Any:
    """Register a courier with a bike and a shift on TODAY; return the shift."""
    dispatcher = house.as_dispatcher(cooperative)
    bike = checked(await dispatcher.post("/v1/bikes", json=a_bike()), 201)
    courier = checked(await dispatcher.post("/v1/couriers", json={"name": name.title(), "account": name}), 201)
    body = a_shift(courier["id"], bike["id"]) | shift
    return checked(await dispatcher.post("/v1/shifts", json=body), 201)


def a_bike(**changes: Any) -> dict[str, Any]:
    return {"name": "Cargo", "capacity_grams": 160_000, "capacity_millilitres": 900_000, **changes}


def a_shift(courier_id: str, bike_id: str, **changes: Any) -> dict[str, Any]:
    latitude, longitude = PLACES["mairie"]
    depot = {"name": "Dépôt", "latitude": latitude, "longitude": longitude}
    return {
        "courier_id": courier_id,
        "bike_id": bike_id,
        "starts_at": at(7).isoformat(),
        "ends_at": at(13).isoformat(),
        "start": depot,
        **changes,
    }


async def drafted(house: House, *, by: httpx.AsyncClient | None = None, seconds: float = 1.0) -> Any:
    """Ask for a plan of TODAY and return it once it is computed."""
    dispatcher = by or house.as_dispatcher()
    plan = checked(await dispatcher.post("/v1/plans", json={"date": TODAY.isoformat(), "seconds": seconds}), 202)
    end = asyncio.get_running_loop().time() + 60
    while plan["state"] in ("requested", "solving"):
        assert asyncio.get_running_loop().time() < end, plan
        await asyncio.sleep(0.05)
        plan = checked(await dispatcher.get(f"/v1/plans/{plan['id']}"))
    return plan


async def ordered(house: House, count: int = 2, **changes: Any) -> None:
    """Let `count` orders come in whose amounts are held."""
    await house.hear(contract_registered())
    for number in range(1, count + 1):
        await house.hear(order_placed(number, **changes), amount_held(number))


async def published(house: House, count: int = 2) -> Any:
    """Return the plan of a day with one courier, published on the eve."""
    await furnish(house)
    await ordered(house, count)
    plan = await drafted(house)
    return checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))


def later(instant: str, minutes: float = 0) -> str:
    """An instant of an answer, some minutes later."""
    return (datetime.fromisoformat(instant) + timedelta(minutes=minutes)).isoformat()


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
