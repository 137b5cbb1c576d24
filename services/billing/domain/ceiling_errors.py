"""What a contract's structure, its amendments and its approvals refuse, by name."""

from collections.abc import Sequence
from datetime import date

from services.billing.domain.money import in_french
from services.kit.errors import DomainError


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


class PeriodsNotInSequence(DomainError):
    """Periods are numbered from 1 and follow each other without a gap from the contract's first day to its last."""

    code = "periods-not-in-sequence"
    title = "Périodes qui ne se suivent pas"

    def __init__(self, number: int, starts_on: date, ends_on: date | None, pointer: str) -> None:
        until = f", au {_day(ends_on)}" if ends_on else ""
        super().__init__(
            f"La période {number} doit porter ce numéro et aller du {_day(starts_on)}{until} : "
            "les périodes se suivent sans trou du premier au dernier jour du marché.",
            pointer=pointer,
        )


class FirmPeriodMisplaced(DomainError):
    """The first period is firm, and no other one is."""

    code = "firm-period-misplaced"
    title = "Période ferme mal placée"

    def __init__(self, pointer: str, *, is_first: bool) -> None:
        super().__init__(
            "La première période est ferme : indiquez « firm »."
            if is_first
            else "Seule la première période est ferme : indiquez « tacit » ou « explicit » pour une reconduction.",
            pointer=pointer,
        )


class MaximumMissing(DomainError):
    """A period, lot or budget has a maximum above zero."""

    code = "maximum-missing"
    title = "Maximum manquant"

    def __init__(self, name: str, pointer: str) -> None:
        super().__init__(f"Le maximum ({name}) doit être supérieur à 0,00\u00a0€.", pointer=pointer)


class MaximaDisagree(DomainError):
    """The maxima of all periods, or of all lots, leave room for the whole life's; none of them is above it."""

    code = "maxima-disagree"
    title = "Maximums incohérents"

    def __init__(self, what: str, *, sum_cents: int, ceiling_cents: int, pointer: str) -> None:
        super().__init__(
            f"Les maximums des {what} font {in_french(sum_cents)} HT en tout pour un marché de "
            f"{in_french(ceiling_cents)} HT : chacun doit tenir dans celui du marché, et leur somme l'atteindre.",
            pointer=pointer,
        )


class NamedTwice(DomainError):
    """Two lots have the same number, or two budgets cover the same."""

    code = "named-twice"
    title = "Élément cité deux fois"

    def __init__(self, name: str, pointer: str) -> None:
        super().__init__(f"« {name} » figure deux fois : gardez une seule ligne.", pointer=pointer)


class PartyUnknown(DomainError):
    """A lot, budget or share names a department or cooperative that is not in the contract."""

    code = "party-unknown"
    title = "Partie inconnue"

    def __init__(self, party_id: str, pointer: str) -> None:
        super().__init__(f"« {party_id} » ne figure pas au marché : ajoutez-le ou corrigez.", pointer=pointer)


class BudgetForEverything(DomainError):
    """A budget is a department's, a year's, or a department's in a year."""

    code = "budget-for-everything"
    title = "Budget sans objet"

    def __init__(self, pointer: str) -> None:
        super().__init__("Indiquez le service, l'exercice, ou les deux, que ce budget limite.", pointer=pointer)


class SharesIncomplete(DomainError):
    """Shares of a group name each member once and make 100 %."""

    code = "shares-incomplete"
    title = "Parts incomplètes"

    def __init__(self) -> None:
        super().__init__(
            "Donnez la part de chaque membre du groupement, une fois chacun, 100\u00a0% en tout ; ou aucune part.",
            pointer="/award/shares",
        )


class ReasonMissing(DomainError):
    """An innovative award is made for a written reason."""

    code = "award-reason-missing"
    title = "Motif manquant"

    def __init__(self) -> None:
        super().__init__(
            "Écrivez pourquoi le service est innovant : ce motif est une pièce du marché.", pointer="/award/reason"
        )


