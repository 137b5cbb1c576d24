"""What a contract had consumed of its maximum when a month was closed: JSON, CSV and one page of paper.

The amounts are those frozen with the statement, in cents excluding tax, for all holders of the contract.
"""

import csv
import io
import json
from dataclasses import dataclass

from services.billing.documents import _comma, _day, _draw, _pages, _text, month_in_french
from services.billing.domain.money import decimal_text
from services.billing.domain.statement import Gauge, Statement

HEADERS = (
    "État", "Mois", "Marché", "Arrêté au", "Périmètre", "Montant maximum HT", "Facturé HT", "Constaté non facturé HT",
    "Engagé HT", "Consommé HT", "Reste disponible HT", "Part consommée (%)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """What stands under the maximum of one scope."""

    id: str
    name: str
    gauge: Gauge

    @property
    def percent_text(self) -> str:
        """How much of the maximum is consumed, in per cent with two decimals that never round up."""
        return decimal_text(self.gauge.committed_cents * 10_000 // self.gauge.ceiling_cents)

    def share(self, cents: int) -> str:
        """Return an amount's part of the maximum, in per cent."""
        return decimal_text(cents * 10_000 // self.gauge.ceiling_cents)


def scopes_of(statement: Statement) -> list[ScopeUse]:
    """Return every scope that had a maximum: the whole contract, then its periods, lots and budgets."""
    return [
        ScopeUse("contract", "Ensemble du marché", statement.gauge),
        *(ScopeUse(scope.key, scope.name[0].upper() + scope.name[1:], scope.gauge) for scope in statement.scopes),
    ]


def as_json(statement: Statement) -> bytes:
    """Return it with amounts as decimal text."""
    content = {
        "statement_id": statement.id,
        "statement_number": statement.number,
        "month": str(statement.month),
        "contract_id": statement.contract_id,
        "contract_reference": statement.contract_reference,
        "closed_at": statement.closed_at.isoformat(),
        "scopes": [
            {
                "id": scope.id,
                "name": scope.name,
                "ceiling": decimal_text(scope.gauge.ceiling_cents),
                "invoiced": decimal_text(scope.gauge.invoiced_cents),
                "delivered": decimal_text(scope.gauge.owed_cents),
                "held": decimal_text(scope.gauge.held_cents),
                "committed": decimal_text(scope.gauge.committed_cents),
                "left": decimal_text(scope.gauge.left_cents),
                "committed_percent": scope.percent_text,
            }
            for scope in scopes_of(statement)
        ],
        "month_by_department": [
            {"id": part.id, "name": part.name, "legs": part.legs, "net": decimal_text(part.amount_cents)}
            for part in statement.departments
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def as_csv(statement: Statement) -> bytes:
    """Return one row per scope: `;`, UTF-8 with its mark, decimal commas, French headers."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)
    for scope in scopes_of(statement):
        gauge = scope.gauge
        amounts = (
            gauge.ceiling_cents,
            gauge.invoiced_cents,
            gauge.owed_cents,
            gauge.held_cents,
            gauge.committed_cents,
            gauge.left_cents,
        )
        writer.writerow(
            [
                statement.number,
                str(statement.month),
                _text(statement.contract_reference),
                _day(statement.issued_on),
                _text(scope.name),
                *map(_comma, amounts),
                scope.percent_text.replace(".", ","),
            ]
        )
    return text.getvalue().encode("utf-8-sig")


def as_pdf(statement: Statement) -> bytes:
    """Return it on A4. Raises PrintingUnavailable."""
    return _draw(as_html(statement), statement.id)


def as_html(statement: Statement) -> str:
    """Return what `as_pdf` prints."""
    return _pages.environment.get_template("consumption_paper.html").render(
        statement=statement,
        month=month_in_french(statement.month),
        scopes=scopes_of(statement),
        day=_day,
    )
