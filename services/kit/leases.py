"""Who does what alone: a row that one process holds for some seconds and renews.

A lease keeps work from being done twice at the same time; it is not what keeps it from being done twice at all. A
process that is killed loses its leases at once on its own machine, elsewhere when they run out.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event, Thread

from sqlalchemy import Column, Float, MetaData, String, Table, delete, or_, select, update

from services.kit.clock import real_seconds
from services.kit.database import Database, Transaction, bearing_outages, insert_new

_LEASES = Table(
    "lease",
    MetaData(),
    Column("name", String(200), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("expires", Float(53), nullable=False),
)


def add_to(metadata: MetaData) -> None:
    """Add the lease table, once."""
    if "lease" not in metadata.tables:
        _LEASES.to_metadata(metadata)


@cache
def _process() -> str:
    """Return this process's name: machine, process number, and a word that no other process has."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def _is_gone(owner: str) -> bool:
    """Return whether `owner` was a process of this machine and is no more."""
    machine, number, _ = owner.rsplit("/", 2)
    if machine != socket.gethostname():
        return False
    if int(number) == os.getpid():
        return owner != _process()
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def take(database: Database, name: str, *, seconds: float, holder: str = "") -> bool:
    """Take or renew the lease `name` for this process; return whether it is held.

    `holder` tells apart two that want the same lease in one process.
    """
    owner = f"{holder}@{_process()}"
    with database.transaction() as tx:
        now = real_seconds()
        if _renew(tx, name, owner, now + seconds, or_(_LEASES.c.owner == owner, _LEASES.c.expires < now)):
            return True
        row = {"name": name, "owner": owner, "expires": now + seconds}
        if insert_new(tx, _LEASES, [row], _LEASES.c.name).first():
            return True
        held_by = tx.execute(select(_LEASES.c.owner).where(_LEASES.c.name == name)).scalar_one_or_none()
        # None: it was given back meanwhile, by somebody who has just done the work.
        return (
            held_by is not None
            and _is_gone(held_by.partition("@")[2])
            and _renew(tx, name, owner, now + seconds, _LEASES.c.owner == held_by)
        )


@contextmanager
def held(database: Database, name: str, *, seconds: float = 60.0, holder: str = "") -> Iterator[bool]:
    """Hold the lease `name`, say whether it could be had, renew it in a thread of its own and give it back in the end.

    It runs out `seconds` after this process dies on another machine than those who wait for it, or cannot reach the
    database; a holder that must not be overtaken then looks whether it was.
    """
    if not take(database, name, seconds=seconds, holder=holder):
        yield False
        return
    is_over = Event()

    def renew() -> None:
        while not is_over.wait(seconds / 3):
            with bearing_outages(f"renewing the lease {name}"):
                take(database, name, seconds=seconds, holder=holder)

    renewing = Thread(target=renew, name=f"lease {name}", daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        is_over.set()
        renewing.join()
        with bearing_outages(f"giving back the lease {name}"):
            give_back(database, name, holder=holder)


def _renew(tx: Transaction, name: str, owner: str, expires: float, condition: object) -> bool:
    statement = update(_LEASES).where(_LEASES.c.name == name, condition).values(owner=owner, expires=expires)  # type: ignore[arg-type]
    return tx.execute(statement).rowcount == 1


def give_back(database: Database, name: str, *, holder: str = "") -> None:
    """Let somebody else have the lease at once."""
    with database.transaction() as tx:
        tx.execute(delete(_LEASES).where(_LEASES.c.name == name, _LEASES.c.owner == f"{holder}@{_process()}"))
