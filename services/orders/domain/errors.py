"""What the orders service refuses, by name; every sentence is French and says what to do."""

from datetime import date, datetime

from services.kit.errors import DomainError


class NotFound(DomainError):
    """Nothing of that name is visible to the caller."""

    code = "not-found"
    title = "Introuvable"


class OutOfBounds(DomainError):
    """A figure or a text is outside what makes sense."""

    code = "out-of-bounds"
    title = "Valeur hors limites"


class UnknownSite(DomainError):
    """The department has no such site."""

    code = "unknown-site"
    title = "Site inconnu"

    def __init__(self, site_id: str, *, pointer: str) -> None:
        super().__init__(
            "Votre service n'a pas ce site ; choisissez-le dans la liste des sites ou enregistrez-le d'abord.",
            pointer=pointer,
            site_id=site_id,
        )


class SameSite(DomainError):
    """A leg goes from a site to itself."""

    code = "same-site"
    title = "Départ et arrivée identiques"


class UnknownLoadKind(DomainError):
    """The catalogue has no such kind of load."""

    code = "unknown-load-kind"
    title = "Type de charge inconnu"

    def __init__(self, kind: str, *, pointer: str) -> None:
        super().__init__(
            f"Le catalogue n'a pas de type de charge « {kind} » ; choisissez-en un dans la liste.",
            pointer=pointer,
            kind=kind,
        )


class LoadKindTaken(DomainError):
    """A kind of load with this code exists."""

    code = "load-kind-taken"
    title = "Type de charge déjà au catalogue"


class RepeatedLoadKind(DomainError):
    """The same kind of load is listed twice."""

    code = "repeated-load-kind"
    title = "Type de charge répété"


class TooMuchForOneBike(DomainError):
    """No bike carries that many at once."""

    code = "too-much-for-one-bike"
    title = "Trop pour un vélo"


class WrongLegs(DomainError):
    """The flow wants another number of legs, or legs in another order."""

    code = "wrong-legs"
    title = "Trajets non conformes au type de flux"


class BadWindow(DomainError):
    """A window ends before it starts, is too long, or cannot follow the one before."""

    code = "bad-window"
    title = "Créneau impossible"


class WindowInThePast(DomainError):
    """Nobody can ride there in time."""

    code = "window-in-the-past"
    title = "Créneau déjà passé"


class NoContract(DomainError):
    """No contract lets this department order on that day."""

    code = "no-contract"
    title = "Aucun marché applicable"


class WhichContract(DomainError):
    """Several contracts apply and none was named."""

    code = "which-contract"
    title = "Marché à préciser"


class UnknownContract(DomainError):
    """The named contract is not known here, or not open to this department."""

    code = "unknown-contract"
    title = "Marché inconnu"


class UnknownDepartment(DomainError):
    """The request must name a department that it may order for."""

    code = "unknown-department"
    title = "Service à préciser"


class ClientReferenceTaken(DomainError):
    """The department already gave this reference to another order."""

    code = "client-reference-taken"
    title = "Référence déjà utilisée"

    def __init__(self, client_reference: str, *, order_id: str, reference: str) -> None:
        super().__init__(
            f"La référence « {client_reference} » désigne déjà la commande {reference} ; consultez-la, "
            "ou donnez une autre référence.",
            pointer="/client_reference",
            order_id=order_id,
            reference=reference,
            order=f"/v1/orders/{order_id}",
        )


class AlreadyCollected(DomainError):
    """A courier has the load."""

    code = "already-collected"
    title = "Chargement déjà collecté"

    def __init__(self, leg: int, collected_at: datetime) -> None:
        super().__init__(
            f"Le trajet {leg} a déjà été collecté : il ne peut plus être annulé. "
            "Appelez la coopérative pour convenir d'un retour.",
            leg=leg,
            collected_at=collected_at.isoformat(),
        )


class AlreadyOver(DomainError):
    """The legs asked for have ended, or their cancellation is already under way."""

    code = "already-over"
    title = "Trajet déjà terminé"


class ReturnNeedsOutbound(DomainError):
    """What was placed must be retrieved: the way back of a loan goes with the way out."""

    code = "return-needs-outbound"
    title = "Retour lié à l'aller"


class TooLateToAmend(DomainError):
    """The contract's cut-off has passed."""

    code = "too-late-to-amend"
    title = "Délai de modification dépassé"

    def __init__(self, leg: int, cutoff_at: datetime, *, local: str) -> None:
        super().__init__(
            f"Le trajet {leg} pouvait être modifié jusqu'au {local}. Vous pouvez encore l'annuler ; "
            "l'annulation sera tardive et pourra être facturée.",
            leg=leg,
            cutoff_at=cutoff_at.isoformat(),
        )


class NotAmendable(DomainError):
    """Only what is still to be ridden can change."""

    code = "not-amendable"
    title = "Trajet non modifiable"


class BadRule(DomainError):
    """The recurrence rule cannot be read."""

    code = "bad-rule"
    title = "Règle de récurrence illisible"


class UnsupportedRulePart(DomainError):
    """The rule has a part that is not supported; nothing is ever accepted and then ignored."""

    code = "unsupported-rule-part"
    title = "Élément de règle non pris en charge"

    def __init__(self, part: str, detail: str) -> None:
        super().__init__(detail, pointer="/rule", part=part)


class RuleNeverHappens(DomainError):
    """No date satisfies the rule."""

    code = "rule-never-happens"
    title = "Règle sans échéance"


class UnknownZone(DomainError):
    """Not a name of the IANA time zone database."""

    code = "unknown-zone"
    title = "Fuseau horaire inconnu"


class NotAnOccurrence(DomainError):
    """An exception names a date that the rule does not give."""

    code = "not-an-occurrence"
    title = "Date hors récurrence"

    def __init__(self, day: date, *, pointer: str) -> None:
        super().__init__(
            f"Le {day:%d/%m/%Y} n'est pas une échéance de la règle ; retirez cette exception ou corrigez sa date.",
            pointer=pointer,
            date=day.isoformat(),
        )


class WithoutEffect(DomainError):
    """A setting would change nothing next to the others; better said than silently ignored."""

    code = "without-effect"
    title = "Réglage sans effet"


class BadPause(DomainError):
    """A pause ends before it starts, or overlaps another."""

    code = "bad-pause"
    title = "Suspension impossible"


class NotPaused(DomainError):
    """There is no pause to lift."""

    code = "not-paused"
    title = "Aucune suspension en cours"


class HasEnded(DomainError):
    """The recurring request has ended."""

    code = "has-ended"
    title = "Demande récurrente terminée"
