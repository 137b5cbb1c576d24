"""What the law wants written on an invoice, as dated rows with their sources: `mentions.csv`."""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("mentions.csv")
NOTES = ("PMT", "PMD", "AAB")
"""The notes that each invoice carries exactly once. Source: XP Z12-012, rule BR-FR-05."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A text, or a figure as text, in force from a day on, and where it is written."""

    kind: str
    valid_from: date
    text: str
    source: str


@cache
def rows() -> tuple[Mention, ...]:
    """Read all rows, in the file's order."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Mention(row["kind"], date.fromisoformat(row["valid_from"]), row["text"], row["source"])
            for row in csv.DictReader(file)
        )


def mention(kind: str, day: date) -> str:
    """Return the text in force on a day. Raises LookupError when there is none."""
    in_force = [row for row in rows() if row.kind == kind and row.valid_from <= day]
    if not in_force:
        raise LookupError(f"no row of {kind} is in force on {day}")
    return max(in_force, key=lambda row: row.valid_from).text
