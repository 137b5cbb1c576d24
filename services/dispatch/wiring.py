"""Dispatch put together."""

from pathlib import Path
from zoneinfo import ZoneInfo

from services.dispatch import api
from services.dispatch.api.city import city_router
from services.dispatch.api.crew import crew_router
from services.dispatch.api.deliveries import router as delivery_router
from services.dispatch.api.plans import plan_router
from services.dispatch.api.rides import ride_router
from services.dispatch.api.rounds import router as round_router
from services.dispatch.handlers import HEARS
from services.dispatch.jobs import Planner, Solver, jobs
from services.dispatch.pages.board import board_router
from services.dispatch.pages.crew import crew_pages
from services.dispatch.pages.rides import ride_pages
from services.dispatch.settings import DispatchSettings
from services.dispatch.tables import metadata
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
    planner = Planner(zone, solver)
    return Service(
        name="dispatch",
        database=Database(settings.database_url, metadata),
        routers=[
            crew_router(zone),
            delivery_router,
            plan_router(settings.plan_seconds, zone, planner.wake),
            round_router,
            ride_router(settings, zone),
            city_router(settings.data_dir),
            board_router(settings.plan_seconds, zone, planner.wake),
            crew_pages(zone),
            ride_pages(settings, zone),
        ],
        hears=HEARS,
        jobs=jobs(settings, zone, planner),
        problems=api.PROBLEMS,
        role_scopes=ROLE_SCOPES,
        static=Path(__file__).parent / "static",
        on_stop=[planner.stop] if shared_solver else [planner.stop, solver.stop],
    )
