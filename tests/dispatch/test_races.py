"""What happens at once, on both databases: reports and cancellations, publications, shifts."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from google.protobuf.message import Message as ProtoMessage

from services.contracts.dispatch.v1.events_pb2 import DeliveryCancelled, DeliveryPlanned, StopCompleted
from services.dispatch import travel
from services.dispatch.domain.courier import Bike, BikeTerms, Courier, CourierTerms, Point, Shift, ShiftTerms
from services.dispatch.domain.errors import PlanStale, ReplanStale, ShiftInUse
from services.dispatch.domain.plan import Plan
from services.dispatch.domain.reach import EVERYTHING, Reach
from services.dispatch.domain.replan import ChangeKind, CourierLate, Happened, Replan
from services.dispatch.domain.ride import Report, ReportKind
from services.dispatch.domain.round import Round
from services.dispatch.planning.replan import replan
from services.dispatch.planning.solve import Steps, solve
from services.dispatch.planning.translate import places, to_problem, to_rounds
from services.dispatch.repository import crew, deliveries, plans, rounds
from services.dispatch.tables import metadata
from services.dispatch.use_cases import crew as crew_stories
from services.dispatch.use_cases import moves, replans, rides
from services.dispatch.use_cases import plans as stories
from services.kit.database import Database, Transaction
from services.kit.errors import DomainError
from services.kit.ids import new_id
from tests.dispatch.builders import (
    NOW,
    PARIS,
    TODAY,
    amount_held,
    at,
    contract_registered,
    order_cancelled,
    order_id,
    order_placed,
)
from tests.dispatch.conftest import hear, told
from tests.servers.postgres import PostgresServer

DEPOT = Point(47.218, -1.554)
ROUNDS_OF_RACING = 10


def furnish(database: Database, count: int) -> Courier:
    """A cooperative with one courier, bike and shift, and `count` deliveries to plan."""
    with database.transaction() as tx:
        crew_stories.register_cooperative(tx, "erdre", "Erdre")
        erdre = Reach("erdre")
        courier = crew_stories.register_courier(tx, erdre, None, CourierTerms("Amel", account="amel"))
        bike = crew_stories.register_bike(tx, erdre, None, BikeTerms("Cargo", 160_000, 900_000))
        add_shift(tx, courier, bike, TODAY)
    hear(database, contract_registered())
    for number in range(1, count + 1):
        hear(database, order_placed(number), amount_held(number))
    return courier


def add_shift(tx: Any, courier: Courier, bike: Bike, day: date) -> Shift:
    terms = ShiftTerms(courier.id, bike.id, day, at(7, day=day), at(13, day=day), DEPOT, DEPOT)
    return crew_stories.agree_shift(tx, EVERYTHING, terms)


def draft(database: Database) -> str:
    """Plan TODAY in this process and return the plan's id."""
    with database.transaction() as tx:
        asked = stories.request_plan(tx, EVERYTHING, TODAY, seconds=1, requested_by="Régie", at=NOW)
        plan = stories.begin_plan(tx, asked.id, at=NOW)
        day = stories.read_day(tx, TODAY, PARIS, not_before=plan.not_before)
    ridden = travel.matrix(places(day.deliveries_to_plan(), day.shifts_to_plan()))
    problem = to_problem(
        day.deliveries_to_plan(),
        day.shifts_to_plan(),
        travel_seconds=ridden.seconds,
        travel_metres=ridden.metres,
        day=TODAY,
        zone=PARIS,
    )
    found = solve(problem, Steps(10))
    proposed = to_rounds(found, day.deliveries_to_plan(), day.shifts_to_plan(), day=TODAY, zone=PARIS)
    with database.transaction() as tx:
        stories.keep_draft(tx, plan, day, proposed, at=NOW)
    return plan.id


def publish(database: Database, plan_id: str) -> tuple[Round, ...]:
    with database.transaction() as tx:
        return stories.publish_plan(tx, plan_id, EVERYTHING, at=NOW)[1]


def propose(database: Database, happened: Happened) -> Replan:
    """Compute in this process how TODAY goes on, and keep that."""
    with database.view() as view:
        scene = replans.read_scene(view, TODAY, happened, EVERYTHING, PARIS, at=NOW)
    ridden = travel.matrix(scene.day.places)
    now = scene.remaining(ridden.seconds, ridden.metres)
    so_far = scene.so_far(ridden.seconds, ridden.metres)
    found = replan(now.problem, now.plan, stop=None, prices=replans.PRICES[happened.strictness], facts=now.facts)
    with database.transaction() as tx:
        return replans.keep_proposal(tx, scene, found.plan, found.changes, so_far, requested_by="Régie")


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Do everything at the same moment, each in a thread; return what each returned or raised."""
    start = threading.Barrier(len(actions))
    results: list[object] = [None] * len(actions)

    def run(index: int, action: Callable[[], object]) -> None:
        start.wait(10)
        try:
            results[index] = action()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index, action)) for index, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def behind(
    database: Database, first: Callable[[Transaction], object], second: Callable[[Transaction], object]
) -> object:
    """Do the second in a transaction that has to wait for the first's; return what it returned or raised."""
    answers: list[object] = []

    def follow() -> None:
        try:
            with database.transaction() as tx:
                answers.append(second(tx))
        except Exception as error:
            answers.append(error)

    waiting = threading.Thread(target=follow)
    with database.transaction() as tx:
        first(tx)
        waiting.start()
        waiting.join(1)
        assert answers == []
    waiting.join(30)
    (answer,) = answers
    return answer


