"""Log lines in JSON and counters, both carrying the request or message that they are about."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from prometheus_client import Counter, Gauge

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed in place

RELAYED = Counter("tournee_relayed_total", "Events handed to the bus and acknowledged.", ["service", "topic"])
HANDLED = Counter("tournee_handled_total", "Events whose effect was committed.", ["service", "topic"])
REPEATED = Counter("tournee_repeated_total", "Events that came again and were skipped.", ["service", "topic"])
RETRIED = Counter("tournee_retried_total", "Events put back to be tried again.", ["service", "topic", "why"])
DEAD = Counter(
    "tournee_dead_letters_total", "Events set aside, those parked behind them included.", ["service", "topic"]
)
RELAY_FAILURES = Counter("tournee_relay_failures_total", "Batches that the bus did not take.", ["service", "topic"])
LANE_STOPPED = Gauge("tournee_lane_stopped", "1 when this service's consumer has stopped for good.", ["service"])
JOB_RUNS = Counter("tournee_job_runs_total", "Runs of a job, by how they ended.", ["job", "outcome"])


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Let log lines inside carry `facts`, such as `request_id`, `message_id` or `traceparent`."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def now_about(**facts: str) -> None:
    """Let log lines of this thread carry exactly `facts` from here on; `about` without the way back, for loops."""
    _about.set(facts)


def fact(name: str) -> str:
    """Return one of the facts that `about` set, or nothing."""
    return _about.get().get(name, "")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, text, and what the line is about."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
            **_about.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class _Seldom(logging.Filter):
    """Lets through the same line of a talkative library once in a while; a client without its server repeats itself."""

    def __init__(self, logger: str, every_seconds: float) -> None:
        super().__init__()
        self._logger = logger
        self._every_seconds = every_seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is not of that library, or has not been seen for some time."""
        if not f"{record.name}.".startswith(f"{self._logger}."):
            return True
        line = (record.name, str(record.msg))
        if record.created - self._last.get(line, 0.0) < self._every_seconds:
            return False
        self._last[line] = record.created
        return True


def configure_logging(level: str = "INFO") -> None:
    """Send every log line to standard error as JSON, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_Seldom("aiokafka", every_seconds=30))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
