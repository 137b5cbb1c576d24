"""A server process that ends with us, whichever way we end."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals


class ServerProcess:
    """A child with its output in a file. A watchdog ends it when this process is gone, even by SIGKILL.

    (The kernel's parent-death signal is of no use here: it fires when the *thread* that started the child ends.)
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        last_resort: Signals = SIGKILL,
        folder: Path | None = None,
    ) -> None:
        """Start it. When we die, it gets the signal `last_resort`, and its temporary `folder` is removed."""
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                env=env,
                cwd="/",
            )
        # It reads until our end of the pipe closes, which the kernel sees to.
        self._watchdog = subprocess.Popen(
            [
                *("sh", "-c", 'cat >/dev/null; kill "-$1" "$2"; [ -z "$3" ] || { sleep 2; rm -rf "$3"; }', "watchdog"),
                *(last_resort.name[3:], str(self._child.pid), str(folder or "")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def send(self, signal: Signals) -> None:
        """Send a signal, if the process still runs."""
        self._child.send_signal(signal)

    def stop(self, signal: Signals = SIGTERM, *, seconds: float = 30) -> None:
        """End it: politely, then for good."""
        self.send(signal)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._watchdog.kill()
        self._watchdog.communicate()

    def resident_megabytes(self) -> float:
        """Return the memory that the process holds."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def last_words(self) -> str:
        """Return the end of its output."""
        return self.log.read_text(errors="replace")[-2000:]


def wait_for(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask again and again until the condition holds. False when time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