def a_report(stop_id: str, event_id: str = "") -> Report:
    return Report(event_id or new_id(), stop_id, ReportKind.COMPLETE, at(9), at(18))


def send(database: Database, courier: Courier, *reports: Report) -> list[rides.Answer | DomainError]:
    with database.transaction() as tx:
        return rides.record_reports(tx, courier, reports)


def said(database: Database, kind: type[ProtoMessage]) -> list[Any]:
    return [event for event in told(database) if isinstance(event, kind)]


def test_a_collection_and_a_cancellation_that_cross_end_in_one_of_both(either_database: Database) -> None:
    courier = furnish(either_database, ROUNDS_OF_RACING)
    (round_,) = publish(either_database, draft(either_database))
    for number in range(1, ROUNDS_OF_RACING + 1):
        stops = [stop for stop in round_.stops if stop.delivery_id.order_id.endswith(f"{number:012d}")]
        results = at_once(
            lambda number=number: hear(either_database, order_cancelled(number)),  # type: ignore[misc]
            lambda stops=stops: send(either_database, courier, *(a_report(stop.id) for stop in stops)),  # type: ignore[misc]
        )
        assert not [result for result in results if isinstance(result, Exception)]
    cancelled = {event.order_id for event in said(either_database, DeliveryCancelled)}
    delivered = {event.order_id for event in said(either_database, StopCompleted)}
    assert not cancelled & delivered
    assert len(cancelled | delivered) == ROUNDS_OF_RACING


def test_the_same_report_sent_by_two_connections_at_once_is_told_once(either_database: Database) -> None:
    courier = furnish(either_database, ROUNDS_OF_RACING)
    (round_,) = publish(either_database, draft(either_database))
    reports = [a_report(stop.id) for stop in round_.stops]
    results = at_once(*[lambda: send(either_database, courier, *reports)] * 4)
    assert results[0] == results[1] == results[2] == results[3]
    assert len(said(either_database, StopCompleted)) == 2 * ROUNDS_OF_RACING


def test_two_drafts_published_at_once_publish_one(either_database: Database) -> None:
    furnish(either_database, 3)
    drafts = [draft(either_database), draft(either_database)]
    results = at_once(*(lambda plan_id=plan_id: publish(either_database, plan_id) for plan_id in drafts))
    assert {type(result) for result in results} == {PlanStale, tuple}
    assert len(said(either_database, DeliveryPlanned)) == 3
    with either_database.view() as view:
        assert len(rounds.of_day(view, TODAY, EVERYTHING)) == 1


def test_one_draft_published_twice_at_once_says_everything_once(either_database: Database) -> None:
    furnish(either_database, 3)
    plan_id = draft(either_database)
    results = at_once(*[lambda: publish(either_database, plan_id)] * 4)
    assert sorted(len(result) for result in results if isinstance(result, tuple)) == [0, 0, 0, 1]
    assert len(said(either_database, DeliveryPlanned)) == 3


def test_of_two_moves_in_the_same_draft_the_second_starts_from_the_first(either_database: Database) -> None:
    furnish(either_database, 2)
    plan_id = draft(either_database)
    wanted = [moves.Move(f"{order_id(number)}-1", None) for number in (1, 2)]
    with either_database.view() as view:
        scenes = [moves.read_scene(view, plan_id, one, EVERYTHING, PARIS) for one in wanted]

    def move(number: int) -> Plan:
        ridden = travel.matrix(scenes[number].day.places)
        with either_database.transaction() as tx:
            return moves.move_delivery(tx, wanted[number], scenes[number], ridden.seconds, ridden.metres)

    results = at_once(lambda: move(0), lambda: move(1))
    assert {type(result) for result in results} == {Plan, PlanStale}


def test_a_cancellation_that_crosses_the_publication_is_answered_once(either_database: Database) -> None:
    courier = furnish(either_database, 1)
    for number in range(2, ROUNDS_OF_RACING):
        plan_id = draft(either_database)
        at_once(
            lambda plan_id=plan_id: publish(either_database, plan_id),  # type: ignore[misc]
            lambda number=number: hear(either_database, order_cancelled(number - 1)),  # type: ignore[misc]
        )
        hear(either_database, order_placed(number), amount_held(number))
        with either_database.view() as view:
            ridden = [round_ for round_ in rounds.of_day(view, TODAY, EVERYTHING) if round_.state != "withdrawn"]
        assert all(stop.state == "cancelled" for round_ in ridden for stop in round_.stops)
        for round_ in ridden:  # its shift is needed for the next race
            with either_database.transaction() as tx:
                stories.withdraw_round(tx, round_.id, EVERYTHING, "Rien à porter.", at=NOW)
    assert len(said(either_database, DeliveryCancelled)) == ROUNDS_OF_RACING - 2
    assert courier


