"""What dispatch does by itself: compute the plans that were asked for, close days that have passed."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from services.dispatch.domain.errors import PlanNotSolving
from services.dispatch.domain.plan import Mark
from services.dispatch.domain.plan import Plan as AskedPlan
from services.dispatch.planning.check import check
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import FaultyProblem, RoutingProblem
from services.dispatch.planning.reasons import explain
from services.dispatch.planning.solve import Limit, Seconds, Watch, search_whole, solve, warm_up
from services.dispatch.planning.split import BIG_REQUESTS
from services.dispatch.planning.stop import ALL, Span
from services.dispatch.planning.translate import DayPlan, to_rounds
from services.dispatch.repository import deliveries, plans, rounds
from services.dispatch.settings import DispatchSettings
from services.dispatch.spread import Spread
from services.dispatch.travel import Roads
from services.dispatch.use_cases import orders, rides
from services.dispatch.use_cases import plans as use_cases
from services.dispatch.worker import WorkerStopped
from services.kit import leases
from services.kit.clock import utc_now
from services.kit.database import Database, bearing_outages, is_outage
from services.kit.jobs import Job

log = logging.getLogger(__name__)

SEED = 1
"""Two plans of the same day differ by what changed, not by chance."""

STOP = "stop"
"""What the solver's process is told when the best plan so far is wanted."""

BROKE_OFF_TOO_OFTEN = (
    "Le calcul s'est interrompu à chaque reprise ; il n'est plus recommencé. Demandez un nouveau plan ; s'il "
    "s'interrompt aussi, prévenez la personne qui administre le serveur."
)

LISTEN_SECONDS = 0.25
TELL_SECONDS = 1.0
READY_SECONDS = 180
"""A process that has just been started may have to compile what it solves with, on a machine that does other things."""


def jobs(settings: DispatchSettings, zone: ZoneInfo, planner: "Planner") -> Sequence[Job]:
    """Return dispatch's jobs. `plan` finds what was asked of a process that died; usually it finds nothing."""
    return [
        Job("plan", 30, planner.run),
        Job("lapse", 900, lambda database: lapse(database, zone, hours=settings.lapse_hours)),
    ]


def lapse(database: Database, zone: ZoneInfo, *, hours: float) -> Mapping[str, object]:
    """Close the days that ended so many hours ago: what nobody rode lapses, held hand-overs are told."""
    now = utc_now()
    first_open_day = (now - timedelta(hours=hours)).astimezone(zone).date()
    with database.view() as view:
        round_ids = rounds.open_before(view, first_open_day)
        waiting = deliveries.waiting_before(view, first_open_day)
    told = 0
    for round_id in round_ids:
        with database.transaction() as tx:
            told += rides.close_round(tx, round_id, at=now)
    lapsed = 0
    for delivery_id in waiting:
        with database.transaction() as tx:
            lapsed += orders.lapse_delivery(tx, delivery_id, at=now)
    return {"rounds": len(round_ids), "told": told, "lapsed_without_round": lapsed}


