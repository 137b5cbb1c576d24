"""Why a stop could not be carried out: the catalogue couriers choose from."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.dispatch.domain.events import StopKind


class NextStep(StrEnum):
    """What the courier does with the load after the failure."""

    RIDE_ON = "ride-on"  # there is nothing to carry: on to the next stop
    BRING_BACK = "bring-back"  # the load goes back to where it was picked up
    ASK = "ask"  # the dispatcher decides


@dataclass(frozen=True, slots=True)
class FailureReason:
    """One reason of the catalogue; `is_billable` when the cause lies with the requester."""

    code: str
    label: str
    stop_kinds: frozenset[StopKind]
    is_photo_required: bool
    is_billable: bool
    next_step: NextStep
    instruction: str


_PICKUP = frozenset({StopKind.PICKUP})
_DROP = frozenset({StopKind.DROP})
_BOTH = _PICKUP | _DROP
_ASK = "Appelez la régulation avant de repartir."
_BACK = "Rapportez la charge au site d'enlèvement, sauf avis contraire de la régulation."
_ON = "Passez à l'arrêt suivant."

FAILURE_REASONS: Mapping[str, FailureReason] = {
    reason.code: reason
    for reason in (
        FailureReason("site-closed", "Site fermé", _BOTH, True, True, NextStep.ASK, _ASK),
        FailureReason("nobody-there", "Personne sur place", _BOTH, True, True, NextStep.ASK, _ASK),
        FailureReason("no-access", "Accès impossible (travaux, portail)", _BOTH, True, True, NextStep.ASK, _ASK),
        FailureReason("load-not-ready", "Charge absente ou pas prête", _PICKUP, False, True, NextStep.RIDE_ON, _ON),
        FailureReason(
            "load-unlike-announced", "Charge trop lourde ou différente", _PICKUP, True, True, NextStep.RIDE_ON, _ON
        ),
        FailureReason("load-refused", "Charge refusée sur place", _DROP, False, True, NextStep.BRING_BACK, _BACK),
        FailureReason("load-damaged", "Charge abîmée pendant le trajet", _DROP, True, False, NextStep.ASK, _ASK),
        FailureReason("bike-breakdown", "Panne de vélo", _BOTH, False, False, NextStep.ASK, _ASK),
        FailureReason("courier-unwell", "Coursier indisponible ou accidenté", _BOTH, False, False, NextStep.ASK, _ASK),
        FailureReason("weather", "Intempéries dangereuses", _BOTH, False, False, NextStep.ASK, _ASK),
        FailureReason("out-of-time", "Plus le temps dans la tournée", _BOTH, False, False, NextStep.ASK, _ASK),
    )
}
"""By code. Codes are stable: they travel in events and stand on invoices."""
