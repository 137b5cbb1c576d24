"""What an endpoint may ask for (`Tx`, `ReadView`, `Now`, a caller with a scope), and how it is run.

An endpoint that asks for `Tx` or `ReadView` is a plain `def`. Its transaction is opened, used and committed in the one
worker thread that runs it: with a transaction opened by one thread and committed by another, forty waiting writers
would hold every worker and the one that must commit would find none. The answer leaves after the commit, so a failed
commit becomes a problem.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated, Any, get_args, get_type_hints
from urllib.parse import quote

from fastapi import Depends, Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from services.kit.clock import utc_now
from services.kit.database import Database, Transaction, View
from services.kit.errors import DomainError
from services.kit.http.access import Caller, caller_of
from services.kit.http.idempotency import Idempotency, Once

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""

__all__ = ["Body", "Caller", "Now", "Once", "OwnDatabase", "ReadView", "Tx", "needs"]


class NotAuthenticated(DomainError):
    """Nobody said who asks, or what they showed is not valid."""

    code = "not-authenticated"
    title = "Identification requise"


class NotAllowed(DomainError):
    """The caller is known and may not do this."""

    code = "not-allowed"
    title = "Action non permise"


class LoginFirst(Exception):
    """A page was asked for by somebody who has not logged in; they are sent to the log-in page and back."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


PROBLEMS: dict[type[DomainError], int] = {NotAuthenticated: 401, NotAllowed: 403}


class Body(BaseModel):
    """What a request body is made from: members we do not know are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _Later:
    """Stands for a transaction or view until the endpoint's own thread opens it."""

    def __init__(self, database: Database) -> None:
        self.database = database


async def _own_database(request: Request) -> Database:
    database: Database = request.scope["route"].database
    return database


async def _transaction(request: Request) -> Any:
    return _Later(request.scope["route"].database)


async def _view(request: Request) -> Any:
    return _Later(request.scope["route"].database)


async def _now() -> datetime:
    return utc_now()


Tx = Annotated[Transaction, Depends(_transaction)]
"""The service's database, open for writing while the endpoint runs; committed before the answer leaves, rolled back on
any exception. Only endpoints may ask for it, not their dependencies."""
ReadView = Annotated[View, Depends(_view)]
"""The service's database, open for reading while the endpoint runs. Only endpoints may ask for it."""
OwnDatabase = Annotated[Database, Depends(_own_database)]
"""The service's database, closed: for a dependency that looks something up (`with database.view() as view`), and for
the few doors that wait for something between reading and writing."""
Now = Annotated[datetime, Depends(_now)]
"""The house's present instant, aware, in UTC."""


class _Needs:
    """A dependency giving the caller, who must have one of these scopes (any caller when there is none)."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Caller:
        caller = caller_of(request)
        if caller is None:
            if wants_page(request) and request.method in SAFE_METHODS:
                asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                raise LoginFirst(f"/connexion?suite={quote(asked, safe='')}")
            raise NotAuthenticated("Connectez-vous, ou envoyez un jeton valide dans l'en-tête Authorization.")
        if self.scopes and caller.scopes.isdisjoint(self.scopes):
            raise NotAllowed(
                "Votre compte n'a pas ce droit : demandez-le à l'administration de la plateforme.",
                needed=sorted(self.scopes),
            )
        return caller


@functools.cache
def _needs(scopes: tuple[str, ...]) -> _Needs:
    return _Needs(scopes)


def needs(*scopes: str) -> Any:
    """Return a dependency giving the `Caller`, who must have (one of) `scopes`; with none, who must be logged in.

    Usage: `caller: Annotated[Caller, needs("orders:write")]`. An anonymous caller gets a 401 problem, or the log-in
    page when a page was asked for; one without the scope gets a 403 problem.
    """
    return Depends(_needs(scopes))


def wants_page(request: Request) -> bool:
    """Return whether the answer is for a person's browser rather than for a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/v1/", "/oauth/"))


