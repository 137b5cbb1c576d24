"""Log lines are JSON and say what they are about."""

import json
import logging

from services.kit import telemetry
from services.kit.telemetry import JsonLines


def line(level: int = logging.INFO, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("services.kit", level, "file.py", 1, "said %s", ("« é »",), None)
    record.__dict__.update(extra)
    written: dict[str, object] = json.loads(JsonLines().format(record))
    return written


def test_a_line_has_time_level_logger_and_text() -> None:
    written = line(logging.WARNING)
    assert str(written.pop("at")).endswith("+00:00")
    assert written == {"level": "warning", "logger": "services.kit", "text": "said « é »"}


def test_a_line_carries_what_it_is_about_and_only_inside() -> None:
    with telemetry.about(request_id="r-1"):
        with telemetry.about(message_id="m-1"):
            assert line().items() >= {"request_id": "r-1", "message_id": "m-1"}.items()
            assert telemetry.fact("request_id") == "r-1"
        assert "message_id" not in line()
    assert "request_id" not in line()
    assert telemetry.fact("request_id") == ""


def test_a_line_carries_facts_of_its_own_and_errors_whole() -> None:
    assert line(facts={"service": "orders", "partition": ("a", 1)})["partition"] == ["a", 1]
    error = LookupError("lost")
    written = line(exc_info=(LookupError, error, None))
    assert "LookupError: lost" in str(written["error"])
