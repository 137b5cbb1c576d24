"""How a contract's parties look at the edge, with what an e-invoice needs of them."""

from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from services.billing.api.shapes import PartyId
from services.billing.domain.contract import Buyer, Cooperative
from services.billing.domain.invoicing import Contact, DirectoryEntry, PostalAddress, VatRegime
from services.kit.http.edge import Body

Short = Annotated[str, StringConstraints(min_length=1, max_length=99)]


class AddressBody(Body):
    """A postal address in parts; `country_code` is ISO 3166-1 alpha-2."""

    lines: Annotated[list[Short], Field(min_length=1, max_length=3)]
    postcode: Annotated[str, StringConstraints(min_length=2, max_length=10)]
    city: Short
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "FR"

    def to_domain(self) -> PostalAddress:
        """Return the address."""
        return PostalAddress(tuple(self.lines), self.postcode, self.city, self.country_code)

    @classmethod
    def of(cls, address: PostalAddress | None) -> Self | None:
        """Show an address."""
        if address is None:
            return None
        return cls(
            lines=list(address.lines),
            postcode=address.postcode,
            city=address.city,
            country_code=address.country_code,
        )


class ContactBody(Body):
    """Whom to ask about an invoice."""

    name: Short
    phone: Annotated[str, StringConstraints(max_length=30)] = ""
    email: Annotated[str, StringConstraints(max_length=254)] = ""


class VatRegimeBody(Body):
    """A seller's tax regime from a day on: its VAT number, or none under franchise; `source`: where it is written."""

    valid_from: date
    vat_number: Annotated[str, StringConstraints(max_length=13)] = ""
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class DirectoryEntryBody(Body):
    """What the public directory said of the buyer's establishment on the day it was looked up."""

    looked_up_on: date
    demands_service_code: bool
    demands_engagement_number: bool


class BuyerInvoicingBody(Body):
    """What an e-invoice needs of the buyer; may be left out, but then no month is closed."""

    postal_address: AddressBody | None = None
    directory_entries: Annotated[list[DirectoryEntryBody], Field(max_length=50, default_factory=list)]

    def invoicing(self) -> dict[str, Any]:
        """Return it as the buyer's fields."""
        return {
            "postal_address": self.postal_address.to_domain() if self.postal_address else None,
            "directory_entries": tuple(DirectoryEntry(**entry.model_dump()) for entry in self.directory_entries),
        }


def buyer_invoicing(buyer: Buyer) -> dict[str, Any]:
    """Show it."""
    return {
        "postal_address": AddressBody.of(buyer.postal_address),
        "directory_entries": [
            DirectoryEntryBody(
                looked_up_on=entry.looked_up_on,
                demands_service_code=entry.demands_service_code,
                demands_engagement_number=entry.demands_engagement_number,
            )
            for entry in buyer.directory_entries
        ],
    }


class CooperativeInvoicingBody(Body):
    """What an e-invoice needs of a seller; may be left out, but then no month of that seller is closed."""

    postal_address: AddressBody | None = None
    legal_form: Annotated[str, StringConstraints(max_length=200)] = ""
    share_capital: Annotated[str, StringConstraints(max_length=100)] = ""
    vat_regimes: Annotated[list[VatRegimeBody], Field(max_length=50, default_factory=list)]
    iban: Annotated[str, StringConstraints(max_length=34)] = ""
    bic: Annotated[str, StringConstraints(max_length=11)] = ""
    contact: ContactBody | None = None

    def invoicing(self) -> dict[str, Any]:
        """Return it as the cooperative's fields."""
        return {
            "postal_address": self.postal_address.to_domain() if self.postal_address else None,
            "legal_form": self.legal_form,
            "share_capital": self.share_capital,
            "vat_regimes": tuple(VatRegime(**regime.model_dump()) for regime in self.vat_regimes),
            "iban": self.iban,
            "bic": self.bic,
            "contact": Contact(**self.contact.model_dump()) if self.contact else None,
        }


def cooperative_invoicing(cooperative: Cooperative) -> dict[str, Any]:
    """Show it."""
    contact = cooperative.contact
    return {
        "postal_address": AddressBody.of(cooperative.postal_address),
        "legal_form": cooperative.legal_form,
        "share_capital": cooperative.share_capital,
        "vat_regimes": [
            VatRegimeBody(valid_from=one.valid_from, vat_number=one.vat_number, source=one.source)
            for one in cooperative.vat_regimes
        ],
        "iban": cooperative.iban,
        "bic": cooperative.bic,
        "contact": ContactBody(name=contact.name, phone=contact.phone, email=contact.email) if contact else None,
    }


class BuyerDataBody(BuyerInvoicingBody):
    """A registered buyer's data for e-invoices, replaced whole."""

    service_code: Annotated[str, StringConstraints(max_length=100)] = ""
    engagement_number: Annotated[str, StringConstraints(max_length=50)] = ""

    def to_domain(self) -> Buyer:
        """Return the data; name and SIRET are the registered ones."""
        return Buyer("", "", self.service_code, self.engagement_number, **self.invoicing())


class CooperativeDataBody(CooperativeInvoicingBody):
    """A registered cooperative's data for e-invoices, replaced whole."""

    id: PartyId

    def to_domain(self) -> Cooperative:
        """Return the data; name, SIRET and address are the registered ones."""
        return Cooperative(self.id, "", "", "", **self.invoicing())
