"""What billing refuses, by name."""

from collections.abc import Sequence
from datetime import date, datetime

from services.billing.domain.money import in_french
from services.kit.errors import DomainError


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


class InvalidSiret(DomainError):
    """A SIRET has 14 digits, the last one a check digit."""

    code = "siret-invalid"
    title = "Numéro SIRET invalide"

    def __init__(self, siret: str, pointer: str | None = None) -> None:
        super().__init__(
            f"« {siret} » n'est pas un numéro SIRET : vérifiez les 14 chiffres, le dernier est une clé de contrôle.",
            pointer=pointer,
            siret=siret,
        )


class PeriodReversed(DomainError):
    """A contract cannot end before it starts."""

    code = "period-reversed"
    title = "Période à l'envers"

    def __init__(self, starts_on: date, ends_on: date) -> None:
        super().__init__(
            f"Le marché finirait le {_day(ends_on)}, avant de commencer le {_day(starts_on)} : corrigez la période.",
            pointer="/ends_on",
        )


class ZoneUnknown(DomainError):
    """Local dates need an IANA time zone."""

    code = "zone-unknown"
    title = "Fuseau horaire inconnu"

    def __init__(self, zone: str) -> None:
        super().__init__(f"« {zone} » n'est pas un fuseau IANA ; par exemple Europe/Paris.", pointer="/zone")


class PartyTwice(DomainError):
    """A cooperative or department is named twice in one contract."""

    code = "party-twice"
    title = "Partie citée deux fois"

    def __init__(self, party_id: str, pointer: str) -> None:
        super().__init__(f"« {party_id} » figure deux fois : gardez une seule ligne.", pointer=pointer)


class CeilingMissing(DomainError):
    """A framework contract without a maximum is void."""

    code = "ceiling-missing"
    title = "Montant maximum manquant"

    def __init__(self) -> None:
        super().__init__("Le montant maximum du marché doit être supérieur à 0,00\u00a0€.", pointer="/ceiling")


class AlertLevelsInvalid(DomainError):
    """Alert levels are distinct percentages, in ascending order."""

    code = "alert-levels-invalid"
    title = "Seuils d'alerte invalides"

    def __init__(self) -> None:
        super().__init__(
            "Donnez les seuils d'alerte en pourcentages entiers de 1 à 100, croissants et sans doublon.",
            pointer="/alert_percents",
        )


class VatRateMissing(DomainError):
    """A VAT rate must be in force from the first day of the contract."""

    code = "vat-rate-missing"
    title = "Taux de TVA manquant"

    def __init__(self, starts_on: date) -> None:
        super().__init__(
            f"Aucun taux de TVA n'est en vigueur au {_day(starts_on)} : donnez-en un valable dès le début du marché.",
            pointer="/vat_rates",
        )


class VatRateTwice(DomainError):
    """Two VAT rates start on the same day."""

    code = "vat-rate-twice"
    title = "Deux taux de TVA à la même date"

    def __init__(self, valid_from: date, pointer: str) -> None:
        super().__init__(f"Deux taux commencent le {_day(valid_from)} : gardez-en un.", pointer=pointer)


class IbanInvalid(DomainError):
    """An IBAN has a country, check digits and an account, without blanks."""

    code = "iban-invalid"
    title = "IBAN invalide"

    def __init__(self, iban: str, pointer: str) -> None:
        super().__init__(
            f"« {iban} » n'est pas un IBAN : recopiez-le du RIB, sans espace ; ses deux chiffres de contrôle ne "
            "correspondent pas.",
            pointer=pointer,
        )


class BicInvalid(DomainError):
    """A BIC has 8 or 11 characters."""

    code = "bic-invalid"
    title = "BIC invalide"

    def __init__(self, bic: str, pointer: str) -> None:
        super().__init__(f"« {bic} » n'est pas un BIC : recopiez du RIB ses 8 ou 11 caractères.", pointer=pointer)


class VatNumberInvalid(DomainError):
    """A French VAT number is FR, a key and the company's own SIREN."""

    code = "vat-number-invalid"
    title = "Numéro de TVA invalide"

    def __init__(self, vat_number: str, siren: str, pointer: str) -> None:
        super().__init__(
            f"« {vat_number} » n'est pas le numéro de TVA de l'entreprise {siren} : donnez FR, la clé, puis ce SIREN, "
            "ou laissez vide pour une coopérative en franchise.",
            pointer=pointer,
        )


