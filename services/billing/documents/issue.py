"""An invoice as the bytes that are kept: written in every syntax its buyer may take, each judged before it is used."""

from collections.abc import Mapping

from services.billing.documents.invoice import Invoice, Profile
from services.billing.documents.mapping import Syntax, as_xml
from services.billing.documents.reading import Reading
from services.billing.documents.validation import Finding, fatal, validate, versions
from services.billing.domain.errors import InvoiceNotValid

CII, UBL, CARRIED, PDF = "cii", "ubl", "fx-xml", "facturx"
"""The formats under which documents are kept; CARRIED is what the PDF carries where it is not the CII."""


def issue(invoice: Invoice) -> Mapping[str, bytes]:
    """Write an invoice and judge what was written; return the bytes by format.

    Raises
    ------
    InvoiceNotValid
        When a rule is broken, with all findings.
    RulesUnavailable
        When the rules are not installed.
    """
    written = {CII: as_xml(invoice, Syntax.CII), UBL: as_xml(invoice, Syntax.UBL)}
    if invoice.profile is Profile.EXTENDED:
        written[CARRIED] = as_xml(invoice, Syntax.FACTURX)
    findings: list[Finding] = []
    for format_, content in written.items():
        found = fatal(validate(content))
        if not found and Reading.of(content).figures != invoice.figures:
            found = [Finding("calcul", format_, "les montants écrits ne sont pas ceux de la facture.")]
        findings.extend(found)
    if findings:
        raise InvoiceNotValid(invoice.number, list(dict.fromkeys(map(str, findings))))
    return written


def made_with() -> str:
    """Return the versions of what writes and judges, to be kept with the bytes."""
    return ", ".join(f"{package} {number}" for package, number in versions().items())
