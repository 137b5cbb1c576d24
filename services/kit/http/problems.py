"""Refusals and faults -> RFC 9457 `application/problem+json`, or a page in French for a person's browser.

The only place that knows how a refusal is told over HTTP; which status a refusal has is said by each service's
`PROBLEMS`.
"""

import json
import logging
from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from services.kit.database import is_outage
from services.kit.errors import DomainError, Refusals
from services.kit.http import answers, edge, idempotency
from services.kit.http.html import error_page

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


class Fault(BaseModel):
    """One thing to correct."""

    model_config = ConfigDict(extra="allow")

    code: str
    detail: str
    pointer: str | None = None


class Problem(BaseModel):
    """A refusal or a fault, RFC 9457. Members beyond these are figures about the refusal."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Fault] = []


def problem_of(request: Request, error: DomainError) -> dict[str, Any]:
    """Return the problem that tells this refusal."""
    statuses: Mapping[type[DomainError], int] = request.app.state.problems
    faults = error.errors if isinstance(error, Refusals) else (error,)
    found = {_status(statuses, fault) for fault in faults}
    problem = _problem(
        request, found.pop() if len(found) == 1 else 422, error.code, type(error).title, error.detail, facts=error.facts
    )
    if isinstance(error, Refusals) or error.pointer is not None:
        problem["errors"] = [_fault(fault) for fault in faults]
    return problem


def answer(request: Request, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem as the caller can read it: JSON for a program, a page for a person."""
    if edge.wants_page(request):
        return error_page(request, problem, headers)
    return _json(problem, headers)


