"""Big days on several machines: parts are asked for over the event bus and searched by whichever process hears of them.

The bus says that there is a part, the service's database holds it, a lease says who searches it. What does not come
back in time is searched by the process that asked: a machine that dies costs time, not the plan.
"""

import json
import logging
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import BoundedSemaphore, Event, get_ident

from services.dispatch.domain.part import PlanPart
from services.dispatch.planning.document import pack, plan_document, plan_from_document, unpack
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.reasons import explain
from services.dispatch.planning.solve import search_part, warm_up
from services.dispatch.planning.split import SolveWhole, solve_big
from services.dispatch.planning.stop import Limit, Seconds, Span, Watch
from services.dispatch.repository import parts
from services.dispatch.use_cases.parts import request_part
from services.dispatch.worker import Worker, WorkerCalledOff, WorkerDied, WorkerStopped
from services.kit import leases
from services.kit.clock import utc_now
from services.kit.database import Database, bearing_outages
from services.kit.ids import new_id

log = logging.getLogger(__name__)

READY_SECONDS = 180.0
"""A process that has just been started may have to compile what it searches with."""

PATIENCE_SECONDS = 10.0
"""Beyond twice the time it is searched, a part is waited for so long."""

LISTEN_SECONDS = 0.1
REMIND_SECONDS = 1.0
FAILED = b""

Request = tuple[Callable[..., object], tuple[object, ...]]


