"""Legal values: dated rows with their source, shipped beside the code in `legal/*.csv`; none stands in the code itself.

A row's `status` is `in-force`, or `to-confirm` where no primary text was read: a person confirms it before production.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from services.billing.domain.errors import LegalValueMissing

FOLDER = Path(__file__).parents[1] / "legal"


@dataclass(frozen=True, slots=True)
class LegalRow:
    """A value of one kind, in force from a day to another, both included; no last day means until further notice."""

    kind: str
    valid_from: date
    valid_to: date | None
    value: Decimal
    status: str
    source: str


@cache
def rows_of(name: str) -> tuple[LegalRow, ...]:
    """Return the rows of `legal/NAME.csv`."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            LegalRow(
                row["kind"],
                date.fromisoformat(row["valid_from"]),
                date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
                Decimal(row["value"]),
                row["status"],
                row["source"],
            )
            for row in csv.DictReader(file)
        )


def in_force(rows: Sequence[LegalRow], kind: str, day: date) -> LegalRow:
    """Return the row of a kind that is in force on a day: the one that started last. Raises LegalValueMissing."""
    valid = [
        row
        for row in rows
        if row.kind == kind and row.valid_from <= day and (row.valid_to is None or day <= row.valid_to)
    ]
    if not valid:
        raise LegalValueMissing(kind, day)
    return max(valid, key=lambda row: row.valid_from)
