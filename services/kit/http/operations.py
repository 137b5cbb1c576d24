"""The doors of those who keep the house running: the lane, the jobs, the dead letters, a demo's clock."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, BaseModel

from services.kit import clock
from services.kit.database import Database, View
from services.kit.errors import DomainError
from services.kit.events import inbox
from services.kit.events.bus import Bus, BusAway
from services.kit.events.consumer import Consumer, Hears, lane_status, replay_dead_letters
from services.kit.http.edge import Body, Caller, needs
from services.kit.jobs import Jobs, last_runs

log = logging.getLogger(__name__)
T = TypeVar("T")

SCOPE = "operations"
ROLE_SCOPES = {"administrator": frozenset({SCOPE})}

Operator = Annotated[Caller, needs(SCOPE)]
ServiceName = Annotated[str, Path(max_length=50)]


@dataclass(frozen=True)
class Running:
    """A service as it runs in this process."""

    name: str
    database: Database
    hears: Hears
    bus: Bus
    consumer: Consumer
    jobs: Jobs
    job_names: Collection[str]


class NotRunHere(DomainError):
    """This process does not run that service, or the service has no such job."""

    code = "not-run-here"
    title = "Introuvable ici"


class JobFailed(DomainError):
    """The job ended with an error."""

    code = "job-failed"
    title = "Tâche en échec"


class ClockIsReal(DomainError):
    """Only a demo house lives on a set clock."""

    code = "clock-is-real"
    title = "Horloge réelle"


class BusSilent(DomainError):
    """What carries the events does not answer."""

    code = "bus-away"
    title = "Bus d'événements injoignable"


PROBLEMS: dict[type[DomainError], int] = {NotRunHere: 404, JobFailed: 500, ClockIsReal: 404, BusSilent: 503}


class OutboxOut(BaseModel):
    """What waits to be said."""

    pending: int
    oldest_seconds: float


class TopicOut(BaseModel):
    """How many events of a topic have not been handled yet, and how many have been."""

    topic: str
    lag: int
    handled: int


class LaneOut(BaseModel):
    """How a service's lane stands. `stopped_because` is empty while all is well."""

    service: str
    outbox: OutboxOut
    topics: list[TopicOut]
    dead_letters: int
    stopped_because: str


class RunOut(BaseModel):
    """The last run of a job."""

    job: str
    started_at: datetime
    ended_at: datetime | None
    summary: dict[str, Any]
    error: str


class JobDone(BaseModel):
    """What a run that was asked for came to."""

    job: str
    summary: dict[str, Any]


class DeadLetterOut(BaseModel):
    """An event that was set aside. A parked one only waits behind another of the same key."""

    id: int
    topic: str
    partition: int
    offset: int
    key: str
    event_id: str
    type: str
    time: datetime
    is_parked: bool
    reason: str
    attempts: int
    first_seen: datetime


class DeadLettersOut(BaseModel):
    """The dead letters, oldest first, a thousand at most."""

    items: list[DeadLetterOut]


class ReplayIn(Body):
    """Which dead letters to try again: these ids, or all of them. Those of the same key go along, in order."""

    ids: list[int] | None = None


class ReplayOut(BaseModel):
    """What came of a replay."""

    replayed: int
    still_dead: int


class ClockIn(Body):
    """The instant that the house shall take for the present."""

    at: AwareDatetime


class ClockOut(BaseModel):
    """The house's present."""

    now: datetime


def operations(*, is_demo: bool) -> APIRouter:
    """Return the doors of the operators. They find the running services in `app.state.running`."""
    router = APIRouter(prefix="/v1/operations/{service}", tags=["operations"])

    @router.get("/lane")
    async def lane(service: ServiceName, request: Request, _operator: Operator) -> LaneOut:
        """Tell how far a service's events are."""
        running = _running(request, service)
        try:
            status = await lane_status(running.database, running.bus, running.hears)
        except BusAway as away:
            raise BusSilent("Le bus d'événements ne répond pas : réessayez, ou vérifiez-le.") from away
        return LaneOut(
            service=service,
            outbox=OutboxOut(pending=status.pending, oldest_seconds=status.oldest_pending_seconds),
            topics=[
                TopicOut(topic=topic, lag=lag, handled=status.handled[topic])
                for topic, lag in sorted(status.lag.items())
            ],
            dead_letters=status.dead_letters,
            stopped_because=running.consumer.stopped_because,
        )

    @router.get("/jobs")
    async def jobs(service: ServiceName, request: Request, _operator: Operator) -> list[RunOut]:
        """Tell what the last run of each job came to."""
        runs = await to_thread.run_sync(_viewed, _running(request, service).database, last_runs)
        return [RunOut(**vars(run)) for run in runs]

    @router.post("/jobs/{job}/runs")
    async def run_job(
        service: ServiceName, job: Annotated[str, Path(max_length=100)], request: Request, _operator: Operator
    ) -> JobDone:
        """Run a job now, after the run under way if there is one, and tell what it came to."""
        running = _running(request, service)
        if job not in running.job_names:
            raise NotRunHere("Ce service n'a pas de tâche de ce nom.", jobs=sorted(running.job_names))
        try:
            return JobDone(job=job, summary=dict(await running.jobs.run_now(job)))
        except Exception as error:
            log.exception("job failed", extra={"facts": {"job": job, "service": service}})
            raise JobFailed("La tâche a échoué : voyez le journal du service, puis relancez-la.", job=job) from error

    @router.get("/dead-letters")
    async def dead_letters(service: ServiceName, request: Request, _operator: Operator) -> DeadLettersOut:
        """List the events that were set aside, with the reason."""
        letters = await to_thread.run_sync(_viewed, _running(request, service).database, inbox.dead_letters)
        return DeadLettersOut(items=[_letter(letter) for letter in letters])

    @router.post("/dead-letters/replays")
    async def replay(service: ServiceName, body: ReplayIn, request: Request, _operator: Operator) -> ReplayOut:
        """Give the events that were set aside to their handlers again, in order."""
        running = _running(request, service)
        result = await to_thread.run_sync(replay_dead_letters, running.database, running.hears, body.ids)
        return ReplayOut(replayed=result.replayed, still_dead=result.still_dead)

    @router.put("/clock")
    async def set_clock(service: ServiceName, body: ClockIn, request: Request, _operator: Operator) -> ClockOut:
        """Set the clock of this process, in a demo house only."""
        _running(request, service)
        if not is_demo:
            raise ClockIsReal("L'horloge ne se règle que dans une maison de démonstration.")
        clock.set_now(body.at)
        return ClockOut(now=clock.utc_now())

    return router


def _running(request: Request, name: str) -> Running:
    running: Mapping[str, Running] = request.app.state.running
    if name not in running:
        raise NotRunHere("Ce processus ne fait pas tourner ce service.", services=sorted(running))
    return running[name]


def _viewed(database: Database, read: Callable[[View], T]) -> T:
    with database.view() as view:
        return read(view)


def _letter(letter: inbox.DeadLetter) -> DeadLetterOut:
    return DeadLetterOut(
        id=letter.id,
        topic=letter.partition.topic,
        partition=letter.partition.number,
        offset=letter.offset,
        key=letter.message.subject,
        event_id=letter.message.id,
        type=letter.message.type,
        time=letter.message.time,
        is_parked=letter.is_parked,
        reason=letter.reason,
        attempts=letter.attempts,
        first_seen=letter.first_seen,
    )
