"""When a recurring request falls due: a rule, holidays and pauses give dated occurrences, the same however one asks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, available_timezones

from services.kit.errors import DomainError, Refusals
from services.orders.domain import rule as rules
from services.orders.domain.errors import (
    BadPause,
    HasEnded,
    NotAnOccurrence,
    NotPaused,
    OutOfBounds,
    RuleNeverHappens,
    UnknownZone,
    WithoutEffect,
)
from services.orders.domain.working_day import FURTHEST_MOVE, nearest_working_day, why_closed

EARLIEST_START = date(2020, 1, 1)
LATEST_START = date(2100, 1, 1)
MOST_DATES = 400
"""Exception, extra and closed dates of one request, each."""


class HolidayPolicy(StrEnum):
    """What becomes of a date on a public holiday or a closed day."""

    KEEP = "keep"
    SKIP = "skip"
    PREVIOUS = "previous"
    NEXT = "next"


class Verdict(StrEnum):
    """What became of a date of the rule."""

    KEPT = "kept"
    MOVED = "moved"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Pause:
    """A span of days without orders, both included; without `until` it is open."""

    since: date
    until: date | None = None

    def holds(self, day: date) -> bool:
        """Return whether the day lies in it."""
        return self.since <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One date of a recurring request.

    `due_on` is what the rule says and names the occurrence for good; `day` is when it is done, None when skipped;
    `cause` is French and says why it was moved or skipped.
    """

    due_on: date
    verdict: Verdict
    day: date | None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule over local dates with what bends it; `rule` is kept as the text that was given."""

    start_on: date
    zone: str
    rule: str
    holidays: HolidayPolicy = HolidayPolicy.SKIP
    alsace_moselle: bool = False
    closed_days: tuple[date, ...] = ()
    exception_dates: tuple[date, ...] = ()
    extra_dates: tuple[date, ...] = ()
    pauses: tuple[Pause, ...] = ()
    ends_on: date | None = None

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone whose clocks the windows follow."""
        return ZoneInfo(self.zone)

    def occurrences(self, first: date, last: date) -> tuple[Occurrence, ...]:
        """Return every occurrence whose date by the rule lies between `first` and `last`, both included, in order.

        What becomes of a date depends on that date and its neighbours only, never on the asked span: any split of a
        span gives the same occurrences. A date moved onto one that is kept, or that an earlier one moved onto, is
        skipped.
        """
        margin = timedelta(days=FURTHEST_MOVE)
        by_rule = frozenset(rules.dates(self.rule, self.start_on, first - margin, last + margin))
        exceptions = frozenset(self.exception_dates)
        extras = frozenset(self.extra_dates)
        due = (by_rule - exceptions) | extras
        named = sorted(day for day in by_rule | extras if first <= day <= last)
        return tuple(self._judge(day, due, exceptions, extras) for day in named)

    def _judge(
        self, day: date, due: frozenset[date], exceptions: frozenset[date], extras: frozenset[date]
    ) -> Occurrence:
        if self.ends_on is not None and day > self.ends_on:
            return Occurrence(day, Verdict.SKIPPED, None, "après la fin de la demande")
        if day in exceptions and day not in extras:
            return Occurrence(day, Verdict.SKIPPED, None, "exception")
        closed = None if day in extras else self._why_closed(day)
        if closed is None:
            return self._unless_paused(Occurrence(day, Verdict.KEPT, day))
        if self.holidays is HolidayPolicy.SKIP:
            return Occurrence(day, Verdict.SKIPPED, None, closed)
        target = self._target(day)
        if target is None:
            return Occurrence(day, Verdict.SKIPPED, None, f"{closed}, sans jour ouvré proche")
        if target in due or self._is_taken(target, day, due, extras):
            return Occurrence(day, Verdict.SKIPPED, None, f"{closed}, une autre échéance tombe le {target:%d/%m/%Y}")
        return self._unless_paused(Occurrence(day, Verdict.MOVED, target, closed))

    def _unless_paused(self, occurrence: Occurrence) -> Occurrence:
        if occurrence.day is not None and any(pause.holds(occurrence.day) for pause in self.pauses):
            return replace(occurrence, verdict=Verdict.SKIPPED, day=None, cause="suspension")
        return occurrence

    def _why_closed(self, day: date) -> str | None:
        if self.holidays is HolidayPolicy.KEEP:
            return None
        return why_closed(day, self.closed_days, alsace_moselle=self.alsace_moselle)

    def _target(self, day: date) -> date | None:
        step = 1 if self.holidays is HolidayPolicy.NEXT else -1
        return nearest_working_day(day, step, self.closed_days, alsace_moselle=self.alsace_moselle)

    def _is_taken(self, target: date, day: date, due: frozenset[date], extras: frozenset[date]) -> bool:
        """Return whether an earlier date of the rule moves onto the same target."""
        earliest = day - timedelta(days=FURTHEST_MOVE)
        return any(
            other not in extras and self._why_closed(other) is not None and self._target(other) == target
            for other in due
            if earliest <= other < day
        )

    def paused(self, pause: Pause) -> "Recurrence":
        """Return it with a further pause.

        Raises
        ------
        HasEnded
            When it ended before the pause.
        BadPause
            When the pause ends before it starts or touches another.
        """
        if self.ends_on is not None and self.ends_on < pause.since:
            raise HasEnded("Cette demande se termine avant la suspension ; il n'y a rien à suspendre.")
        if pause.until is not None and pause.until < pause.since:
            raise BadPause("La suspension doit finir le jour de son début ou après.", pointer="/until")
        for other in self.pauses:
            is_after = other.until is not None and other.until < pause.since
            is_before = pause.until is not None and pause.until < other.since
            if not (is_after or is_before):
                raise BadPause(
                    f"Une suspension court déjà depuis le {other.since:%d/%m/%Y} ; reprenez d'abord la demande.",
                    pointer="/since",
                )
        return replace(self, pauses=tuple(sorted((*self.pauses, pause), key=lambda each: each.since)))

    def resumed(self, on: date) -> "Recurrence":
        """Return it with the pause that holds on this day, or the next one, ended before it.

        Raises NotPaused when there is none.
        """
        for index, pause in enumerate(self.pauses):
            if pause.until is None or pause.until >= on:
                shortened = () if pause.since >= on else (replace(pause, until=on - timedelta(days=1)),)
                return replace(self, pauses=(*self.pauses[:index], *shortened, *self.pauses[index + 1 :]))
        raise NotPaused("Aucune suspension n'est en cours ni prévue ; il n'y a rien à reprendre.")

    def ended(self, last: date) -> "Recurrence":
        """Return it with `last` as its last date. Raises HasEnded when it already ends before."""
        if self.ends_on is not None and self.ends_on < last:
            raise HasEnded(f"Cette demande se termine déjà le {self.ends_on:%d/%m/%Y}.", pointer="/last_date")
        return replace(self, ends_on=last)


