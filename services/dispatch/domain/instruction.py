"""What a dispatcher wants of a delivery beyond what its order says: who may ride it, what it is worth, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.dispatch.domain.courier import skill_faults
from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.planning_settings import Priority
from services.kit.errors import DomainError, refuse_all


@dataclass(frozen=True, slots=True)
class Instruction:
    """Who may ride a delivery: courier and bike have these `skills`, it is one of `courier_ids` (anybody where there
    are none) and none of `forbidden_courier_ids`. `priority` is what it is worth when not all can be ridden. `reason`
    is what a colleague needs to understand it.
    """

    delivery_id: DeliveryId
    skills: tuple[str, ...]
    courier_ids: tuple[str, ...]
    forbidden_courier_ids: tuple[str, ...]
    reason: str
    given_by: str
    given_at: datetime
    priority: Priority = Priority.ORDINARY

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        refuse_all([*self._faults(), *skill_faults(self.skills)])

    def _faults(self) -> Iterator[DomainError]:
        if not self.reason.strip():
            yield OutOfBounds("Dites pourquoi : vos collègues liront cette consigne.", pointer="/reason")
        says_who = self.skills or self.courier_ids or self.forbidden_courier_ids
        if not says_who and self.priority is Priority.ORDINARY:
            yield OutOfBounds("Demandez une compétence, nommez un coursier ou changez la priorité.", pointer="/skills")
        if set(self.courier_ids) & set(self.forbidden_courier_ids):
            yield OutOfBounds("Un même coursier est demandé et écarté : choisissez.", pointer="/forbidden_courier_ids")
