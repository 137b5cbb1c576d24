"""A process beside this one: it answers in turn, dies without taking anybody along, and never outlives its time."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.dispatch.worker import Worker, WorkerBusy, WorkerCalledOff, WorkerDied, WorkerStopped
from tests.servers.process import wait_for


def reckon(start: int) -> Callable[[Any], object]:
    """What runs in the worker's process: it adds, tells its id, waits, raises or dies, as it is asked."""

    def answer(request: Any) -> object:
        match request:
            case "id":
                return os.getpid()
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case ("wait", seconds):
                time.sleep(seconds)
            case ("raise", text):
                raise ValueError(text)
        return start + request if isinstance(request, int) else None

    return answer


def refuse() -> Callable[[Any], object]:
    raise LookupError("there is nothing to work with")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("reckoner", reckon, 40)
    yield worker
    worker.stop()


def test_it_is_made_once_and_answers(worker: Worker) -> None:
    assert [worker.ask(number, seconds=30) for number in (1, 2)] == [41, 42]
    assert worker.ask("id", seconds=30) == worker.ask("id", seconds=30) != os.getpid()
    assert worker.ask("nothing", seconds=30) is None


def test_what_it_raises_is_raised_here_and_it_goes_on(worker: Worker) -> None:
    with pytest.raises(ValueError, match="no sum"):
        worker.ask(("raise", "no sum"), seconds=30)
    assert worker.ask(2, seconds=30) == 42


def test_one_that_cannot_be_made_says_why_every_time() -> None:
    worker = Worker("nothing", refuse)
    try:
        for _ in range(2):
            with pytest.raises(LookupError, match="nothing to work with"):
                worker.ask(1, seconds=30)
    finally:
        worker.stop()


def test_one_that_died_is_replaced(worker: Worker) -> None:
    first = worker.ask("id", seconds=30)
    with pytest.raises(WorkerDied):
        worker.ask("die", seconds=30)
    assert worker.ask("id", seconds=30) != first
    second = worker.ask("id", seconds=30)
    assert isinstance(second, int)
    os.kill(second, signal.SIGKILL)  # between two questions
    assert wait_for(lambda: second not in [child.pid for child in multiprocessing.active_children()], seconds=5)
    assert worker.ask("id", seconds=30) not in (first, second)


def test_one_that_takes_too_long_is_ended_and_replaced(worker: Worker) -> None:
    first = worker.ask("id", seconds=30)
    began = time.monotonic()
    with pytest.raises(WorkerDied, match="in time"):
        worker.ask(("wait", 20), seconds=0.2)
    assert time.monotonic() - began < 5
    assert worker.ask("id", seconds=30) != first


def test_those_who_wait_for_their_turn_wait_within_their_time(worker: Worker) -> None:
    worker.ask("id", seconds=30)
    with ThreadPoolExecutor(1) as threads:
        long = threads.submit(worker.ask, ("wait", 1), seconds=30)
        time.sleep(0.2)
        with pytest.raises(WorkerBusy):
            worker.ask(1, seconds=0.1)
        assert long.result() is None


def is_anybody_there() -> bool:
    raise LookupError


def test_what_is_not_wanted_any_more_is_ended_and_never_given_to_the_next(worker: Worker) -> None:
    first = worker.ask("id", seconds=30)
    wanted_until = time.monotonic() + 1.5
    with pytest.raises(WorkerCalledOff):
        worker.ask(("wait", 20), seconds=30, is_wanted=lambda: time.monotonic() < wanted_until)
    assert time.monotonic() < wanted_until + 5
    with pytest.raises(LookupError):
        worker.ask(("wait", 20), seconds=30, is_wanted=is_anybody_there)
    assert worker.ask(2, seconds=30) == 42
    assert worker.ask("id", seconds=30) != first


class Bulky:
    """A request whose end is seen: the file is there once nobody keeps it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __del__(self) -> None:
        if multiprocessing.parent_process():
            self.file.touch()


def test_it_keeps_nothing_of_what_it_has_answered(worker: Worker, tmp_path: Path) -> None:
    assert worker.ask(Bulky(tmp_path / "forgotten"), seconds=30) is None
    assert wait_for((tmp_path / "forgotten").exists, seconds=10)


def test_stopping_ends_what_it_is_doing_for_good(worker: Worker) -> None:
    worker.ask("id", seconds=30)
    with ThreadPoolExecutor(1) as threads:
        long = threads.submit(worker.ask, ("wait", 20), seconds=30)
        time.sleep(0.2)
        worker.stop()
        with pytest.raises(WorkerStopped):
            long.result(timeout=5)
    with pytest.raises(WorkerStopped):
        worker.ask(1, seconds=1)
