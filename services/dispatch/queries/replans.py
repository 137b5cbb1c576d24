"""A readjustment in words: whom it concerns, and why each thing changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import french_of
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.replan import ChangeKind, DeliveryChange, Replan
from services.dispatch.planning.remaining import ChangeCode
from services.dispatch.queries.reasons import shift_names
from services.dispatch.repository import deliveries
from services.kit.database import View

WHY = {
    ChangeCode.NEW: "elle n'était dans aucune tournée",
    ChangeCode.CANCELLED: "elle est annulée",
    ChangeCode.VEHICLE_LOST: "{courier} ne roule plus",
    ChangeCode.SHIFT_SHORTENED: "la vacation {whose} est plus courte",
    ChangeCode.LATE_COURIER: "{courier} a du retard",
    ChangeCode.CLOSED_SITE: "le site est fermé",
    ChangeCode.MAKES_ROOM: "laisse la place à {other}",
    ChangeCode.SAVES: "la journée entière y gagne plus que le changement ne coûte",
    ChangeCode.NO_LONGER_FITS: "elle ne tient plus dans sa tournée",
}
ABOARD = "elle est à bord, et y reste : convenez de la suite avec {courier}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a readjustment refers to by id: deliveries, and who rides each shift."""

    deliveries: Mapping[DeliveryId, Delivery]
    couriers: Mapping[str, str]

    def why(self, change: DeliveryChange) -> str:
        """Return why, in French, without a full stop; what is left out also says what would help."""
        if change.kind is ChangeKind.LEFT_OUT:
            return change.sentence.rstrip(".")
        name = self.couriers.get(change.from_shift or "", "")
        words = ABOARD if change.kind is ChangeKind.ABOARD else WHY[ChangeCode(change.code)]
        other = self.deliveries.get(change.makes_room_for) if change.makes_room_for else None
        told = words.format(
            courier=name or "cette vacation",
            whose=french_of(name) if name else "concernée",
            other=other.reference if other else "une autre",
        )
        return f"{told}. {change.sentence}".rstrip(".") if change.sentence else told


def told(view: View, replan: Replan, reach: Reach) -> Told:
    """Return what a readjustment refers to."""
    ids = {change.delivery_id for change in replan.changes}
    ids |= {change.makes_room_for for change in replan.changes if change.makes_room_for}
    ids |= {stop.delivery_id for round_ in replan.rounds for stop in round_.stops}
    shift_ids = {change.from_shift for change in replan.changes} | {change.to_shift for change in replan.changes}
    return Told(deliveries.by_id(view, ids), shift_names(view, [id_ for id_ in shift_ids if id_], reach))
