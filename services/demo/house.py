"""A house seen from outside: who may log in, and calls to its three services over HTTP, nothing else."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

SERVICES = ("orders", "dispatch", "billing")


class DemoFailedError(Exception):
    """An answer that a demo cannot go on with; the message carries the whole of it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are: one origin for all in an embedded house, three in a distributed one."""

    orders: str
    dispatch: str
    billing: str

    @classmethod
    def one(cls, origin: str) -> "Addresses":
        """All three behind one origin."""
        return cls(origin, origin, origin)

    def of(self, service: str) -> str:
        """Return the origin of a service, without a slash at the end."""
        return str(getattr(self, service)).rstrip("/")


def read_logins(path: Path) -> dict[str, str]:
    """Read the log-ins a demo house made for itself: login -> password."""
    logins: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return logins


class Visitor:
    """One person at the house's pages and interfaces, logged in once; the session holds for all services."""

    def __init__(self, addresses: Addresses, login: str, password: str) -> None:
        self.login = login
        self._addresses = addresses
        self._password = password
        self._client = httpx.Client(timeout=60, follow_redirects=False)

    def log_in(self) -> None:
        """Open the session. Raises DemoFailedError when the house refuses."""
        origin = self._addresses.of("orders")
        answer = self._client.post(
            f"{origin}/connexion",
            data={"login": self.login, "secret": self._password},
            headers={"Origin": origin},
        )
        if answer.status_code not in (302, 303):
            raise DemoFailedError(f"{self.login} cannot log in: {answer.status_code} {answer.text[:300]}")

    @property
    def cookie(self) -> str:
        """The session as a Cookie header."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._client.cookies.jar)

    def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        expect: tuple[int, ...] = (200, 201, 202, 204),
    ) -> httpx.Response:
        """Make one call. Raises DemoFailedError for any status that is not expected."""
        origin = self._addresses.of(service)
        answer = self._client.request(
            method,
            origin + path,
            json=body,
            content=content,
            headers={"Origin": origin, **(headers or {})},
        )
        if answer.status_code not in expect:
            raise DemoFailedError(f"{self.login}: {method} {path} -> {answer.status_code} {answer.text[:2000]}")
        return answer

    def get(self, service: str, path: str) -> Any:
        """Return the JSON of one address."""
        return self.call(service, "GET", path).json()

    def post(self, service: str, path: str, body: object | None = None, **more: Any) -> Any:
        """Post JSON and return the answer's JSON."""
        return self.call(service, "POST", path, {} if body is None else body, **more).json()

    def pages(self, service: str, path: str) -> Iterator[dict[str, Any]]:
        """Give every item of a list, page after page."""
        joint = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = self.get(service, f"{path}{joint}limit=200{cursor}")
            yield from page["items"]
            if not page.get("next"):
                return
            cursor = f"&cursor={page['next']}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class House:
    """A whole house under simulated time: visitors, the clock, and waiting until every event has been handled."""

    def __init__(self, addresses: Addresses, logins: Mapping[str, str]) -> None:
        self.addresses = addresses
        self._logins = logins
        self._visitors: dict[str, Visitor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for visitor in self._visitors.values():
            visitor.close()

    def visitor(self, login: str) -> Visitor:
        """Return this person, logged in."""
        if login not in self._visitors:
            visitor = Visitor(self.addresses, login, self._logins[login])
            visitor.log_in()
            self._visitors[login] = visitor
        return self._visitors[login]

    @property
    def admin(self) -> Visitor:
        """The administrator."""
        return self.visitor("admin")

    def set_clock(self, at: datetime) -> None:
        """Let the present be `at` in every service."""
        for service in SERVICES:
            self.admin.call(service, "PUT", f"/v1/operations/{service}/clock", {"at": at.isoformat()})

    def run_job(self, service: str, job: str) -> Any:
        """Run a job now and return its summary."""
        return self.admin.post(service, f"/v1/operations/{service}/jobs/{job}/runs")

    def lane(self, service: str) -> dict[str, Any]:
        """Return how far a service's events are."""
        status: dict[str, Any] = self.admin.get(service, f"/v1/operations/{service}/lane")
        return status

    def settle_down(self, *, within_seconds: float = 120) -> None:
        """Wait until no event is under way anywhere: nothing in any outbox, no reader behind, nothing moved meanwhile.

        One quiet look at three services is not enough, as an event may hop between two of them. Two equal quiet looks
        are: a handler writes what it says in the transaction that moves its position.

        Raises
        ------
        DemoFailedError
            When it takes too long, or an event was set aside.
        """
        end = time.monotonic() + within_seconds
        seen: list[dict[str, Any]] | None = None
        while True:
            look = [self.lane(service) for service in SERVICES]
            if any(status["dead_letters"] for status in look):
                raise DemoFailedError(f"an event was set aside: {json.dumps(look)[:2000]}")
            if all(is_quiet(status) for status in look):
                if look == seen:
                    return
                seen = look
                continue
            if time.monotonic() > end:
                raise DemoFailedError(f"events are still under way: {json.dumps(look)[:2000]}")
            time.sleep(0.05)


def is_quiet(status: Mapping[str, Any]) -> bool:
    """Return whether a service has neither something to say nor something to hear."""
    return status["outbox"]["pending"] == 0 and all(topic["lag"] == 0 for topic in status["topics"])
