"""Whose things a caller sees: a department its own, an administrator all, anybody else nothing."""

from services.kit.http.access import Caller


def department_of(caller: Caller) -> str | None:
    """Return the only department whose things the caller sees; None for all, and no one's name for none."""
    if caller.has("orders:admin"):
        return None
    return caller.claim("department") or ""


def ordering_for(caller: Caller, named: str | None) -> str:
    """Return the department the caller orders for, empty when it has none or names another's."""
    own = department_of(caller)
    if own is None:
        return named or ""
    return own if named in (None, own) else ""
