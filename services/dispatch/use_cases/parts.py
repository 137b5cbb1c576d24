"""Parts of a big day: asked for by the process that plans it, heard of by one of them all, answered by any."""

from collections.abc import Callable
from functools import partial
from weakref import WeakKeyDictionary

from services.dispatch import messages
from services.dispatch.domain.part import PlanPart
from services.dispatch.repository import parts
from services.kit.database import Database, Transaction
from services.kit.events import outbox

_listeners: WeakKeyDictionary[Database, set[Callable[[Database], None]]] = WeakKeyDictionary()


def request_part(tx: Transaction, part: PlanPart) -> None:
    """Ask for a part to be searched."""
    parts.add(tx, part)
    outbox.add(tx, messages.part_requested(part))


def hear_of_part(tx: Transaction, part_id: str) -> None:
    """Wake those of this process who search, unless the part was answered or taken away meanwhile."""
    if parts.get_waiting(tx, part_id) is not None:
        tx.after_commit(partial(_wake, tx.database))


def listen(database: Database, wake: Callable[[Database], None]) -> None:
    """Call `wake` after this process has heard of a part."""
    _listeners.setdefault(database, set()).add(wake)


def unlisten(database: Database, wake: Callable[[Database], None]) -> None:
    """Stop that."""
    _listeners.get(database, set()).discard(wake)


def _wake(database: Database) -> None:
    for wake in tuple(_listeners.get(database, ())):
        wake(database)
