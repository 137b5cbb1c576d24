"""What dispatch refuses, by name."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime

from services.kit.errors import DomainError


def french_day(day: date) -> str:
    """Write a day in a refusal: 24/11/2026."""
    return f"{day:%d/%m/%Y}"


def french_of(name: str) -> str:
    """Write whose something is: d’Amel, d’Élise, de Bastien, de Yasmine."""
    plain = "".join(one for one in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(one))
    return f"d’{name}" if re.match(r"[aeiouhœæ]|y(?![aeiou])", plain) else f"de {name}"


class OutOfBounds(DomainError):
    """A value is outside what can be right."""

    code = "out-of-bounds"
    title = "Valeur hors limites"


class CooperativeNotFound(DomainError):
    """No such cooperative, or not the caller's."""

    code = "cooperative-not-found"
    title = "Coopérative introuvable"

    def __init__(self, cooperative_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cette coopérative n'existe pas, ou n'est pas la vôtre.", pointer=pointer, cooperative_id=cooperative_id
        )


class CooperativeExists(DomainError):
    """A cooperative with this code is registered already."""

    code = "cooperative-exists"
    title = "Coopérative déjà enregistrée"

    def __init__(self, cooperative_id: str) -> None:
        super().__init__(
            f"Le code « {cooperative_id} » est déjà pris : modifiez cette coopérative ou choisissez un autre code.",
            pointer="/id",
            cooperative_id=cooperative_id,
        )


class CooperativeMissing(DomainError):
    """Whoever may act for several cooperatives must say for which."""

    code = "cooperative-missing"
    title = "Coopérative à préciser"

    def __init__(self) -> None:
        super().__init__("Indiquez la coopérative concernée.", pointer="/cooperative_id")


class CourierNotFound(DomainError):
    """No such courier, or not of the caller's cooperative."""

    code = "courier-not-found"
    title = "Coursier introuvable"

    def __init__(self, courier_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Ce coursier n'existe pas, ou n'est pas de votre coopérative.", pointer=pointer, courier_id=courier_id
        )


class NotACourier(DomainError):
    """No courier rides with this account."""

    code = "not-a-courier"
    title = "Compte sans tournée"

    def __init__(self) -> None:
        super().__init__("Aucun coursier n'est lié à votre compte : demandez à votre régulation de l'enregistrer.")


class AccountTaken(DomainError):
    """Another courier rides with this account."""

    code = "account-taken"
    title = "Compte déjà lié"

    def __init__(self, account: str) -> None:
        super().__init__(
            f"Le compte « {account} » est déjà lié à un coursier : choisissez-en un autre.", pointer="/account"
        )


class BikeNotFound(DomainError):
    """No such bike, or not of the caller's cooperative."""

    code = "bike-not-found"
    title = "Vélo introuvable"

    def __init__(self, bike_id: str, pointer: str | None = None) -> None:
        super().__init__("Ce vélo n'existe pas, ou n'est pas de votre coopérative.", pointer=pointer, bike_id=bike_id)


class OutOfService(DomainError):
    """A courier or bike that is no longer active cannot be given a shift."""

    code = "out-of-service"
    title = "Coursier ou vélo inactif"


class ShiftNotFound(DomainError):
    """No such shift, or not of the caller's cooperative."""

    code = "shift-not-found"
    title = "Vacation introuvable"

    def __init__(self, shift_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cette vacation n'existe pas, ou n'est pas de votre coopérative.", pointer=pointer, shift_id=shift_id
        )


class ShiftOverlaps(DomainError):
    """A courier rides one shift at a time, and so does a bike."""

    code = "shift-overlaps"
    title = "Vacations qui se chevauchent"

    def __init__(self, who: str, shift_id: str, pointer: str) -> None:
        super().__init__(
            f"{who} a déjà une vacation à ces heures : décalez l'une des deux.", pointer=pointer, shift_id=shift_id
        )


class ShiftInUse(DomainError):
    """A published round is ridden in this shift."""

    code = "shift-in-use"
    title = "Vacation déjà engagée"

    def __init__(self, shift_id: str, round_id: str) -> None:
        super().__init__(
            "Une tournée publiée occupe cette vacation : retirez d'abord la tournée.",
            shift_id=shift_id,
            round_id=round_id,
        )


