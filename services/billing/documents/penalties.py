"""A month's penalties as their own statement (état liquidatif): CSV for a spreadsheet, PDF for paper."""

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.billing import documents
from services.billing.domain.contract import Contract, Cooperative
from services.billing.domain.errors import STATUS_WORDS
from services.billing.domain.money import decimal_text
from services.billing.domain.penalty import Penalty, PenaltyStatement, Status

HEADERS = (
    "Marché", "Mois", "Coopérative", "Date de service", "Commande", "N° de commande", "Trajet", "Service", "Règle",
    "Libellé", "Promis jusqu'à", "Fait à", "Minutes de retard", "Jours de retard", "Motif", "Valeur HT",
    "Montant calculé", "Étape", "Montant décidé", "Montant exigible", "Paiement", "Événements",
)  # fmt: skip


def as_csv(statement: PenaltyStatement) -> bytes:
    """Return one row per penalty, those of earlier months that are still to apply first. Outside VAT."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADERS)
    for penalty in (*statement.earlier, *statement.penalties):
        writer.writerow(_row(statement, penalty))
    return b"\xef\xbb\xbf" + text.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be deducted from the payments of one cooperative."""

    cooperative: Cooperative
    to_apply_cents: int


def as_pdf(statement: PenaltyStatement, *, on: date) -> bytes:
    """Return the statement on A4 as it stands on a day: facts, steps and amounts. Raises PrintingUnavailable."""
    return documents._draw(as_html(statement, on=on), f"{statement.contract.id} {statement.month}")


def as_html(statement: PenaltyStatement, *, on: date) -> str:
    """Return what `as_pdf` prints."""
    contract = statement.contract
    rows = (*statement.earlier, *statement.penalties)
    return documents._pages.environment.get_template("penalties_paper.html").render(
        statement=statement,
        due=statement.liquidation,
        terms=contract.penalties,
        rows=rows,
        parts=[
            Part(
                cooperative,
                sum(
                    statement.liquidation.due_cents[one.id]
                    for one in rows
                    if one.cooperative_id == cooperative.id and one.status is not Status.APPLIED
                ),
            )
            for cooperative in contract.cooperatives
            if any(one.cooperative_id == cooperative.id for one in rows)
        ],
        names={cooperative.id: cooperative.name for cooperative in contract.cooperatives},
        on=on,
        month=documents.month_in_french(statement.month),
        month_in_french=documents.month_in_french,
        rate=documents.rate_in_french,
        words={status: STATUS_WORDS[status.value] for status in Status},
        day=lambda day: f"{_local(contract, day):%d/%m/%Y}",
        instant=lambda instant: f"{_local(contract, instant):%d/%m/%Y à %H:%M}",
    )


def _local(contract: Contract, moment: date) -> date:
    return moment.astimezone(ZoneInfo(contract.zone)) if isinstance(moment, datetime) else moment


def _row(statement: PenaltyStatement, penalty: Penalty) -> list[object]:
    return [
        documents.safe_text(statement.contract.reference),
        str(penalty.month),
        penalty.cooperative_id,
        f"{penalty.service_date:%d/%m/%Y}",
        documents.safe_text(penalty.reference),
        penalty.order_id,
        penalty.leg,
        documents.safe_text(penalty.department_id),
        penalty.rule_code,
        documents.safe_text(penalty.label),
        penalty.promised_until.isoformat() if penalty.promised_until else "",
        penalty.occurred_at.isoformat(),
        penalty.minutes_late,
        penalty.days_late,
        documents.safe_text(penalty.reason),
        _comma(penalty.value_cents),
        _comma(penalty.computed_cents),
        STATUS_WORDS[penalty.status.value],
        _comma(penalty.amount_cents),
        _comma(statement.liquidation.due_cents[penalty.id]),
        documents.safe_text(penalty.steps[-1].payment if penalty.steps else ""),
        documents.safe_text(" ".join(source.event_id for source in penalty.sources if source.event_id)),
    ]


def _comma(amount_cents: int) -> str:
    return decimal_text(amount_cents).replace(".", ",")
