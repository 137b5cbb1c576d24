"""Who is asking: the accounts file, signed sessions and access tokens, and how failed log-ins are slowed down.

A cookie or a token only names the account. Roles and scopes are read again from the accounts file at each request, so
that taking them away works at once.
"""

import hashlib
import json
import logging
import os
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from services.kit.clock import real_seconds

log = logging.getLogger(__name__)

Use = Literal["session", "api"]

_hasher = PasswordHasher()
CROWD = 50
"""How many may wait for their secret to be checked."""


@dataclass(frozen=True)
class Caller:
    """Who asks, and what they may do in the services of this process."""

    account_id: str
    name: str
    is_machine: bool
    roles: frozenset[str]
    scopes: frozenset[str]
    claims: Mapping[str, str]

    def claim(self, name: str) -> str | None:
        """Return what the account says about itself under `name`."""
        return self.claims.get(name)

    def has(self, scope: str) -> bool:
        """Return whether the caller may do what `scope` stands for."""
        return scope in self.scopes


@dataclass(frozen=True)
class Account:
    """One person or machine of the accounts file. The login is the account's id."""

    login: str
    name: str
    secret_hash: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    is_machine: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes with the secret, so that sessions opened with the old one end."""
        return hashlib.sha256(self.secret_hash.encode()).hexdigest()[:16]


class AccountExists(ValueError):
    """Another account has this login already."""


class BadAccountsFile(ValueError):
    """The file does not hold accounts."""


class AccountUnknown(ValueError):
    """No account has this login."""


def _is_right(secret_hash: str, secret: str) -> bool:
    try:
        return _hasher.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


class AccountsFile:
    """The accounts, kept in one JSON file; a change of the file is seen within a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = 0
        self._accounts: dict[str, Account] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked_at = 0.0

    def get(self, login: str) -> Account | None:
        """Return the account, if it is still there."""
        self._refresh()
        return self._accounts.get(login)

    def all(self) -> list[Account]:
        """Return every account, by login. Raises `BadAccountsFile`."""
        self._load()
        return [self._accounts[login] for login in sorted(self._accounts)]

    def add(
        self,
        login: str,
        *,
        name: str = "",
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        claims: Mapping[str, str] | None = None,
        is_machine: bool = False,
        secret: str | None = None,
    ) -> str:
        """Add an account and return its secret, kept nowhere else. Raises `AccountExists`, `BadAccountsFile`."""
        accounts = {account.login: account for account in self.all()}
        if login in accounts:
            raise AccountExists(login)
        secret = secret or secrets.token_urlsafe(18)
        accounts[login] = Account(
            login=login,
            name=name or login,
            secret_hash=_hasher.hash(secret),
            roles=tuple(sorted(set(roles))),
            scopes=tuple(sorted(set(scopes))),
            claims=dict(claims or {}),
            is_machine=is_machine,
        )
        self._write(accounts.values())
        return secret

    def remove(self, login: str) -> None:
        """Take an account away; it is refused from its next request on. Raises `AccountUnknown`."""
        accounts = {account.login: account for account in self.all()}
        if accounts.pop(login, None) is None:
            raise AccountUnknown(login)
        self._write(accounts.values())

    def _write(self, accounts: Iterable[Account]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"accounts": [asdict(account) for account in accounts]}, ensure_ascii=False, indent=2)
        # Readers never see half a file; mkstemp makes it readable by its owner alone.
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        Path(name).replace(self.path)
        self._looked_at = 0.0

    def _refresh(self) -> None:
        now = real_seconds()
        if 0 <= now - self._looked_at < 1:
            return
        self._looked_at = now
        try:
            self._load()
        except (BadAccountsFile, OSError):
            # Half an edit must not lock everybody out; the accounts of before stay in force.
            log.exception("the accounts file cannot be read")

    def _load(self) -> None:
        """Read the file if it changed. Raises `BadAccountsFile`, OSError."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            stamp, accounts = None, {}
        else:
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            accounts = {account.login: account for account in _read(self.path)}
        if stamp != self._stamp:
            self._stamp, self._accounts = stamp, accounts
            self.version += 1


def _read(path: Path) -> list[Account]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            Account(**{**entry, "roles": tuple(entry.get("roles", ())), "scopes": tuple(entry.get("scopes", ()))})
            for entry in content["accounts"]
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise BadAccountsFile(f"{path} does not hold accounts: {error}") from error


class BadToken(Exception):
    """The token is not ours, has ended, or was made for something else."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a signed token says: which account, until when, with which secret, and at most which scopes."""

    login: str
    expires_at: float
    fingerprint: str
    scopes: frozenset[str] | None


class Tokens:
    """Signs and reads session cookies and access tokens (JWT, HS256)."""

    def __init__(self, key: str) -> None:
        self._key = OctKey.import_key(key.encode())
        # A phone on the road shows the same token every fifteen seconds.
        self._read_once = lru_cache(maxsize=4096)(self._decode)

    def issue(self, account: Account, use: Use, *, seconds: float, scopes: Iterable[str] | None = None) -> str:
        """Return a token for this account; `scopes` narrows what it may do."""
        now = real_seconds()
        claims: dict[str, Any] = {
            "sub": account.login,
            "aud": use,
            "iat": int(now),
            "exp": int(now + seconds),
            "key": account.fingerprint,
        }
        if scopes is not None:
            claims["scope"] = " ".join(sorted(scopes))
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, self._key, algorithms=["HS256"])

    def read(self, token: str, use: Use) -> Ticket:
        """Return what the token says. Raises `BadToken`."""
        ticket = self._read_once(token, use)
        if ticket.expires_at <= real_seconds():
            raise BadToken("expired")
        return ticket

    def _decode(self, token: str, use: Use) -> Ticket:
        if len(token) > 4096:
            raise BadToken("too long")
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            scope = claims.get("scope")
            ticket = Ticket(
                login=str(claims["sub"]),
                expires_at=float(claims["exp"]),
                fingerprint=str(claims["key"]),
                scopes=None if scope is None else frozenset(str(scope).split()),
            )
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise BadToken(str(error)) from error
        if claims.get("aud") != use:
            raise BadToken("made for something else")
        return ticket