class PeriodNotOpen(DomainError):
    """The leg's day is in a period that was declined, or that nobody has renewed yet."""

    code = "period-not-open"
    title = "Période non ouverte"

    def __init__(self, service_date: date, name: str, reference: str, *, is_declined: bool) -> None:
        what = "n'a pas été reconduit" if is_declined else "n'est pas encore reconduit"
        super().__init__(
            f"Le {_day(service_date)} est dans la {name}, pour laquelle le marché {reference} {what} : "
            "choisissez une date d'une période ouverte, ou demandez aux finances.",
            service_date=service_date.isoformat(),
        )


class LegInNoLot(DomainError):
    """No lot of the contract covers this department with all these loads."""

    code = "leg-in-no-lot"
    title = "Aucun lot ne couvre ce trajet"

    def __init__(self, leg: int, department_id: str) -> None:
        super().__init__(
            f"Aucun lot ne couvre toutes les charges du trajet n° {leg} pour le service « {department_id} » : "
            "faites une commande par lot, ou demandez aux finances.",
            leg=leg,
        )


class PeriodUnknown(DomainError):
    """The contract has no such period."""

    code = "period-unknown"
    title = "Période inconnue"

    def __init__(self, number: int) -> None:
        super().__init__(f"Ce marché n'a pas de période {number}.")


class LotUnknown(DomainError):
    """The contract has no such lot, or has several and none is named."""

    code = "lot-unknown"
    title = "Lot inconnu"

    def __init__(self) -> None:
        super().__init__("Indiquez le numéro d'un lot de ce marché.", pointer="/lot")


class PeriodDecided(DomainError):
    """It was decided already, or does not wait for a decision."""

    code = "period-decided"
    title = "Période déjà décidée"

    def __init__(self, name: str) -> None:
        super().__init__(f"La {name} est déjà décidée : une décision ne se reprend pas.")


class DecisionTooLate(DomainError):
    """A renewal is decided before its period begins."""

    code = "decision-too-late"
    title = "Décision tardive"

    def __init__(self, name: str, starts_on: date) -> None:
        super().__init__(
            f"La {name} commence le {_day(starts_on)} : sa décision doit être datée d'avant ce jour.",
            pointer="/decided_on",
        )


class PeriodInUse(DomainError):
    """Orders stand in a period that is to be declined."""

    code = "period-in-use"
    title = "Période déjà engagée"

    def __init__(self, name: str, committed_cents: int) -> None:
        super().__init__(
            f"{in_french(committed_cents)} HT sont engagés sur la {name} : annulez d'abord ces commandes.",
            committed_cents=committed_cents,
        )


class AmendmentNotNext(DomainError):
    """Amendments are numbered from 1 without a gap."""

    code = "amendment-not-next"
    title = "Numéro d'avenant inattendu"

    def __init__(self, number: int, expected: int) -> None:
        super().__init__(
            f"L'avenant {number} ne peut pas suivre : le prochain porte le numéro {expected}.",
            pointer="/number",
            expected=expected,
        )


class AmendmentChangesNothing(DomainError):
    """An amendment moves the maximum or the end."""

    code = "amendment-changes-nothing"
    title = "Avenant sans effet"

    def __init__(self) -> None:
        super().__init__("Donnez un écart de montant, une nouvelle date de fin, ou les deux.", pointer="/delta")


class AmountsDisagree(DomainError):
    """The new maximum is the old one and the difference."""

    code = "amounts-disagree"
    title = "Montants incohérents"

    def __init__(self, expected_cents: int) -> None:
        super().__init__(
            f"Avec cet écart, le nouveau maximum est de {in_french(expected_cents)} HT : corrigez l'un des deux.",
            pointer="/new_maximum",
        )


class DatesReversed(DomainError):
    """An amendment is notified after it was signed; a contract is not shortened by one."""

    code = "amendment-dates-reversed"
    title = "Dates à l'envers"

    def __init__(self, sentence: str, pointer: str) -> None:
        super().__init__(sentence, pointer=pointer)