class Planner:
    """Computes plans, one at a time in this process, in a process of their own: the solver keeps an interpreter busy.

    No transaction is open meanwhile. Several processes of the service share the work by a lease on each plan; a plan
    whose process died is computed again by another.
    """

    def __init__(self, zone: ZoneInfo, solver: "Solver", roads: Roads, spread: Spread | None = None) -> None:
        self._zone = zone
        self._roads = roads
        self._line = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planner")
        self._solver = solver
        self._spread = spread

    def wake(self, database: Database) -> None:
        """Compute soon, in a thread of its own, what was asked for."""
        with suppress(RuntimeError):  # stopped: another process, or the next start, will find it
            self._line.submit(self._compute_and_log, database)

    def run(self, database: Database) -> Mapping[str, object]:
        """Compute what was asked for; return how many plans that were. The solver is ready afterwards in any case."""
        self._solver.start()
        if self._spread:
            self._spread.start()
        return {"computed": self._line.submit(self._compute, database).result()}

    def stop(self) -> None:
        """Begin no more plans; one whose solver is stopped will be computed again."""
        self._line.shutdown(wait=False, cancel_futures=True)

    def _compute_and_log(self, database: Database) -> None:
        try:
            self._compute(database)
        except Exception:
            log.exception("planning failed")

    def _compute(self, database: Database) -> int:
        """Return how many plans were computed. Raises NotAllComputed at the end, when a fault of ours kept one open."""
        with database.view() as view:
            waiting = plans.to_compute(view)
        computed, open_still = 0, 0
        for plan_id in waiting:
            try:
                computed += self._compute_one(database, plan_id)
            except Exception:  # those behind it are not to wait for its next turn
                log.exception("plan %s neither came to a draft nor failed", plan_id)
                open_still += 1
        if open_still:
            raise NotAllComputed(f"{open_still} of {len(waiting)} plans; {computed} were computed")
        return computed

    def _compute_one(self, database: Database, plan_id: str) -> bool:
        with leases.held(database, f"plan:{plan_id}", holder=str(id(self))) as is_ours:
            if not is_ours:
                return False
            with database.view() as view:
                # Somebody else may have ended it before the lease was ours.
                if plan_id not in plans.to_compute(view):
                    return False
            try:
                return self._compute_leased(database, plan_id)
            except PlanNotSolving:
                # The lease ran out: what another process made of the plan stays, and what became of it since.
                log.info("plan %s was computed by another process meanwhile", plan_id)
                return False

    def _compute_leased(self, database: Database, plan_id: str) -> bool:
        """Compute a plan to its end. Raises PlanNotSolving when overtaken, and what the database raises when away."""
        with database.transaction() as tx:
            plan = use_cases.begin_plan(tx, plan_id, at=utc_now())
            if plan.has_begun_too_often:
                use_cases.fail_plan(tx, plan, BROKE_OFF_TOO_OFTEN, at=utc_now())
                return True
        try:
            with database.view() as view:
                day = use_cases.read_day(view, plan.day, self._zone, not_before=plan.not_before)
            found = self._solve(database, plan, day)
            with database.transaction() as tx:
                use_cases.keep_draft(tx, plan, day, found, at=utc_now())
        except (SolverStopped, WorkerStopped):
            return False
        except PlanNotSolving:
            raise
        except Exception as error:
            if is_outage(error):
                raise  # not the plan's fault: it is computed again once the database is back
            log.exception("plan %s failed", plan_id)
            with database.transaction() as tx:
                use_cases.fail_plan(tx, plan, _sentence(error), at=utc_now())
        return True

    def _solve(self, database: Database, begun: AskedPlan, day: use_cases.Day) -> DayPlan:
        """Return the day's plan, accepted by the judge.

        Raises FaultyProblem, PlanRejected, SolverDied, and PlanNotSolving when overtaken.
        """
        plan_id, seconds = begun.id, begun.seconds
        ridden = self._roads.matrix(day.places)
        with database.transaction() as tx:
            use_cases.keep_distances(tx, day, ridden.metres, ridden.estimated)
        problem = day.problem(ridden.seconds, ridden.metres)
        marks: list[Mark] = []

        def note(mark: Mark) -> None:
            marks.append(mark)
            with bearing_outages("how a computation goes"), database.transaction() as tx:
                use_cases.keep_marks(tx, begun, marks)

        def is_stop_asked() -> bool:
            with bearing_outages("whether the best plan is wanted now"), database.view() as view:
                return plans.is_stop_asked(view, plan_id)
            return False

        def solve_whole(whole: RoutingProblem, stop: Limit, _: int, span: Span) -> Plan:
            assert isinstance(stop, Seconds)
            return self._solver.solve(whole, stop.seconds, span=span, watch=note, should_stop=is_stop_asked)

        began = time.monotonic()
        if self._spread and len(problem.requests) >= BIG_REQUESTS:
            plan = self._spread.solve(
                database,
                plan_id,
                problem,
                seconds,
                SEED,
                solve_whole=solve_whole,
                watch=_now_and_then(lambda elapsed, better: note(_mark(elapsed, better))),
                should_stop=is_stop_asked,
            )
        else:
            plan = self._solver.solve(problem, seconds, watch=note, should_stop=is_stop_asked)
        note(_mark(time.monotonic() - began, plan))
        violations = check(problem, plan)
        if violations:
            raise PlanRejected("; ".join(f"{one.kind}: {one.detail}" for one in violations[:10]))
        return to_rounds(plan, day.deliveries_to_plan(), day.shifts_to_plan(), day=day.day, zone=day.zone)


class NotAllComputed(Exception):
    """A fault of ours kept plans from coming to an end; the others were computed."""


class PlanRejected(Exception):
    """The judge found the solver's plan cannot be ridden as it says: it is not kept."""


class SolverDied(Exception):
    """The solver's process ended or did not answer in time."""


class SolverStopped(Exception):
    """The service is stopping."""


def _sentence(error: Exception) -> str:
    if isinstance(error, FaultyProblem):
        return f"Les données du jour ne peuvent pas être planifiées : {error.detail}"
    if isinstance(error, PlanRejected):
        return "Le plan calculé n'était pas réalisable ; il n'a pas été gardé. Demandez-en un autre."
    return "Le calcul s'est interrompu. Demandez un nouveau plan."


