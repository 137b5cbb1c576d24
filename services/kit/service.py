"""A service as the house runs it, and the one function that makes an app of one, two or all of them.

The only file that chooses a bus.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from google.protobuf.message import Message as ProtoMessage
from starlette.staticfiles import StaticFiles

from services.kit.database import Database, Transaction
from services.kit.errors import DomainError
from services.kit.events.bus import Bus, Topic
from services.kit.events.consumer import Consumer
from services.kit.events.log import LogBus
from services.kit.events.relay import Relay
from services.kit.http import description, entrance, envelope, health, operations, problems
from services.kit.http.access import Access, AccountsFile, Tokens
from services.kit.http.doors import Door, Hall
from services.kit.http.html import STATIC, Link
from services.kit.http.idempotency import forget_answers
from services.kit.http.operations import Running
from services.kit.jobs import Job, Jobs
from services.kit.settings import HouseSettings

__all__ = ["BadHouse", "Link", "Navigation", "Service", "TopicFacts", "assemble", "load_topics"]

log = logging.getLogger(__name__)

TOPICS_FILE = Path(__file__).parents[2] / "proto" / "topics.yaml"
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Service:
    """One service: what it owns, whom it answers, what it listens to, what it does by itself."""

    name: str
    database: Database
    routers: Sequence[APIRouter]
    hears: Mapping[type[ProtoMessage], Callable[[Transaction, Any], None]]
    jobs: Sequence[Job] = ()
    problems: Mapping[type[DomainError], int] = field(default_factory=dict)
    """The HTTP status of each refusal; 409 for those that are not named. A base class stands for its subclasses."""
    role_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    static: Path | None = None
    """Served under `/static/<name>/`."""
    links: Sequence[Link] = ()
    """Its entries in the navigation, in order."""
    on_stop: Sequence[Callable[[], None]] = ()
    """Called when the app stops, before the database is let go."""


@dataclass(frozen=True)
class TopicFacts:
    """A topic as `proto/topics.yaml` describes it."""

    name: str
    owner: str
    readers: frozenset[str]
    partitions: int


class BadHouse(ValueError):
    """These services cannot run together like this; the message says why and what to do."""


def load_topics(path: Path = TOPICS_FILE) -> list[TopicFacts]:
    """Read the topics of the house. Raises `BadHouse` when the file is not where the source is."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadHouse(f"{path} is missing: run from a source tree, an editable install or the image") from error
    return [
        TopicFacts(name, facts["owner"], frozenset(facts["readers"]), int(facts["partitions"]))
        for name, facts in content.items()
    ]


@dataclass(frozen=True)
class Navigation:
    """The way to the pages of the whole house, in order, and the scopes of theirs that each role has.

    A process that runs one service must know it to lead its callers to the pages of the others.
    """

    links: Sequence[Link]
    role_scopes: Mapping[str, frozenset[str]]


def assemble(
    services: Sequence[Service],
    house: HouseSettings,
    topics: Sequence[TopicFacts] | None = None,
    navigation: Navigation | None = None,
) -> FastAPI:
    """Return the app that runs these services: their doors at once, their lanes and jobs once it has started.

    `topics` are those of `proto/topics.yaml`, `navigation` leads to the pages of these services, if not said otherwise.

    Raises
    ------
    NoSecretKey
        When sessions would be signed with nothing.
    BadHouse
        When the bus cannot reach everybody it must, or a service listens to what is not meant for it.
    BadAccountsFile
        When the accounts cannot be read.
    TypeError
        When a door asks for what it cannot have.
    """
    topics = load_topics() if topics is None else topics
    navigation = navigation or Navigation([link for service in services for link in service.links], {})
    _check_topics(services, house, topics)
    app = FastAPI(
        title="Tournée",
        lifespan=partial(_run, services=services, house=house, topics=topics),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"metrics": False, "logs": False},  # ours are at /metrics and on standard error
    )
    accounts = AccountsFile(house.accounts)
    accounts.all()  # a file that cannot be read is better noticed now than by the first who logs in
    app.state.access = Access(
        accounts,
        Tokens(house.signing_key()),
        [operations.ROLE_SCOPES, navigation.role_scopes, *(service.role_scopes for service in services)],
    )
    app.state.zone = ZoneInfo(house.zone)
    app.state.links = navigation.links
    app.state.problems = {**problems.KIT_PROBLEMS, **envelope.PROBLEMS, **operations.PROBLEMS}
    app.state.running = {}
    app.state.checks = {}
    hall = Hall()
    app.router.routes.append(hall)
    doors = partial(_open_doors, hall, house)
    doors(health.health(), None)
    doors(entrance.entrance(app.state.access, house), None)
    doors(operations.operations(is_demo=house.demo), None)
    for service in services:
        app.state.problems.update(service.problems)
        for router in service.routers:
            doors(router, service)
        if service.static is not None:
            app.mount(f"/static/{service.name}", StaticFiles(directory=service.static))
    app.mount("/static", StaticFiles(directory=STATIC))
    description.describe(app, hall.doors)
    problems.add_problem_handlers(app)
    app.add_middleware(
        envelope.Envelope,
        allowances=envelope.Allowances(per_second=house.requests_per_second, burst=house.burst_requests),
    )
    return app


