import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import exc, text, update

from services.dispatch import jobs, tables
from services.dispatch.domain.plan import Computation, Mark, PlanState
from services.dispatch.domain.reach import EVERYTHING
from services.dispatch.jobs import NotAllComputed, Planner, Solver, SolverDied, SolverStopped
from services.dispatch.planning.plan import LeftOut, Plan, ReasonCode, Remedy
from services.dispatch.planning.problem import RoutingProblem, Stop, Vehicle, pair
from services.dispatch.repository import plans
from services.dispatch.travel import Roads
from services.dispatch.use_cases.plans import begin_plan, publish_plan, request_plan
from services.kit import leases
from services.kit.database import Database
from tests.dispatch.builders import NOW, PARIS, TODAY, amount_held, contract_registered, order_placed
from tests.dispatch.conftest import hear


@pytest.fixture
def own_solver() -> Iterator[Solver]:
    """A solver that a test may kill."""
    solver = Solver()
    yield solver
    solver.stop()


def a_problem() -> RoutingProblem:
    matrix = np.full((2, 2), 60, dtype=np.int64)
    request = pair("request", Stop(0, 0, 3600), Stop(1, 0, 3600))
    return RoutingProblem(("a", "b"), (request,), (Vehicle("vehicle", 0, 0, 0, 3600),), matrix, matrix)


def ask(database: Database, *, days_ahead: int = 0) -> str:
    day = TODAY + timedelta(days=days_ahead)
    with database.transaction() as tx:
        return request_plan(tx, EVERYTHING, day, seconds=1, requested_by="Régie", at=NOW).id


def state(database: Database, plan_id: str) -> PlanState:
    with database.view() as view:
        return plans.get(view, plan_id).state


def solver_pids() -> set[int]:
    """Return the processes of all solvers that run now; which is younger a number does not tell, for they wrap."""
    return {child.pid or 0 for child in multiprocessing.active_children() if child.name == "solver"}


def test_a_plan_that_was_asked_for_is_computed_once(either_database: Database, solver: Solver) -> None:
    plan_id = ask(either_database)
    planner = Planner(PARIS, solver, Roads())
    assert planner.run(either_database) == {"computed": 1}
    assert state(either_database, plan_id) is PlanState.DRAFT
    assert planner.run(either_database) == {"computed": 0}
    planner.stop()