class MaximumBelowCommitted(DomainError):
    """A maximum cannot be lowered under what is committed."""

    code = "maximum-below-committed"
    title = "Maximum inférieur à l'engagé"

    def __init__(self, name: str, *, maximum_cents: int, committed_cents: int) -> None:
        super().__init__(
            f"{in_french(committed_cents)} HT sont déjà engagés ({name}) : "
            f"le maximum ne peut pas descendre à {in_french(maximum_cents)} HT.",
            pointer="/delta",
            committed_cents=committed_cents,
        )


class LegalDecisionMissing(DomainError):
    """A legal threshold is touched: somebody has to decide, in writing. Nothing is blocked once they have."""

    code = "legal-decision-missing"
    title = "Décision juridique à consigner"

    def __init__(self, warnings: Sequence[str]) -> None:
        super().__init__(
            f"{' '.join(warnings)} Changez de fondement, ou consignez la décision juridique dans « legal_decision ».",
            pointer="/legal_decision",
            warnings=list(warnings),
        )


class OrderLimitExceeded(DomainError):
    """One order is above what the contract lets pass by itself."""

    code = "order-limit-exceeded"
    title = "Commande au-delà du montant libre"

    def __init__(self, *, asked_cents: int, limit_cents: int) -> None:
        super().__init__(
            f"Cette commande de {in_french(asked_cents)} HT dépasse le montant de {in_french(limit_cents)} HT "
            "jusqu'auquel une commande passe sans accord : réduisez-la, ou demandez l'accord des finances."
        )


class ReserveReached(DomainError):
    """An order would take from what the contract keeps in reserve."""

    code = "reserve-reached"
    title = "Réserve du marché atteinte"

    def __init__(self, name: str, *, asked_cents: int, left_cents: int, reserve_cents: int) -> None:
        super().__init__(
            f"Il faudrait {in_french(asked_cents)} HT, il reste {in_french(left_cents)} HT ({name}) "
            f"dont {in_french(reserve_cents)} HT en réserve : réduisez, ou demandez l'accord des finances."
        )


class ApprovalNotFound(DomainError):
    """No order with this id waits or waited for an approval, or it is not the caller's."""

    code = "approval-not-found"
    title = "Commande sans accord à donner"

    def __init__(self, order_id: str) -> None:
        super().__init__("Aucune commande de ce numéro n'attend d'accord.", order_id=order_id)


class ApprovalDecided(DomainError):
    """Somebody decided it before."""

    code = "approval-decided"
    title = "Accord déjà décidé"

    def __init__(self, order_id: str, by: str) -> None:
        super().__init__(f"{by or 'Quelqu’un'} a déjà décidé de cette commande.", order_id=order_id)


class ApprovalRefused(DomainError):
    """A named person did not approve the order."""

    code = "approval-refused"
    title = "Accord refusé"

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(f"{by} n'a pas donné son accord : {reason}")


class ApprovalTooLate(DomainError):
    """The order's day came and nobody had approved it."""

    code = "approval-too-late"
    title = "Accord non donné à temps"

    def __init__(self, service_date: date) -> None:
        super().__init__(f"Personne n'a donné son accord avant le {_day(service_date)} : commandez pour un autre jour.")


class HoldExpired(DomainError):
    """A delivery was reported so long after its day that its hold had been given back."""

    code = "hold-expired"
    title = "Engagement périmé"

    def __init__(self, order_id: str, leg: int, settled_on: date) -> None:
        super().__init__(
            f"L'engagement du trajet n° {leg} a été libéré le {_day(settled_on)}, faute de nouvelles : "
            "passez une commande de régularisation pour ce qui a été livré.",
            order_id=order_id,
            leg=leg,
        )


class DecpIncomplete(DomainError):
    """The contract lacks what the public record demands."""

    code = "decp-incomplete"
    title = "Données essentielles incomplètes"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"Il manque à ce marché, pour publier ses données essentielles : {', '.join(missing)}.",
            missing=list(missing),
        )
