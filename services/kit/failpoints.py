"""Places where a process can be told to die, so that tests can show that nothing is lost and nothing doubled.

Inert unless the environment names one: `TOURNEE_FAILPOINT=relay.after_publish` dies at the first passage,
`TOURNEE_FAILPOINT=relay.after_publish:3` at the third. Death is SIGKILL: no handler, no flush, no goodbye.
"""

import os
import signal
import threading

FAILPOINTS = (
    "outbox.before_commit",
    "outbox.after_commit",
    "relay.before_publish",
    "relay.after_publish",
    "relay.before_delete_commit",
    "relay.after_delete",
    "consumer.before_handler",
    "consumer.before_commit",
    "consumer.after_commit",
    "consumer.after_bus_commit",
)


def _armed(setting: str) -> tuple[str, int]:
    name, _, nth = setting.partition(":")
    if name and name not in FAILPOINTS:
        raise ValueError(f"TOURNEE_FAILPOINT names no failpoint: {name!r}; there are {', '.join(FAILPOINTS)}")
    return name, int(nth or 1)


_name, _passages_left = _armed(os.environ.get("TOURNEE_FAILPOINT", ""))
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Die here if the environment asked for it; otherwise do nothing."""
    global _passages_left
    if name != _name:
        return
    with _lock:
        _passages_left -= 1
        if _passages_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