def test_two_planners_at_once_compute_each_plan_once(either_database: Database, solver: Solver) -> None:
    ids = [ask(either_database) for _ in range(4)]
    planners = [Planner(PARIS, solver, Roads()) for _ in range(2)]
    done: list[object] = []
    threads = [
        threading.Thread(target=lambda planner=planner: done.append(planner.run(either_database)["computed"]))
        for planner in planners
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(int(str(count)) for count in done) == 4
    assert {state(either_database, plan_id) for plan_id in ids} == {PlanState.DRAFT}
    for planner in planners:
        planner.stop()


def test_a_plan_whose_process_died_is_computed_again(database: Database, solver: Solver) -> None:
    plan_id = ask(database)
    with database.transaction() as tx:
        begin_plan(tx, plan_id, at=NOW)
    planner = Planner(PARIS, solver, Roads())
    assert planner.run(database) == {"computed": 1}
    assert state(database, plan_id) is PlanState.DRAFT
    planner.stop()


def test_a_plan_that_somebody_computes_is_left_to_them(database: Database, solver: Solver) -> None:
    plan_id = ask(database)
    assert leases.take(database, f"plan:{plan_id}", seconds=60, holder="another")
    planner = Planner(PARIS, solver, Roads())
    assert planner.run(database) == {"computed": 0}
    assert state(database, plan_id) is PlanState.REQUESTED
    planner.stop()


def test_a_stopped_planner_leaves_what_waits(database: Database, solver: Solver) -> None:
    plan_id = ask(database)
    planner = Planner(PARIS, solver, Roads())
    planner.stop()
    planner.wake(database)
    assert state(database, plan_id) is PlanState.REQUESTED


def test_a_solver_that_is_killed_fails_its_plan_and_the_next_one_starts_anew(own_solver: Solver) -> None:
    others = solver_pids()
    assert own_solver.solve(a_problem(), 0.1).planned == ("request",)
    (first,) = solver_pids() - others
    os.kill(first, signal.SIGSTOP)  # it is killed before it answers
    threading.Timer(0.5, os.kill, (first, signal.SIGKILL)).start()
    with pytest.raises(SolverDied):
        own_solver.solve(a_problem(), 20)
    assert own_solver.solve(a_problem(), 0.1).planned == ("request",)
    (second,) = solver_pids() - others
    assert second != first


def test_a_stopped_solver_ends_at_once_and_says_so(own_solver: Solver) -> None:
    others = solver_pids()
    own_solver.solve(a_problem(), 0.1)
    (solving,) = solver_pids() - others
    os.kill(solving, signal.SIGSTOP)  # it is ended before it answers
    threading.Timer(0.3, own_solver.stop).start()
    began = time.monotonic()
    with pytest.raises(SolverStopped):
        own_solver.solve(a_problem(), 60)
    assert time.monotonic() - began < 20
    with pytest.raises(SolverStopped):
        own_solver.solve(a_problem(), 0.1)


def test_a_solver_tells_how_it_goes_and_stops_when_asked(solver: Solver) -> None:
    marks: list[Mark] = []
    problem = a_problem()
    plan = solver.solve(problem, 600, watch=marks.append, should_stop=lambda: bool(marks))
    assert plan.planned == ("request",)
    assert [(mark.rounds, mark.deliveries) for mark in marks] == [(1, 1)]
    # A request to stop that comes too late is not taken for the next problem.
    assert solver.solve(problem, 0.1, should_stop=lambda: True).planned == ("request",)
    assert solver.solve(problem, 0.1).planned == ("request",)


def test_a_stop_reaches_all_parts_that_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneMessage:
        def __init__(self) -> None:
            self.messages = [jobs.STOP]

        def poll(self) -> bool:
            is_there = bool(self.messages)
            time.sleep(0.05)  # until the other has asked too
            return is_there

        def recv(self) -> object:
            return self.messages.pop()  # a pipe would wait for another for ever

    def search(*_: object, should_stop: Callable[[], bool], **__: object) -> list[bool]:
        with ThreadPoolExecutor(2) as parts:
            return list(parts.map(lambda _: should_stop(), range(2)))

    monkeypatch.setattr(jobs, "search_whole", search)
    pipe: Any = OneMessage()
    problem: Any = None
    answer: Any = jobs._answer(pipe, problem, 1, (0.0, 0.3))

    assert answer == [True, True]


@pytest.mark.parametrize("callable_", ["watch", "should_stop"])
def test_after_a_fault_of_the_caller_the_next_problem_gets_its_own_answer(own_solver: Solver, callable_: str) -> None:
    def break_() -> bool:
        raise LookupError("no database")

    fault: dict[str, Any] = {callable_: lambda *_: break_()}
    with pytest.raises(LookupError):
        own_solver.solve(a_problem(), 1, **fault)
    own = replace(a_problem().requests[0], id="own")
    assert own_solver.solve(replace(a_problem(), requests=(own,)), 0.1).planned == ("own",)


def test_a_solver_gives_the_first_plan_of_a_big_day_for_others_to_go_on_with(solver: Solver) -> None:
    bare = a_problem()
    problem = replace(bare, requests=(*bare.requests, replace(bare.requests[0], id="cold", skills=frozenset({"cold"}))))
    marks: list[Mark] = []
    plan = solver.solve(problem, 600, span=(0.0, 0.3), watch=marks.append, should_stop=lambda: bool(marks))
    assert plan.planned == ("request",)
    assert plan.left_out == (LeftOut("cold"),)  # why, is not looked for yet


def test_a_planner_keeps_how_the_computation_went(either_database: Database, solver: Solver) -> None:
    plan_id = ask(either_database)
    planner = Planner(PARIS, solver, Roads())
    planner.run(either_database)
    with either_database.view() as view:
        computation = plans.computation(view, plan_id)
        assert plans.computation(view, "another") == Computation()
    assert [(mark.rounds, mark.deliveries) for mark in computation.marks][-1] == (0, 0)
    assert not computation.is_stop_asked
    planner.stop()


def test_a_failing_solver_fails_the_plan_in_words(database: Database, own_solver: Solver) -> None:
    plan_id = ask(database)
    others = solver_pids()
    own_solver.solve(a_problem(), 0.1)
    (solving,) = solver_pids() - others
    planner = Planner(PARIS, own_solver, Roads())
    os.kill(solving, signal.SIGSTOP)  # it is killed before it answers
    threading.Timer(0.5, os.kill, (solving, signal.SIGKILL)).start()
    assert planner.run(database) == {"computed": 1}
    with database.view() as view:
        plan = plans.get(view, plan_id)
    assert (plan.state, plan.failure) == (PlanState.FAILED, "Le calcul s'est interrompu. Demandez un nouveau plan.")
    planner.stop()


class LyingSolver(Solver):
    """A guest whose plan serves something it was never asked to."""

    def solve(self, problem: RoutingProblem, seconds: float, **more: Any) -> Plan:
        return replace(super().solve(problem, seconds, **more), left_out=(LeftOut("invented"),))


def test_a_plan_that_the_judge_rejects_is_not_kept(database: Database) -> None:
    plan_id = ask(database)
    solver = LyingSolver()
    planner = Planner(PARIS, solver, Roads())
    planner.run(database)
    with database.view() as view:
        plan = plans.get(view, plan_id)
    assert (plan.state, plan.inputs) == (PlanState.FAILED, ())
    assert "n'était pas réalisable" in plan.failure
    planner.stop()
    solver.stop()


class LateSolver(Solver):
    """One so late that its planner's lease has run out; `meanwhile` is what happens before it answers."""

    def __init__(self, solver: Solver, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._solver = solver
        self._meanwhile = meanwhile

    def start(self) -> None:
        self._solver.start()

    def solve(self, problem: RoutingProblem, seconds: float, **more: Any) -> Plan:
        plan = self._solver.solve(problem, seconds, **more)
        self._meanwhile()
        return plan


@pytest.mark.parametrize("is_failing", [False, True])
def test_a_computation_that_was_overtaken_changes_nothing(
    either_database: Database, solver: Solver, *, is_failing: bool
) -> None:
    plan_id = ask(either_database)

    def compute_and_publish() -> None:
        leases.give_back(either_database, f"plan:{plan_id}", holder=str(id(late)))  # as if it had run out
        other = Planner(PARIS, solver, Roads())
        assert other.run(either_database) == {"computed": 1}
        other.stop()
        with either_database.transaction() as tx:
            publish_plan(tx, plan_id, EVERYTHING, at=NOW)
        if is_failing:
            raise SolverDied("no answer")

    late = Planner(PARIS, LateSolver(solver, compute_and_publish), Roads())
    assert late.run(either_database) == {"computed": 0}
    late.stop()
    with either_database.view() as view:
        plan = plans.get(view, plan_id)
    assert (plan.state, plan.failure) == (PlanState.PUBLISHED, "")


def test_a_plan_that_was_begun_again_is_left_to_the_second_computation(database: Database, solver: Solver) -> None:
    plan_id = ask(database)

    def begin_again() -> None:
        with database.transaction() as tx:
            begin_plan(tx, plan_id, at=NOW)

    late = Planner(PARIS, LateSolver(solver, begin_again), Roads())
    assert late.run(database) == {"computed": 0}
    late.stop()
    assert state(database, plan_id) is PlanState.SOLVING
    with database.view() as view:
        assert plans.computation(view, plan_id).marks == ()  # how the second goes is for the second to say


def test_a_plan_during_which_the_database_was_away_is_computed_again(database: Database, solver: Solver) -> None:
    plan_id = ask(database)
    ends = iter([exc.TimeoutError("all connections are taken"), None])

    def be_away() -> None:
        if (error := next(ends)) is not None:
            raise error

    planner = Planner(PARIS, LateSolver(solver, be_away), Roads())
    with pytest.raises(NotAllComputed):
        planner.run(database)
    assert state(database, plan_id) is PlanState.SOLVING
    assert planner.run(database) == {"computed": 1}
    assert state(database, plan_id) is PlanState.DRAFT
    planner.stop()


class Questioner(LateSolver):
    """A guest that tells and asks while the database is away."""

    def __init__(self, solver: Solver, away: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(solver, lambda: None)
        self._away = away

    def solve(self, problem: RoutingProblem, seconds: float, **more: Any) -> Plan:
        with self._away():
            more["watch"](Mark(0.5, 1, 1, 1))
            assert not more["should_stop"]()
        return super().solve(problem, seconds, **more)


def test_how_a_computation_goes_is_told_once_the_database_is_back(database: Database, solver: Solver) -> None:
    plan_id = ask(database)

    @contextmanager
    def away() -> Iterator[None]:
        with database.view() as view, pytest.MonkeyPatch.context() as patch:
            view.execute(text("SELECT 1"))

            def fail(*_: object) -> None:
                raise exc.OperationalError("BEGIN", None, psycopg.OperationalError("the server is away"))

            patch.setattr(Database, "transaction", fail)
            patch.setattr(Database, "view", fail)
            yield

    planner = Planner(PARIS, Questioner(solver, away), Roads())
    assert planner.run(database) == {"computed": 1}
    planner.stop()
    with database.view() as view:
        assert plans.computation(view, plan_id).marks[0] == Mark(0.5, 1, 1, 1)


def test_a_computation_whose_process_dies_each_time_is_given_up(database: Database, solver: Solver) -> None:
    plan_id = ask(database)
    planner = Planner(PARIS, solver, Roads())
    for _ in range(4):
        with database.transaction() as tx:
            begin_plan(tx, plan_id, at=NOW)  # and its process is gone
    assert planner.run(database) == {"computed": 1}
    planner.stop()
    with database.view() as view:
        plan = plans.get(view, plan_id)
    assert plan.state is PlanState.FAILED
    assert "à chaque reprise" in plan.failure


class ConfusedSolver(Solver):
    """A guest whose advice is about a limit that nobody set."""

    def solve(self, problem: RoutingProblem, seconds: float, **more: Any) -> Plan:
        plan = super().solve(problem, seconds, **more)
        advice = (Remedy(ReasonCode.LIMIT, None, 1, "fleet 99"),)
        return replace(plan, left_out=tuple(replace(item, remedies=advice) for item in plan.left_out))


def test_a_plan_that_cannot_be_kept_fails_and_the_next_one_is_computed(
    database: Database, clock_at_now: datetime
) -> None:
    hear(database, contract_registered(), order_placed(), amount_held())
    broken, sound = ask(database), ask(database, days_ahead=1)
    solver = ConfusedSolver()
    planner = Planner(PARIS, solver, Roads())
    assert planner.run(database) == {"computed": 2}
    assert (state(database, broken), state(database, sound)) == (PlanState.FAILED, PlanState.DRAFT)
    planner.stop()
    solver.stop()


def test_a_plan_that_cannot_even_be_begun_hinders_no_other_and_is_told(database: Database, solver: Solver) -> None:
    broken, sound = ask(database), ask(database)
    with database.transaction() as tx:
        tx.execute(update(tables.plans).where(tables.plans.c.id == broken).values(content={"rounds": "none"}))
    planner = Planner(PARIS, solver, Roads())
    with pytest.raises(NotAllComputed, match="1 of 2 plans; 1 were computed"):
        planner.run(database)
    assert state(database, sound) is PlanState.DRAFT
    planner.stop()


def test_the_solver_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        "import multiprocessing, sys, time\n"
        "from services.dispatch.jobs import Solver\n"
        "from tests.dispatch.test_jobs import a_problem\n"
        "if __name__ == '__main__':\n"
        "    solver = Solver()\n"
        "    solver.solve(a_problem(), 0.1)\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        solver = int(service.stdout.readline())
        service.kill()
    end = time.monotonic() + 20
    while _is_alive(solver):
        assert time.monotonic() < end, "the solver outlives its service"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
