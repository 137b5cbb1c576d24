"""An e-invoice's XML read back, in either syntax: the terms that our own rules judge, and every figure.

It shares nothing with `mapping` or the library, so that what they write is checked by somebody else.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from lxml import etree

from services.billing.documents.invoice import Figures, LineFigures

NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
_CII_ROOT = f"{{{NAMESPACES['rsm']}}}CrossIndustryInvoice"
_UBL_INVOICE = "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice"
_UBL_CREDIT_NOTE = "{urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2}CreditNote"

_TRADE = "rsm:SupplyChainTradeTransaction"
_AGREED = f"{_TRADE}/ram:ApplicableHeaderTradeAgreement"
_SETTLED = f"{_TRADE}/ram:ApplicableHeaderTradeSettlement"
_SUMS = f"{_SETTLED}/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
_SELLER, _BUYER = f"{_AGREED}/ram:SellerTradeParty", f"{_AGREED}/ram:BuyerTradeParty"
_MEANS = f"{_SETTLED}/ram:SpecifiedTradeSettlementPaymentMeans"
_CII_LINE = f"{_TRADE}/ram:IncludedSupplyChainTradeLineItem"
_CII_FILE = f"{_AGREED}/ram:AdditionalReferencedDocument[ram:TypeCode='916']"
_UBL_SELLER = "cac:AccountingSupplierParty/cac:Party"
_UBL_BUYER = "cac:AccountingCustomerParty/cac:Party"
_UBL_LINE = "*[self::cac:InvoiceLine or self::cac:CreditNoteLine]"
_UBL_FILE = "cac:AdditionalDocumentReference[not(cbc:DocumentTypeCode)]"

# Term -> its place in CII, its place in UBL; relative to the document.
_TERMS = {
    "BT-1": ("rsm:ExchangedDocument/ram:ID", "cbc:ID"),
    "BT-10": (f"{_AGREED}/ram:BuyerReference", "cbc:BuyerReference"),
    "BT-12": (
        f"{_AGREED}/ram:ContractReferencedDocument/ram:IssuerAssignedID",
        "cac:ContractDocumentReference/cbc:ID",
    ),
    "BT-13": (f"{_AGREED}/ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID", "cac:OrderReference/cbc:ID"),
    "BT-20": (f"{_SETTLED}/ram:SpecifiedTradePaymentTerms/ram:Description", "cac:PaymentTerms/cbc:Note"),
    "BT-22": ("rsm:ExchangedDocument/ram:IncludedNote/ram:Content", "cbc:Note"),
    "BT-23": (
        "rsm:ExchangedDocumentContext/ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID",
        "cbc:ProfileID",
    ),
    "BT-24": (
        "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID",
        "cbc:CustomizationID",
    ),
    "BT-25": (
        f"{_SETTLED}/ram:InvoiceReferencedDocument/ram:IssuerAssignedID",
        "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID",
    ),
    "BT-27": (f"{_SELLER}/ram:Name", f"{_UBL_SELLER}/cac:PartyLegalEntity/cbc:RegistrationName"),
    "BT-29": (
        f"{_SELLER}/ram:GlobalID[@schemeID='0009']",
        f"{_UBL_SELLER}/cac:PartyIdentification/cbc:ID[@schemeID='0009']",
    ),
    "BG-6": (f"{_SELLER}/ram:DefinedTradeContact", f"{_UBL_SELLER}/cac:Contact"),
    "BT-44": (f"{_BUYER}/ram:Name", f"{_UBL_BUYER}/cac:PartyLegalEntity/cbc:RegistrationName"),
    "BT-46 (0009)": (
        f"{_BUYER}/ram:GlobalID[@schemeID='0009']",
        f"{_UBL_BUYER}/cac:PartyIdentification/cbc:ID[@schemeID='0009']",
    ),
    "BT-46 (0224)": (
        f"{_BUYER}/ram:GlobalID[@schemeID='0224']",
        f"{_UBL_BUYER}/cac:PartyIdentification/cbc:ID[@schemeID='0224']",
    ),
    "BG-9": (f"{_BUYER}/ram:DefinedTradeContact", f"{_UBL_BUYER}/cac:Contact"),
    "BT-81": (f"{_MEANS}/ram:TypeCode", "cac:PaymentMeans/cbc:PaymentMeansCode"),
    "BT-84": (
        # The library writes what it takes for no IBAN as the account of another system.
        f"{_MEANS}/ram:PayeePartyCreditorFinancialAccount/*[self::ram:IBANID or self::ram:ProprietaryID]",
        "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID",
    ),
    "BT-122": (f"{_CII_FILE}/ram:IssuerAssignedID", f"{_UBL_FILE}/cbc:ID"),
    "BT-125-2": (
        f"{_CII_FILE}/ram:AttachmentBinaryObject/@filename",
        f"{_UBL_FILE}/cac:Attachment/cbc:EmbeddedDocumentBinaryObject/@filename",
    ),
    "BG-25": (_CII_LINE, _UBL_LINE),
    "BT-153": (f"{_CII_LINE}/ram:SpecifiedTradeProduct/ram:Name", f"{_UBL_LINE}/cac:Item/cbc:Name"),
    "BT-154": (f"{_CII_LINE}/ram:SpecifiedTradeProduct/ram:Description", f"{_UBL_LINE}/cac:Item/cbc:Description"),
    "BG-20": (
        f"{_SETTLED}/ram:SpecifiedTradeAllowanceCharge",
        "cac:AllowanceCharge",
    ),
    "BG-23": (f"{_SETTLED}/ram:ApplicableTradeTax", "cac:TaxTotal/cac:TaxSubtotal"),
    "BT-106": (f"{_SUMS}/ram:LineTotalAmount", "cac:LegalMonetaryTotal/cbc:LineExtensionAmount"),
    "BT-107": (f"{_SUMS}/ram:AllowanceTotalAmount", "cac:LegalMonetaryTotal/cbc:AllowanceTotalAmount"),
    "BT-108": (f"{_SUMS}/ram:ChargeTotalAmount", "cac:LegalMonetaryTotal/cbc:ChargeTotalAmount"),
    "BT-109": (f"{_SUMS}/ram:TaxBasisTotalAmount", "cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount"),
    "BT-110": (f"{_SUMS}/ram:TaxTotalAmount", "cac:TaxTotal/cbc:TaxAmount"),
    "BT-112": (f"{_SUMS}/ram:GrandTotalAmount", "cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount"),
    "BT-113": (f"{_SUMS}/ram:TotalPrepaidAmount", "cac:LegalMonetaryTotal/cbc:PrepaidAmount"),
    "BT-114": (f"{_SUMS}/ram:RoundingAmount", "cac:LegalMonetaryTotal/cbc:PayableRoundingAmount"),
    "BT-115": (f"{_SUMS}/ram:DuePayableAmount", "cac:LegalMonetaryTotal/cbc:PayableAmount"),
}
# Figures of a part of the document, relative to that part.
_CII_LINE_TRADE = "ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice"
_CII_LINE_TAX = "ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax"
_PARTS = {
    "BT-126": ("ram:AssociatedDocumentLineDocument/ram:LineID", "cbc:ID"),
    "BT-129": (
        "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity",
        "*[self::cbc:InvoicedQuantity or self::cbc:CreditedQuantity]",
    ),
    "BT-131": (
        "ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount",
        "cbc:LineExtensionAmount",
    ),
    "BT-146": (f"{_CII_LINE_TRADE}/ram:ChargeAmount", "cac:Price/cbc:PriceAmount"),
    "BT-149": (f"{_CII_LINE_TRADE}/ram:BasisQuantity", "cac:Price/cbc:BaseQuantity"),
    "BT-151": (f"{_CII_LINE_TAX}/ram:CategoryCode", "cac:Item/cac:ClassifiedTaxCategory/cbc:ID"),
    "BT-152": (f"{_CII_LINE_TAX}/ram:RateApplicablePercent", "cac:Item/cac:ClassifiedTaxCategory/cbc:Percent"),
    "BG-27": ("ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeAllowanceCharge", "cac:AllowanceCharge"),
    "is-charge": ("ram:ChargeIndicator/udt:Indicator", "cbc:ChargeIndicator"),
    "BT-92": ("ram:ActualAmount", "cbc:Amount"),
    "BT-95": ("ram:CategoryTradeTax/ram:CategoryCode", "cac:TaxCategory/cbc:ID"),
    "BT-96": ("ram:CategoryTradeTax/ram:RateApplicablePercent", "cac:TaxCategory/cbc:Percent"),
    "BT-116": ("ram:BasisAmount", "cbc:TaxableAmount"),
    "BT-117": ("ram:CalculatedAmount", "cbc:TaxAmount"),
    "BT-118": ("ram:CategoryCode", "cac:TaxCategory/cbc:ID"),
    "BT-119": ("ram:RateApplicablePercent", "cac:TaxCategory/cbc:Percent"),
}


class NotReadable(ValueError):
    """Not an e-invoice that can be read: no XML, an unknown root, or a figure that is none."""


def parsed(content: bytes) -> Any:
    """Return the XML's root element; nothing outside is fetched or expanded. Raises NotReadable."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, load_dtd=False)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise NotReadable(str(error)) from error