def _open_doors(hall: Hall, house: HouseSettings, router: APIRouter, service: Service | None) -> None:
    """Make doors of a router's routes, each knowing whose it is."""
    for context in iter_route_contexts(router.routes):
        door = Door.of(
            context,
            database=service.database if service else None,
            max_body_bytes=house.max_body_bytes,
            tags=context.tags or [service.name if service else "kit"],
        )
        description.describe_door(door)
        hall.add(door)


def _check_topics(services: Sequence[Service], house: HouseSettings, topics: Sequence[TopicFacts]) -> None:
    here = {service.name for service in services}
    known = {topic.name: topic for topic in topics}
    for service in services:
        for event in service.hears:
            name = event.DESCRIPTOR.full_name.rpartition(".")[0]
            if name not in known or service.name not in known[name].readers:
                raise BadHouse(
                    f"{service.name} listens to {event.DESCRIPTOR.full_name}, but topics.yaml does not say so"
                )
    if not house.bus_url.startswith(("sqlite:///", "kafka://")):
        raise BadHouse(f"TOURNEE_BUS_URL is {house.bus_url!r}: say sqlite:///PATH or kafka://HOST:PORT")
    if house.bus_url.startswith("sqlite:///"):
        for topic in topics:
            concerned = topic.readers | {topic.owner}
            elsewhere = concerned - here
            if concerned & here and elsewhere:
                raise BadHouse(
                    f"the embedded log cannot carry {topic.name} to {', '.join(sorted(elsewhere))}, which would run "
                    "elsewhere: serve all services in one process, or set TOURNEE_BUS_URL to kafka://HOST:PORT"
                )


@asynccontextmanager
async def _run(
    app: FastAPI, *, services: Sequence[Service], house: HouseSettings, topics: Sequence[TopicFacts]
) -> AsyncIterator[None]:
    """Run the lanes and jobs of the services while the app runs; end what is under way before it stops."""
    await asyncio.gather(*(asyncio.to_thread(service.database.upgrade) for service in services))
    bus = _open_bus(house, topics)
    lanes = [_Lane(service, bus) for service in services]
    app.state.running = {lane.running.name: lane.running for lane in lanes}
    app.state.checks = {"event bus": partial(_ask_bus, bus, [topic.name for topic in topics])}
    for lane in lanes:
        app.state.checks |= lane.checks()
        lane.start()
    try:
        yield
    finally:
        await asyncio.gather(*(lane.stop() for lane in lanes))
        await bus.close()
        for service in services:
            for stop in service.on_stop:
                await asyncio.to_thread(stop)
            service.database.dispose()


class _Lane:
    """What one service does by itself while the app runs: relay, consumer, jobs."""

    def __init__(self, service: Service, bus: Bus) -> None:
        jobs = [*service.jobs, *_own_jobs(service)]
        self._relay = Relay(service.database, bus, service.name)
        self.running = Running(
            name=service.name,
            database=service.database,
            hears=service.hears,
            bus=bus,
            consumer=Consumer(service.database, bus, service.name, service.hears),
            jobs=Jobs(service.database, jobs, service=service.name),
            job_names=frozenset(job.name for job in jobs),
        )
        self._sources: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return what must hold for this service to be ready."""
        name, database = self.running.name, self.running.database
        return {f"{name} database": partial(asyncio.to_thread, database.ping), f"{name} lane": self._check}

    def start(self) -> None:
        """Start all three."""
        running = self.running
        self._sources = [self._task(running.consumer.run(), "consumer"), self._task(running.jobs.run(), "jobs")]
        self._tasks = [*self._sources, self._task(self._relay.run(), "relay")]

    async def stop(self) -> None:
        """Let what is under way end, then relay what it said."""
        self.running.consumer.stop()
        self.running.jobs.stop()
        await _end(self._sources)
        self._relay.stop()
        await _end(self._tasks)

    def _task(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=f"{self.running.name} {what}")

    async def _check(self) -> None:
        if self.running.consumer.stopped_because:
            raise RuntimeError(self.running.consumer.stopped_because)
        for task in self._tasks:
            if task.done():
                raise RuntimeError(f"{task.get_name()} has ended: {None if task.cancelled() else task.exception()!r}")


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
    for task in late:
        log.warning("%s did not end in %.0f s", task.get_name(), _GRACE_SECONDS)
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("ended badly: %r", outcome, exc_info=outcome)


def _own_jobs(service: Service) -> list[Job]:
    if "kept_answer" not in service.database.metadata.tables:
        return []
    return [Job("forget-answers", 3600, forget_answers)]


async def _ask_bus(bus: Bus, topics: Sequence[str]) -> None:
    await bus.ends(topics)


def _open_bus(house: HouseSettings, topics: Sequence[TopicFacts]) -> Bus:
    wanted = [Topic(topic.name, topic.partitions) for topic in topics]
    kind, _, place = house.bus_url.partition("://")
    if kind == "kafka":
        from services.kit.events.kafka import KafkaBus  # a house in one process need not load it

        return KafkaBus(place, wanted, topic_prefix=house.topic_prefix)
    return LogBus(Path(place.removeprefix("/")), wanted)