def _json(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(problem, default=_plain, ensure_ascii=False),
        status_code=problem["status"],
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


class ServerFault(DomainError):
    """Something of ours is broken."""

    code = "server-fault"
    title = "Erreur du service"


class StoreAway(DomainError):
    """The database does not answer, or not in time."""

    code = "store-away"
    title = "Service momentanément indisponible"


def failed(request: Request, error: Exception) -> Response:
    """Return the answer for a fault of ours: nothing about its cause, but the number to look it up by."""
    refusal = (
        StoreAway("Réessayez dans quelques secondes : rien n'a été enregistré.", retry_after=2)
        if is_outage(error)
        else ServerFault("Réessayez ; si l'erreur persiste, transmettez le numéro de la demande à l'administration.")
    )
    try:
        return refuse(request, refusal)
    except Exception:
        # Making the page may be what failed; JSON always works.
        log.exception("the error page failed")
        return _json(problem_of(request, refusal))


KIT_PROBLEMS: dict[type[DomainError], int] = {
    **edge.PROBLEMS,
    **answers.PROBLEMS,
    **idempotency.PROBLEMS,
    ServerFault: 500,
    StoreAway: 503,
}


def add_problem_handlers(app: FastAPI) -> None:
    """Let the app tell refusals, validation errors and HTTP errors as problems."""
    app.add_exception_handler(DomainError, _on_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(edge.LoginFirst, _on_login_first)  # type: ignore[arg-type]


def refuse(request: Request, error: DomainError) -> Response:
    """Return the answer for a refusal."""
    headers = {}
    if isinstance(error, edge.NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="tournee"'
    if "retry_after" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after"])
    return answer(request, problem_of(request, error), headers)


async def _on_refusal(request: Request, error: DomainError) -> Response:
    return refuse(request, error)


async def _on_login_first(_request: Request, error: edge.LoginFirst) -> Response:
    return RedirectResponse(error.address, status_code=303)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        detail = f"Le corps n'est pas du JSON lisible (près du caractère {found[0]['loc'][-1]}) : corrigez-le."
        return answer(request, _problem(request, 400, "malformed-json", "JSON illisible", detail))
    faults = [_validation_fault(entry) for entry in found]
    detail = (
        faults[0]["detail"]
        if len(faults) == 1
        else f"{len(faults)} points sont à corriger ; chacun est décrit dans « errors »."
    )
    problem = _problem(request, 422, "invalid-request", "Demande à corriger", detail)
    problem["errors"] = faults
    return answer(request, problem)


_HTTP_TEXTS: dict[int, tuple[str, str, str]] = {
    400: ("malformed-request", "Demande illisible", "Le corps de la demande est illisible : vérifiez son format."),
    404: ("not-found", "Introuvable", "Rien ne se trouve à cette adresse : vérifiez-la, ou repartez de l'accueil."),
    405: ("method-not-allowed", "Méthode non prévue", "Cette adresse ne se lit pas ainsi : voyez l'en-tête Allow."),
    413: (
        "body-too-large",
        "Envoi trop volumineux",
        "Le corps dépasse la taille permise : réduisez-le ou découpez-le.",
    ),
    415: ("unsupported-media-type", "Format non pris en charge", "Envoyez le corps dans le format documenté."),
}


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    code, title, detail = _HTTP_TEXTS.get(
        error.status_code,
        (f"http-{error.status_code}", HTTPStatus(error.status_code).phrase, "La demande n'a pas pu être traitée."),
    )
    return answer(request, _problem(request, error.status_code, code, title, detail), error.headers)


def _problem(
    request: Request, status: int, code: str, title: str, detail: str, *, facts: Mapping[str, object] | None = None
) -> dict[str, Any]:
    return {
        **(facts or {}),
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.scope.get("tournee.request_id", ""),
    }


def _status(statuses: Mapping[type[DomainError], int], error: DomainError) -> int:
    for kind in type(error).__mro__:
        if kind in statuses:
            return statuses[kind]
    return 409


def _fault(error: DomainError) -> dict[str, Any]:
    fault = {**error.facts, "code": error.code, "title": type(error).title, "detail": error.detail}
    if error.pointer is not None:
        fault["pointer"] = error.pointer
    return fault


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple):
        return sorted(value) if isinstance(value, frozenset | set) else list(value)
    return str(value)


def _validation_fault(entry: Mapping[str, Any]) -> dict[str, Any]:
    place, *path = entry["loc"]
    kind = str(entry["type"])
    if kind == "missing" and not path and place == "body":
        return {"code": "missing", "detail": "Le corps de la demande est absent : envoyez-le en JSON.", "pointer": ""}
    fault: dict[str, Any] = {"code": kind.replace("_", "-"), "detail": _sentence(entry)}
    if place == "body":
        fault["pointer"] = "".join(f"/{_escaped(part)}" for part in path)
    else:
        fault["parameter"] = {"in": place, "name": str(path[0]) if path else ""}
    return fault


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


_SENTENCES: dict[str, str] = {
    "missing": "Ce champ est obligatoire : renseignez-le.",
    "extra_forbidden": "Ce champ n'est pas connu ici : retirez-le ou corrigez son nom.",
    "string_type": "Donnez un texte.",
    "string_too_short": "Donnez au moins {min_length} caractère(s).",
    "string_too_long": "Donnez au plus {max_length} caractère(s).",
    "string_pattern_mismatch": "Respectez la forme attendue ({pattern}).",
    "int_type": "Donnez un nombre entier.",
    "int_parsing": "Donnez un nombre entier.",
    "int_from_float": "Donnez un nombre entier, sans décimales.",
    "int_parsing_size": "Donnez un nombre plus petit.",
    "float_type": "Donnez un nombre.",
    "float_parsing": "Donnez un nombre.",
    "finite_number": "Donnez un nombre fini.",
    "decimal_type": 'Donnez un nombre décimal, par exemple "12.50".',
    "decimal_parsing": 'Donnez un nombre décimal, par exemple "12.50".',
    "decimal_max_places": "Donnez au plus {decimal_places} décimale(s).",
    "decimal_max_digits": "Donnez au plus {max_digits} chiffre(s).",
    "decimal_whole_digits": "Donnez au plus {whole_digits} chiffre(s) avant la virgule.",
    "bool_type": "Répondez par true ou false.",
    "bool_parsing": "Répondez par true ou false.",
    "greater_than": "Donnez une valeur supérieure à {gt}.",
    "greater_than_equal": "Donnez une valeur d'au moins {ge}.",
    "less_than": "Donnez une valeur inférieure à {lt}.",
    "less_than_equal": "Donnez une valeur d'au plus {le}.",
    "multiple_of": "Donnez un multiple de {multiple_of}.",
    "literal_error": "Choisissez parmi : {expected}.",
    "enum": "Choisissez parmi : {expected}.",
    "list_type": "Donnez une liste.",
    "tuple_type": "Donnez une liste.",
    "set_type": "Donnez une liste.",
    "too_short": "Donnez au moins {min_length} élément(s).",
    "too_long": "Donnez au plus {max_length} élément(s).",
    "dict_type": "Donnez un objet JSON.",
    "model_type": "Donnez un objet JSON.",
    "model_attributes_type": "Donnez un objet JSON, avec l'en-tête Content-Type: application/json.",
    "dataclass_type": "Donnez un objet JSON.",
    "date_type": "Donnez une date, par exemple 2026-11-24.",
    "date_parsing": "Donnez une date qui existe, par exemple 2026-11-24.",
    "date_from_datetime_parsing": "Donnez une date qui existe, par exemple 2026-11-24.",
    "date_from_datetime_inexact": "Donnez une date sans heure, par exemple 2026-11-24.",
    "date_past": "Donnez une date passée.",
    "date_future": "Donnez une date à venir.",
    "time_type": "Donnez une heure, par exemple 08:30.",
    "time_parsing": "Donnez une heure qui existe, par exemple 08:30.",
    "datetime_type": "Donnez un instant avec son décalage, par exemple 2026-11-24T08:30:00+01:00.",
    "datetime_parsing": "Donnez un instant avec son décalage, par exemple 2026-11-24T08:30:00+01:00.",
    "datetime_from_date_parsing": "Donnez un instant avec son décalage, par exemple 2026-11-24T08:30:00+01:00.",
    "datetime_object_invalid": "Donnez un instant qui existe.",
    "timezone_aware": "Ajoutez le décalage horaire, par exemple 2026-11-24T08:30:00+01:00.",
    "timezone_naive": "Donnez une date et une heure sans décalage horaire.",
    "uuid_type": "Donnez un identifiant (UUID).",
    "uuid_parsing": "Donnez un identifiant (UUID) complet.",
    "url_parsing": "Donnez une adresse web complète.",
    "union_tag_invalid": "Choisissez parmi : {expected_tags}.",
    "union_tag_not_found": "Indiquez {discriminator}.",
    "json_invalid": "Donnez du JSON lisible.",
}


def _sentence(entry: Mapping[str, Any]) -> str:
    kind = str(entry["type"])
    context: Mapping[str, Any] = entry.get("ctx") or {}
    if kind in {"value_error", "assertion_error"}:
        # A validator of ours: its sentence is French already.
        return str(context.get("error") or entry["msg"])
    if entry["loc"][0] == "query" and kind == "extra_forbidden":
        return "Ce paramètre n'est pas connu ici : retirez-le ou corrigez son nom."
    sentence = _SENTENCES.get(kind, "Corrigez cette valeur.")
    try:
        return str(sentence).format_map({name: _french(value) for name, value in context.items()})
    except KeyError:
        return "Corrigez cette valeur."


def _french(value: object) -> object:
    return value.replace(" or ", " ou ") if isinstance(value, str) else value