@dataclass(frozen=True, slots=True)
class Reading:
    """A document read by its terms' numbers."""

    root: Any

    @classmethod
    def of(cls, content: bytes) -> "Reading":
        """Read a document. Raises NotReadable for what is neither CII nor UBL."""
        root = parsed(content)
        if root.tag not in (_CII_ROOT, _UBL_INVOICE, _UBL_CREDIT_NOTE):
            raise NotReadable(f"the root {root.tag} is neither CII nor UBL")
        return cls(root)

    @property
    def is_ubl(self) -> bool:
        """Whether it is UBL."""
        return bool(self.root.tag != _CII_ROOT)

    @property
    def is_ubl_credit_note(self) -> bool:
        """Whether it is UBL's document for credit notes; CII has one document for both."""
        return bool(self.root.tag == _UBL_CREDIT_NOTE)

    def all(self, term: str) -> list[str]:
        """Return a term's values in document order."""
        return [_text(found) for found in self._parts(term)]

    def one(self, term: str) -> str:
        """Return a term's only value, or nothing."""
        return next(iter(self.all(term)), "")

    @property
    def figures(self) -> Figures:
        """Every amount, quantity and rate. Raises NotReadable when one is no number.

        Charges count as allowances below zero.
        """
        return Figures(
            lines=tuple(self._line(part) for part in self._parts("BG-25")),
            allowances=tuple(
                (self._signed(part), self._of(part, "BT-95"), self._number(part, "BT-96"))
                for part in self._parts("BG-20")
            ),
            vat=tuple(
                (
                    self._of(part, "BT-118"),
                    self._number(part, "BT-119"),
                    self._number(part, "BT-116"),
                    self._number(part, "BT-117"),
                )
                for part in self._parts("BG-23")
            ),
            lines_total=self._sum("BT-106"),
            allowances_total=self._sum("BT-107") - self._sum("BT-108"),
            net=self._sum("BT-109"),
            tax=self._sum("BT-110"),
            gross=self._sum("BT-112"),
            prepaid=self._sum("BT-113") - self._sum("BT-114"),
            due=self._sum("BT-115"),
        )

    def _line(self, part: Any) -> LineFigures:
        cuts = part.xpath(_PARTS["BG-27"][self.is_ubl], namespaces=NAMESPACES)
        return LineFigures(
            id=self._of(part, "BT-126"),
            quantity=self._number(part, "BT-129"),
            price=self._number(part, "BT-146"),
            amount=self._number(part, "BT-131"),
            category=self._of(part, "BT-151"),
            rate=self._number(part, "BT-152"),
            base_quantity=self._number(part, "BT-149", missing="1"),
            allowance=sum((self._signed(cut) for cut in cuts), Decimal(0)),
        )

    def _signed(self, part: Any) -> Decimal:
        amount = self._number(part, "BT-92")
        return -amount if self._of(part, "is-charge") == "true" else amount

    def _parts(self, term: str) -> list[Any]:
        found: list[Any] = self.root.xpath(_TERMS[term][self.is_ubl], namespaces=NAMESPACES)
        return found

    def _of(self, part: Any, term: str) -> str:
        found = part.xpath(_PARTS[term][self.is_ubl], namespaces=NAMESPACES)
        return _text(found[0]) if found else ""

    def _number(self, part: Any, term: str, *, missing: str = "0") -> Decimal:
        return _decimal(self._of(part, term) or missing, term)

    def _sum(self, term: str) -> Decimal:
        return _decimal(self.one(term) or "0", term)


def _text(found: Any) -> str:
    return str(found if isinstance(found, str) else found.text or "").strip()


def _decimal(text: str, term: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise NotReadable(f"{term}: {text} is no number") from None
    if not number.is_finite():
        raise NotReadable(f"{term}: {text} is no number")
    return number
