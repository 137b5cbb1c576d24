"""What the OpenAPI document says about every door: the refusals it may answer with, and who may use it."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.kit.http.access import SESSION_COOKIE
from services.kit.http.doors import Door
from services.kit.http.edge import SAFE_METHODS
from services.kit.http.problems import MEDIA_TYPE, Problem

_TEXTS = {
    400: "Le corps de la demande est illisible.",
    401: "Personne ne s'est identifié.",
    403: "Le compte n'a pas ce droit.",
    404: "Rien de tel, ou rien que le compte puisse voir.",
    409: "L'état actuel ne permet pas cette action ; `code` dit pourquoi.",
    412: "La ressource a changé depuis sa lecture.",
    413: "Le corps dépasse la taille permise.",
    422: "La demande est à corriger ; `errors` dit où et comment.",
    428: "L'en-tête If-Match manque.",
    429: "Trop de demandes ; `Retry-After` dit quand revenir.",
    500: "Erreur du service.",
}

_EXAMPLE = {
    "type": "/problems/invalid-request",
    "title": "Demande à corriger",
    "status": 422,
    "detail": "Ce champ est obligatoire : renseignez-le.",
    "code": "invalid-request",
    "request_id": "01a20b6a-379d-71e1-ab5d-bfb3035bd40c",
    "errors": [{"code": "missing", "detail": "Ce champ est obligatoire : renseignez-le.", "pointer": "/name"}],
}


def describe_door(door: Door) -> None:
    """Add to a door's description the refusals it may answer with, and who may use it."""
    responses: dict[int | str, dict[str, Any]] = {
        **{status: _described(status) for status in _refusals_of(door)},
        **door.responses,
    }
    door.responses = responses
    door.openapi_extra = {
        **({"security": security} if (security := _security_of(door)) else {}),
        **(door.openapi_extra or {}),
    }


def _refusals_of(door: Door) -> list[int]:
    statuses = {429, 500}
    methods = door.methods or set()
    if door.needed_scopes is not None:
        statuses |= {401, 403}
    if door.dependant.path_params:
        statuses |= {404, 422}
    if door.known_parameters:
        statuses |= {422}
    if not methods <= SAFE_METHODS:
        statuses |= {400, 409, 413, 422}
    if "PUT" in methods or "PATCH" in methods:
        statuses |= {412, 428}
    return sorted(statuses)


def _security_of(door: Door) -> list[dict[str, list[str]]]:
    if door.needed_scopes is None:
        return []
    machines: list[dict[str, list[str]]] = [{"machine": [scope]} for scope in door.needed_scopes]
    return [*(machines or [{"machine": []}]), {"person": []}]


def describe(app: FastAPI, doors: Sequence[Door]) -> None:
    """Let the app's OpenAPI document describe refusals and access as they are."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=version("tournee"),
                description="Montants en texte décimal, dates ISO 8601, instants RFC 3339 avec décalage.",
                routes=doors,
            )
            components = schema.setdefault("components", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components.setdefault("schemas", {}).update(problem.pop("$defs", {}))
            components["schemas"]["Problem"] = problem
            scopes = sorted({scope for door in doors for scope in door.needed_scopes or ()})
            components["securitySchemes"] = {
                "machine": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": dict.fromkeys(scopes, "")}},
                },
                "person": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            }
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _described(status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == 422:
        content["example"] = _EXAMPLE
    return {"description": _TEXTS[status], "content": {MEDIA_TYPE: content}}