class DateTwice(DomainError):
    """Two dated rows of one thing begin on the same day."""

    code = "date-twice"
    title = "Deux lignes à la même date"

    def __init__(self, day: date, pointer: str) -> None:
        super().__init__(f"Deux lignes portent la date du {_day(day)} : gardez-en une.", pointer=pointer)


class ServiceCodeMissing(DomainError):
    """The directory says that this buyer wants a service code on each invoice."""

    code = "service-code-missing"
    title = "Code service manquant"

    def __init__(self, looked_up_on: date) -> None:
        super().__init__(
            f"L'annuaire, consulté le {_day(looked_up_on)}, exige un code service de cet acheteur : donnez-le.",
            pointer="/buyer/service_code",
        )


class EngagementNumberMissing(DomainError):
    """The directory says that this buyer wants an engagement number on each invoice."""

    code = "engagement-number-missing"
    title = "Numéro d'engagement manquant"

    def __init__(self, looked_up_on: date) -> None:
        super().__init__(
            f"L'annuaire, consulté le {_day(looked_up_on)}, exige un numéro d'engagement de cet acheteur : donnez-le.",
            pointer="/buyer/engagement_number",
        )


class InvoiceDataMissing(DomainError):
    """The contract does not hold all that an e-invoice must say; nothing was closed."""

    code = "invoice-data-missing"
    title = "Données de facturation manquantes"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            "Le mois ne peut pas être clos, la facture électronique serait incomplète. "
            f"À compléter au marché : {' ; '.join(missing)}.",
            missing=list(missing),
        )


class InvoiceNotValid(DomainError):
    """What was written does not pass the rules for e-invoices; nothing was closed, no number was used."""

    code = "invoice-not-valid"
    title = "Facture électronique non conforme"

    def __init__(self, number: str, findings: Sequence[str]) -> None:
        super().__init__(
            f"La facture {number} ne passe pas les contrôles ; rien n'est émis et le numéro reste libre. "
            f"À corriger : {' ; '.join(findings)}",
            findings=list(findings),
        )


class RulesUnavailable(DomainError):
    """The official rules for e-invoices are not installed on this machine."""

    code = "invoice-rules-unavailable"
    title = "Contrôles de facturation indisponibles"

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"Le serveur ne peut contrôler aucune facture électronique : installez-y « {missing} ». "
            "Aucun mois n'est clos entre-temps.",
            missing=missing,
        )


class InvoiceNotFound(DomainError):
    """The statement is older than its e-invoice, or does not exist."""

    code = "invoice-not-found"
    title = "Facture électronique absente"

    def __init__(self, statement_id: str) -> None:
        super().__init__(
            "Cet état n'a pas de facture électronique : il a été clos avant qu'elles existent.",
            statement_id=statement_id,
        )


class CreditInvoiceNotFound(DomainError):
    """The note is internal, or corrects a statement that is older than its e-invoice."""

    code = "credit-invoice-not-found"
    title = "Avoir électronique absent"

    def __init__(self, note_id: str) -> None:
        super().__init__(
            "Cet avoir n'a pas de facture électronique : il est interne, ou corrige un état qui n'en a pas.",
            note_id=note_id,
        )


class ContractNotFound(DomainError):
    """No such contract, or not the caller's."""

    code = "contract-not-found"
    title = "Marché introuvable"

    def __init__(self, contract_id: str) -> None:
        super().__init__("Ce marché n'existe pas, ou ne vous concerne pas.", contract_id=contract_id)


class ReferenceTaken(DomainError):
    """Another contract of this buyer has the reference."""

    code = "contract-reference-taken"
    title = "Référence déjà utilisée"

    def __init__(self, reference: str, contract_id: str) -> None:
        super().__init__(
            f"Le marché « {reference} » est déjà enregistré pour cet acheteur.",
            pointer="/reference",
            contract_id=contract_id,
        )