class DeliveryNotFound(DomainError):
    """No such delivery, or of no contract that the caller's cooperative holds."""

    code = "delivery-not-found"
    title = "Livraison introuvable"

    def __init__(self, delivery_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cette livraison n'existe pas, ou ne concerne pas votre coopérative.",
            pointer=pointer,
            delivery_id=delivery_id,
        )


class DeliveryTaken(DomainError):
    """The delivery stands in a published round, or has ended."""

    code = "delivery-taken"
    title = "Livraison déjà engagée"

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"La livraison {reference} est dans une tournée publiée ou terminée : retirez d'abord la tournée.",
            reference=reference,
        )


class ContractNotFound(DomainError):
    """Billing has told of no such contract."""

    code = "contract-not-found"
    title = "Marché introuvable"

    def __init__(self, contract_id: str) -> None:
        super().__init__("Ce marché n'est pas connu de la régulation.", contract_id=contract_id)


class PlanNotFound(DomainError):
    """No such plan, or one in which the caller's cooperative has no part."""

    code = "plan-not-found"
    title = "Plan introuvable"

    def __init__(self, plan_id: str) -> None:
        super().__init__("Ce plan n'existe pas, ou ne concerne pas votre coopérative.", plan_id=plan_id)


class PlanNotReady(DomainError):
    """The plan is not a draft: it is still being computed, or it failed."""

    code = "plan-not-ready"
    title = "Plan non disponible"

    def __init__(self, plan_id: str, state: str) -> None:
        super().__init__(
            "Le plan n'est pas prêt : attendez la fin du calcul, ou demandez-en un autre.",
            plan_id=plan_id,
            state=state,
        )


class PlansOfDifferentDays(DomainError):
    """Only plans of one day can be compared."""

    code = "plans-of-different-days"
    title = "Plans de jours différents"

    def __init__(self, one: date, other: date) -> None:
        super().__init__(
            f"Ces plans sont du {french_day(one)} et du {french_day(other)} : choisissez deux plans d'un même jour."
        )


class PlanNotSolving(DomainError):
    """Nobody computes the plan now."""

    code = "plan-not-solving"
    title = "Aucun calcul en cours"

    def __init__(self, plan_id: str, state: str) -> None:
        super().__init__(
            "Le calcul de ce plan n'est pas en cours : il n'y a rien à arrêter.", plan_id=plan_id, state=state
        )


class PlanStale(DomainError):
    """What the draft was made from has changed."""

    code = "plan-stale"
    title = "Plan dépassé"

    def __init__(self, plan_id: str, changes: Sequence[dict[str, str]]) -> None:
        told = " ; ".join(change["detail"] for change in changes[:3])
        more = f" ; et {len(changes) - 3} autre(s) changement(s)" if len(changes) > 3 else ""
        super().__init__(
            f"Depuis ce calcul : {told}{more}. Demandez un nouveau plan.", plan_id=plan_id, changes=list(changes)
        )


class NothingToReadjust(DomainError):
    """No round of the day is published and open within reach, or the day has passed."""

    code = "nothing-to-readjust"
    title = "Rien à réajuster"

    def __init__(self, day: date, *, is_past: bool = False, is_ridden: bool = False) -> None:
        if is_past:
            told = f"Le {french_day(day)} est passé : il ne se réajuste plus."
        elif is_ridden:
            told = (
                f"Toutes les tournées du {french_day(day)} sont terminées : planifiez ce qui reste par un nouveau plan."
            )
        else:
            told = (
                f"Aucune tournée publiée n'est à rouler le {french_day(day)} : "
                "calculez et publiez d'abord un plan de ce jour."
            )
        super().__init__(told, day=day)


class ReplanFailed(DomainError):
    """No proposal could be computed."""

    code = "replan-failed"
    title = "Réajustement impossible"


class ReplanNotFound(DomainError):
    """No such readjustment, or another cooperative's."""

    code = "replan-not-found"
    title = "Réajustement introuvable"

    def __init__(self, replan_id: str) -> None:
        super().__init__("Ce réajustement n'existe pas, ou n'est pas le vôtre.", replan_id=replan_id)


