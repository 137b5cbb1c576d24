"""How a route is run: found by its address, opened to who may, with its service's database, in one thread.

A door takes out of an endpoint's parameters what the edge gives (`Tx`, `ReadView`, `OwnDatabase`, `Now`, callers,
versions) and gives it itself: who asks is checked before the body is read, and FastAPI's way of solving dependencies,
which costs a poll more than reading its answer, is left to the others.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext
from starlette._utils import get_route_path
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URLPath
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Message, Receive, Scope, Send

from services.kit.clock import utc_now
from services.kit.database import Database, View
from services.kit.http import edge
from services.kit.http.access import Caller, caller_of
from services.kit.http.answers import etag_of, not_modified
from services.kit.http.edge import SAFE_METHODS, Needs, Versioned
from services.kit.http.idempotency import Idempotency, Once

_REQUEST = "tournee_request"
_ETAG = "tournee.etag"
_ONCE = get_args(Once)[1].dependency


class Door(APIRoute):
    """One route of one service: knows whose database it opens, to whom, its query parameters, how much it takes."""

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
        asked = _Asked(path, endpoint)
        self._needs = list(asked.needs.values())
        self._version_of = asked.version.version_of if asked.version else None
        super().__init__(path, asked.endpoint(database), **options)
        for dependant in _tree(self.dependant):
            if dependant.call in (edge.transaction, edge.view):
                raise TypeError(f"{path}: only the endpoint may ask for Tx or ReadView; a dependency takes OwnDatabase")

    @classmethod
    def of(cls, context: RouteContext, *, database: Database | None, max_body_bytes: int, **changes: Any) -> "Door":
        """Return the door for a route as a router declared it; the route's own `max_body_size` goes first."""
        options = {name: getattr(context, name) for name in _ROUTE_OPTIONS}
        limit = context.max_body_size or max_body_bytes
        assert context.path is not None
        assert context.endpoint is not None
        return cls(context.path, context.endpoint, database=database, max_body_bytes=limit, **{**options, **changes})

    @property
    def known_parameters(self) -> frozenset[str]:
        """The query parameters this door has."""
        return frozenset(parameter.alias for dependant in _tree(self.dependant) for parameter in dependant.query_params)

    @property
    def needed_scopes(self) -> tuple[str, ...] | None:
        """The scopes that open this door; None when it is open to all."""
        below = [dependant.call for dependant in _tree(self.dependant) if isinstance(dependant.call, Needs)]
        found = [*self._needs, *below]
        return found[0].scopes if found else None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, cutting its body where it grows beyond the limit.

        FastAPI's own limit answers in plain text; this one leaves the answer to the problem handlers.
        """
        await self.app(scope, self._limited(scope, receive), send)

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
        """Refuse who may not come in, and query parameters that the endpoint does not have (FastAPI ignores them)."""
        handler = super().get_route_handler()
        known = self.known_parameters
        needs = self._needs
        version_of = self._version_of

        async def handle(request: Request) -> Response:
            for need in needs:
                need.check(request)
            if request.scope["query_string"]:
                unknown = [name for name in request.query_params if name not in known]
                if unknown:
                    raise RequestValidationError(
                        [
                            {"type": "extra_forbidden", "loc": ("query", name), "msg": "", "input": None}
                            for name in unknown
                        ]
                    )
            if version_of is None:
                return await handler(request)
            etag = request.scope[_ETAG] = await self._etag(request, version_of)
            if etag and (unchanged := not_modified(request, etag)):
                return unchanged
            response = await handler(request)
            if etag:
                response.headers["ETag"] = etag
            return response

        return handle

    async def _etag(self, request: Request, version_of: Callable[[View, Request, Caller | None], str]) -> str:
        """Return the ETag that the answer would have now, or nothing when that cannot be told."""
        database = self.database
        assert database is not None

        def read() -> str:
            with database.view() as view:
                return version_of(view, request, caller_of(request))

        # A row of a file is read sooner than a thread is found to read it; a server is another matter.
        version = read() if database.is_sqlite else await run_in_threadpool(read)
        return etag_of(version) if version else ""


class _Asked:
    """What an endpoint asks of the edge."""

    def __init__(self, path: str, endpoint: Callable[..., Any]) -> None:
        self._endpoint = endpoint
        self._hints = get_type_hints(endpoint, include_extras=True)
        marks = {name: _dependency(hint) for name, hint in self._hints.items() if name != "return"}
        self.needs = {name: mark for name, mark in marks.items() if isinstance(mark, Needs)}
        versions = {name: mark for name, mark in marks.items() if isinstance(mark, Versioned)}
        self._etag = next(iter(versions), None)
        self.version = versions[self._etag] if self._etag else None
        self._tx = _named(marks, edge.transaction)
        self._view = _named(marks, edge.view)
        self._database = _named(marks, edge.own_database)
        self._now = _named(marks, edge.now)
        self._once = _named(marks, _ONCE)
        self._request = next((name for name, hint in self._hints.items() if hint is Request), None)
        self._is_async = inspect.iscoroutinefunction(endpoint)
        if self._once and not self._tx:
            raise TypeError(f"{path}: an endpoint that asks for Once must ask for Tx too")
        if self._tx and self._view:
            raise TypeError(f"{path}: an endpoint that writes reads through its Tx, and needs no ReadView")
        if self._is_async and (self._tx or self._view):
            raise TypeError(f"{path}: an endpoint with Tx or ReadView is a plain def, or it would stop the event loop")

    def endpoint(self, database: Database | None) -> Callable[..., Any]:
        """Return the endpoint as FastAPI shall see it: without what the edge gives."""
        given = {*self.needs, self._tx, self._view, self._database, self._now, self._etag} - {None}
        if not given:
            return self._endpoint
        run = self._async_run(database) if self._is_async else self._run(database)
        functools.update_wrapper(run, self._endpoint)
        signature = inspect.signature(self._endpoint)
        kept = [
            parameter.replace(annotation=self._hints.get(name, parameter.annotation))
            for name, parameter in signature.parameters.items()
            if name not in given
        ]
        if self._wants_request and self._request is None:
            kept.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
        kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept]
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=kept, return_annotation=self._hints.get("return", signature.return_annotation)
        )
        return run

    @property
    def _wants_request(self) -> bool:
        return bool(self.needs or self._etag)

    def _give(self, values: dict[str, Any], database: Database | None) -> None:
        if self._wants_request:
            request = values[self._request] if self._request else values.pop(_REQUEST)
            for name in self.needs:
                values[name] = caller_of(request)
            if self._etag:
                values[self._etag] = request.scope[_ETAG]
        if self._database:
            values[self._database] = database
        if self._now:
            values[self._now] = utc_now()

    def _async_run(self, database: Database | None) -> Callable[..., Any]:
        async def run(**values: Any) -> Any:
            self._give(values, database)
            return await self._endpoint(**values)

        return run

    def _run(self, database: Database | None) -> Callable[..., Any]:
        endpoint, tx_name, view_name, once_name = self._endpoint, self._tx, self._view, self._once
        if tx_name and database:

            def run(**values: Any) -> Any:
                self._give(values, database)
                once: Idempotency | None = values[once_name] if once_name else None
                with once.running() if once else nullcontext(), database.transaction() as tx:
                    values[tx_name] = tx
                    if once:
                        once.bind(tx)
                    return endpoint(**values)

        elif view_name and database:

            def run(**values: Any) -> Any:
                self._give(values, database)
                with database.view() as view:
                    values[view_name] = view
                    return endpoint(**values)

        else:

            def run(**values: Any) -> Any:
                self._give(values, database)
                return endpoint(**values)

        return run


def _named(marks: dict[str, object], wanted: object) -> str | None:
    return next((name for name, mark in marks.items() if mark is wanted), None)


def _dependency(hint: Any) -> object:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, params.Depends):
            return mark.dependency
    return None


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from _tree(below)


_ROUTE_OPTIONS = (
    "response_model", "status_code", "tags", "dependencies", "summary", "description", "response_description",
    "responses", "deprecated", "name", "methods", "operation_id", "response_model_include", "response_model_exclude",
    "response_model_by_alias", "response_model_exclude_unset", "response_model_exclude_defaults",
    "response_model_exclude_none", "include_in_schema", "response_class", "callbacks", "openapi_extra",
)  # fmt: skip


class Hall(BaseRoute):
    """All doors of an app, found by address without asking each of them in turn.

    A hundred doors asked one after the other would cost a poll more than everything else it does. An address without
    parameters goes before one with, whatever the order in which they were declared.
    """

    def __init__(self) -> None:
        self.doors: list[Door] = []
        self._fixed: dict[str, list[Door]] = {}
        self._open: dict[tuple[str, ...], list[Door]] = {}

    def add(self, door: Door) -> None:
        """Put one more door in."""
        self.doors.append(door)
        if door.param_convertors:
            self._open.setdefault(_leading_words(door.path), []).append(door)
        else:
            self._fixed.setdefault(door.path, []).append(door)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Find the door for a request."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = get_route_path(scope)
        allowed: set[str] = set()
        for door, parameters in self._at(path):
            methods = door.methods or set()
            if scope["method"] in methods:
                return Match.FULL, {"endpoint": door.endpoint, "path_params": parameters, "route": door}
            allowed |= methods
        # Somebody is there, but not for this method: `handle` says so.
        return (Match.PARTIAL, {"route": None, "tournee.allowed": allowed}) if allowed else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its door. Raises HTTPException 405, naming the methods that the address has."""
        door: Door | None = scope["route"]
        if door is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(scope["tournee.allowed"]))})
        await door.handle(scope, receive, send)

    def _at(self, path: str) -> Iterator[tuple[Door, dict[str, Any]]]:
        for door in self._fixed.get(path, ()):
            yield door, {}
        words = tuple(path.split("/", 3)[1:3])
        for key in (words, words[:1], ()):
            for door in self._open.get(key, ()):
                found = door.path_regex.match(path)
                if found:
                    convertors = door.param_convertors
                    yield door, {name: convertors[name].convert(text) for name, text in found.groupdict().items()}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Nobody makes addresses from names here."""
        raise NoMatchFound(name, path_params)


def _leading_words(path: str) -> tuple[str, ...]:
    """Return the one or two words with which an address begins, before any parameter."""
    words: list[str] = []
    for word in path.split("/")[1:3]:
        if "{" in word:
            break
        words.append(word)
    return tuple(words)