class PriceLineTwice(DomainError):
    """Two lines of a price list have the same code, or price the same load kind."""

    code = "price-line-twice"
    title = "Prix cité deux fois"

    def __init__(self, what: str, pointer: str) -> None:
        super().__init__(f"« {what} » figure deux fois au bordereau : gardez une seule ligne.", pointer=pointer)


class LoadKindMisplaced(DomainError):
    """A price per load names its load kind; any other price names none."""

    code = "load-kind-misplaced"
    title = "Type de charge mal placé"

    def __init__(self, code: str, pointer: str, *, is_missing: bool) -> None:
        super().__init__(
            f"Le prix « {code} » est à l'unité de charge : indiquez le type de charge."
            if is_missing
            else f"Le prix « {code} » n'est pas à l'unité de charge : retirez le type de charge.",
            pointer=pointer,
        )


class PriceListDateTaken(DomainError):
    """A price list of this contract already starts on that day."""

    code = "price-list-date-taken"
    title = "Bordereau déjà daté de ce jour"

    def __init__(self, valid_from: date, version: int) -> None:
        super().__init__(
            f"La version {version} du bordereau est déjà en vigueur au {_day(valid_from)} : choisissez un autre jour.",
            pointer="/valid_from",
            version=version,
        )


class PriceListTooLate(DomainError):
    """A price list would change the price of legs that are already settled."""

    code = "price-list-too-late"
    title = "Bordereau trop tardif"

    def __init__(self, valid_from: date, settled_on: date) -> None:
        super().__init__(
            f"Des trajets du {_day(settled_on)} sont déjà constatés au prix précédent : un nouveau bordereau doit "
            f"commencer après ce jour, et non le {_day(valid_from)}.",
            pointer="/valid_from",
            last_settled_service_date=settled_on.isoformat(),
        )


class DepartmentNotInContract(DomainError):
    """This department may not order under this contract."""

    code = "department-not-in-contract"
    title = "Service absent du marché"

    def __init__(self, department_id: str, reference: str) -> None:
        super().__init__(
            f"Le service « {department_id} » ne peut pas commander sur le marché {reference} : "
            "demandez aux finances quel marché utiliser.",
            department_id=department_id,
        )


class DateOutsidePeriod(DomainError):
    """A leg's service date is not within the contract's period."""

    code = "date-outside-period"
    title = "Date hors de la période du marché"

    def __init__(self, service_date: date, starts_on: date, ends_on: date, reference: str) -> None:
        super().__init__(
            f"Le {_day(service_date)} est hors de la période du marché {reference}, "
            f"du {_day(starts_on)} au {_day(ends_on)} : choisissez une date de cette période.",
            service_date=service_date.isoformat(),
        )


class NoPriceList(DomainError):
    """No price list of the contract is in force on the leg's service date."""

    code = "no-price-list"
    title = "Aucun bordereau en vigueur"

    def __init__(self, service_date: date) -> None:
        super().__init__(
            f"Aucun bordereau des prix n'est en vigueur au {_day(service_date)} : "
            "demandez aux finances d'enregistrer celui de cette période.",
            service_date=service_date.isoformat(),
        )


class LoadNotPriced(DomainError):
    """The price list in force has no line for this load kind."""

    code = "load-not-priced"
    title = "Charge sans prix"

    def __init__(self, load_kind: str, label: str, version: int) -> None:
        super().__init__(
            f"« {label or load_kind} » n'a pas de prix dans la version {version} du bordereau : "
            "choisissez une autre charge, ou demandez aux finances d'y ajouter son prix.",
            load_kind=load_kind,
            version=version,
        )


class LoadCountInvalid(DomainError):
    """A leg carries none, less than none, or absurdly many of a load kind."""

    code = "load-count-invalid"
    title = "Nombre de charges invalide"

    def __init__(self, load_kind: str, label: str, count: int, most: int) -> None:
        super().__init__(
            f"« {label or load_kind} » : {count} ne peut pas être transporté, donnez un nombre de 1 à {most}.",
            load_kind=load_kind,
        )


class OrderUnreadable(DomainError):
    """An order that says something no order can say."""

    code = "order-unreadable"
    title = "Commande illisible"


