"""Whether this process lives, whether it can work, and its figures."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, generate_latest

from services.kit.events.consumer import lane_status
from services.kit.http.operations import Running

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0

Check = Callable[[], Awaitable[None]]

_PENDING = Gauge("tournee_outbox_pending", "Events that the bus has not acknowledged.", ["service"])
_OLDEST = Gauge("tournee_outbox_oldest_seconds", "Age of the oldest of them.", ["service"])
_LAG = Gauge("tournee_topic_lag", "Events of a topic that the service has not handled.", ["service", "topic"])
_DEAD = Gauge("tournee_dead_letters_kept", "Events set aside now.", ["service"])


def health() -> APIRouter:
    """Return the doors that a supervisor knocks at. What must answer is in `app.state.checks`, by name."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        """Answer as long as the process does."""
        return {"status": "alive"}

    @router.get(
        "/readyz",
        responses={503: {"description": "Something this process needs does not answer; `failing` names it."}},
    )
    async def ready(request: Request) -> JSONResponse:
        """Tell whether everything this process needs answers; if not, name what fails."""
        checks: Mapping[str, Check] = request.app.state.checks
        outcomes = await asyncio.gather(*(_outcome(name, check) for name, check in checks.items()))
        failing = sorted(name for name in outcomes if name)
        return JSONResponse(
            {"status": "not ready" if failing else "ready", "failing": failing}, status_code=503 if failing else 200
        )

    @router.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        running: Mapping[str, Running] = request.app.state.running
        await asyncio.gather(*(_measure(service) for service in running.values()))
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return router


async def _outcome(name: str, check: Check) -> str:
    """Return the name if the check fails."""
    try:
        await asyncio.wait_for(check(), PATIENCE_SECONDS)
    except Exception as error:
        log.warning("not ready: %s: %r", name, error)
        return name
    return ""


async def _measure(service: Running) -> None:
    try:
        status = await asyncio.wait_for(
            lane_status(service.database, service.bus, service.hears), timeout=PATIENCE_SECONDS
        )
    except Exception as error:
        log.warning("no lane figures: %s: %r", service.name, error)
        return
    _PENDING.labels(service.name).set(status.pending)
    _OLDEST.labels(service.name).set(status.oldest_pending_seconds)
    _DEAD.labels(service.name).set(status.dead_letters)
    for topic, lag in status.lag.items():
        _LAG.labels(service.name, topic).set(lag)
