"""Whose things a caller may see and change."""

from services.dispatch.domain.reach import EVERYTHING, NOTHING, Reach
from services.kit.http.edge import Caller


def reach_of(caller: Caller) -> Reach:
    """Return whose things a caller may see: everybody's, those of the cooperative of the account, or nobody's."""
    if caller.has("dispatch:admin"):
        return EVERYTHING
    cooperative_id = caller.claim("cooperative")
    return Reach(cooperative_id) if cooperative_id else NOTHING