class Solver:
    """A process that solves, started when first needed and kept; it ends with this process, however that ends."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._lock = Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Have the process ready, and what it solves with compiled, before the first problem comes."""
        with suppress(SolverStopped):
            self._start()

    def solve(
        self,
        problem: RoutingProblem,
        seconds: float,
        *,
        span: Span = ALL,
        watch: Callable[[Mark], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Plan:
        """Return the explained plan. Raises SolverDied, SolverStopped, what the solver raised or one of the callables.

        With another `span`, the first plan of a big day, which others go on with: not explained.
        `watch` is told of better plans, about once a second; `should_stop` is asked as often whether the best plan so
        far is wanted now.
        """
        with self._turn:
            pipe = self._start()
            try:
                answer = self._converse(pipe, (problem, seconds, span), 2 * seconds + READY_SECONDS, watch, should_stop)
            except (EOFError, OSError) as error:
                self._end()
                raise (SolverStopped if self._is_stopped else SolverDied)(str(error)) from error
            except BaseException:
                # The process is still at it: whoever asks next must not be given this answer.
                self._end()
                raise
            if answer is None:
                self._end()
                raise SolverDied("no answer")
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Plan)
        return answer

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._is_stopped = True
        self._end()

    @staticmethod
    def _converse(
        pipe: Connection,
        asked: tuple[RoutingProblem, float, Span],
        patience_seconds: float,
        watch: Callable[[Mark], None],
        should_stop: Callable[[], bool],
    ) -> object:
        """Return the answer, None where it does not come in time."""
        pipe.send(asked)
        ends_at = time.monotonic() + patience_seconds
        is_told = False
        while time.monotonic() < ends_at:
            if not is_told and should_stop():
                pipe.send(STOP)
                is_told = True
            if pipe.poll(LISTEN_SECONDS):
                heard = pipe.recv()
                if not isinstance(heard, Mark):
                    return heard
                watch(heard)
        return None

    def _start(self) -> Connection:
        with self._lock:
            if self._is_stopped:
                raise SolverStopped
            if self._process is None or not self._process.is_alive() or self._pipe is None:
                # Not forked: this process has threads, and the child must not hold its sockets and files.
                context: Any = multiprocessing.get_context("spawn")
                self._pipe, far_end = context.Pipe()
                self._process = context.Process(target=_work, args=(far_end,), name="solver", daemon=True)
                self._process.start()
                far_end.close()
            return self._pipe

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process = None


def _work(pipe: Connection) -> None:
    """Solve what comes through the pipe until its other end is closed, as it is when that process dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then ends this process
    warm_up()
    while True:
        try:
            asked = pipe.recv()
            if asked == STOP:  # it came after the answer had left
                continue
            answer = _answer(pipe, *asked)
            pipe.send(answer)
            del asked, answer  # while it waits for the next one it keeps nothing of this one
        except (EOFError, OSError):
            return


def _answer(pipe: Connection, problem: RoutingProblem, seconds: float, span: Span) -> Plan | Exception:
    """Return the explained plan or what went wrong; say meanwhile how it goes. Raises EOFError, OSError."""
    is_stopped = False
    reading = Lock()  # parts of a big day ask side by side, and what comes is there for one reader
    tell = _now_and_then(lambda elapsed, plan: pipe.send(_mark(elapsed, plan)))

    def should_stop() -> bool:
        nonlocal is_stopped
        with reading:
            if not is_stopped and pipe.poll():
                try:
                    is_stopped = pipe.recv() == STOP
                except EOFError:  # whoever asked is gone
                    is_stopped = True
        return is_stopped

    try:
        if span != ALL:
            return search_whole(problem, Seconds(seconds), SEED, span, watch=tell, should_stop=should_stop)
        plan = solve(problem, Seconds(seconds), SEED, watch=tell, should_stop=should_stop)
        return explain(problem, plan)
    except OSError:
        raise
    except Exception as error:
        return error


def _now_and_then(tell: Watch) -> Watch:
    """Return what tells of a better plan at most once in so many seconds."""
    told_at = -TELL_SECONDS

    def watch(elapsed: float, plan: Plan) -> None:
        nonlocal told_at
        if elapsed >= told_at + TELL_SECONDS:
            told_at = elapsed
            tell(elapsed, plan)

    return watch


def _mark(seconds: float, plan: Plan) -> Mark:
    return Mark(round(seconds, 2), len(plan.routes), len(plan.planned), plan.travel_metres)
