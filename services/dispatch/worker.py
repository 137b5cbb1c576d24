"""A process that works beside this one, for what would keep this interpreter busy or may crash; it knows no trade."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from time import monotonic
from typing import Any

LOOK_SECONDS = 1.0


class WorkerDied(Exception):
    """The process ended, or did not answer in time and was ended."""


class WorkerBusy(Exception):
    """Others' requests came first until the time was over; nothing was asked."""


class WorkerCalledOff(Exception):
    """The answer was not wanted any more; the process was ended, as it was at it."""


class WorkerStopped(Exception):
    """Whoever made the worker has stopped it."""


class Worker:
    """Answers one request at a time in a process of its own, started when first needed, kept, and again when it died.

    It ends with this process, however that ends. `make(*arguments)`, called in the new process, returns the function
    that answers requests; both, requests and answers travel as pickles, so `make` must be importable by name.
    """

    def __init__(self, name: str, make: Callable[..., Callable[[Any], object]], *arguments: object) -> None:
        self._name, self._make, self._arguments = name, make, arguments
        self._turn = Lock()
        self._lock = Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._is_stopped = False

    def ask(self, request: object, *, seconds: float, is_wanted: Callable[[], bool] = lambda: True) -> object:
        """Return the answer, within so many seconds; `is_wanted` is asked meanwhile, about once a second.

        Raises WorkerBusy, WorkerCalledOff, WorkerDied, WorkerStopped, or what `make`, its function or `is_wanted`
        raised.
        """
        deadline = monotonic() + seconds
        if not self._turn.acquire(timeout=seconds):
            raise WorkerBusy(self._name)
        try:
            pipe = self._start()
            try:
                pipe.send(request)
                answer: object = self._answer(pipe, deadline, is_wanted)
            except (EOFError, OSError) as error:
                self._end()
                raise (WorkerStopped if self._is_stopped else WorkerDied)(self._name) from error
            except BaseException:
                self._end()  # it is still at it: whoever asks next must not be given this answer
                raise
        finally:
            self._turn.release()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, pipe: Connection, deadline: float, is_wanted: Callable[[], bool]) -> object:
        while not pipe.poll(min(max(deadline - monotonic(), 0.0), LOOK_SECONDS)):
            if monotonic() >= deadline:
                raise WorkerDied(f"{self._name}: no answer in time")
            if not is_wanted():
                raise WorkerCalledOff(self._name)
        return pipe.recv()

    def stop(self) -> None:
        """End the process, whatever it is doing, for good."""
        self._is_stopped = True
        self._end()

    def _start(self) -> Connection:
        with self._lock:
            if self._is_stopped:
                raise WorkerStopped(self._name)
            if self._process is None or not self._process.is_alive() or self._pipe is None:
                # Not forked: this process has threads, and the child must not hold its sockets and files.
                context: Any = multiprocessing.get_context("spawn")
                self._pipe, far_end = context.Pipe()
                self._process = context.Process(
                    target=_serve, args=(far_end, self._make, self._arguments), name=self._name, daemon=True
                )
                self._process.start()
                far_end.close()
            return self._pipe

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()
                self._process = None
                self._pipe = None  # not closed: a thread may wait at it, and the process's end ends that


def _serve(pipe: Connection, make: Callable[..., Callable[[Any], object]], arguments: tuple[object, ...]) -> None:
    """Answer what comes through the pipe until its other end is closed, as it is when that process dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then ends this process
    answer_to: Callable[[Any], object] | None = None
    with suppress(EOFError, OSError):
        while True:
            request = pipe.recv()
            try:
                if answer_to is None:
                    answer_to = make(*arguments)
                answer: object = answer_to(request)
            except Exception as error:
                answer = error
            pipe.send(answer)
            del request, answer  # while it waits for the next one it keeps nothing of this one