class ReplanStale(DomainError):
    """What the proposal was made from has changed, or what it proposes is past."""

    code = "replan-stale"
    title = "Réajustement dépassé"

    def __init__(self, replan_id: str, changes: Sequence[str]) -> None:
        told = " ; ".join(changes[:3])
        more = f" ; et {len(changes) - 3} autre(s) changement(s)" if len(changes) > 3 else ""
        super().__init__(
            f"Depuis ce calcul : {told}{more}. Rien n'est changé : demandez une nouvelle proposition.",
            replan_id=replan_id,
            changes=list(changes),
        )


class MoveRefused(DomainError):
    """The judge says that the rounds could not be ridden after this move."""

    code = "move-refused"
    title = "Déplacement impossible"

    def __init__(self, violations: Sequence[dict[str, str]]) -> None:
        told = " ; ".join(violation["detail"] for violation in violations[:4])
        super().__init__(f"Après ce déplacement : {told}. Le plan reste inchangé.", violations=list(violations))


class SiteNotFound(DomainError):
    """No delivery that the caller may see names such a site."""

    code = "site-not-found"
    title = "Site introuvable"

    def __init__(self, site_id: str) -> None:
        super().__init__(
            "Aucune livraison de vos marchés ne passe par ce site : vérifiez lequel est fermé.",
            pointer="/site_id",
            site_id=site_id,
        )


class ClosureNotFound(DomainError):
    """No such closure."""

    code = "closure-not-found"
    title = "Fermeture introuvable"

    def __init__(self, closure_id: str) -> None:
        super().__init__("Cette fermeture n'existe pas, ou est déjà levée.", closure_id=closure_id)


class RoundNotFound(DomainError):
    """No such round, or not the caller's."""

    code = "round-not-found"
    title = "Tournée introuvable"

    def __init__(self, round_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cette tournée n'existe pas, ou n'est pas de votre coopérative.", pointer=pointer, round_id=round_id
        )


class RoundStarted(DomainError):
    """A round that is being ridden is not taken back."""

    code = "round-started"
    title = "Tournée commencée"

    def __init__(self, round_id: str, started_at: datetime) -> None:
        super().__init__(
            "La tournée est commencée : appelez le coursier, il peut signaler chaque arrêt non fait.",
            round_id=round_id,
            started_at=started_at,
        )


class StopNotFound(DomainError):
    """No such stop, or not the caller's."""

    code = "stop-not-found"
    title = "Arrêt introuvable"

    def __init__(self, stop_id: str, pointer: str | None = None) -> None:
        super().__init__("Cet arrêt n'existe pas, ou n'est pas dans vos tournées.", pointer=pointer, stop_id=stop_id)


class BadReport(DomainError):
    """A report lacks something or says something that cannot be."""

    code = "bad-report"
    title = "Compte rendu à corriger"


class EventIdReused(DomainError):
    """The report's id was used for another report."""

    code = "event-id-reused"
    title = "Identifiant déjà utilisé"

    def __init__(self, event_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cet identifiant a déjà servi pour un autre compte rendu : prenez-en un nouveau.",
            pointer=pointer,
            event_id=event_id,
        )


class ProofNotFound(DomainError):
    """No such proof, or not for the caller to see."""

    code = "proof-not-found"
    title = "Preuve introuvable"

    def __init__(self, proof_id: str) -> None:
        super().__init__("Cette preuve n'existe pas, ou ne vous concerne pas.", proof_id=proof_id)


class ProofElsewhere(DomainError):
    """The proof belongs to another stop, or is another picture."""

    code = "proof-elsewhere"
    title = "Preuve déjà rattachée"

    def __init__(self, proof_id: str, pointer: str | None = None) -> None:
        super().__init__(
            "Cet identifiant désigne déjà une autre photo : envoyez celle-ci avec un nouvel identifiant.",
            pointer=pointer,
            proof_id=proof_id,
        )


class NotAPicture(DomainError):
    """What was sent is no JPEG or PNG picture that can be read whole."""

    code = "not-a-picture"
    title = "Photo illisible"

    def __init__(self, detail: str = "Envoyez une photo entière, au format JPEG ou PNG.") -> None:
        super().__init__(detail)
