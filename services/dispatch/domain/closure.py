"""A closure: a site where nothing can be collected or handed over for a while."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.events import DeliveryId, StopKind
from services.kit.errors import DomainError, refuse_all

LONGEST_CLOSURE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Closure:
    """No stop begins at the site from `starts_at`, when it closes, until `ends_at`, when it is open again.

    `reason` is what a colleague needs to understand it.
    """

    id: str
    site_id: str
    site_name: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    told_by: str
    told_at: datetime

    def check(self) -> None:
        """Raise OutOfBounds, or Refusals with several of them."""
        refuse_all([*self._faults()])

    def _faults(self) -> Iterator[DomainError]:
        if self.ends_at <= self.starts_at:
            yield OutOfBounds("La fermeture doit finir après son début.", pointer="/ends_at")
        elif self.ends_at - self.starts_at > LONGEST_CLOSURE:
            yield OutOfBounds("Une fermeture dure au plus un an ; notez-en une autre ensuite.", pointer="/ends_at")
        if not self.reason.strip():
            yield OutOfBounds("Dites pourquoi : vos collègues liront cette fermeture.", pointer="/reason")


Begins = tuple[DeliveryId, StopKind, datetime]
"""Of which delivery a stop is, which of its two, and when it begins."""


def falling_in(
    closures: Iterable[Closure], stops: Iterable[Begins], deliveries: Mapping[DeliveryId, Delivery]
) -> list[tuple[Closure, Delivery]]:
    """Return each stop that would begin while its site is closed, as the closure and the delivery."""
    of_site: dict[str, list[Closure]] = {}
    for closure in closures:
        of_site.setdefault(closure.site_id, []).append(closure)
    found = []
    for delivery_id, kind, begins_at in stops:
        delivery = deliveries[delivery_id]
        visit = delivery.pickup if kind is StopKind.PICKUP else delivery.drop
        found += [
            (closure, delivery)
            for closure in of_site.get(visit.site_id, ())
            if closure.starts_at <= begins_at < closure.ends_at
        ]
    return found