class Door(APIRoute):
    """One route of one service: knows whose database it opens, which query parameters it has, how much it takes."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        database: Database | None,
        max_body_bytes: int,
        **options: Any,
    ) -> None:
        self.database = database
        self.max_body_bytes = max_body_bytes
        super().__init__(path, _in_one_thread(endpoint), **options)
        _check_dependencies(path, endpoint, self.dependant)

    @classmethod
    def of(cls, context: RouteContext, *, database: Database | None, max_body_bytes: int, **changes: Any) -> "Door":
        """Return the door for a route as a router declared it; the route's own `max_body_size` goes first."""
        options = {name: getattr(context, name) for name in _ROUTE_OPTIONS}
        limit = context.max_body_size or max_body_bytes
        assert context.path is not None
        assert context.endpoint is not None
        return cls(context.path, context.endpoint, database=database, max_body_bytes=limit, **{**options, **changes})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, cutting its body where it grows beyond the limit.

        FastAPI's own limit answers in plain text; this one leaves the answer to the problem handlers.
        """
        await super().handle(scope, self._limited(scope, receive), send)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        if scope["method"] in SAFE_METHODS:
            return receive
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        left = self.max_body_bytes
        if announced.isdigit() and int(announced) > left:
            left = -1

        async def limited() -> Message:
            nonlocal left
            if left >= 0:
                message = await receive()
                left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
            return message

        return limited

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Refuse query parameters that the endpoint does not have; FastAPI itself ignores them."""
        handler = super().get_route_handler()
        known = self.known_parameters

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                unknown = [name for name in request.query_params if name not in known]
                if unknown:
                    raise RequestValidationError(
                        [
                            {"type": "extra_forbidden", "loc": ("query", name), "msg": "", "input": None}
                            for name in unknown
                        ]
                    )
            return await handler(request)

        return handle

    @property
    def known_parameters(self) -> frozenset[str]:
        """The query parameters this door has."""
        return frozenset(parameter.alias for dependant in _tree(self.dependant) for parameter in dependant.query_params)

    @property
    def needed_scopes(self) -> tuple[str, ...] | None:
        """The scopes that open this door; None when it is open to all."""
        for dependant in _tree(self.dependant):
            if isinstance(dependant.call, _Needs):
                return dependant.call.scopes
        return None


_ROUTE_OPTIONS = (
    "response_model", "status_code", "tags", "dependencies", "summary", "description", "response_description",
    "responses", "deprecated", "name", "methods", "operation_id", "response_model_include", "response_model_exclude",
    "response_model_by_alias", "response_model_exclude_unset", "response_model_exclude_defaults",
    "response_model_exclude_none", "include_in_schema", "response_class", "callbacks", "openapi_extra",
)  # fmt: skip


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from _tree(below)


def _check_dependencies(path: str, endpoint: Callable[..., Any], dependant: Dependant) -> None:
    direct = {below.call for below in dependant.dependencies}
    for below in dependant.dependencies:
        for deeper in _tree(below):
            if deeper is not below and deeper.call in (_transaction, _view):
                raise TypeError(f"{path}: only the endpoint may ask for Tx or ReadView; a dependency takes OwnDatabase")
    if _ONCE in direct and _transaction not in direct:
        raise TypeError(f"{path}: an endpoint that asks for Once must ask for Tx too")
    if direct & {_transaction, _view} and inspect.iscoroutinefunction(endpoint):
        raise TypeError(f"{path}: an endpoint with Tx or ReadView is a plain def, or it would stop the event loop")


_ONCE = get_args(Once)[1].dependency


def _in_one_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return the endpoint so that it opens what it asked for in the thread it runs in."""
    asked = {name: _dependency(hint) for name, hint in get_type_hints(endpoint, include_extras=True).items()}
    tx_name = next((name for name, dependency in asked.items() if dependency is _transaction), None)
    view_name = next((name for name, dependency in asked.items() if dependency is _view), None)
    once_name = next((name for name, dependency in asked.items() if dependency is _ONCE), None)
    if tx_name is not None:

        @functools.wraps(endpoint)
        def write(**values: Any) -> Any:
            once: Idempotency | None = values[once_name] if once_name else None
            with once.running() if once else nullcontext(), values[tx_name].database.transaction() as tx:
                values[tx_name] = tx
                if once:
                    once.bind(tx)
                return endpoint(**values)

        return write
    if view_name is not None:

        @functools.wraps(endpoint)
        def read(**values: Any) -> Any:
            with values[view_name].database.view() as view:
                values[view_name] = view
                return endpoint(**values)

        return read
    return endpoint


def _dependency(hint: Any) -> object:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, params.Depends):
            return mark.dependency
    return None