def test_a_shift_goes_before_the_publication_or_not_at_all(either_database: Database) -> None:
    courier = furnish(either_database, 1)
    seen = set()
    for _ in range(ROUNDS_OF_RACING):
        plan_id = draft(either_database)
        with either_database.view() as view:
            ((shift, _, bike),) = crew.free_shifts(view, TODAY)

        def cancel(shift: Shift = shift) -> None:
            with either_database.transaction() as tx:
                crew_stories.cancel_shift(tx, crew.shift(tx, shift.id, EVERYTHING, lock=True))

        published, cancelled = at_once(lambda plan_id=plan_id: publish(either_database, plan_id), cancel)  # type: ignore[misc]
        seen.add((type(published), type(cancelled)))
        with either_database.transaction() as tx:
            if isinstance(published, tuple):
                stories.withdraw_round(tx, published[0].id, EVERYTHING, "Encore.", at=NOW)
            else:
                add_shift(tx, courier, bike, TODAY)
    assert seen <= {(tuple, ShiftInUse), (PlanStale, type(None))}


def test_a_courier_gets_one_of_two_overlapping_shifts_asked_for_at_once(either_database: Database) -> None:
    courier = furnish(either_database, 0)
    with either_database.view() as view:
        ((_, _, bike),) = crew.free_shifts(view, TODAY)
    for number in range(1, ROUNDS_OF_RACING):

        def agree(day: date = date(2026, 12, number)) -> Shift:
            with either_database.transaction() as tx:
                return add_shift(tx, courier, bike, day)

        results = at_once(agree, agree, agree)
        assert sum(isinstance(result, Shift) for result in results) == 1


def test_a_round_withdrawn_while_a_report_comes_is_either_ridden_or_free(either_database: Database) -> None:
    courier = furnish(either_database, 1)
    for _ in range(ROUNDS_OF_RACING):
        (round_,) = publish(either_database, draft(either_database))

        def withdraw(round_: Round = round_) -> None:
            with either_database.transaction() as tx:
                stories.withdraw_round(tx, round_.id, EVERYTHING, "Grève.", at=NOW)

        at_once(withdraw, lambda round_=round_: send(either_database, courier, a_report(round_.stops[0].id)))  # type: ignore[misc]
        with either_database.view() as view:
            after = rounds.by_id(view, [round_.id])[round_.id]
        completed = said(either_database, StopCompleted)
        assert (after.state, len(completed)) in {("withdrawn", 0), ("under_way", 1)}
        if completed:
            break


def test_a_readjustment_that_waited_for_another_of_the_same_round_is_stale(either_database: Database) -> None:
    furnish(either_database, 2)
    (round_,) = publish(either_database, draft(either_database))
    hear(either_database, order_placed(3), amount_held(3))
    first = propose(either_database, Happened())
    second = propose(either_database, Happened(late=(CourierLate(round_.shift_id, 120),), with_new=False))
    assert (len(first.of_kind(ChangeKind.ADDED)), len(second.of_kind(ChangeKind.RETIMED))) == (1, 2)
    answer = behind(
        either_database,
        lambda tx: replans.accept(tx, first.id, EVERYTHING, at=NOW),
        lambda tx: replans.accept(tx, second.id, EVERYTHING, at=NOW),
    )
    assert isinstance(answer, ReplanStale)


def test_a_round_withdrawn_while_a_readjustment_brings_something_in_frees_that_too(either_database: Database) -> None:
    furnish(either_database, 2)
    (round_,) = publish(either_database, draft(either_database))
    hear(either_database, order_placed(3), amount_held(3))
    proposed = propose(either_database, Happened())
    withdrawn = behind(
        either_database,
        lambda tx: replans.accept(tx, proposed.id, EVERYTHING, at=NOW),
        lambda tx: stories.withdraw_round(tx, round_.id, EVERYTHING, "Grève.", at=NOW),
    )
    assert isinstance(withdrawn, Round)
    with either_database.view() as view:
        free = deliveries.plannable(view, TODAY)
    assert len(free) == 3


@pytest.mark.postgres
def test_a_round_is_added_to_a_plan_while_another_part_of_it_is_published(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.create_database(), metadata)
    database.upgrade()
    furnish(database, 2)
    (round_,) = publish(database, draft(database))
    stops = tuple(replace(stop, id=new_id()) for stop in round_.stops)
    fresh = replace(round_, id=new_id(), shift_id=new_id(), stops=stops)

    def add() -> None:
        with database.transaction() as tx:
            rounds.add(tx, [fresh])

    adding = threading.Thread(target=add)
    with database.transaction() as tx:
        plans.get(tx, round_.plan_id, lock=True)
        adding.start()
        adding.join(10)
        assert not adding.is_alive()
    with database.view() as view:
        assert fresh.id in rounds.by_id(view, [fresh.id])
    database.dispose()
