"""What an endpoint may ask for: `Tx`, `ReadView`, `Now`, a caller with a scope; and what a request body is made from.

An endpoint that asks for `Tx` or `ReadView` is a plain `def`. Its transaction is opened, used and committed in the one
worker thread that runs it: with a transaction opened by one thread and committed by another, forty waiting writers
would hold every worker and the one that must commit would find none. The answer leaves after the commit, so a failed
commit becomes a problem. (How: see `doors`.)
"""

import functools
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from services.kit.clock import utc_now
from services.kit.database import Database, Transaction, View
from services.kit.errors import DomainError
from services.kit.http.access import Caller, caller_of
from services.kit.http.idempotency import Once

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""

__all__ = ["Body", "Caller", "Now", "Once", "OwnDatabase", "ReadView", "Tx", "needs", "versioned"]


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


async def transaction(request: Request) -> Transaction:
    """Mark a parameter as the request's transaction; its door opens it."""
    raise TypeError(f"{request.scope['route'].path}: only the endpoint may ask for Tx; a dependency takes OwnDatabase")


async def view(request: Request) -> View:
    """Mark a parameter as the request's view; its door opens it."""
    raise TypeError(
        f"{request.scope['route'].path}: only the endpoint may ask for ReadView; a dependency takes OwnDatabase"
    )


async def own_database(request: Request) -> Database:
    """Return the database of the service whose door this is."""
    database: Database = request.scope["route"].database
    return database


async def now() -> datetime:
    """Return the house's present."""
    return utc_now()


Tx = Annotated[Transaction, Depends(transaction)]
"""The service's database, open for writing while the endpoint runs; committed before the answer leaves, rolled back on
any exception. Only endpoints may ask for it, not their dependencies."""
ReadView = Annotated[View, Depends(view)]
"""The service's database, open for reading while the endpoint runs. Only endpoints may ask for it."""
OwnDatabase = Annotated[Database, Depends(own_database)]
"""The service's database, closed: for a dependency that looks something up (`with database.view() as view`), and for
the few doors that wait for something between reading and writing."""
Now = Annotated[datetime, Depends(now)]
"""The house's present instant, aware, in UTC."""

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
"""Days that may be asked for: the days before and after each of them can be reckoned."""


class Needs:
    """A dependency giving the caller, who must have one of these scopes (any caller when there is none)."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Caller:
        return self.check(request)

    def check(self, request: Request) -> Caller:
        """Return the caller. Raises `NotAuthenticated`, `NotAllowed`, `LoginFirst`."""
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
def _needs(scopes: tuple[str, ...]) -> Needs:
    return Needs(scopes)


def needs(*scopes: str) -> Any:
    """Return a dependency giving the `Caller`, who must have (one of) `scopes`; with none, who must be logged in.

    Usage: `caller: Annotated[Caller, needs("notes:write")]`. An anonymous caller gets a 401 problem, or the log-in
    page when a page was asked for; one without the scope gets a 403 problem.
    """
    return Depends(_needs(scopes))


class Versioned:
    """A dependency giving the ETag of the answer, found out before the answer is made."""

    def __init__(self, version_of: Callable[[View, Request, Caller | None], str]) -> None:
        self.version_of = version_of

    async def __call__(self, request: Request) -> str:
        raise TypeError(f"{request.scope['route'].path}: only the endpoint may ask for its version")


def versioned(version_of: Callable[[View, Request, Caller | None], str]) -> Any:
    """Return a dependency giving the answer's ETag; for what is asked again and again and seldom changes.

    Usage: `etag: Annotated[str, versioned(day_version)]`. `version_of(view, request, caller)` says which version the
    answer would have now: any text that changes with it, read by key from a row or two, for it may run on the event
    loop; it sees the request before validation and returns "" when it cannot tell. A caller who shows this version
    gets 304 and the endpoint is not run at all; other answers carry it as their ETag. `etag` is "" when unknown.
    """
    return Depends(Versioned(version_of))


def wants_page(request: Request) -> bool:
    """Return whether the answer is for a person's browser rather than for a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/v1/", "/oauth/"))