class CeilingExceeded(DomainError):
    """Less is left under the contract's maximum than what is asked."""

    code = "ceiling-exceeded"
    title = "Montant maximum du marché dépassé"

    def __init__(
        self,
        contract_id: str,
        *,
        asked_cents: int,
        left_cents: int,
        ceiling_cents: int,
        scope_key: str = "",
        scope_name: str = "",
    ) -> None:
        where = f" ({scope_name})" if scope_name else ""
        super().__init__(
            f"Il faudrait {in_french(asked_cents)} HT, il reste {in_french(left_cents)} HT "
            f"sur le maximum de {in_french(ceiling_cents)} HT{where} : "
            "réduisez ou annulez des commandes, ou demandez aux finances.",
            contract_id=contract_id,
            **({"scope": scope_key} if scope_key else {}),
        )
        self.asked_cents = asked_cents
        self.left_cents = left_cents
        self.ceiling_cents = ceiling_cents
        self.scope_key = scope_key
        self.scope_name = scope_name


class HoldRefusedEarlier(DomainError):
    """A delivery was reported for an order that was never held."""

    code = "hold-refused-earlier"
    title = "Commande refusée"

    def __init__(self, order_id: str) -> None:
        super().__init__(
            "Cette commande avait été refusée : aucun montant n'a été engagé pour elle, rien ne peut être constaté.",
            order_id=order_id,
        )


class LegUnknown(DomainError):
    """The order is known but has no such leg."""

    code = "leg-unknown"
    title = "Trajet inconnu"

    def __init__(self, order_id: str, leg: int) -> None:
        super().__init__(f"Cette commande n'a pas de trajet n° {leg}.", order_id=order_id, leg=leg)


class SellerNotInContract(DomainError):
    """A cooperative rode that does not hold the contract: nobody may invoice this leg."""

    code = "seller-not-in-contract"
    title = "Coopérative non titulaire"

    def __init__(self, cooperative_id: str, reference: str) -> None:
        super().__init__(
            f"La coopérative « {cooperative_id} » n'est pas titulaire du marché {reference} : "
            "ce trajet ne peut être facturé par personne.",
            cooperative_id=cooperative_id,
        )


class MonthNotOver(DomainError):
    """A month is closed when it has ended, not before."""

    code = "month-not-over"
    title = "Mois non terminé"

    def __init__(self, month: str) -> None:
        super().__init__(f"Le mois {month} n'est pas terminé : clôturez-le à partir du mois suivant.", pointer="/month")


class MonthBeforeContract(DomainError):
    """Nothing can have been done under the contract in that month."""

    code = "month-before-contract"
    title = "Mois antérieur au marché"

    def __init__(self, month: str, starts_on: date) -> None:
        super().__init__(
            f"Le marché ne commence que le {_day(starts_on)} : il n'y a rien à clôturer en {month}.", pointer="/month"
        )


class LaterMonthClosed(DomainError):
    """A later month is closed already and took what was left of this one."""

    code = "later-month-closed"
    title = "Un mois plus récent est déjà clos"

    def __init__(self, month: str, later: str) -> None:
        super().__init__(
            f"Le mois {later} est déjà clos et contient ce qui restait à facturer de {month}.",
            pointer="/month",
            later_month=later,
        )


class StatementNotFound(DomainError):
    """No such statement, or not the caller's."""

    code = "statement-not-found"
    title = "État introuvable"

    def __init__(self, statement_id: str) -> None:
        super().__init__("Cet état n'existe pas, ou ne vous concerne pas.", statement_id=statement_id)


class PrintingUnavailable(DomainError):
    """This machine lacks a system library that draws text."""

    code = "printing-unavailable"
    title = "Édition PDF indisponible"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"Le serveur ne peut pas éditer de PDF : installez-y {', '.join(missing)}. "
            "Les formats JSON et CSV restent disponibles.",
            packages=list(missing),
        )


class ReferenceAmbiguous(DomainError):
    """Several buyers have a contract with this reference."""

    code = "reference-ambiguous"
    title = "Référence portée par plusieurs marchés"

    def __init__(self, reference: str, contract_ids: Sequence[str]) -> None:
        super().__init__(
            f"Plusieurs marchés portent la référence « {reference} » : donnez l'identifiant, l'un de "
            f"{', '.join(contract_ids)}."
        )


