"""A service as the house runs it, and the one function that makes an app of one, two or all of them.

The only file that chooses a bus.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from google.protobuf.message import Message as ProtoMessage
from prometheus_client import CollectorRegistry
from starlette.staticfiles import StaticFiles

from services.kit.database import Database, Transaction
from services.kit.errors import DomainError
from services.kit.http import envelope, problems
from services.kit.http.access import Access, AccountsFile, Tokens
from services.kit.http.edge import Door
from services.kit.http.html import STATIC, Link
from services.kit.settings import HouseSettings

__all__ = ["Link", "Service", "assemble"]


@dataclass(frozen=True)
class Service:
    """One service: what it owns, whom it answers, what it listens to, what it does by itself."""

    name: str
    database: Database
    routers: Sequence[APIRouter]
    hears: Mapping[type[ProtoMessage], Callable[[Transaction, Any], None]]
    jobs: Sequence[Any] = ()
    problems: Mapping[type[DomainError], int] = field(default_factory=dict)
    role_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    static: Path | None = None
    """Served under `/static/<name>/`."""
    links: Sequence[Link] = ()
    on_stop: Sequence[Callable[[], None]] = ()


def assemble(services: Sequence[Service], house: HouseSettings) -> FastAPI:
    """Return the app that runs these services."""
    registry = CollectorRegistry()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for service in services:
            service.database.upgrade()
        yield
        for service in services:
            for stop in service.on_stop:
                stop()
            service.database.dispose()

    app = FastAPI(title="Tournée", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.access = Access(
        AccountsFile(house.accounts), Tokens(house.signing_key()), [service.role_scopes for service in services]
    )
    app.state.zone = ZoneInfo(house.zone)
    app.state.links = [link for service in services for link in service.links]
    app.state.problems = dict(problems.KIT_PROBLEMS)
    for service in services:
        app.state.problems.update(service.problems)
        for router in service.routers:
            for context in iter_route_contexts(router.routes):
                app.router.routes.append(
                    Door.of(
                        context,
                        database=service.database,
                        max_body_bytes=house.max_body_bytes,
                    )
                )
        if service.static is not None:
            app.mount(f"/static/{service.name}", StaticFiles(directory=service.static))
    app.mount("/static", StaticFiles(directory=STATIC))
    problems.add_problem_handlers(app)
    app.add_middleware(
        envelope.Envelope,
        figures=envelope.HttpFigures(registry),
        allowances=envelope.Allowances(per_second=house.requests_per_second, burst=house.burst_requests),
    )
    return app
