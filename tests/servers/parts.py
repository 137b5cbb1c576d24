"""What a test run needs beyond Python: where the parts come from, which were used, which could not be had."""

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".servers"
LOGS = CACHE / "logs"
INSTALL_SECONDS = 900


class Unavailable(Exception):
    """A part cannot be had on this machine; the text says why and what would help."""


def install(*packages: str) -> None:
    """Install Debian packages where we are allowed to. Raises Unavailable otherwise."""
    with one_at_a_time("debian"):
        try:
            done = subprocess.run(
                [PROJECT / "deploy/setup/debian-install.sh", *packages],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise Unavailable(f"installing {' '.join(packages)} took more than {INSTALL_SECONDS} s") from late
    if done.returncode:
        raise Unavailable(f"{' '.join(packages)}: {done.stderr.strip()[-600:]}")


def program(*names: str) -> Path | None:
    """Return the first of these programs that is on PATH."""
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def output_of(*command: str | Path) -> str:
    """Return what a short command prints on either stream, or nothing when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Say whether somebody accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock among all test runs of this folder: two of them must not fetch the same thing at once."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def are_required() -> bool:
    """Say whether a missing part is a failure: in CI, or with REQUIRE_PARTS=1."""
    return os.environ.get("CI", "") == "true" or os.environ.get("REQUIRE_PARTS", "") == "1"
