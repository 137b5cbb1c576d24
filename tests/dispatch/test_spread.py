"""Parts of big days: several processes of the service, one database, either bus."""

import asyncio
import multiprocessing
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.contracts.dispatch.parts.v1.events_pb2 import PlanPartRequested
from services.dispatch import jobs
from services.dispatch import spread as spreading
from services.dispatch.domain.part import PlanPart
from services.dispatch.domain.plan import PlanState
from services.dispatch.domain.reach import EVERYTHING
from services.dispatch.handlers import HEARS
from services.dispatch.jobs import Solver
from services.dispatch.planning.check import check
from services.dispatch.planning.document import pack
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.solve import search_whole
from services.dispatch.planning.split import split
from services.dispatch.repository import parts, plans
from services.dispatch.spread import PartSearchers, Spread
from services.dispatch.travel import Roads
from services.dispatch.use_cases.parts import listen, request_part, unlisten
from services.dispatch.use_cases.plans import request_plan
from services.dispatch.worker import WorkerDied
from services.kit import leases
from services.kit.database import Database
from services.kit.events import outbox
from services.kit.events.bus import Bus, Topic
from services.kit.events.consumer import Consumer, Hears
from services.kit.events.kafka import KafkaBus
from services.kit.events.log import LogBus
from services.kit.events.relay import Relay
from services.kit.ids import new_id
from tests.dispatch.builders import NOW, PARIS, TODAY
from tests.dispatch.conftest import hear
from tests.dispatch.planning.test_split import a_city
from tests.dispatch.test_races import furnish
from tests.servers.kafka import KafkaServer

TOPIC = Topic("dispatch.parts.v1", 6)
CITY = a_city(40, 8)
HEARS_OF_PARTS: Hears = {PlanPartRequested: HEARS[PlanPartRequested]}


@pytest.fixture(scope="module")
def searchers() -> Iterator[tuple[PartSearchers, PartSearchers]]:
    """Those of two processes, ready: to start one takes seconds."""
    both = PartSearchers(1), PartSearchers(1)
    for one in both:
        one.start()
    for one in both:
        one.ask(bool, seconds=0)
    yield both
    for one in both:
        one.stop()


@pytest.fixture(params=["log", pytest.param("kafka", marks=pytest.mark.kafka)])
async def buses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Bus]]:
    """Three connections to one bus of either kind, as three processes have."""
    prefix = f"{uuid4().hex[:8]}."
    kafka: KafkaServer | None = request.getfixturevalue("kafka_server") if request.param == "kafka" else None

    def connected() -> Bus:
        if kafka is not None:
            return KafkaBus(kafka.bootstrap, [TOPIC], topic_prefix=prefix, session_seconds=1.0)
        return LogBus(tmp_path / "log.db", [TOPIC], member_seconds=1.0, glance_seconds=0.02)

    made = [connected() for _ in range(3)]
    yield made
    for bus in made:
        await bus.close()


def a_plan(database: Database) -> str:
    with database.transaction() as tx:
        return request_plan(tx, EVERYTHING, TODAY, seconds=5, requested_by="Régie", at=NOW).id


def a_part(database: Database, plan_id: str, *, seconds: float = 0.1, problem: bytes | None = None) -> PlanPart:
    part = PlanPart(new_id(), plan_id, NOW, seconds, 1, problem or pack(CITY), None)
    with database.transaction() as tx:
        request_part(tx, part)
    return part


def answers(database: Database, asked: list[PlanPart]) -> list[bytes | None]:
    with database.view() as view:
        return [parts.answer_to(view, part.id) for part in asked]


def solved(database: Database, plan_id: str, spread: Spread, seconds: float = 4.0) -> Plan:
    return spread.solve(
        database,
        plan_id,
        CITY,
        seconds,
        1,
        solve_whole=search_whole,
        watch=lambda elapsed, better: None,
        should_stop=lambda: False,
    )


