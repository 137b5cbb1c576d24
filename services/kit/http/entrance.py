"""The doors of access: log in, log out, ask for a token, and the home page."""

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict

from services.kit.http.access import SESSION_COOKIE, Access, MustWait, caller_of
from services.kit.http.html import render_kit_page
from services.kit.settings import HouseSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Login(BaseModel):
    """The log-in form."""

    model_config = ConfigDict(extra="forbid")

    login: str = ""
    secret: str = ""
    suite: str = "/"


def entrance(access: Access, house: HouseSettings) -> APIRouter:
    """Return the doors through which people and machines come in."""
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        if caller_of(request) is None:
            return RedirectResponse("/connexion", status_code=303)
        return render_kit_page(request, "accueil.html")

    @router.get("/connexion", include_in_schema=False)
    async def login_page(request: Request, suite: str = "/") -> Response:
        return render_kit_page(request, "connexion.html", suite=_local(suite), login="", refusal="")

    @router.post("/connexion", include_in_schema=False)
    async def login(request: Request, form: Annotated[Login, Form()]) -> Response:
        suite = _local(form.suite)
        name = form.login.strip()[:100]
        headers = {}
        try:
            account = await access.check_secret(name, form.secret[:200], is_machine=False)
        except MustWait as wait:
            status, seconds = 429, max(1, round(wait.seconds))
            refusal = f"Trop d'essais pour ce compte : attendez {seconds} s avant de recommencer."
            headers["Retry-After"] = str(seconds)
        else:
            if account is not None:
                answer = RedirectResponse(suite, status_code=303)
                answer.set_cookie(
                    SESSION_COOKIE,
                    access.tokens.issue(account, "session", seconds=house.session_hours * 3600),
                    max_age=int(house.session_hours * 3600),
                    httponly=True,
                    samesite="lax",
                    secure=_must_be_secure(request),
                )
                return answer
            status, refusal = 401, "Identifiant ou mot de passe incorrect : vérifiez-les et recommencez."
        return render_kit_page(
            request, "connexion.html", status=status, headers=headers, suite=suite, login=name, refusal=refusal
        )

    @router.get("/deconnexion", include_in_schema=False)
    async def logout_page(request: Request) -> Response:
        if caller_of(request) is None:
            return RedirectResponse("/connexion", status_code=303)
        return render_kit_page(request, "deconnexion.html")

    @router.post("/deconnexion", include_in_schema=False)
    async def logout(request: Request) -> Response:
        answer = RedirectResponse("/connexion", status_code=303)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax", secure=_must_be_secure(request))
        return answer

    def _must_be_secure(request: Request) -> bool:
        return not (house.demo or house.insecure_cookies or request.url.hostname in _LOOPBACK)

    @router.post(
        "/oauth/token",
        tags=["access"],
        summary="Jeton d'accès d'une machine (OAuth2 client credentials)",
        response_model=TokenAnswer,
        responses={
            400: {"model": TokenRefusal, "description": "Demande refusée"},
            401: {"model": TokenRefusal, "description": "Compte ou secret incorrect"},
            429: {"model": TokenRefusal, "description": "Trop d'essais"},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": _TOKEN_REQUEST}},
            },
        },
    )
    async def token(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=20)
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        client_id, client_secret = _client(request, given)
        if given.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "Seul « client_credentials » est possible.")
        if not client_id or not client_secret:
            return _refused("invalid_client", "Donnez client_id et client_secret.", status=401)
        try:
            account = await access.check_secret(client_id[:100], client_secret[:200], is_machine=True)
        except MustWait as wait:
            seconds = max(1, round(wait.seconds))
            answer = _refused("temporarily_unavailable", f"Trop d'essais : attendez {seconds} s.", status=429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        if account is None:
            return _refused("invalid_client", "Compte ou secret incorrect.", status=401)
        granted = frozenset(account.scopes)
        asked = frozenset(given.get("scope", "").split()) or granted
        if not asked <= granted:
            missing = " ".join(sorted(asked - granted))
            return _refused("invalid_scope", f"Ce compte n'a pas : {missing}.")
        content = TokenAnswer(
            access_token=access.tokens.issue(account, "api", seconds=house.token_seconds, scopes=asked),
            expires_in=house.token_seconds,
            scope=" ".join(sorted(asked)),
        )
        return JSONResponse(content.model_dump(), headers=_NO_STORE)

    return router


class TokenAnswer(BaseModel):
    """An access token, RFC 6749 section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int
    scope: str


class TokenRefusal(BaseModel):
    """Why there is no token, RFC 6749 section 5.2."""

    error: str
    error_description: str


_NO_STORE = {"Cache-Control": "no-store"}
_TOKEN_REQUEST = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["client_credentials"]},
        "client_id": {"type": "string", "description": "Ou dans l'en-tête Authorization: Basic"},
        "client_secret": {"type": "string", "format": "password"},
        "scope": {"type": "string", "description": "Séparés par des espaces ; par défaut, tous ceux du compte"},
    },
}


def _refused(error: str, description: str, *, status: int = 400) -> JSONResponse:
    headers = {**_NO_STORE, **({"WWW-Authenticate": 'Basic realm="tournee"'} if status == 401 else {})}
    content = TokenRefusal(error=error, error_description=description)
    return JSONResponse(content.model_dump(), status_code=status, headers=headers)


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _local(address: str) -> str:
    """Return the address if it stays on this site, else the home page's."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_local else "/"
