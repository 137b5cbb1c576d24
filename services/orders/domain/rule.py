"""RFC 5545 recurrence rules over local dates: read, judged part by part, expanded by python-dateutil.

Supported: FREQ (DAILY, WEEKLY, MONTHLY, YEARLY), INTERVAL, COUNT, UNTIL (a date), BYDAY (with a rank in months and
years), BYMONTHDAY (in months and years), BYMONTH, BYSETPOS (with BYDAY in months and years), WKST. Every other part
and combination is refused by its name. A start date that the rule does not give is no occurrence.

Source: RFC 5545, section 3.3.10.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import TypeVar

from dateutil.rrule import rrule, rrulestr

from services.kit.errors import DomainError, Refusals
from services.orders.domain.errors import BadRule, RuleNeverHappens, UnsupportedRulePart

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
UNSUPPORTED = {
    "BYSECOND": "les heures viennent des créneaux",
    "BYMINUTE": "les heures viennent des créneaux",
    "BYHOUR": "les heures viennent des créneaux",
    "BYYEARDAY": "utilisez BYMONTH et BYMONTHDAY",
    "BYWEEKNO": "utilisez FREQ=WEEKLY avec INTERVAL, ou BYMONTH",
    "DTSTART": "donnez la date de début dans « start_on »",
    "TZID": "donnez le fuseau dans « zone »",
    "RSCALE": "seul le calendrier grégorien est pris en charge",
    "SKIP": "seul le calendrier grégorien est pris en charge",
    "BYEASTER": "ajoutez ces dates dans « extra_dates »",
}
MOST_COUNTED = 1_000
LONGEST_INTERVALS = {"DAILY": 366, "WEEKLY": 53, "MONTHLY": 24, "YEARLY": 10}

_Value = TypeVar("_Value")

_DAY = re.compile(r"(?P<rank>\+?[1-5]|-[12])?(?P<day>MO|TU|WE|TH|FR|SA|SU)")
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read and judged; `days` are (rank or 0, weekday from Monday 0)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: date | None = None
    days: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()


def read(text: str) -> Rule:
    """Read a rule such as `FREQ=WEEKLY;BYDAY=TU,FR`.

    Raises
    ------
    BadRule
        When a part cannot be read.
    UnsupportedRulePart
        When a part or its combination with another is not supported; it is named.
    Refusals
        When there are several of these.
    """
    faults: list[DomainError] = []
    parts: dict[str, str] = {}
    for piece in normalised(text).split(";"):
        name, equals, value = piece.partition("=")
        if not equals or not value:
            faults.append(_unreadable(f"« {piece} » n'a pas la forme NOM=VALEUR ; exemple : FREQ=WEEKLY;BYDAY=TU,FR."))
        elif name in UNSUPPORTED:
            faults.append(UnsupportedRulePart(name, f"{name} n'est pas pris en charge : {UNSUPPORTED[name]}."))
        elif name not in _READERS and name != "FREQ":
            faults.append(UnsupportedRulePart(name, f"{name} n'est pas un élément de règle connu ; retirez-le."))
        elif name in parts:
            faults.append(_unreadable(f"{name} figure deux fois ; gardez-en un."))
        else:
            parts[name] = value
    values: dict[str, object] = {}
    for name, value in parts.items():
        if name == "FREQ":
            continue
        field, reader = _READERS[name]
        try:
            values[field] = reader(value)
        except ValueError as error:
            faults.append(_unreadable(f"{name}={value} : {error}."))
    frequency = parts.get("FREQ")
    if frequency is None:
        faults.append(_unreadable("FREQ manque ; commencez par FREQ=DAILY, WEEKLY, MONTHLY ou YEARLY."))
    elif frequency not in FREQUENCIES:
        faults.append(
            UnsupportedRulePart("FREQ", f"FREQ={frequency} n'est pas possible ; utilisez {', '.join(FREQUENCIES)}.")
        )
    if faults:
        raise faults[0] if len(faults) == 1 else Refusals(faults)
    values.pop("week_start", None)  # python-dateutil reads it from the text
    rule = Rule(frequency=str(frequency), **values)  # type: ignore[arg-type]
    faults.extend(_combinations(rule, frozenset(parts)))
    if faults:
        raise faults[0] if len(faults) == 1 else Refusals(faults)
    return rule


def normalised(text: str) -> str:
    """Return the rule without blanks and in capitals."""
    return "".join(text.split()).upper()


def _unreadable(detail: str) -> BadRule:
    return BadRule(detail, pointer="/rule")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read_whole(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"donnez un nombre entier de {low} à {high}")
        return int(text)

    return read_whole


def _signed(low: int, high: int, *, lowest: int | None = None) -> Callable[[str], tuple[int, ...]]:
    def read_several(text: str) -> tuple[int, ...]:
        numbers = []
        for word in text.split(","):
            if not re.fullmatch(r"[+-]?\d{1,3}", word, re.ASCII) or not (
                low <= int(word) <= high or (lowest or -high) <= int(word) <= -low
            ):
                raise ValueError(f"donnez des nombres de {low} à {high}, ou de -1 à {lowest or -high} depuis la fin")
            numbers.append(int(word))
        return _without_repeats(numbers)

    return read_several


def _months(text: str) -> tuple[int, ...]:
    if not all(re.fullmatch(r"\d{1,2}", word, re.ASCII) and 1 <= int(word) <= 12 for word in text.split(",")):
        raise ValueError("donnez des mois de 1 à 12")
    return _without_repeats([int(word) for word in text.split(",")])


def _days(text: str) -> tuple[tuple[int, int], ...]:
    found = [_DAY.fullmatch(word) for word in text.split(",")]
    days = [(int(match["rank"] or 0), DAYS.index(match["day"])) for match in found if match]
    if len(days) < len(found):
        raise ValueError("donnez des jours parmi MO, TU, WE, TH, FR, SA, SU, au besoin avec un rang (1 à 5, -1 ou -2)")
    return _without_repeats(days)


def _week_start(text: str) -> str:
    if text not in DAYS:
        raise ValueError("donnez un jour parmi MO, TU, WE, TH, FR, SA, SU")
    return text


def _until(text: str) -> date:
    if not re.fullmatch(r"\d{8}", text, re.ASCII):
        raise ValueError("donnez une date locale sans heure, par exemple 20261231")
    return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 (a date has no zone)


def _without_repeats(values: list[_Value]) -> tuple[_Value, ...]:
    if len(set(values)) < len(values):
        raise ValueError("une valeur figure deux fois")
    return tuple(values)


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "INTERVAL": ("interval", _whole(1, 366)),
    "COUNT": ("count", _whole(1, MOST_COUNTED)),
    "UNTIL": ("until", _until),
    "BYDAY": ("days", _days),
    "BYMONTHDAY": ("month_days", _signed(1, 31)),
    "BYMONTH": ("months", _months),
    "BYSETPOS": ("positions", _signed(1, 31, lowest=-2)),
    "WKST": ("week_start", _week_start),
}


def _combinations(rule: Rule, given: frozenset[str]) -> Iterator[DomainError]:
    """Yield what cannot stand together, or would do something else than it seems to say."""
    long_steps = rule.frequency in ("MONTHLY", "YEARLY")
    if {"COUNT", "UNTIL"} <= given:
        yield UnsupportedRulePart("COUNT", "COUNT et UNTIL ne vont pas ensemble ; gardez l'un des deux.")
    if rule.month_days and not long_steps:
        yield UnsupportedRulePart("BYMONTHDAY", f"BYMONTHDAY ne va pas avec FREQ={rule.frequency} ; utilisez MONTHLY.")
    if any(rank for rank, _ in rule.days) and not long_steps:
        yield UnsupportedRulePart("BYDAY", "Un rang devant un jour (1MO, -1FR) demande FREQ=MONTHLY ou YEARLY.")
    if rule.days and rule.month_days:
        yield UnsupportedRulePart("BYMONTHDAY", "BYDAY et BYMONTHDAY ne vont pas ensemble ; gardez l'un des deux.")
    if rule.frequency == "YEARLY" and (rule.days or rule.month_days) and not rule.months:
        yield UnsupportedRulePart("BYMONTH", "FREQ=YEARLY avec BYDAY ou BYMONTHDAY demande aussi BYMONTH.")
    if rule.interval > LONGEST_INTERVALS[rule.frequency]:
        yield UnsupportedRulePart(
            "INTERVAL", f"INTERVAL va jusqu'à {LONGEST_INTERVALS[rule.frequency]} avec FREQ={rule.frequency}."
        )
    if rule.frequency == "DAILY" and rule.interval > 1 and (rule.days or rule.months):
        yield UnsupportedRulePart("INTERVAL", "FREQ=DAILY avec BYDAY ou BYMONTH ne va qu'avec INTERVAL=1.")
    if rule.positions and not (long_steps and rule.days):
        yield UnsupportedRulePart("BYSETPOS", "BYSETPOS demande BYDAY et FREQ=MONTHLY ou YEARLY.")
    if "WKST" in given and rule.frequency != "WEEKLY":
        yield UnsupportedRulePart("WKST", "WKST n'a d'effet qu'avec FREQ=WEEKLY ; retirez-le.")
    if rule.month_days and rule.months:
        longest = max(_MONTH_LENGTHS[month - 1] for month in rule.months)
        if all(abs(day) > longest for day in rule.month_days):
            yield RuleNeverHappens("Aucun de ces mois n'a un tel jour ; corrigez BYMONTHDAY.", pointer="/rule")


@lru_cache(maxsize=1_024)
def _expander(text: str, start: date) -> rrule:
    # Naive midnights: a rule gives local dates, windows give the hours.
    expanded = rrulestr(normalised(text), dtstart=datetime.combine(start, time()))
    assert isinstance(expanded, rrule)
    return expanded


def first_date(text: str, start: date) -> date | None:
    """Return the first date that a rule read before gives from `start` on."""
    first = next(iter(_expander(text, start)), None)
    return None if first is None else first.date()


def dates(text: str, start: date, first: date, last: date) -> tuple[date, ...]:
    """Return the dates of a rule read before, from `start` on, between `first` and `last`, both included."""
    found = []
    for moment in _expander(text, start):
        if moment.date() > last:
            break
        if moment.date() >= first:
            found.append(moment.date())
    return tuple(found)
