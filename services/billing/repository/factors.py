"""The table of emission factors that comes with the program: dated rows with their sources, added and never edited."""

import csv
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

from services.billing.domain.emissions import Factor, Scope


@cache
def all_factors() -> tuple[Factor, ...]:
    """Return every row of the table."""
    text = files("services.billing").joinpath("legal", "co2.csv").read_text(encoding="utf-8")
    return tuple(
        Factor(
            id=row["id"],
            value=Decimal(row["value"]),
            unit=row["unit"],
            scope=Scope(row["scope"]),
            valid_from=date.fromisoformat(row["valid_from"]),
            source=row["source"],
            version=row["version"],
        )
        for row in csv.DictReader(text.splitlines())
    )
