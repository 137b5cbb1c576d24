"""The essential data of a contract, in the form of the ministry's schema 2.0.3 for public contracts.

What was published is never edited: the record tells the contract as it was first signed, amendments are appended.

Source: github.com/139bercy/format-commande-publique, schema "marche", version 2.0.3.
"""

import json
import re
from datetime import date
from typing import Any

from services.billing.domain.award import AwardKind, Group
from services.billing.domain.ceiling_errors import DecpIncomplete
from services.billing.domain.contract import Contract, Cooperative
from services.billing.domain.structure import A_DAY

GROUPS = {Group.NONE: "Pas de groupement", Group.JOINT: "Conjoint", Group.SEVERAL: "Solidaire"}
_ID = re.compile(r"[A-Za-z0-9_./-]{1,16}")


def months(starts_on: date, ends_on: date) -> int:
    """Return how many months a span covers, both days included, begun ones counted."""
    end = ends_on + A_DAY
    whole = (end.year - starts_on.year) * 12 + end.month - starts_on.month
    return max(1, whole + (end.day > starts_on.day))


def record(contract: Contract, *, today: date) -> dict[str, Any]:
    """Return the record; what was not published yet bears `today`. Durations include all renewals.

    Raises
    ------
    DecpIncomplete
    """
    award = contract.award
    if award is None:
        raise DecpIncomplete(["la passation du marché (« award »)"])
    if not _ID.fullmatch(contract.reference):
        raise DecpIncomplete(["une référence d'au plus 16 lettres, chiffres, points, tirets ou barres"])
    first_end = next((one.previous_ends_on for one in contract.amendments if one.previous_ends_on), contract.ends_on)
    told: dict[str, Any] = {
        "id": contract.reference,
        "acheteur": {"id": contract.buyer.siret},
        "nature": award.nature,
        "objet": contract.title,
        "codeCPV": award.cpv,
        "techniques": {"technique": list(award.techniques)},
        "modalitesExecution": {"modaliteExecution": list(award.modalities)},
        "marcheInnovant": award.kind is AwardKind.INNOVATIVE,
        "ccag": award.ccag,
        "offresRecues": award.offers_received,
        "attributionAvance": award.advance_permille is not None,
        "typeGroupementOperateurs": GROUPS[award.group],
        "sousTraitanceDeclaree": bool(award.subcontractors),
        "procedure": award.procedure,
        "lieuExecution": {"code": award.place_code, "typeCode": award.place_code_type},
        "dureeMois": months(contract.starts_on, first_end),
        "dateNotification": award.notified_on.isoformat(),
        "datePublicationDonnees": (award.published_on or today).isoformat(),
        "montant": _euros(contract.initial_ceiling_cents),
        "typesPrix": {"typePrix": list(award.price_types)},
        "formePrix": award.price_form,
        "titulaires": [_holder(party) for party in contract.cooperatives],
        "considerationsSociales": {"considerationSociale": list(award.social)},
        "considerationsEnvironnementales": {"considerationEnvironnementale": list(award.environmental)},
    }
    if award.advance_permille is not None:
        told["tauxAvance"] = award.advance_permille / 1000
    if award.subcontractors:
        told["actesSousTraitance"] = [
            {
                "acteSousTraitance": {
                    "id": number,
                    "sousTraitant": {"id": one.siret, "typeIdentifiant": "SIRET"},
                    "dureeMois": one.months,
                    "dateNotification": one.accepted_on.isoformat(),
                    "datePublicationDonnees": (one.published_on or today).isoformat(),
                    "montant": _euros(one.amount_cents),
                    "variationPrix": one.price_variation,
                }
            }
            for number, one in enumerate(award.subcontractors, 1)
        ]
    if contract.amendments:
        told["modifications"] = [
            {
                "modification": {
                    "id": one.number,
                    "dateNotificationModification": one.notified_on.isoformat(),
                    "datePublicationDonneesModification": (one.published_on or today).isoformat(),
                    **({"montant": _euros(one.new_maximum_cents)} if one.delta_cents else {}),
                    **({"dureeMois": months(contract.starts_on, one.ends_on)} if one.ends_on else {}),
                }
            }
            for one in contract.amendments
        ]
    return {"marches": {"marche": [told]}}


def text(contract: Contract, *, today: date) -> str:
    """Return the record as JSON text. Raises DecpIncomplete."""
    return json.dumps(record(contract, today=today), ensure_ascii=False, indent=1)


def _holder(party: Cooperative) -> dict[str, Any]:
    return {"titulaire": {"id": party.siret, "typeIdentifiant": "SIRET"}}


def _euros(amount_cents: int) -> int | float:
    # The schema wants a JSON number. Nothing is reckoned with it, and the shortest text that a number of this size
    # (below 10^13 cents) is written as has exactly its two decimals.
    return amount_cents // 100 if amount_cents % 100 == 0 else amount_cents / 100
