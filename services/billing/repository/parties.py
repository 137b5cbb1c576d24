"""What an e-invoice needs of the parties, to and from JSON; rows from before it was kept have none of it."""

from datetime import date
from typing import Any

from services.billing.domain.contract import Buyer, BuyerKind, Cooperative
from services.billing.domain.invoicing import Contact, DirectoryEntry, PostalAddress, VatRegime

Json = dict[str, Any]


def from_buyer(buyer: Buyer) -> Json:
    """Write a buyer."""
    return {
        "name": buyer.name,
        "siret": buyer.siret,
        "service_code": buyer.service_code,
        "engagement_number": buyer.engagement_number,
        "kind": buyer.kind.value,
        "postal_address": _from_address(buyer.postal_address),
        "directory_entries": [
            {
                "looked_up_on": entry.looked_up_on.isoformat(),
                "demands_service_code": entry.demands_service_code,
                "demands_engagement_number": entry.demands_engagement_number,
            }
            for entry in buyer.directory_entries
        ],
    }


def buyer_of(kept: Json) -> Buyer:
    """Read a buyer; one kept before kinds were told is a local authority."""
    return Buyer(
        **{
            **kept,
            "kind": BuyerKind(kept.get("kind", BuyerKind.LOCAL_AUTHORITY)),
            "postal_address": _address(kept.get("postal_address")),
            "directory_entries": tuple(
                DirectoryEntry(
                    date.fromisoformat(entry["looked_up_on"]),
                    entry["demands_service_code"],
                    entry["demands_engagement_number"],
                )
                for entry in kept.get("directory_entries", ())
            ),
        }
    )


def from_cooperative(cooperative: Cooperative) -> Json:
    """Write a seller."""
    contact = cooperative.contact
    return {
        "id": cooperative.id,
        "name": cooperative.name,
        "siret": cooperative.siret,
        "address": cooperative.address,
        "postal_address": _from_address(cooperative.postal_address),
        "legal_form": cooperative.legal_form,
        "share_capital": cooperative.share_capital,
        "vat_regimes": [
            {"valid_from": one.valid_from.isoformat(), "vat_number": one.vat_number, "source": one.source}
            for one in cooperative.vat_regimes
        ],
        "iban": cooperative.iban,
        "bic": cooperative.bic,
        "contact": {"name": contact.name, "phone": contact.phone, "email": contact.email} if contact else None,
    }


def cooperative_of(kept: Json) -> Cooperative:
    """Read a cooperative."""
    contact = kept.get("contact")
    return Cooperative(
        **{
            **kept,
            "postal_address": _address(kept.get("postal_address")),
            "vat_regimes": tuple(
                VatRegime(date.fromisoformat(one["valid_from"]), one["vat_number"], one["source"])
                for one in kept.get("vat_regimes", ())
            ),
            "contact": Contact(**contact) if contact else None,
        }
    )


def _from_address(address: PostalAddress | None) -> Json | None:
    if address is None:
        return None
    return {
        "lines": list(address.lines),
        "postcode": address.postcode,
        "city": address.city,
        "country_code": address.country_code,
    }


def _address(kept: Json | None) -> PostalAddress | None:
    if kept is None:
        return None
    return PostalAddress(tuple(kept["lines"]), kept["postcode"], kept["city"], kept["country_code"])
