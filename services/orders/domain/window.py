"""Windows: from when until when a stop may begin, as wall-clock time of a place or as instants."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.kit.errors import DomainError
from services.orders.domain.errors import BadWindow, WindowInThePast

LONGEST = timedelta(hours=24)
LONGEST_TRIP = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Window:
    """Two aware instants."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class LocalWindow:
    """Wall-clock times some days after (or before) a date; an `end` not after `start` is on the following day."""

    start: time
    end: time
    day_offset: int = 0

    def on(self, day: date, zone: ZoneInfo) -> Window:
        """Return the instants of this window for an occurrence on `day`.

        Clock changes: a time that happens twice counts from its first and until its second passing. A start that does
        not exist is the moment of the jump, an end that does not exist is as much later as the jump is wide. So a
        window never shrinks to nothing and every existing wall-clock time is kept.
        """
        first_day = day + timedelta(days=self.day_offset)
        last_day = first_day + timedelta(days=1) if self.end <= self.start else first_day
        start = datetime.combine(first_day, self.start, zone)
        end = datetime.combine(last_day, self.end, zone)
        return Window(_jump(start) if _is_nonexistent(start) else start.astimezone(UTC), _latest(end))


def _is_nonexistent(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)


def _jump(local: datetime) -> datetime:
    """Return the instant at which clocks skip over this wall-clock time: the one where the offset changes."""
    low = local.replace(fold=1).astimezone(UTC)  # read with the offset after the jump: an instant before it
    high = local.replace(fold=0).astimezone(UTC)
    before = low.astimezone(local.tzinfo).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(local.tzinfo).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _latest(local: datetime) -> datetime:
    """Return the last instant with this wall-clock time; a nonexistent one is read with the offset before the jump."""
    if _is_nonexistent(local):
        return local.replace(fold=0).astimezone(UTC)
    return max(local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC))


def check_windows(
    pickup: Window, drop: Window, *, pointer: str, at: datetime | None, faults: list[DomainError]
) -> None:
    """Add a fault for each thing wrong with the two windows of the leg at `pointer`.

    A window is empty, turned around or longer than a day; nothing picked up in the first could be dropped in the
    second, or only days later; with `at`, the pickup window is over. An hour is allowed for clocks going back.
    """
    hour = timedelta(hours=1)
    before = len(faults)
    for side, window in (("pickup", pickup), ("drop", drop)):
        place = f"{pointer}/{side}/window/end"
        if window.end <= window.start:
            faults.append(BadWindow("Le créneau doit finir après son début.", pointer=place))
        elif window.end - window.start > LONGEST + hour:
            faults.append(BadWindow("Un créneau dure au plus 24 heures ; resserrez-le.", pointer=place))
    place = f"{pointer}/drop/window"
    if len(faults) == before and drop.end <= pickup.start:
        faults.append(
            BadWindow(
                "Le créneau de livraison se ferme avant l'ouverture de l'enlèvement ; décalez l'un des deux.",
                pointer=place,
            )
        )
    elif len(faults) == before and drop.end - pickup.start > LONGEST_TRIP + hour:
        faults.append(
            BadWindow(
                "Un trajet tient en deux jours, de l'enlèvement à la livraison ; rapprochez les créneaux.",
                pointer=place,
            )
        )
    if at is not None and pickup.end <= at:
        faults.append(
            WindowInThePast(
                "Le créneau d'enlèvement est déjà passé ; choisissez-en un à venir.",
                pointer=f"{pointer}/pickup/window/end",
            )
        )


def check_way_back(
    drop: Window, return_pickup: Window, *, is_loan: bool, pointer: str, faults: list[DomainError]
) -> None:
    """Add a fault when the way back would start before the way out can have arrived."""
    too_early = return_pickup.start < drop.start if is_loan else return_pickup.end <= drop.start
    if too_early:
        faults.append(
            BadWindow(
                "Le retour commence avant que l'aller puisse être livré ; décalez le créneau du retour.",
                pointer=f"{pointer}/pickup/window",
            )
        )
