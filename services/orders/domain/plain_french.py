"""A recurring request said in plain French: « tous les mardis et vendredis, 8 h–10 h, sauf jours fériés »."""

from collections.abc import Sequence
from datetime import date, time

from services.orders.domain.recurrence import HolidayPolicy, Recurrence
from services.orders.domain.rule import Rule, read
from services.orders.domain.window import LocalWindow

DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)
_RANKS = {
    -2: "avant-dernier",
    -1: "dernier",
    1: "premier",
    2: "deuxième",
    3: "troisième",
    4: "quatrième",
    5: "cinquième",
}


def say(recurrence: Recurrence, window: LocalWindow) -> str:
    """Return one sentence, without a capital or a full stop: when, in which window, and what of holidays."""
    parts = [say_rule(read(recurrence.rule), recurrence.start_on), say_window(window)]
    if holidays := _HOLIDAYS[recurrence.holidays]:
        parts.append(holidays)
    return ", ".join(parts)


_HOLIDAYS = {
    HolidayPolicy.KEEP: "jours fériés compris",
    HolidayPolicy.SKIP: "sauf jours fériés",
    HolidayPolicy.PREVIOUS: "avancé au jour ouvré précédent en cas de jour férié",
    HolidayPolicy.NEXT: "reporté au jour ouvré suivant en cas de jour férié",
}


def say_window(window: LocalWindow) -> str:
    """Return « 8 h–10 h », with the following day where the window goes over midnight."""
    night = " (le lendemain)" if window.end <= window.start else ""
    return f"{say_time(window.start)}–{say_time(window.end)}{night}"


def say_time(moment: time) -> str:
    """Return « 8 h » or « 8 h 30 »."""
    return f"{moment.hour} h {moment.minute:02d}" if moment.minute else f"{moment.hour} h"


def say_date(day: date) -> str:
    """Return « 1er mars 2026 »."""
    return f"{_ordinal(day.day)} {MONTHS[day.month - 1]} {day.year}"


def say_rule(rule: Rule, start_on: date) -> str:
    """Return when a rule falls, for someone who has never read one."""
    said = {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly}[rule.frequency](rule, start_on)
    if rule.months and rule.frequency != "YEARLY":
        said += " en " + _list([MONTHS[month - 1] for month in sorted(rule.months)])
    if rule.count is not None:
        said += f", {rule.count} fois"
    if rule.until is not None:
        said += f", jusqu'au {say_date(rule.until)}"
    return said


def _daily(rule: Rule, _start_on: date) -> str:
    if rule.interval > 1:
        return f"tous les {rule.interval} jours"
    return _every([day for _, day in rule.days] or range(7))


def _weekly(rule: Rule, start_on: date) -> str:
    days = [day for _, day in rule.days] or [start_on.weekday()]
    if rule.interval == 1:
        return _every(days)
    pace = "une semaine sur deux" if rule.interval == 2 else f"toutes les {rule.interval} semaines"
    return f"{pace}, le {_list([DAYS[day] for day in sorted(days)], article='le')}"


def _every(days: Sequence[int]) -> str:
    if len(days) == 7:
        return "tous les jours"
    if sorted(days) == [0, 1, 2, 3, 4]:
        return "du lundi au vendredi"
    return "tous les " + _list([f"{DAYS[day]}s" for day in sorted(days)])


def _monthly(rule: Rule, start_on: date) -> str:
    pace = "de chaque mois" if rule.interval == 1 else f"tous les {rule.interval} mois"
    return f"{_in_month(rule, start_on)} {pace}"


def _yearly(rule: Rule, start_on: date) -> str:
    pace = "chaque année" if rule.interval == 1 else f"tous les {rule.interval} ans"
    months = [MONTHS[month - 1] for month in sorted(rule.months)] or [MONTHS[start_on.month - 1]]
    if len(months) == 1 and not rule.days and min(rule.month_days, default=1) > 0:
        return f"{_in_month(rule, start_on)} {months[0]}, {pace}"
    return f"{_in_month(rule, start_on)}, en {_list(months)}, {pace}"


def _in_month(rule: Rule, start_on: date) -> str:
    if rule.positions:
        ranks = _list([_rank(position) for position in rule.positions], article="le")
        return f"le {ranks} jour parmi {_list([DAYS[day] for _, day in rule.days])}"
    if rule.days and not all(rank for rank, _ in rule.days):
        return _every([day for _, day in rule.days])
    if rule.days:
        return f"le {_list([f'{_rank(rank)} {DAYS[day]}' for rank, day in rule.days], article='le')}"
    return f"le {_list([_month_day(day) for day in rule.month_days or (start_on.day,)], article='le')}"


def _month_day(day: int) -> str:
    if day == -1:
        return "dernier jour"
    return _ordinal(day) if day > 0 else f"{-day}e jour avant la fin"


def _rank(rank: int) -> str:
    return _RANKS.get(rank, f"{rank}e")


def _ordinal(day: int) -> str:
    return "1er" if day == 1 else str(day)


def _list(words: Sequence[str], article: str = "") -> str:
    joint = f" et {article} " if article else " et "
    comma = f", {article} " if article else ", "
    return comma.join(words[:-1]) + joint + words[-1] if len(words) > 1 else words[0]