class FactorMissing(DomainError):
    """No emission factor was in force yet."""

    code = "factor-missing"
    title = "Facteur d'émission manquant"

    def __init__(self, factor_id: str, on: date) -> None:
        super().__init__(
            f"Aucune valeur de « {factor_id} » n'était en vigueur le {_day(on)} : ajoutez-la, datée et sourcée, à la "
            "table des facteurs.",
            factor=factor_id,
        )


class EmissionsNotKept(DomainError):
    """The month was closed before emissions were kept."""

    code = "emissions-not-kept"
    title = "Émissions non relevées"

    def __init__(self, statement_number: str) -> None:
        super().__init__(
            f"L'état n° {statement_number} a été clos avant que les émissions soient relevées : il n'a pas de bilan "
            "CO2. Prenez celui d'un mois suivant."
        )


class PriceBandInvalid(DomainError):
    """A price by band has a band that ends after it starts and overlaps no other; any other price has none."""

    code = "price-band-invalid"
    title = "Tranche de prix invalide"

    def __init__(self, code: str, pointer: str, most: int) -> None:
        super().__init__(
            f"La tranche du prix « {code} » doit aller d'un début à une fin plus grande, au plus {most}, sans "
            "chevaucher une autre : corrigez-la."
            if most
            else f"Le prix « {code} » n'est pas par tranche : retirez-en les bornes.",
            pointer=pointer,
        )


class DistanceNotPriced(DomainError):
    """The price list in force has distance bands, and none for this leg."""

    code = "distance-not-priced"
    title = "Distance sans prix"

    def __init__(self, metres: int | None, version: int) -> None:
        super().__init__(
            f"La version {version} du bordereau n'a pas de prix pour un trajet de {metres} m : demandez aux finances "
            "d'y ajouter cette tranche."
            if metres is not None
            else f"La version {version} du bordereau dépend de la distance, et la position d'un des sites est "
            "inconnue : complétez son adresse.",
            version=version,
        )


class StatementNotRevised(DomainError):
    """The statement is at base prices: there is nothing to reckon."""

    code = "statement-not-revised"
    title = "État sans révision"

    def __init__(self, statement_number: str) -> None:
        super().__init__(
            f"L'état n° {statement_number} est aux prix de base, sans révision ni régularisation : il n'a pas de "
            "feuille de calcul. Son détail suffit."
        )


class ChargeNotFound(DomainError):
    """No such charge, or not the caller's."""

    code = "charge-not-found"
    title = "Ligne introuvable"

    def __init__(self, order_id: str, leg: int, pointer: str | None = None) -> None:
        super().__init__(
            "Ce trajet n'existe pas, ou ne vous concerne pas.", pointer=pointer, order_id=order_id, leg=leg
        )


class LegNotSettled(DomainError):
    """Nothing was delivered yet that could be accepted or disputed."""

    code = "leg-not-settled"
    title = "Trajet pas encore constaté"

    def __init__(self, reference: str, leg: int, pointer: str | None = None) -> None:
        super().__init__(
            f"Le trajet {leg} de la commande {reference} n'est pas encore constaté : attendez sa remise.",
            pointer=pointer,
        )


class NothingDue(DomainError):
    """The leg was released: there is nothing to accept or dispute."""

    code = "nothing-due"
    title = "Rien n'est dû"

    def __init__(self, reference: str, leg: int, pointer: str | None = None) -> None:
        super().__init__(
            f"Rien n'est dû pour le trajet {leg} de la commande {reference} : il n'y a rien à décider.", pointer=pointer
        )


class DecidedForGood(DomainError):
    """A reduced or rejected leg gave its money back; what was given back is not taken again."""

    code = "decided-for-good"
    title = "Décision définitive"

    def __init__(self, reference: str, leg: int, pointer: str | None = None) -> None:
        super().__init__(
            f"Le trajet {leg} de la commande {reference} a déjà fait l'objet d'une réfaction ou d'un rejet, qui a "
            "rendu sa part du montant maximum : cette décision ne change plus.",
            pointer=pointer,
        )


