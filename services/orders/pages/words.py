"""French words for what the domain names in English; each status has a sign too, so that colour is never alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.orders.domain.order import Actor, Flow, Status
from services.orders.domain.recurrence import HolidayPolicy, Verdict


@dataclass(frozen=True, slots=True)
class Badge:
    """A sign, a word, and the tone of the kit's style sheet."""

    sign: str
    word: str
    tone: str

    @property
    def masculine(self) -> str:
        """The word for a leg (« trajet livré ») rather than an order (« commande livrée »)."""
        return self.word.removesuffix("e") if self.word.endswith("ée") else self.word


STATUSES: Mapping[Status, Badge] = {
    Status.REQUESTED: Badge("○", "demandée", ""),
    Status.ACCEPTED: Badge("✓", "acceptée", "good"),
    Status.PLANNED: Badge("◷", "planifiée", "good"),
    Status.COLLECTED: Badge("▶", "collectée", "good"),
    Status.DELIVERED: Badge("✔", "livrée", "good"),
    Status.CANCELLING: Badge("…", "annulation en cours", "warn"),
    Status.CANCELLED: Badge("⊘", "annulée", ""),
    Status.FAILED: Badge("✖", "échouée", "bad"),
    Status.LAPSED: Badge("∅", "périmée", "bad"),
    Status.REFUSED: Badge("✕", "refusée", "bad"),
}

FLOWS: Mapping[Flow, str] = {
    Flow.ONE_WAY: "aller simple",
    Flow.EXCHANGE: "échange (propre contre sale)",
    Flow.LOAN: "pose puis reprise",
}

STEPS: Mapping[str, str] = {
    "placed": "Commande passée",
    "accepted": "Acceptée, montant retenu",
    "approval-requested": "En attente d'un accord des finances",
    "refused": "Refusée",
    "amended": "Créneau ou consigne modifiés",
    "planned": "Planifiée dans une tournée",
    "withdrawn": "Tournée retirée",
    "left-out": "Non planifiée",
    "collected": "Chargement collecté",
    "delivered": "Livraison remise",
    "failed": "Arrêt non effectué",
    "cancellation-asked": "Annulation demandée",
    "cancelled": "Annulation confirmée",
    "lapsed": "Jour passé sans tournée",
    "settled": "Prix définitif connu",
}

ACTORS: Mapping[Actor, str] = {
    Actor.DEPARTMENT: "le service",
    Actor.RECURRENCE: "la demande récurrente",
    Actor.BILLING: "la facturation",
    Actor.DISPATCH: "la régulation",
    Actor.COURIER: "le coursier ou la coursière",
}

OUTCOMES: Mapping[str, str] = {
    "delivered": "livré",
    "failed-charged": "échec facturé",
    "cancelled-charged": "annulation tardive facturée",
    "released": "rien à payer",
    "unknown": "décompte inconnu",
}

VERDICTS: Mapping[Verdict, Badge] = {
    Verdict.KEPT: Badge("✓", "maintenue", "good"),
    Verdict.MOVED: Badge("↷", "déplacée", "warn"),
    Verdict.SKIPPED: Badge("⊘", "supprimée", ""),
}

HOLIDAYS: Mapping[HolidayPolicy, str] = {
    HolidayPolicy.SKIP: "Ne rien faire ce jour-là",
    HolidayPolicy.PREVIOUS: "Avancer au jour ouvré précédent",
    HolidayPolicy.NEXT: "Reporter au jour ouvré suivant",
    HolidayPolicy.KEEP: "Maintenir quand même",
}
