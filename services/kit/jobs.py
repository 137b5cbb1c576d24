"""Run a job every so often, one runner at a time wherever the service's processes are.

Not a queue: a job finds what there is to do in the database, so a run that was missed or doubled is harmless.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import uniform
from typing import Any, TypeVar

from sqlalchemy import JSON, Column, MetaData, String, Table, Text, select

from services.kit import leases, telemetry
from services.kit.clock import real_seconds
from services.kit.database import Database, UtcDateTime, View, put

log = logging.getLogger(__name__)
T = TypeVar("T")

_RUNS = Table(
    "job_run",
    MetaData(),
    Column("job", String(200), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("summary", JSON, nullable=False),
    Column("error", Text, nullable=False),
)

_LEASE_SECONDS = 10.0


def add_lease_table(metadata: MetaData) -> None:
    """Add what jobs need to a service's tables: the lease, and the last run of each job."""
    leases.add_to(metadata)
    _RUNS.to_metadata(metadata)


@dataclass(frozen=True)
class Job:
    """Something to do every so often.

    `run` gets the service's database, opens its own transactions, and returns a small summary that JSON can hold. A
    plain function runs in a thread of its own; an async one runs on the loop and must not block it.
    """

    name: str
    every_seconds: float
    run: Callable[[Database], Mapping[str, object] | Awaitable[Mapping[str, object]]]


@dataclass(frozen=True)
class JobRun:
    """The last run of a job: `ended_at` is None while it runs or when its process died; `error` is empty when it
    ended well.
    """

    job: str
    started_at: datetime
    ended_at: datetime | None
    summary: Mapping[str, object]
    error: str


def last_runs(view: View) -> list[JobRun]:
    """Return the last run of each job, by name."""
    rows = view.execute(select(_RUNS).order_by(_RUNS.c.job))
    return [JobRun(row.job, row.started_at, row.ended_at, row.summary, row.error) for row in rows]


class Jobs:
    """The jobs of one service in this process."""

    def __init__(self, database: Database, jobs: Sequence[Job], *, service: str = "") -> None:
        self._database = database
        self._jobs = {job.name: job for job in jobs}
        self._service = service
        self._stopping = asyncio.Event()
        self._locks = {job.name: asyncio.Lock() for job in jobs}
        self._threads = ThreadPoolExecutor(max_workers=len(jobs) + 1, thread_name_prefix=f"{service}-jobs")

    async def run(self) -> None:
        """Run every job when it is due, until `stop`. An exception of a job is logged and recorded, never raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for job in self._jobs.values():
                    group.create_task(self._repeat(job))
        finally:
            self._threads.shutdown(wait=False)

    def stop(self) -> None:
        """Let running jobs end and start no more."""
        self._stopping.set()

    async def run_now(self, name: str) -> Mapping[str, object]:
        """Run a job once, now, after the one under way if there is one; return its summary.

        Raises
        ------
        KeyError
            When there is no such job.
        Exception
            What the job raised.
        """
        job = self._jobs[name]
        async with self._locks[name]:
            while not await self._in_thread(self._take, job):  # noqa: ASYNC110 - another process has it
                await asyncio.sleep(0.05)
            return await self._run_leased(job)

    async def _repeat(self, job: Job) -> None:
        while not self._stopping.is_set():
            wait = job.every_seconds
            try:
                async with self._locks[job.name]:
                    wait = await self._in_thread(self._seconds_until_due, job)
                    if wait <= 0:
                        wait = job.every_seconds
                        if await self._in_thread(self._take, job):
                            await self._run_leased(job)
            except Exception:
                log.exception("job failed", extra={"facts": {"job": job.name, "service": self._service}})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait * uniform(0.95, 1.0))  # noqa: S311 - spreads the load

    def _seconds_until_due(self, job: Job) -> float:
        with self._database.view() as view:
            started: datetime | None = view.execute(
                select(_RUNS.c.started_at).where(_RUNS.c.job == job.name)
            ).scalar_one_or_none()
        return started.timestamp() + job.every_seconds * 0.9 - real_seconds() if started else 0.0

    def _take(self, job: Job) -> bool:
        return leases.take(self._database, f"job:{job.name}", seconds=_LEASE_SECONDS, holder=str(id(self)))

    async def _run_leased(self, job: Job) -> Mapping[str, object]:
        """Run a job whose lease is held, renewing it meanwhile; record what came of it."""
        started = _real_now()
        await self._in_thread(self._record, job, started, None, {}, "")
        renewal = asyncio.create_task(self._renew(job))
        try:
            with telemetry.about(job=job.name, service=self._service):
                if inspect.iscoroutinefunction(job.run):
                    summary = dict(await job.run(self._database))
                else:
                    summary = dict(await self._in_thread(job.run, self._database))  # type: ignore[arg-type]
        except Exception as error:
            telemetry.JOB_RUNS.labels(job.name, "failed").inc()
            await self._in_thread(self._record, job, started, _real_now(), {}, f"{type(error).__name__}: {error}")
            raise
        else:
            telemetry.JOB_RUNS.labels(job.name, "done").inc()
            await self._in_thread(self._record, job, started, _real_now(), summary, "")
            return summary
        finally:
            renewal.cancel()
            await self._in_thread(self._give_back, job)

    async def _renew(self, job: Job) -> None:
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            with suppress(Exception):  # the database is away: the job itself will notice
                await self._in_thread(self._take, job)

    def _give_back(self, job: Job) -> None:
        leases.give_back(self._database, f"job:{job.name}", holder=str(id(self)))

    def _record(
        self, job: Job, started: datetime, ended: datetime | None, summary: Mapping[str, object], error: str
    ) -> None:
        with self._database.transaction() as tx:
            put(
                tx,
                _RUNS,
                {"job": job.name, "started_at": started, "ended_at": ended, "summary": summary, "error": error},
            )

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _real_now() -> datetime:
    return datetime.fromtimestamp(real_seconds(), UTC)
