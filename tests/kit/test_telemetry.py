"""Log lines are JSON and say what they are about."""

import json
import logging
from collections.abc import Iterator

import pytest

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


def test_the_kafka_clients_complaints_are_let_through_once_in_a_while(
    capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    telemetry.configure_logging("INFO")
    for _ in range(5):
        logging.getLogger("aiokafka.conn").error("Unable to connect to %s", "node 1")
        logging.getLogger("services.kit").error("ours")
    logging.getLogger("aiokafka.conn").error("something else")
    lines = [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()]
    assert sorted(lines) == ["Unable to connect to node 1", *["ours"] * 5, "something else"]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers.copy(), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