def check(recurrence: Recurrence, faults: list[DomainError]) -> None:
    """Add everything wrong with a recurrence to `faults`, pointers as in the request body."""
    if recurrence.zone not in available_timezones():
        faults.append(UnknownZone("Donnez un fuseau de la base IANA, par exemple Europe/Paris.", pointer="/zone"))
    if not EARLIEST_START <= recurrence.start_on <= LATEST_START:
        faults.append(OutOfBounds("Donnez une date de début entre 2020 et 2099.", pointer="/start_on"))
        return
    for name, days in (
        ("closed_days", recurrence.closed_days),
        ("exception_dates", recurrence.exception_dates),
        ("extra_dates", recurrence.extra_dates),
    ):
        _check_dates(name, days, faults)
    if recurrence.holidays is HolidayPolicy.KEEP:
        if recurrence.closed_days:
            faults.append(
                WithoutEffect(
                    "Avec « keep », les jours de fermeture n'ont aucun effet ; retirez-les ou changez « holidays ».",
                    pointer="/closed_days",
                )
            )
        if recurrence.alsace_moselle:
            faults.append(
                WithoutEffect(
                    "Avec « keep », les fériés d'Alsace-Moselle n'ont aucun effet ; retirez l'option.",
                    pointer="/alsace_moselle",
                )
            )
    for index, day in enumerate(recurrence.extra_dates):
        if day < recurrence.start_on:
            faults.append(OutOfBounds("Une date ajoutée ne peut précéder le début.", pointer=f"/extra_dates/{index}"))
    try:
        rules.read(recurrence.rule)
    except Refusals as refusals:
        faults.extend(refusals.errors)
        return
    except DomainError as refusal:
        faults.append(refusal)
        return
    if rules.first_date(recurrence.rule, recurrence.start_on) is None:
        faults.append(
            RuleNeverHappens("Cette règle ne donne aucune date à partir du début ; corrigez-la.", pointer="/rule")
        )
        return
    exceptions = recurrence.exception_dates
    due = rules.dates(recurrence.rule, recurrence.start_on, min(exceptions), max(exceptions)) if exceptions else ()
    for index, day in enumerate(exceptions):
        if day not in due:
            faults.append(NotAnOccurrence(day, pointer=f"/exception_dates/{index}"))


def _check_dates(name: str, days: Sequence[date], faults: list[DomainError]) -> None:
    if len(days) > MOST_DATES:
        faults.append(OutOfBounds(f"Donnez au plus {MOST_DATES} dates.", pointer=f"/{name}"))
    seen: set[date] = set()
    for index, day in enumerate(days):
        if day in seen:
            faults.append(WithoutEffect("Cette date figure deux fois ; retirez-en une.", pointer=f"/{name}/{index}"))
        elif not EARLIEST_START <= day <= LATEST_START:
            faults.append(OutOfBounds("Donnez une date entre 2020 et 2099.", pointer=f"/{name}/{index}"))
        seen.add(day)