class PartSearchers:
    """Searches parts that any process of the service asks for: `count` at a time, each in a process of its own.

    A process is started when it is first needed.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._workers = [Worker("part", _searching) for _ in range(count)]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="parts")
        # Those at work and as many behind them: one that has just found nothing more to do may have missed the last.
        self._turns = BoundedSemaphore(2 * count)
        self.stopped = Event()
        self._is_started = False

    def start(self) -> None:
        """Have all processes ready, and what they search with compiled, before the first part comes."""
        if not self._is_started:
            self._is_started = True
            for _ in self._workers:
                self._threads.submit(self.ask, _is_ready, seconds=0.0)

    def wake(self, database: Database) -> None:
        """Search soon, in threads of its own, the parts that wait."""
        if self._turns.acquire(blocking=False):
            try:
                self._threads.submit(self._run_and_log, database)
            except RuntimeError:  # stopped: whoever asked will notice
                self._turns.release()

    def ask(
        self,
        function: Callable[..., object],
        *arguments: object,
        seconds: float,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> object:
        """Call a function that takes about so long in one of the processes, once one is free.

        Raises WorkerCalledOff, WorkerDied, WorkerStopped, and what the function or `is_wanted` raises.
        """
        worker = self._free.get()
        try:
            return worker.ask((function, arguments), seconds=2 * seconds + READY_SECONDS, is_wanted=is_wanted)
        finally:
            self._free.put(worker)

    def search(self, part: PlanPart, is_wanted: Callable[[], bool] = lambda: True) -> bytes:
        """Return the packed plan of a part, which `is_wanted` as long as that says so.

        Raises WorkerCalledOff, WorkerDied, WorkerStopped, and what the search or `is_wanted` raises.
        """
        span = part.span_start, part.span_end
        asked = _answer, part.problem, part.seconds, part.seed, part.start, span
        found = self.ask(*asked, seconds=part.seconds, is_wanted=is_wanted)
        assert isinstance(found, bytes)
        return found

    def stop(self) -> None:
        """Begin no more and end the processes; a part under way is searched elsewhere."""
        self.stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.stop()

    def run(self, database: Database) -> int:
        """Search one after another the parts that nobody searches; return how many.

        Raises WorkerDied, WorkerStopped.
        """
        searched = 0
        while self._search_one(database):
            searched += 1
        return searched

    def _run_and_log(self, database: Database) -> None:
        try:
            if searched := self.run(database):
                log.info("parts of big days searched", extra={"facts": {"parts": searched}})
        except WorkerStopped:
            pass
        except Exception:  # left to whoever is woken next
            log.exception("a part was not searched")
        finally:
            self._turns.release()

    def _search_one(self, database: Database) -> bool:
        holder = f"{id(self)}-{get_ident()}"
        with database.view() as view:
            waiting = parts.waiting(view)
        for part_id in waiting:
            with leases.held(database, f"part:{part_id}", holder=holder) as is_ours:
                if not is_ours:
                    continue
                with database.view() as view:
                    # Somebody else may have ended it before the lease was ours.
                    part = parts.get_waiting(view, part_id)
                if part is None:
                    continue
                try:
                    found = self.search(part, partial(_is_wanted, database, part_id))
                except (WorkerDied, WorkerStopped):
                    raise
                except WorkerCalledOff:
                    return True
                except Exception:
                    log.exception("the search of a part failed")
                    found = FAILED
                with database.transaction() as tx:
                    parts.answer(tx, part_id, found)
                return True
        return False


class Spread:
    """Plans a big day with all processes of the service: `processes` with as many searchers as this one."""

    def __init__(self, searchers: PartSearchers, processes: int) -> None:
        self._searchers = searchers
        self._at_once = searchers.count * processes

    def start(self) -> None:
        """Have this process's searchers ready."""
        self._searchers.start()

    def solve(
        self,
        database: Database,
        plan_id: str,
        problem: RoutingProblem,
        seconds: float,
        seed: int,
        *,
        solve_whole: SolveWhole,
        watch: Watch,
        should_stop: Callable[[], bool],
    ) -> Plan:
        """Return the explained plan; `solve_whole` makes the first, before there are parts.

        Raises WorkerDied, WorkerStopped, or what the search of the whole or of a part raised.
        """
        with database.transaction() as tx:
            parts.remove_all(tx, plan_id)
        plan = solve_big(
            problem,
            Seconds(seconds),
            seed,
            solve_part=partial(self._have_searched, database, plan_id, should_stop),
            solve_whole=solve_whole,
            watch=watch,
            workers=self._at_once,
            should_stop=should_stop,
        )
        explained = self._searchers.ask(explain, problem, plan, seconds=seconds)
        assert isinstance(explained, Plan)
        return explained

    def _have_searched(
        self,
        database: Database,
        plan_id: str,
        should_stop: Callable[[], bool],
        problem: RoutingProblem,
        stop: Limit,
        seed: int,
        start: Plan | None,
        span: Span,
    ) -> Plan:
        """Ask for a part to be searched and wait for it; search it here when nobody answers in time."""
        assert isinstance(stop, Seconds)
        packed = None if start is None else _pack_plan(problem, start)
        part = PlanPart(new_id(), plan_id, utc_now(), stop.seconds, seed, pack(problem), packed, *span)
        with database.transaction() as tx:
            request_part(tx, part)
        try:
            answer = self._wait(database, part, should_stop)
        finally:
            with bearing_outages("taking a part away"), database.transaction() as tx:
                parts.remove(tx, part.id)
        if answer:
            return _unpack_plan(problem, answer)
        log.warning("part %s of plan %s did not come back: it is searched here", part.id, plan_id)
        try:
            return _unpack_plan(problem, self._searchers.search(part, lambda: start is None or not should_stop()))
        except (WorkerCalledOff, WorkerDied):
            if start is None:
                raise
            return start  # the day's plan stays as good as it was there

    def _wait(self, database: Database, part: PlanPart, should_stop: Callable[[], bool]) -> bytes | None:
        """Return the answer to a part, None when it does not come in time; its start when the plan is wanted now.

        Now and then those of this process look whether somebody has died over a part. Raises WorkerStopped.
        """
        began = reminded = time.monotonic()
        while (now := time.monotonic()) < began + 2 * part.seconds + PATIENCE_SECONDS:
            if self._searchers.stopped.wait(LISTEN_SECONDS):
                raise WorkerStopped("parts")
            with bearing_outages("the answer to a part"), database.view() as view:
                answer = parts.answer_to(view, part.id)
                if answer is not None:
                    return answer
            if now > reminded + REMIND_SECONDS:
                if part.start is not None and should_stop():
                    return part.start
                self._searchers.wake(database)
                reminded = now
        return None


def _is_wanted(database: Database, part_id: str) -> bool:
    """Return whether whoever asked for a part still waits for it."""
    with bearing_outages("whether a part is wanted"), database.view() as view:
        return parts.is_waiting(view, part_id)
    return True


def _searching() -> Callable[[Request], object]:
    """Return what a searching process answers with, once it is ready."""
    warm_up()
    return _call


def _is_ready() -> None:
    """Do nothing: a process that can has started."""


def _call(request: Request) -> object:
    function, arguments = request
    return function(*arguments)


def _answer(packed: bytes, seconds: float, seed: int, start: bytes | None, span: Span) -> bytes:
    """Search a part as it was asked for; the answer is packed like the start."""
    problem = unpack(packed)
    begin = None if start is None else _unpack_plan(problem, start)
    return _pack_plan(problem, search_part(problem, Seconds(seconds), seed, begin, span))


def _pack_plan(problem: RoutingProblem, plan: Plan) -> bytes:
    return zlib.compress(json.dumps(plan_document(problem, plan)).encode(), level=1)


def _unpack_plan(problem: RoutingProblem, packed: bytes) -> Plan:
    return plan_from_document(problem, json.loads(zlib.decompress(packed)))
