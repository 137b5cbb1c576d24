"""A submitted form: its values as they were typed, and what is wrong with each field, told together."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.datastructures import FormData

from services.kit.errors import DomainError, Refusals
from services.orders.domain.load import AskedLoad
from services.orders.domain.window import LocalWindow

LOAD_ROWS = 3
_Value = TypeVar("_Value")
NOON = time(12)
EARLIEST, LATEST = date(2020, 1, 1), date(2100, 1, 1)


async def _submitted(request: Request) -> FormData:
    return await request.form()


Submitted = Annotated[FormData, Depends(_submitted)]
"""What the browser sent."""


class Form:
    """Reads fields one by one and keeps what it could not read; then takes the domain's refusals to its fields."""

    def __init__(self, values: Mapping[str, str] | FormData) -> None:
        self._values = values
        self.faults: dict[str, list[str]] = defaultdict(list)

    def value(self, name: str, default: str = "") -> str:
        """Return a field as it was typed."""
        typed = self._values.get(name, default)
        return typed.strip() if isinstance(typed, str) else ""

    def values(self, name: str) -> list[str]:
        """Return every ticked value of a field."""
        if isinstance(self._values, FormData):
            return [value for value in self._values.getlist(name) if isinstance(value, str)]
        return [value for value in self._values.get(name, "").split(",") if value]

    def fault(self, name: str, sentence: str) -> None:
        """Keep what is wrong with a field; the same sentence once."""
        if sentence not in self.faults[name]:
            self.faults[name].append(sentence)

    def text(self, name: str, *, longest: int, needed: str = "") -> str:
        """Read a text; `needed` is what to say when it is empty."""
        typed = self.value(name).replace("\r\n", "\n")
        if not typed and needed:
            self.fault(name, needed)
        if len(typed) > longest:
            self.fault(name, f"Écrivez au plus {longest} caractères.")
        return typed[:longest]

    def choice(self, name: str, choices: Mapping[str, object], sentence: str, default: str = "") -> str:
        """Read one of several values; the first when something else was sent."""
        typed = self.value(name, default)
        if typed in choices:
            return typed
        self.fault(name, sentence)
        return next(iter(choices), "")

    def day(self, name: str, sentence: str = "Indiquez une date.") -> date | None:
        """Read a date; empty is None, and a fault unless `sentence` is empty."""
        return self._read(name, sentence, _day_of, "Indiquez une date, par exemple 24/11/2026.")

    def clock(self, name: str, sentence: str = "Indiquez une heure.") -> time | None:
        """Read a wall-clock time; empty is None, and a fault unless `sentence` is empty."""
        return self._read(name, sentence, _clock_of, "Indiquez une heure, par exemple 08:30.")

    def window(self, side: str, day_offset: int = 0) -> LocalWindow | None:
        """Read two times of day. Only from an evening to a morning may an end lie on the following day."""
        start, end = self.clock(f"{side}_start"), self.clock(f"{side}_end")
        if start is None or end is None:
            return None
        if end <= start and not (start >= NOON > end):
            self.fault(f"{side}_end", "La fin précède le début ; corrigez l'une des deux heures.")
            return None
        return LocalWindow(start, end, day_offset)

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        """Read a whole number; empty is the default, a fault without one."""
        sentence = f"Indiquez un nombre entier de {low} à {high}."
        if not self.value(name) and default is not None:
            return default

        def whole_of(text: str) -> int:
            if not re.fullmatch(r"-?\d{1,6}", text, re.ASCII) or not low <= int(text) <= high:
                raise ValueError
            return int(text)

        return self._read(name, sentence, whole_of, sentence)

    def degrees(self, name: str) -> float | None:
        """Read a coordinate, with a comma or a point."""
        sentence = "Indiquez des degrés décimaux, par exemple 47,2184."

        def degrees_of(text: str) -> float:
            if not re.fullmatch(r"-?\d{1,3}([.,]\d{1,12})?", text, re.ASCII):
                raise ValueError
            return float(text.replace(",", "."))

        return self._read(name, sentence, degrees_of, sentence)

    def days(self, name: str) -> tuple[date, ...]:
        """Read dates separated by blanks, commas or lines."""
        found = []
        for word in re.split(r"[\s,;]+", self.value(name)):
            if word:
                try:
                    found.append(_day_of(word))
                except ValueError:
                    self.fault(name, f"« {word[:20]} » n'est pas une date ; écrivez par exemple 24/12/2026.")
        return tuple(found)

    def loads(self) -> tuple[AskedLoad, ...]:
        """Read the rows of loads; an empty row is none."""
        loads = []
        for row in range(1, LOAD_ROWS + 1):
            kind = self.value(f"load_kind_{row}")
            if kind:
                count = self.whole(f"load_count_{row}", 1, 1_000)
                loads.append(AskedLoad(kind, count or 1))
        if not loads:
            self.fault("load_kind_1", "Choisissez au moins une charge.")
        return tuple(loads)

    def refused(self, refusal: DomainError, places: Callable[[str], str]) -> None:
        """Take a refusal to the fields it is about; `places` turns a JSON Pointer into a field's name.

        A field that could not even be read keeps that fault alone; and nothing is said of windows while one is unread.
        """
        unread = frozenset(self.faults)
        has_unread_window = any(name.endswith(("_start", "_end", "date")) for name in unread)
        for error in refusal.errors if isinstance(refusal, Refusals) else (refusal,):
            name = places(error.pointer or "")
            if name not in unread and not (has_unread_window and name.endswith("_start")):
                self.fault(name, error.detail)

    def _read(self, name: str, sentence: str, read: Callable[[str], _Value], otherwise: str) -> _Value | None:
        typed = self.value(name)
        if not typed:
            if sentence:
                self.fault(name, sentence)
            return None
        try:
            return read(typed)
        except ValueError:
            self.fault(name, otherwise)
            return None


def _day_of(text: str) -> date:
    french = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text, re.ASCII)
    if french:
        day = date(int(french[3]), int(french[2]), int(french[1]))
    elif re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        day = date.fromisoformat(text)
    else:
        raise ValueError(text)
    if not EARLIEST <= day <= LATEST:
        raise ValueError(text)
    return day


def _clock_of(text: str) -> time:
    if not re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", text, re.ASCII):
        raise ValueError(text)
    return time.fromisoformat(text)
