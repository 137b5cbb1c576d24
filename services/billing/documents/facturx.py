"""An invoice on paper that a machine reads too: a French PDF/A-3b which carries `factur-x.xml`.

Page and XML are made from the same frozen values: no clock, no random name, so the bytes are the same each time. The
PDF is dated like the invoice.
"""

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from facturx import get_facturx_xml_from_pdf
from lxml import etree

from services.billing import documents
from services.billing.documents.invoice import Invoice, Kind, Profile, VatCategory
from services.billing.documents.mapping import quantity_text
from services.billing.documents.validation import Finding, validate
from services.billing.domain.money import in_french
from services.kit.http.html import templates

FILE_NAME = "factur-x.xml"
UNITS = {"C62": "unité", "HUR": "heure", "KMT": "km", "KGM": "kg", "LS": "forfait"}
_CONFORMANCE = {Profile.EN16931: "EN 16931", Profile.EXTENDED: "EXTENDED"}
_FX = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SCHEMA = "http://www.aiim.org/pdfa/ns/schema#"
_PROPERTY = "http://www.aiim.org/pdfa/ns/property#"
_PROPERTIES = {
    "DocumentFileName": "name of the embedded XML invoice",
    "DocumentType": "INVOICE",
    "Version": "version of the Factur-X data",
    "ConformanceLevel": "profile of the Factur-X data",
}

_pages = templates(Path(__file__).parents[1])


def as_pdf(invoice: Invoice, xml: bytes) -> bytes:
    """Return the invoice on A4 with its XML inside, which must be of the Factur-X profile that the buyer needs.

    Raises
    ------
    PrintingUnavailable
        When the machine lacks a library that draws text.
    """
    carried = documents.Carried(
        FILE_NAME,
        "Factur-X",
        xml,
        datetime.combine(invoice.issued_on, time(), UTC),
        lambda rdf: _with_properties(rdf, invoice.profile),
    )
    return documents.draw_archive(as_html(invoice), f"{invoice.seller.siret} {invoice.number}", carried)


def pdf_findings(content: bytes, xml: bytes) -> list[Finding]:
    """Check a drawn PDF from its bytes: it carries the XML unchanged, which passes every layer.

    That it is PDF/A-3 is looked for by its marks; it is not proved here.
    """
    name, carried = get_facturx_xml_from_pdf(content, check_xsd=False, check_schematron=False)
    if name != FILE_NAME or carried != xml:
        return [Finding("PDF", FILE_NAME, "le PDF ne porte pas le XML de la facture.")]
    return validate(carried)


def as_html(invoice: Invoice) -> str:
    """Return what `as_pdf` prints."""
    return _pages.environment.get_template("invoice.html").render(
        invoice=invoice,
        is_credit_note=invoice.kind is Kind.CREDIT_NOTE,
        is_exempt=any(total.category is VatCategory.EXEMPT for total in invoice.vat_totals),
        rate=documents.rate_in_french,
        units=UNITS,
        day=lambda day: f"{day:%d/%m/%Y}",
        price=_price,
        quantity=lambda number: quantity_text(number).replace(".", ","),
        iban=" ".join(invoice.iban[start : start + 4] for start in range(0, len(invoice.iban), 4)),
    )


def _price(price: Decimal) -> str:
    """Write a unit price with all its decimals, two at least: « 9,7524 € »."""
    cents = price.scaleb(2)
    if cents == cents.to_integral_value():
        return in_french(int(cents))
    return f"{price.normalize():f}".replace(".", ",") + "\N{NO-BREAK SPACE}€"


def _with_properties(rdf: bytes, profile: Profile) -> bytes:
    """Say in the PDF's metadata what it carries, with the schema of those words that PDF/A wants.

    Source: Factur-X 1.09, the PDF/A extension schema.
    """
    root = etree.fromstring(rdf)
    values = {
        "DocumentFileName": FILE_NAME,
        "DocumentType": "INVOICE",
        "Version": "1.0",
        "ConformanceLevel": _CONFORMANCE[profile],
    }
    said = _described(root, {"fx": _FX})
    for name, value in values.items():
        etree.SubElement(said, f"{{{_FX}}}{name}").text = value
    extension = "http://www.aiim.org/pdfa/ns/extension/"
    schemas = etree.SubElement(
        _described(root, {"pdfaExtension": extension, "pdfaSchema": _SCHEMA, "pdfaProperty": _PROPERTY}),
        f"{{{extension}}}schemas",
    )
    schema = _item(etree.SubElement(schemas, f"{{{_RDF}}}Bag"))
    for name, value in (
        ("schema", "Factur-X PDFA Extension Schema"),
        ("namespaceURI", _FX),
        ("prefix", "fx"),
    ):
        etree.SubElement(schema, f"{{{_SCHEMA}}}{name}").text = value
    listed = etree.SubElement(etree.SubElement(schema, f"{{{_SCHEMA}}}property"), f"{{{_RDF}}}Seq")
    for name, description in _PROPERTIES.items():
        item = _item(listed)
        for word, value in (
            ("name", name),
            ("valueType", "Text"),
            ("category", "external"),
            ("description", description),
        ):
            etree.SubElement(item, f"{{{_PROPERTY}}}{word}").text = value
    content: bytes = etree.tostring(root)
    return content


def _described(root: Any, names: dict[str, str]) -> Any:
    return etree.SubElement(root, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""}, nsmap=names)


def _item(parent: Any) -> Any:
    return etree.SubElement(parent, f"{{{_RDF}}}li", {f"{{{_RDF}}}parseType": "Resource"})
