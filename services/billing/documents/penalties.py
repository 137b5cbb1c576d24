"""A month's penalties as their own statement (état liquidatif): CSV for a spreadsheet, HTML for paper."""

import csv
import io

from services.billing import documents
from services.billing.domain.errors import STATUS_WORDS
from services.billing.domain.money import decimal_text
from services.billing.domain.penalty import Penalty, PenaltyStatement

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
