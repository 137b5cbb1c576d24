"""Dispatch put together."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from services.dispatch import api
from services.dispatch.api.city import city_router
from services.dispatch.api.closures import closure_router
from services.dispatch.api.comparison import router as comparison_router
from services.dispatch.api.crew import crew_router
from services.dispatch.api.deliveries import router as delivery_router
from services.dispatch.api.limits import router as limit_router
from services.dispatch.api.planning_settings import router as settings_router
from services.dispatch.api.plans import plan_router
from services.dispatch.api.replans import replan_router
from services.dispatch.api.rides import ride_router
from services.dispatch.api.rounds import router as round_router
from services.dispatch.handlers import HEARS
from services.dispatch.jobs import Planner, Solver, jobs
from services.dispatch.pages.board import board_router
from services.dispatch.pages.closures import closure_pages
from services.dispatch.pages.comparison import comparison_pages
from services.dispatch.pages.crew import crew_pages
from services.dispatch.pages.planning_settings import settings_pages
from services.dispatch.pages.replans import replan_pages
from services.dispatch.pages.rides import ride_pages
from services.dispatch.replanner import Replanner
from services.dispatch.settings import DispatchSettings
from services.dispatch.spread import PartSearchers, Spread
from services.dispatch.tables import metadata
from services.dispatch.travel import open_roads
from services.dispatch.use_cases import parts
from services.kit.database import Database
from services.kit.service import Service

ROLE_SCOPES = {
    "dispatcher": frozenset({"dispatch:read", "dispatch:write", "proofs:read"}),
    "courier": frozenset({"rides:read", "rides:write", "proofs:read"}),
    "department": frozenset({"proofs:read"}),
    "administrator": frozenset({"dispatch:read", "dispatch:write", "dispatch:admin", "proofs:read"}),
}


def dispatch(settings: DispatchSettings, shared_solver: Solver | None = None) -> Service:
    """Return the service that plans rounds and hears what became of each delivery.

    `shared_solver` is whoever made it to stop; without one the service has its own.
    """
    zone = ZoneInfo(settings.zone)
    solver = shared_solver or Solver()
    roads = open_roads(settings.travel_url, settings.data_dir)
    database = Database(settings.database_url, metadata)
    searchers = PartSearchers(os.cpu_count() or 1)
    spread = Spread(searchers, settings.plan_processes) if settings.plan_processes > 1 else None
    parts.listen(database, searchers.wake)
    planner = Planner(zone, solver, roads, spread)
    replanner = Replanner(zone, roads, settings.replan_seconds)
    return Service(
        name="dispatch",
        database=database,
        routers=[
            crew_router(zone),
            delivery_router,
            plan_router(settings.plan_seconds, zone, planner.wake, roads),
            round_router,
            comparison_router,
            settings_router,
            limit_router,
            closure_router(zone),
            replan_router(replanner.propose),
            ride_router(settings, zone),
            city_router(settings.data_dir),
            board_router(settings.plan_seconds, zone, planner.wake, roads),
            replan_pages(replanner.propose, zone),
            crew_pages(zone),
            comparison_pages(zone),
            settings_pages(zone),
            closure_pages(zone),
            ride_pages(settings, zone),
        ],
        hears=HEARS,
        jobs=jobs(settings, zone, planner),
        problems=api.PROBLEMS,
        role_scopes=ROLE_SCOPES,
        static=Path(__file__).parent / "static",
        on_stop=[
            planner.stop,
            replanner.stop,
            searchers.stop,
            roads.stop,
            *([] if shared_solver else [solver.stop]),
        ],
    )
