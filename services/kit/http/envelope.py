"""What every request goes through: a number, the same-origin rule, an allowance, figures, and safe headers.

Plain ASGI and one layer only: each further layer would cost every poll of every phone.
"""

import logging
import re
import time
from collections import OrderedDict
from random import getrandbits
from urllib.parse import urlsplit

from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import telemetry
from services.kit.errors import DomainError
from services.kit.http import problems
from services.kit.http.access import SESSION_COOKIE
from services.kit.http.edge import SAFE_METHODS
from services.kit.ids import new_id

log = logging.getLogger(__name__)

_METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{8,64}")
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_HEADERS: list[tuple[bytes, bytes]] = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class CrossOrigin(DomainError):
    """A browser sent this from a page of another site."""

    code = "cross-origin"
    title = "Demande venue d'un autre site"


class TooManyRequests(DomainError):
    """The caller's allowance is used up."""

    code = "too-many-requests"
    title = "Trop de demandes"


PROBLEMS: dict[type[DomainError], int] = {CrossOrigin: 403, TooManyRequests: 429}


_REQUESTS = Counter("tournee_http_requests_total", "Requests answered.", ["route", "method", "status"])
_SECONDS = Histogram(
    "tournee_http_request_seconds",
    "From the request's arrival to the last byte of its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_figures: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def _count(route: str, method: str, status: int, seconds: float) -> None:
    key = (route, method, status)
    figures = _figures.get(key)
    if figures is None:
        figures = _figures[key] = (_REQUESTS.labels(route, method, str(status)), _SECONDS.labels(route))
    figures[0].inc()
    figures[1].observe(seconds)


class Allowances:
    """A bucket of requests per caller, refilled steadily. Who shows the same token, cookie or address is one caller."""

    KEPT_CALLERS = 10_000

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Take one request from the caller's bucket. Returns 0, or the seconds until there is one again."""
        now = time.monotonic()
        left, at = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[who] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > self.KEPT_CALLERS:
            self._left.popitem(last=False)
        return wait


class Envelope:
    """The outermost layer of an app."""

    def __init__(self, app: ASGIApp, *, allowances: Allowances) -> None:
        self.app = app
        self._allowances = allowances

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id().encode()
        scope["tournee.request_id"] = request_id.decode()
        # Whatever word a stranger puts there must not become a label.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id), *_HEADERS]
            await send(message)

        with telemetry.about(request_id=scope["tournee.request_id"], traceparent=_trace(headers)):
            try:
                refusal = self._refusal(scope, headers)
                if refusal is not None:
                    request = Request(scope, receive)
                    await problems.refuse(request, refusal)(scope, receive, send_enveloped)
                else:
                    await self.app(scope, receive, send_enveloped)
            except Exception as error:
                log.exception("request failed: %s %s", method, getattr(scope.get("route"), "path", "other"))
                if status:
                    raise
                await problems.failed(Request(scope, receive), error)(scope, receive, send_enveloped)
            finally:
                _count(getattr(scope.get("route"), "path", "other"), method, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> DomainError | None:
        if scope["method"] not in SAFE_METHODS and b"authorization" not in headers and not _same_origin(headers):
            return CrossOrigin("Recommencez depuis une page de ce site.")
        wait = self._allowances.take(_who(scope, headers))
        if wait:
            retry_after = max(1, round(wait))
            return TooManyRequests(f"Attendez {retry_after} s, puis espacez vos demandes.", retry_after=retry_after)
        return None


def _trace(headers: dict[bytes, bytes]) -> str:
    """Return the trace the request belongs to (W3C Trace Context), or a new one."""
    given = headers.get(b"traceparent", b"")
    if _TRACEPARENT.fullmatch(given):
        return given.decode()
    return f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-00"  # a name, not a secret


def _same_origin(headers: dict[bytes, bytes]) -> bool:
    # Every browser names the page's origin when a page of another site sends something; programs send neither header.
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    return origin is None or urlsplit(origin).netloc == headers.get(b"host", b"")


def _who(scope: Scope, headers: dict[bytes, bytes]) -> str:
    shown = headers.get(b"authorization")
    if shown is None and SESSION_COOKIE.encode() in headers.get(b"cookie", b""):
        shown = headers[b"cookie"]
    if shown is not None:
        return shown.decode("latin-1")
    client = scope.get("client")
    return client[0] if client else ""
