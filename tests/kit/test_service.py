"""Two little services of the tests' own, talking over the real embedded log in one app."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import jsonschema
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import Column, MetaData, String, Table, insert, select

from services.contracts.billing.v1 import events_pb2 as billing_events
from services.contracts.orders.v1 import events_pb2 as orders_events
from services.kit.database import Database, Transaction
from services.kit.errors import DomainError
from services.kit.events import add_lane_tables, outbox
from services.kit.events.message import said
from services.kit.http.access import BadAccountsFile
from services.kit.http.edge import Body, Caller, ReadView, Tx, needs
from services.kit.http.idempotency import add_idempotency_table
from services.kit.jobs import Job, add_lease_table
from services.kit.service import BadHouse, Service, TopicFacts, assemble, load_topics
from services.kit.settings import HouseSettings, NoSecretKey

TOPICS = [
    TopicFacts("orders.v1", "orders", frozenset({"billing"}), 6),
    TopicFacts("billing.v1", "billing", frozenset({"orders"}), 6),
]

METADATA = MetaData()
HEARD = Table("heard", METADATA, Column("id", String(100), primary_key=True))
add_lane_tables(METADATA)
add_lease_table(METADATA)
add_idempotency_table(METADATA)


class Unwanted(DomainError):
    code = "unwanted"
    title = "Non voulu"


UNWANTED: set[str] = set()


class OrderIn(Body):
    order_id: str


def on_order_placed(tx: Transaction, event: orders_events.OrderPlaced) -> None:
    if event.order_id in UNWANTED:
        raise Unwanted("Cette commande n'est pas voulue.")
    tx.execute(insert(HEARD).values(id=event.order_id))


def caller_service(folder: Path) -> Service:
    router = APIRouter()

    @router.post("/v1/orders", status_code=201)
    def place(body: OrderIn, tx: Tx, caller: Annotated[Caller, needs("orders:write")]) -> OrderIn:
        event = orders_events.OrderPlaced(order_id=body.order_id)
        outbox.add(tx, said(event, source="/orders", subject=body.order_id, at=datetime.now(UTC)))
        return body

    return Service("orders", Database(f"sqlite:///{folder}/orders.db", METADATA), [router], {})


def listener_service(folder: Path, stopped: list[str] | None = None) -> Service:
    router = APIRouter()

    @router.get("/v1/heard")
    def heard(view: ReadView) -> list[str]:
        return sorted(view.execute(select(HEARD.c.id)).scalars())

    return Service(
        "billing",
        Database(f"sqlite:///{folder}/billing.db", METADATA),
        [router],
        {orders_events.OrderPlaced: on_order_placed},
        jobs=[Job("nothing", 3600, lambda _database: {"done": 0})],
        on_stop=[lambda: stopped.append("billing")] if stopped is not None else [],
    )


@pytest.fixture
def settings(tmp_path: Path) -> HouseSettings:
    return HouseSettings(
        secret_key="only-for-tests-" + "x" * 32,
        accounts=tmp_path / "accounts.json",
        bus_url=f"sqlite:///{tmp_path}/log.db",
    )


@dataclass
class Talk:
    app: FastAPI
    client: httpx.AsyncClient

    async def heard(self, count: int) -> list[str]:
        for _ in range(200):
            ids: list[str] = (await self.client.get("/v1/heard")).json()
            if len(ids) >= count:
                return ids
            await asyncio.sleep(0.05)
        raise AssertionError(f"only {ids} was heard")


def operator(app: FastAPI) -> dict[str, str]:
    access = app.state.access
    if access.accounts.get("admin") is None:
        access.accounts.add("admin", roles=["administrator"], scopes=["orders:write"])
    return {"Authorization": f"Bearer {access.tokens.issue(access.accounts.get('admin'), 'api', seconds=60)}"}


@pytest.fixture
async def talk(tmp_path: Path, settings: HouseSettings) -> AsyncIterator[Talk]:
    app = assemble([caller_service(tmp_path), listener_service(tmp_path)], settings, TOPICS)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=operator(app)) as client:
            yield Talk(app, client)


async def test_what_one_service_says_the_other_hears(talk: Talk) -> None:
    for number in range(20):
        assert (await talk.client.post("/v1/orders", json={"order_id": f"o{number}"})).status_code == 201
    assert len(await talk.heard(20)) == 20
    for _ in range(100):
        said_ = (await talk.client.get("/v1/operations/orders/lane")).json()
        heard = (await talk.client.get("/v1/operations/billing/lane")).json()
        if said_["outbox"]["pending"] == 0 and heard["topics"] == [{"topic": "orders.v1", "lag": 0, "handled": 20}]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError((said_, heard))


@pytest.fixture
def unwanted() -> Iterator[set[str]]:
    UNWANTED.update({"bad1", "bad2"})
    yield UNWANTED
    UNWANTED.clear()


async def test_a_refused_event_goes_aside_and_can_be_replayed(talk: Talk, unwanted: set[str]) -> None:
    for name in ("bad1", "good", "bad2"):
        await talk.client.post("/v1/orders", json={"order_id": name})
    assert await talk.heard(1) == ["good"]
    letters: list[dict[str, Any]] = []
    for _ in range(100):
        letters = (await talk.client.get("/v1/operations/billing/dead-letters")).json()["items"]
        if len(letters) == 2:
            break
        await asyncio.sleep(0.05)
    assert {letter["key"] for letter in letters} == {"bad1", "bad2"}
    assert letters[0]["reason"] == "unwanted: Cette commande n'est pas voulue."
    address = "/v1/operations/billing/dead-letters/replays"
    too_early = await talk.client.post(address, json={})
    assert too_early.json() == {"replayed": 0, "still_dead": 2}
    unwanted.clear()
    one = await talk.client.post(address, json={"ids": [letters[0]["id"]]})
    assert one.json() == {"replayed": 1, "still_dead": 1}
    rest = await talk.client.post(address, json={})
    assert rest.json() == {"replayed": 1, "still_dead": 0}
    assert await talk.heard(3) == ["bad1", "bad2", "good"]


async def test_what_was_said_before_a_stop_is_heard_after_the_start(tmp_path: Path, settings: HouseSettings) -> None:
    stopped: list[str] = []
    for number in range(3):
        app = assemble([caller_service(tmp_path), listener_service(tmp_path, stopped)], settings, TOPICS)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=operator(app)
            ) as client:
                await client.post("/v1/orders", json={"order_id": f"o{number}"})
    assert stopped == ["billing"] * 3
    app = assemble([caller_service(tmp_path), listener_service(tmp_path)], settings, TOPICS)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), client:
        assert await Talk(app, client).heard(3) == ["o0", "o1", "o2"]


async def test_a_lane_that_has_ended_makes_the_process_not_ready(talk: Talk) -> None:
    assert (await talk.client.get("/readyz")).status_code == 200
    talk.app.state.running["billing"].consumer.stopped_because = "history lost"
    ready = await talk.client.get("/readyz")
    assert (ready.status_code, ready.json()["failing"]) == (503, ["billing lane"])


# -- a house that cannot run is refused at the start -------------------------------------------------------------------


def test_the_embedded_log_is_refused_when_a_reader_runs_elsewhere(tmp_path: Path, settings: HouseSettings) -> None:
    with pytest.raises(BadHouse, match=r"orders\.v1 to billing.*TOURNEE_BUS_URL"):
        assemble([caller_service(tmp_path)], settings, TOPICS)
    assemble([caller_service(tmp_path)], settings.model_copy(update={"bus_url": "kafka://127.0.0.1:1"}), TOPICS)


def test_an_unknown_bus_is_refused(tmp_path: Path, settings: HouseSettings) -> None:
    with pytest.raises(BadHouse, match="rabbit"):
        assemble([], settings.model_copy(update={"bus_url": "rabbit://x"}), TOPICS)


def test_listening_to_what_is_not_meant_for_one_is_refused(tmp_path: Path, settings: HouseSettings) -> None:
    nosy = Service("orders", caller_service(tmp_path).database, [], {orders_events.OrderPlaced: on_order_placed})
    with pytest.raises(BadHouse, match=r"orders listens to orders\.v1\.OrderPlaced"):
        assemble([nosy, listener_service(tmp_path)], settings, TOPICS)
    unknown = Service("billing", nosy.database, [], {billing_events.AmountHeld: on_order_placed})
    with pytest.raises(BadHouse, match="does not say so"):
        assemble([unknown], settings, TOPICS[:1])


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_no_house_starts_on_a_key_that_can_be_guessed(tmp_path: Path, settings: HouseSettings, key: str) -> None:
    weak = HouseSettings(secret_key=key, accounts=settings.accounts, bus_url=settings.bus_url)
    with pytest.raises(NoSecretKey, match="TOURNEE_SECRET_KEY"):
        assemble([caller_service(tmp_path), listener_service(tmp_path)], weak, TOPICS)


def test_no_house_starts_on_an_unreadable_accounts_file(tmp_path: Path, settings: HouseSettings) -> None:
    settings.accounts.write_text("[]")
    with pytest.raises(BadAccountsFile):
        assemble([caller_service(tmp_path), listener_service(tmp_path)], settings, TOPICS)


def test_the_houses_topics_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {topic.name for topic in load_topics()} == {"orders.v1", "dispatch.v1", "dispatch.parts.v1", "billing.v1"}
    with pytest.raises(BadHouse, match="missing"):
        load_topics(tmp_path / "topics.yaml")


# -- the interface's description ---------------------------------------------------------------------------------------


async def test_the_description_of_the_interface_tells_refusals_and_access(talk: Talk) -> None:
    document = (await talk.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    place = document["paths"]["/v1/orders"]["post"]
    assert set(place["responses"]) >= {"201", "400", "401", "403", "409", "413", "422", "429", "500"}
    refusal = place["responses"]["422"]["content"]["application/problem+json"]
    assert refusal["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert place["security"] == [{"machine": ["orders:write"]}, {"person": []}]
    flow = document["components"]["securitySchemes"]["machine"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == {"orders:write", "operations"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    heard = document["paths"]["/v1/heard"]["get"]
    assert "security" not in heard


async def test_a_problem_is_what_the_description_says(talk: Talk) -> None:
    document = (await talk.client.get("/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    for answer in (
        await talk.client.post("/v1/orders", json={"order": 1}),
        await talk.client.get("/v1/nowhere"),
        await talk.client.get("/v1/operations/nobody/lane"),
    ):
        jsonschema.validate(answer.json(), schema)


async def test_every_reference_of_the_description_leads_somewhere(talk: Talk) -> None:
    document = (await talk.client.get("/openapi.json")).json()

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for value in part.values() for found in references(value)]
        if isinstance(part, list):
            return [found for value in part for found in references(value)]
        return []

    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