class LegInvoiced(DomainError):
    """The leg is on a closed statement."""

    code = "leg-invoiced"
    title = "Trajet déjà facturé"

    def __init__(self, reference: str, leg: int, statement_id: str, pointer: str | None = None) -> None:
        super().__init__(
            f"Le trajet {leg} de la commande {reference} figure sur un état clos : corrigez-le par un avoir.",
            pointer=pointer,
            statement_id=statement_id,
        )


class LineNotCharged(DomainError):
    """A price cut names a line the leg does not have, or names it twice."""

    code = "line-not-charged"
    title = "Ligne inconnue"

    def __init__(self, line_code: str, pointer: str) -> None:
        super().__init__(
            f"« {line_code} » n'est pas une ligne de ce trajet, ou figure deux fois : reprenez les lignes du trajet.",
            pointer=pointer,
        )


class CutTooHigh(DomainError):
    """A price cut takes nothing, or more than its line."""

    code = "cut-too-high"
    title = "Réfaction hors limites"

    def __init__(self, line_code: str, line_cents: int, pointer: str) -> None:
        super().__init__(
            f"La réfaction sur « {line_code} » doit être supérieure à 0,00\u00a0€ et d'au plus {in_french(line_cents)} "
            "HT.",
            pointer=pointer,
        )


class CutIsRejection(DomainError):
    """A price cut that leaves nothing is a rejection."""

    code = "cut-is-rejection"
    title = "Réfaction totale"

    def __init__(self) -> None:
        super().__init__("Cette réfaction ne laisserait rien à payer : rejetez le trajet.", pointer="/lines")


class ListOrMonth(DomainError):
    """What is accepted together is a list of legs or a month, not both and not neither."""

    code = "list-or-month"
    title = "Liste ou mois"

    def __init__(self) -> None:
        super().__init__("Donnez soit une liste de trajets, soit un mois à accepter.", pointer="/legs")


class LegNotOnStatement(DomainError):
    """A credit note credits legs of the statement it corrects, each once."""

    code = "leg-not-on-statement"
    title = "Trajet absent de l'état"

    def __init__(self, order_id: str, leg: int, number: str, pointer: str) -> None:
        super().__init__(
            f"Ce trajet ne figure pas sur l'état {number}, ou est demandé deux fois : reprenez les trajets de l'état.",
            pointer=pointer,
            order_id=order_id,
            leg=leg,
        )


class CreditTooHigh(DomainError):
    """Nothing, or more than what is left of the invoiced amount, would be credited."""

    code = "credit-too-high"
    title = "Avoir hors limites"

    def __init__(self, reference: str, leg: int, left_cents: int, pointer: str) -> None:
        super().__init__(
            f"L'avoir sur le trajet {leg} de la commande {reference} doit être supérieur à 0,00\u00a0€ et d'au plus "
            f"{in_french(left_cents)} HT, ce qui en reste facturé.",
            pointer=pointer,
        )


class CreditNotWhole(DomainError):
    """A leg is billed anew only when all of it was credited."""

    code = "credit-not-whole"
    title = "Avoir partiel"

    def __init__(self, reference: str, leg: int, pointer: str) -> None:
        super().__init__(
            f"Pour refacturer le trajet {leg} de la commande {reference}, créditez-le en entier : ne donnez pas de "
            "montant.",
            pointer=pointer,
        )


class StatementRefused(DomainError):
    """The platform refused the statement: it was cancelled whole."""

    code = "statement-refused"
    title = "État refusé"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"L'état {number} a été refusé et annulé en entier par un avoir interne : il ne reste rien à créditer, "
            "émettez l'état rectificatif."
        )


class NothingToBillAnew(DomainError):
    """No leg of the statement was taken back, or all of them are billed anew, contested or rejected."""

    code = "nothing-to-bill-anew"
    title = "Rien à refacturer"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"Aucun trajet de l'état {number} n'est à refacturer : ils le sont déjà, sont contestés ou rejetés, ou "
            "n'ont pas fait l'objet d'un avoir avec refacturation."
        )


class CorrectedStatementUnwritable(DomainError):
    """The database was made when a month had one statement per seller."""

    code = "corrected-statement-unwritable"
    title = "État rectificatif impossible"

    def __init__(self, month: str) -> None:
        super().__init__(
            f"Cette base de données n'admet qu'un état par coopérative en {month} : les trajets seront refacturés à la "
            "prochaine clôture."
        )


