"""An invoice on paper: reads well, carries its XML, is the same each time, and is checked from its own bytes."""

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pikepdf
import pytest
from pypdf import PdfReader

from services.billing.documents import facturx
from services.billing.documents.facturx import pdf_findings
from services.billing.documents.invoice import Invoice
from services.billing.documents.mapping import Syntax, as_xml
from services.billing.documents.validation import fatal, validate
from tests.billing.documents.invoices import (
    a_credit_note,
    a_full_invoice,
    a_line,
    an_invoice,
    for_a_service,
    of_a_franchise,
)
from tests.servers.verapdf import VeraPdf

INVOICES = {
    "plain": an_invoice(),
    "full": a_full_invoice(),
    "franchise": of_a_franchise(an_invoice()),
    "franchise for a service": of_a_franchise(for_a_service(an_invoice())),
    "credit note": a_credit_note(),
}


def as_pdf(invoice: Invoice) -> bytes:
    return facturx.as_pdf(invoice, as_xml(invoice, Syntax.FACTURX))


def text_of(content: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return text.replace("\u202f", " ").replace("\xa0", " ")


@pytest.mark.parametrize("name", INVOICES)
def test_a_pdf_carries_the_xml_of_its_invoice_and_passes_every_layer(name: str) -> None:
    invoice: Invoice = INVOICES[name]
    content = as_pdf(invoice)
    assert list(map(str, fatal(pdf_findings(content, as_xml(invoice, Syntax.FACTURX))))) == []
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert list(pdf.attachments) == ["factur-x.xml"]
        spec = pdf.attachments["factur-x.xml"]
        assert spec.relationship == pikepdf.Name("/Data")
        assert spec.get_file().read_bytes() == as_xml(invoice, Syntax.FACTURX)
        assert len(pdf.Root.AF) == 1


def test_a_pdf_has_the_marks_of_an_archive_document_dated_like_the_invoice() -> None:
    with pikepdf.open(io.BytesIO(as_pdf(a_full_invoice()))) as pdf:
        metadata = pdf.open_metadata()
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "B")
        fx = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"
        assert [
            metadata[fx + name] for name in ("DocumentFileName", "DocumentType", "Version", "ConformanceLevel")
        ] == [
            *("factur-x.xml", "INVOICE", "1.0", "EXTENDED"),
        ]
        raw = bytes(pdf.Root.Metadata.read_bytes())
        assert raw.count(b"<rdf:RDF") == 1
        assert raw.count(b"pdfaProperty:name>") == 8
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20261202")
        assert str(pdf.docinfo["/ModDate"]).startswith("D:20261202")
        assert metadata["xmp:CreateDate"].startswith("2026-12-02")
        params = pdf.attachments["factur-x.xml"].get_file().obj.Params
        assert str(params.ModDate) == "D:20261202000000Z"
        assert str(pdf.Root.OutputIntents[0].S) == "/GTS_PDFA1"
        fonts = [font for page in pdf.pages for font in page.Resources.Font.values()]
        assert fonts
        assert all("/FontFile2" in (d := font.DescendantFonts[0].FontDescriptor) or "/FontFile3" in d for font in fonts)


def test_every_invoice_on_paper_is_an_archive_document(verapdf: VeraPdf, tmp_path: Path) -> None:
    files = []
    for name, invoice in INVOICES.items():
        files.append(tmp_path / f"{name.replace(' ', '-')}.pdf")
        files[-1].write_bytes(as_pdf(invoice))
    spoilt = tmp_path / "spoilt.pdf"
    with pikepdf.open(files[0]) as pdf:
        del pdf.Root.OutputIntents
        pdf.save(spoilt)
    assert verapdf.refused([*files, spoilt]) == ["spoilt.pdf"]


def test_the_same_invoice_is_printed_with_the_same_bytes() -> None:
    assert as_pdf(a_full_invoice()) == as_pdf(a_full_invoice())


def test_paper_says_what_the_law_wants() -> None:
    text = text_of(as_pdf(a_full_invoice()))
    for words in (
        *("Facture n° 2026-00042", "du 02/12/2026", "SIRET 90000010000017", "N° de TVA FR74900000100"),
        *("SIRET 90000030800016", "Code service : FIN-44", "EJ-26-004512", "2026-CYCLO-01", "lot LOT-1"),
        *("du 01/11/2026 au 30/11/2026", "Course à vélo", "182", "9,45 €", "1 719,90 €", "3,25", "heure"),
        *("Réfaction, décision 12/2026", "Total HT", "2 600,00 €", "TVA 20 % sur 2 600,00 €", "520,00 €"),
        *("3 120,00 €", "Avance déjà versée", "2 820,00 €", "01/01/2027", "FR76 3000 1007", "40 EUR", "escompte"),
    ):
        assert words in text, words


def test_paper_says_that_a_seller_under_franchise_charges_no_vat() -> None:
    text = text_of(as_pdf(INVOICES["franchise"]))
    assert "TVA non applicable, art. 293 B du CGI" in text
    assert "N° de TVA" not in text
    assert "encaissement" not in text


def test_paper_says_what_a_credit_note_corrects() -> None:
    text = text_of(as_pdf(INVOICES["credit note"]))
    assert "Avoir n° 2026-00043" in text
    assert "en correction de la facture n° 2026-00042 du 02/12/2026" in text
    assert "à déduire de la facture n° 2026-00042" in text
    assert "IBAN" not in text


def test_a_revised_price_is_printed_whole() -> None:
    assert "9,7524 €" in text_of(as_pdf(an_invoice(a_line("182", "9.7524"))))


def test_a_pdf_of_another_invoice_or_with_a_wrong_one_is_turned_back() -> None:
    invoice = an_invoice()
    content = as_pdf(invoice)
    assert pdf_findings(content, as_xml(replace(invoice, issued_on=date(2026, 12, 3)), Syntax.FACTURX))
    wrong = replace(invoice, lines=(replace(invoice.lines[0], amount_cents=171_991),))
    assert {finding.rule for finding in fatal(pdf_findings(as_pdf(wrong), as_xml(wrong, Syntax.FACTURX)))} >= {"BT-131"}


@pytest.mark.shared
def test_the_sample_pdf_carries_a_right_invoice(shared_folder) -> None:  # type: ignore[no-untyped-def]
    with pikepdf.open(shared_folder / "reference/einvoice-samples/fx_en16931.pdf") as pdf:
        assert fatal(validate(pdf.attachments["factur-x.xml"].get_file().read_bytes())) == []
