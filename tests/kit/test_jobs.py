"""Jobs run every so often, one runner at a time, and what goes wrong is recorded."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import sleep

import pytest

from services.kit.database import Database
from services.kit.jobs import Job, JobRun, Jobs, last_runs
from tests.kit.conftest import metadata
from tests.servers.postgres import PostgresServer


@asynccontextmanager
async def running(*jobs: Jobs) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in jobs]
    yield
    for one in jobs:
        one.stop()
    await asyncio.wait_for(asyncio.gather(*tasks), 20)


def counting(times: list[str], name: str, every_seconds: float = 3600) -> Job:
    """A job that counts its runs."""

    def count(database: Database) -> Mapping[str, object]:
        times.append(name)
        return {}

    return Job("work", every_seconds, count)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def runs(database: Database) -> dict[str, JobRun]:
    with database.view() as view:
        return {run.job: run for run in last_runs(view)}


async def test_a_job_runs_at_once_and_then_every_so_often(database: Database) -> None:
    times: list[int] = []

    def work(database: Database) -> Mapping[str, object]:
        times.append(1)
        return {"times": len(times)}

    async with running(Jobs(database, [Job("work", 0.05, work)])):
        await until(lambda: len(times) >= 3)
    run = runs(database)["work"]
    assert run.summary == {"times": len(times)}
    assert run.error == ""
    assert run.ended_at is not None
    assert run.ended_at >= run.started_at


async def test_a_job_that_is_not_due_yet_is_left_alone_by_a_process_that_starts(database: Database) -> None:
    times: list[str] = []
    job = counting(times, "here")
    async with running(Jobs(database, [job])):
        await until(lambda: "work" in runs(database) and runs(database)["work"].ended_at is not None)
    async with running(Jobs(database, [job])):
        await asyncio.sleep(0.2)
    assert len(times) == 1


async def test_an_async_job_runs_on_the_loop_and_a_plain_one_in_a_thread(database: Database) -> None:
    threads: dict[str, str] = {}

    async def on_loop(database: Database) -> Mapping[str, object]:
        threads["async"] = threading.current_thread().name
        return {}

    def in_thread(database: Database) -> Mapping[str, object]:
        threads["plain"] = threading.current_thread().name
        return {}

    jobs = Jobs(database, [Job("async", 60, on_loop), Job("plain", 60, in_thread)], service="kit")
    async with running(jobs):
        await until(lambda: len(threads) == 2)
    assert threads["async"] == "MainThread"
    assert threads["plain"].startswith("kit-jobs")


async def test_an_exception_is_recorded_and_the_job_runs_again(database: Database) -> None:
    times: list[int] = []

    def work(database: Database) -> Mapping[str, object]:
        times.append(1)
        if len(times) < 3:
            raise LookupError("not found")
        return {"done": True}

    jobs = Jobs(database, [Job("work", 0.05, work), Job("other", 60, lambda database: {})])
    async with running(jobs):
        await until(lambda: "work" in runs(database) and runs(database)["work"].error != "")
        assert runs(database)["work"].error == "LookupError: not found"
        await until(lambda: len(times) >= 3 and runs(database)["work"].summary == {"done": True})
    assert runs(database)["work"].error == ""


async def test_two_runners_never_run_a_job_at_the_same_time(open_database: Callable[[], Database]) -> None:
    inside, most, times = 0, 0, 0
    lock = threading.Lock()

    def work(database: Database) -> Mapping[str, object]:
        nonlocal inside, most, times
        with lock:
            inside += 1
            times += 1
            most = max(most, inside)
        sleep(0.03)
        with lock:
            inside -= 1
        return {}

    job = Job("work", 0.01, work)
    async with running(*(Jobs(open_database(), [job]) for _ in range(3))):
        await until(lambda: times >= 8)
    assert most == 1


async def test_run_now_runs_it_once_and_gives_its_summary(database: Database) -> None:
    times: list[int] = []

    def work(database: Database) -> Mapping[str, object]:
        sleep(0.05)
        times.append(1)
        return {"times": len(times)}

    jobs = Jobs(database, [Job("work", 3600, work)])
    async with running(jobs):
        await until(lambda: len(times) == 1)
        assert await jobs.run_now("work") == {"times": 2}
        first, second = await asyncio.gather(jobs.run_now("work"), jobs.run_now("work"))
    assert [first, second] == [{"times": 3}, {"times": 4}]


async def test_run_now_waits_for_the_run_of_another_process(open_database: Callable[[], Database]) -> None:
    order: list[str] = []

    def slow(database: Database) -> Mapping[str, object]:
        order.append("slow begins")
        sleep(0.3)
        order.append("slow ends")
        return {}

    here = Jobs(open_database(), [counting(order, "here")])
    there = Jobs(open_database(), [Job("work", 3600, slow)])
    other = asyncio.create_task(there.run_now("work"))
    await until(lambda: order == ["slow begins"])
    await here.run_now("work")
    await other
    assert order == ["slow begins", "slow ends", "here"]


async def test_run_now_raises_what_the_job_raised_and_refuses_unknown_names(database: Database) -> None:
    def work(database: Database) -> Mapping[str, object]:
        raise LookupError("no")

    jobs = Jobs(database, [Job("work", 3600, work)])
    with pytest.raises(LookupError):
        await jobs.run_now("work")
    assert runs(database)["work"].error == "LookupError: no"
    with pytest.raises(KeyError):
        await jobs.run_now("play")


async def test_a_job_longer_than_its_lease_keeps_it(
    open_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.jobs._LEASE_SECONDS", 0.2)
    times: list[str] = []

    def slow(database: Database) -> Mapping[str, object]:
        times.append("slow")
        sleep(0.8)
        times.append("slow ends")
        return {}

    async with running(Jobs(open_database(), [Job("work", 3600, slow)])):
        await until(lambda: times == ["slow"])
        await asyncio.wait_for(Jobs(open_database(), [counting(times, "next")]).run_now("work"), 20)
        with open_database().view() as view:
            (run,) = last_runs(view)
    assert times == ["slow", "slow ends", "next"]
    assert run.summary == {}


DIE_AT_WORK = """
import asyncio, os, signal, sys
from services.kit.database import Database
from services.kit.jobs import Job, Jobs
from tests.kit.conftest import metadata

def work(database):
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(Jobs(Database(sys.argv[1], metadata), [Job("work", 3600, work)]).run())
"""


async def test_a_runner_that_was_killed_at_work_does_not_keep_the_job(database: Database, url: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", DIE_AT_WORK, url],
        cwd=Path(__file__).parents[2],
        env=os.environ,
        timeout=30,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert runs(database)["work"].ended_at is None
    jobs = Jobs(database, [Job("work", 3600, lambda database: {"done": True})])
    assert await asyncio.wait_for(jobs.run_now("work"), 5) == {"done": True}


async def test_a_database_that_is_away_does_not_end_the_loop(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.create_database(), metadata)
    database.upgrade()
    times: list[str] = []
    async with running(Jobs(database, [counting(times, "here", 0.05)])):
        await until(lambda: len(times) > 0)
        await asyncio.to_thread(postgres_server.kill)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(postgres_server.start)
        before = len(times)
        await until(lambda: len(times) > before)
    database.dispose()