class StatusUnknown(DomainError):
    """Neither a code of the reform nor a word of the portal."""

    code = "status-unknown"
    title = "Statut inconnu"

    def __init__(self, word: str) -> None:
        super().__init__(
            f"« {word} » n'est pas un statut connu : donnez un code tel que 203, ou un statut de Chorus Pro tel que "
            "« Mise à disposition ».",
            pointer="/status",
        )


class StatusIdTaken(DomainError):
    """Another status of this statement has the same id."""

    code = "status-id-taken"
    title = "Identifiant de statut déjà utilisé"

    def __init__(self, status_id: str) -> None:
        super().__init__(
            f"Le statut « {status_id} » est déjà connu avec un autre contenu : donnez l'identifiant de la plateforme.",
            pointer="/id",
        )


class StatusReasonMissing(DomainError):
    """A suspension, a dispute or a refusal says why."""

    code = "status-reason-missing"
    title = "Motif manquant"

    def __init__(self, word: str) -> None:
        super().__init__(f"Un statut « {word} » doit être motivé : donnez le motif.", pointer="/reason")


class LegalValueMissing(DomainError):
    """No row of the table of legal values is in force on that day."""

    code = "legal-value-missing"
    title = "Valeur légale manquante"

    def __init__(self, kind: str, day: date) -> None:
        super().__init__(
            f"La valeur légale « {kind} » n'est pas connue au {_day(day)} : ajoutez sa ligne, avec sa source, à la "
            "table des valeurs légales.",
            kind=kind,
            day=day.isoformat(),
        )


class RevisionWeightsInvalid(DomainError):
    """The fixed part and the weights of a revision formula do not make one."""

    code = "revision-weights-invalid"
    title = "Formule de révision invalide"

    def __init__(self, total: str) -> None:
        super().__init__(
            f"La part fixe et les poids des indices font {total} : corrigez-les, leur somme doit être 1 et chaque "
            "poids positif.",
            pointer="/revision/fixed",
        )


class RevisionTermInvalid(DomainError):
    """A term of the revision clause is out of range."""

    code = "revision-term-invalid"
    title = "Clause de révision invalide"

    def __init__(self, pointer: str) -> None:
        super().__init__("Cette valeur de la clause de révision n'est pas admise : corrigez-la.", pointer=pointer)


class IndexTwice(DomainError):
    """A revision formula names an index twice."""

    code = "index-twice"
    title = "Indice cité deux fois"

    def __init__(self, index_id: str, pointer: str) -> None:
        super().__init__(f"L'indice « {index_id} » figure deux fois : additionnez ses poids.", pointer=pointer)


class IndexUnknown(DomainError):
    """Nobody recorded a value of this index."""

    code = "index-unknown"
    title = "Indice inconnu"

    def __init__(self, index_id: str, pointer: str | None = None) -> None:
        super().__init__(
            f"Aucune valeur de l'indice « {index_id} » n'est enregistrée : vérifiez son identifiant, ou enregistrez "
            "ses valeurs avec leur source.",
            pointer=pointer,
            index_id=index_id,
        )


class ClauseIndexUnknown(IndexUnknown):
    """A revision clause names an index of which nobody recorded a value."""


class IndexValueMissing(DomainError):
    """The index has no value for the month the formula starts from."""

    code = "index-value-missing"
    title = "Valeur d'indice manquante"

    def __init__(self, index_id: str, month: str, pointer: str | None = None) -> None:
        super().__init__(
            f"L'indice « {index_id} » n'a pas de valeur pour {month}, le mois d'origine des prix : enregistrez-la.",
            pointer=pointer,
            index_id=index_id,
            month=month,
        )


class IndexValueRefused(DomainError):
    """An index value is above zero and is not published before its month."""

    code = "index-value-invalid"
    title = "Valeur d'indice invalide"

    def __init__(self, index_id: str, month: str) -> None:
        super().__init__(
            f"L'indice « {index_id} » de {month} doit être supérieur à zéro et publié après le début de ce mois : "
            "corrigez la valeur ou la date.",
            index_id=index_id,
        )


