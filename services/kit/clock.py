"""The only reader of the clock; a demo house may set it to another day, leases never notice."""

import time
from datetime import UTC, datetime, timedelta

_shift = timedelta(0)


def utc_now() -> datetime:
    """Return the house's present instant, aware, in UTC."""
    return datetime.now(UTC) + _shift


def set_now(at: datetime) -> None:
    """Let the house's present be `at` (aware); it runs on from there at the usual pace.

    Only the operations endpoint of a demo house and tests call this.
    """
    global _shift
    _shift = at.astimezone(UTC) - datetime.now(UTC)


def reset() -> None:
    """Give the house the real present back."""
    global _shift
    _shift = timedelta(0)


def real_seconds() -> float:
    """Return seconds since 1970 on the machine's own clock, for leases and sessions: never simulated."""
    return time.time()