class Throttle:
    """Slows down guessing: after five failures an account waits, twice as long each time, at most a quarter hour."""

    FREE_FAILURES = 5
    FIRST_WAIT_SECONDS = 30.0
    LONGEST_WAIT_SECONDS = 900.0
    KEPT_LOGINS = 10_000

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def seconds_to_wait(self, login: str) -> float:
        """Return how long this login must wait before it may try again; 0 when it may try now."""
        with self._lock:
            count, last = self._failures.get(login, (0, 0.0))
        if count < self.FREE_FAILURES:
            return 0.0
        wait = min(self.FIRST_WAIT_SECONDS * 2.0 ** (count - self.FREE_FAILURES), self.LONGEST_WAIT_SECONDS)
        return max(0.0, last + wait - real_seconds())

    def failed(self, login: str) -> None:
        """Count a failure."""
        now = real_seconds()
        with self._lock:
            count, last = self._failures.pop(login, (0, now))
            if now - last > 2 * self.LONGEST_WAIT_SECONDS:
                count = 0
            self._failures[login] = (min(count + 1, 30), now)
            while len(self._failures) > self.KEPT_LOGINS:
                self._failures.popitem(last=False)

    def succeeded(self, login: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._failures.pop(login, None)


class MustWait(Exception):
    """Too many failed log-ins for this account."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait {seconds:.0f} s")
        self.seconds = seconds


class Access:
    """Answers who is asking, for one app: the accounts, the tokens, and what each role may do here."""

    def __init__(
        self, accounts: AccountsFile, tokens: Tokens, role_scopes: Sequence[Mapping[str, frozenset[str]]]
    ) -> None:
        self.accounts = accounts
        self.tokens = tokens
        self.throttle = Throttle()
        # Checked when the account is unknown, so that the answer takes as long.
        self._decoy = _hasher.hash(secrets.token_urlsafe(16))
        # Each check takes 64 MiB and a processor: a crowd at the door must not take the whole house.
        self._hashing = CapacityLimiter(2)
        self._role_scopes: dict[str, frozenset[str]] = {}
        for given in role_scopes:
            for role, scopes in given.items():
                self._role_scopes[role] = self._role_scopes.get(role, frozenset()) | scopes
        self._callers: dict[tuple[str, frozenset[str] | None], Caller] = {}
        self._callers_version = -1

    def caller_of(self, token: str, use: Use) -> Caller:
        """Return who shows this token. Raises `BadToken`, also when the account is gone or its secret has changed."""
        ticket = self.tokens.read(token, use)
        account = self.accounts.get(ticket.login)
        if account is None or account.fingerprint != ticket.fingerprint:
            raise BadToken("the account is gone or has another secret")
        return self._caller(account, ticket.scopes)

    def scopes_of(self, account: Account) -> frozenset[str]:
        """Return everything the account may do in this process."""
        granted = frozenset(account.scopes)
        return granted.union(*(self._role_scopes.get(role, frozenset()) for role in account.roles))

    async def check_secret(self, login: str, secret: str, *, is_machine: bool) -> Account | None:
        """Return the account when login and secret belong together. Takes as long when the login is unknown.

        Raises
        ------
        MustWait
            When this login failed too often, or too many are waiting at the door.
        """
        if (wait := self.throttle.seconds_to_wait(login)) > 0:
            raise MustWait(wait)
        if self._hashing.statistics().tasks_waiting >= CROWD:
            raise MustWait(5.0)
        account = self.accounts.get(login)
        if account is not None and account.is_machine != is_machine:
            account = None
        secret_hash = account.secret_hash if account else self._decoy
        # Counted before the check, or a hundred guesses sent at once would all be let through.
        self.throttle.failed(login)
        is_right = await to_thread.run_sync(_is_right, secret_hash, secret, limiter=self._hashing)
        if account is None or not is_right:
            return None
        self.throttle.succeeded(login)
        return account

    def _caller(self, account: Account, narrowed: frozenset[str] | None) -> Caller:
        if self._callers_version != self.accounts.version or len(self._callers) > 4096:
            self._callers_version, self._callers = self.accounts.version, {}
        key = (account.login, narrowed)
        caller = self._callers.get(key)
        if caller is None:
            scopes = self.scopes_of(account)
            caller = Caller(
                account_id=account.login,
                name=account.name,
                is_machine=account.is_machine,
                roles=frozenset(account.roles),
                scopes=scopes if narrowed is None else scopes & narrowed,
                claims=dict(account.claims),
            )
            self._callers[key] = caller
        return caller


SESSION_COOKIE = "tournee_session"


def caller_of(request: Request) -> Caller | None:
    """Return who asks, or None when nobody says so or what they show is not valid (any more)."""
    scope = request.scope
    if "tournee.caller" not in scope:
        access: Access = scope["app"].state.access
        caller = None
        with suppress(BadToken):
            if authorization := request.headers.get("authorization"):
                kind, _, token = authorization.partition(" ")
                if kind.lower() == "bearer":
                    caller = access.caller_of(token.strip(), "api")
            elif cookie := request.cookies.get(SESSION_COOKIE):
                caller = access.caller_of(cookie, "session")
        scope["tournee.caller"] = caller
    return scope["tournee.caller"]  # type: ignore[no-any-return]