def test_parts_that_two_processes_find_are_searched_once(
    either_database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    plan_id = a_plan(either_database)
    asked = [a_part(either_database, plan_id) for _ in range(6)]
    done: list[int] = []
    threads = [threading.Thread(target=lambda one=one: done.append(one.run(either_database))) for one in searchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(done) == 6
    assert all(answers(either_database, asked))


def test_a_part_whose_process_died_is_searched_by_another(
    database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    part = a_part(database, a_plan(database), seconds=2.0)
    before = {child.pid for child in multiprocessing.active_children()}
    unlucky = PartSearchers(1)
    unlucky.start()
    unlucky.ask(bool, seconds=0)
    died: list[type[BaseException]] = []

    def run() -> None:
        try:
            unlucky.run(database)
        except WorkerDied as error:
            died.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    (process,) = (child for child in multiprocessing.active_children() if child.pid not in before)
    process.kill()
    thread.join(60)
    unlucky.stop()
    assert died == [WorkerDied]
    assert answers(database, [part]) == [None]
    assert searchers[0].run(database) == 1
    assert all(answers(database, [part]))


def test_whoever_hears_of_a_part_is_woken_after_the_transaction(database: Database) -> None:
    part = a_part(database, a_plan(database))
    woken: list[Database] = []
    listen(database, woken.append)
    hear(database, PlanPartRequested(part_id=part.id, plan_id=part.plan_id))
    assert woken == [database]
    hear(database, PlanPartRequested(part_id=new_id(), plan_id=part.plan_id))  # taken away meanwhile
    assert woken == [database]
    unlisten(database, woken.append)


async def test_a_day_is_searched_by_those_who_hear_of_its_parts(
    either_database: Database, searchers: tuple[PartSearchers, PartSearchers], buses: list[Bus]
) -> None:
    # One process asks and says it; two others hear of it, on the same database.
    plan_id = await asyncio.to_thread(a_plan, either_database)
    asking = PartSearchers(1)
    relay = Relay(either_database, buses[0], "dispatch")
    consumers = [Consumer(either_database, bus, "dispatch", HEARS_OF_PARTS) for bus in buses[1:]]
    tasks = [asyncio.create_task(relay.run()), *(asyncio.create_task(consumer.run()) for consumer in consumers)]
    heard: list[Database] = []

    def wake(database: Database) -> None:
        heard.append(database)
        searchers[len(heard) % 2].wake(database)

    async with AsyncExitStack() as stack:
        listen(either_database, wake)
        stack.callback(unlisten, either_database, wake)
        stack.callback(asking.stop)
        plan = await asyncio.to_thread(solved, either_database, plan_id, Spread(asking, 2))
        for consumer in consumers:
            consumer.stop()
        relay.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
    assert heard, "nobody heard of a part"
    assert check(CITY, plan) == []
    assert len(plan.planned) + len(plan.left_out) == 40
    with either_database.view() as view:
        assert parts.waiting(view) == []
    assert waiting_messages(either_database) == []


def test_a_big_day_that_was_asked_for_is_planned_in_parts(
    database: Database,
    solver: Solver,
    searchers: tuple[PartSearchers, PartSearchers],
    monkeypatch: pytest.MonkeyPatch,
    clock_at_now: datetime,
) -> None:
    monkeypatch.setattr(jobs, "BIG_REQUESTS", 4)
    furnish(database, 4)
    plan_id = a_plan(database)
    told: list[str] = []
    outbox.listen(database, lambda: told.extend(one.message.type for one in waiting_messages(database)))
    planner = jobs.Planner(PARIS, solver, Roads(), Spread(searchers[0], 2))
    assert planner.run(database) == {"computed": 1}
    planner.stop()
    with database.view() as view:
        plan = plans.get(view, plan_id)
    assert plan.state is PlanState.DRAFT
    assert len([delivery_id for round_ in plan.rounds for delivery_id in round_.delivery_ids]) == 4
    assert "dispatch.parts.v1.PlanPartRequested" in told


def waiting_messages(database: Database) -> list[outbox.Pending]:
    with database.view() as view:
        return outbox.pending(view, 10)


def test_without_anybody_who_hears_the_asking_process_searches_itself(
    database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    plan = solved(database, a_plan(database), Spread(searchers[0], 2))
    assert check(CITY, plan) == []


def test_a_part_that_somebody_keeps_and_never_answers_is_searched_by_whoever_asked(
    database: Database, searchers: tuple[PartSearchers, PartSearchers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "PATIENCE_SECONDS", 0.5)
    plan_id = a_plan(database)
    is_over = threading.Event()

    def keep_all() -> None:  # a machine that takes every part, and is then switched off
        while not is_over.wait(0.01):
            with database.view() as view:
                waiting = parts.waiting(view)
            for part_id in waiting:
                leases.take(database, f"part:{part_id}", seconds=600, holder="switched off")

    thread = threading.Thread(target=keep_all)
    thread.start()
    try:
        plan = solved(database, plan_id, Spread(searchers[0], 2), seconds=1.0)
    finally:
        is_over.set()
        thread.join()
    assert check(CITY, plan) == []


def test_a_part_that_nobody_waits_for_any_more_is_left(
    database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    part = a_part(database, a_plan(database), seconds=120)
    searching = threading.Thread(target=searchers[0].run, args=(database,))
    searching.start()
    searching.join(2)
    assert searching.is_alive()
    with database.transaction() as tx:
        parts.remove(tx, part.id)
    searching.join(20)
    assert not searching.is_alive()
    assert leases.take(database, f"part:{part.id}", seconds=1, holder="another")


class Dying(PartSearchers):
    """Searchers that die over each part, as where a machine has too little memory for one."""

    def search(self, part: PlanPart, is_wanted: Callable[[], bool] = lambda: True) -> bytes:
        raise WorkerDied("part")


def test_a_part_whose_searchers_die_stays_as_it_was(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(spreading, "LISTEN_SECONDS", 0.01)
    dying = Dying(1)
    try:
        plan = solved(database, a_plan(database), Spread(dying, 2), seconds=1.0)
    finally:
        dying.stop()
    assert check(CITY, plan) == []
    assert plan.routes


def test_a_search_that_fails_fails_the_plan(database: Database, searchers: tuple[PartSearchers, PartSearchers]) -> None:
    part = a_part(database, a_plan(database), problem=zlib.compress(b"nonsense"))
    assert searchers[0].run(database) == 1
    assert answers(database, [part]) == [b""]  # whoever asked will search it itself, and tell why that fails
    with pytest.raises(Exception, match="compacté"):
        searchers[0].search(part)


def test_what_a_dead_process_had_asked_for_is_taken_away_when_its_plan_is_made_again(
    database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    plan_id = a_plan(database)
    orphan = a_part(database, plan_id, seconds=600)
    solved(database, plan_id, Spread(searchers[0], 2), seconds=1.0)
    with database.view() as view:
        assert parts.get_waiting(view, orphan.id) is None


def test_a_part_is_searched_as_the_piece_of_the_whole_that_it_is(
    database: Database, searchers: tuple[PartSearchers, PartSearchers]
) -> None:
    plan_id = a_plan(database)
    part = replace(a_part(database, plan_id), id=new_id(), span_start=0.25, span_end=0.5)
    with database.transaction() as tx:
        request_part(tx, part)
        assert parts.get_waiting(tx, part.id) == part
    assert searchers[0].run(database) == 2


def test_parts_of_an_earlier_version_are_searched_as_whole_ones(either_database: Database) -> None:
    part = a_part(either_database, a_plan(either_database))
    with either_database.transaction() as tx:
        for name in ("span_start", "span_end"):
            tx.execute(text(f"ALTER TABLE plan_parts DROP COLUMN {name}"))
    either_database.upgrade()
    with either_database.view() as view:
        assert parts.get_waiting(view, part.id) == part


def test_an_event_says_of_a_part_where_it_is_and_no_more() -> None:
    # What an event holds is kept for ever; a part of 300 requests is many times that, and lies in the database.
    (part, *_) = split(a_city(300, 20), None, 300)
    event = PlanPartRequested(part_id=new_id(), plan_id=new_id())
    assert event.ByteSize() < 100 < len(pack(part.problem)) // 100
