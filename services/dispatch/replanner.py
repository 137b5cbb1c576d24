"""Proposals for a published day that changed: read, computed between two transactions, kept."""

import logging
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.dispatch.domain.errors import ReplanFailed
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.replan import Happened, Replan
from services.dispatch.planning.check import check
from services.dispatch.planning.problem import FaultyProblem
from services.dispatch.planning.replan import Asked, Replanned, answering, replan
from services.dispatch.planning.solve import Seconds
from services.dispatch.travel import Roads
from services.dispatch.use_cases.plans import keep_distances
from services.dispatch.use_cases.replans import PRICES, keep_proposal, read_scene
from services.dispatch.worker import Worker, WorkerBusy, WorkerDied
from services.kit.database import Database

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""Waited for the searching process, which may still have to start; then the insertion alone is proposed."""

SEED = 1


class Replanner:
    """Computes proposals at once, in a process of its own beside the one that computes plans.

    `seconds` are searched beyond the insertion; a dispatcher waits for it.
    """

    def __init__(self, zone: ZoneInfo, roads: Roads, seconds: float) -> None:
        self._seconds = seconds
        self._zone = zone
        self._roads = roads
        self._worker = Worker("replanner", answering)

    def propose(
        self, database: Database, day: date, happened: Happened, reach: Reach, *, requested_by: str, at: datetime
    ) -> Replan:
        """Return a kept proposal for a day, accepted by the judge; nothing that is published changes.

        Raises
        ------
        NothingToReadjust, ShiftNotFound, DeliveryNotFound, OutOfBounds
        ReplanFailed
            When the day's data cannot be planned with, or the judge rejects what was found.
        """
        with database.view() as view:
            scene = read_scene(view, day, happened, reach, self._zone, at=at)
        ridden = self._roads.matrix(scene.day.places)
        try:
            now = scene.remaining(ridden.seconds, ridden.metres)
            so_far = scene.so_far(ridden.seconds, ridden.metres)
            asked = Asked(
                now.problem,
                now.plan,
                Seconds(self._seconds),
                SEED,
                PRICES[happened.strictness],
                frozenset(map(str, happened.pinned)),
                now.facts,
            )
            found = self._answer(asked)
        except FaultyProblem as error:
            raise ReplanFailed(f"Les données du jour ne peuvent pas être planifiées : {error.detail}") from error
        violations = check(found.problem, found.plan)
        if violations:
            log.error("a proposal was rejected: %s", "; ".join(f"{one.kind}: {one.detail}" for one in violations[:10]))
            raise ReplanFailed("La proposition calculée n'était pas réalisable ; rien n'est changé. Réessayez.")
        with database.transaction() as tx:
            keep_distances(tx, scene.day, ridden.metres, ridden.estimated)
            return keep_proposal(tx, scene, found.plan, found.changes, so_far, requested_by=requested_by)

    def stop(self) -> None:
        """End the searching process."""
        self._worker.stop()

    def _answer(self, asked: Asked) -> Replanned:
        try:
            answer = self._worker.ask(asked, seconds=PATIENCE_SECONDS)
        except (WorkerBusy, WorkerDied) as error:
            log.warning("no search for a proposal: %s", error)
            return replan(
                asked.problem, asked.in_force, stop=None, prices=asked.prices, pinned=asked.pinned, facts=asked.facts
            )
        assert isinstance(answer, Replanned)
        return answer