class IndexValueDefinitive(DomainError):
    """The definitive value of that month is recorded already, and is never edited."""

    code = "index-value-definitive"
    title = "Valeur d'indice déjà définitive"

    def __init__(self, index_id: str, month: str) -> None:
        super().__init__(
            f"La valeur définitive de l'indice « {index_id} » pour {month} est déjà enregistrée et ne change plus : "
            "vérifiez le mois.",
            index_id=index_id,
            month=month,
        )


class PenaltyRuleTwice(DomainError):
    """Two penalty rules have the same code."""

    code = "penalty-rule-twice"
    title = "Règle de pénalité citée deux fois"

    def __init__(self, rule_code: str, pointer: str) -> None:
        super().__init__(f"La règle « {rule_code} » figure deux fois : donnez un code à chacune.", pointer=pointer)


class PenaltyRuleInvalid(DomainError):
    """A penalty rule says no amount, two of them, or a period that ends before it starts."""

    code = "penalty-rule-invalid"
    title = "Règle de pénalité invalide"

    def __init__(self, rule_code: str, pointer: str) -> None:
        super().__init__(
            f"La règle « {rule_code} » doit avoir un montant par livraison, ou un taux par jour si elle compte les "
            "jours de retard, et une période à l'endroit : corrigez-la.",
            pointer=pointer,
        )


class PenaltyNotFound(DomainError):
    """No such penalty, or not the caller's."""

    code = "penalty-not-found"
    title = "Pénalité introuvable"

    def __init__(self, penalty_id: str) -> None:
        super().__init__("Cette pénalité n'existe pas, ou ne vous concerne pas.", penalty_id=penalty_id)


class NoPenaltyTerms(DomainError):
    """The contract has no penalties."""

    code = "no-penalty-terms"
    title = "Marché sans pénalités"

    def __init__(self, reference: str) -> None:
        super().__init__(f"Le marché {reference} ne prévoit pas de pénalités : il n'y a rien à liquider.")


class PenaltyStepRefused(DomainError):
    """A penalty is computed, notified, perhaps contested, decided, then applied; in this order."""

    code = "penalty-step-refused"
    title = "Étape impossible"

    def __init__(self, status: str, wanted: str) -> None:
        super().__init__(
            f"La pénalité est à l'étape « {STATUS_WORDS[status]} » : elle ne peut pas passer à l'étape "
            f"« {STATUS_WORDS[wanted]} ». Suivez l'ordre : notification, contestation éventuelle, décision, "
            "application.",
            status=status,
        )


STATUS_WORDS = {
    "computed": "calculée",
    "notified": "notifiée",
    "contested": "contestée",
    "waived": "abandonnée",
    "reduced": "réduite",
    "confirmed": "confirmée",
    "applied": "appliquée",
}
"""A penalty's stages, in French."""


class PenaltyDecisionTooEarly(DomainError):
    """The cooperative may still answer."""

    code = "penalty-decision-too-early"
    title = "Décision trop tôt"

    def __init__(self, until: datetime) -> None:
        super().__init__(
            f"La coopérative peut répondre jusqu'au {_day(until.date())} : décidez ensuite, ou dès qu'elle a répondu.",
            until=until.isoformat(),
        )


class PenaltyReductionInvalid(DomainError):
    """A reduction says an amount below the computed one; other decisions say none."""

    code = "penalty-reduction-invalid"
    title = "Montant réduit invalide"

    def __init__(self, computed_cents: int) -> None:
        super().__init__(
            f"Donnez un montant réduit, supérieur à zéro et inférieur à {in_french(computed_cents)}, pour une "
            "réduction seulement.",
            pointer="/amount",
        )


class PenaltyNotDue(DomainError):
    """The exemption or the cap leaves nothing of it."""

    code = "penalty-not-due"
    title = "Pénalité non exigible"

    def __init__(self) -> None:
        super().__init__("L'exonération ou le plafond du marché ne laisse rien à appliquer de cette pénalité.")


class AdvanceInvalid(DomainError):
    """An advance is above zero, and taken back between two ascending percentages."""

    code = "advance-invalid"
    title = "Avance invalide"

    def __init__(self) -> None:
        super().__init__(
            "Donnez une avance supérieure à zéro, et deux pourcentages croissants, de 0 à 100, pour sa résorption.",
            pointer="/advance",
        )
