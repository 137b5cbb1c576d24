"""What a dispatcher wants of a delivery beyond what its order says: who may ride it, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.dispatch.domain.courier import skill_faults
from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.events import DeliveryId
from services.kit.errors import DomainError, refuse_all


@dataclass(frozen=True, slots=True)
class Instruction:
    """Who may ride a delivery: courier and bike have these `skills`, it is one of `courier_ids` (anybody where there
    are none) and none of `forbidden_courier_ids`. `reason` is what a colleague needs to understand it.
    """

    delivery_id: DeliveryId
    skills: tuple[str, ...]
    courier_ids: tuple[str, ...]
    forbidden_courier_ids: tuple[str, ...]
    reason: str
    given_by: str
    given_at: datetime

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        refuse_all([*self._faults(), *skill_faults(self.skills)])

    def _faults(self) -> Iterator[DomainError]:
        if not self.reason.strip():
            yield OutOfBounds("Dites pourquoi : vos collègues liront cette consigne.", pointer="/reason")
        if not self.skills and not self.courier_ids and not self.forbidden_courier_ids:
            yield OutOfBounds("Demandez une compétence, ou nommez un coursier.", pointer="/skills")
        if set(self.courier_ids) & set(self.forbidden_courier_ids):
            yield OutOfBounds("Un même coursier est demandé et écarté : choisissez.", pointer="/forbidden_courier_ids")
