"""A closed month's documents: rendered once, kept, given ever after, and all of them in one archive.

What is asked for the first time is rendered into a file on disk, row by row where it may be long, and kept as it is.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import BinaryIO

from services.billing import documents
from services.billing.documents import archive, consumption, deliveries, emissions, revision_sheet
from services.billing.documents.issue import CARRIED, CII, PDF, UBL
from services.billing.domain.charge import Charge
from services.billing.domain.credit_note import CreditNote
from services.billing.domain.errors import EmissionsNotKept, StatementNotRevised
from services.billing.domain.statement import Statement
from services.billing.queries import Sight, after_closing
from services.billing.queries.lines import stream_charges, stream_lines
from services.billing.repository import files, note_documents
from services.billing.repository.emissions import basis_of
from services.billing.repository.files import File
from services.billing.repository.revision import Applied, Revisions
from services.billing.use_cases import invoicing
from services.kit.database import Database, View

PACK = "pack"
"""What the archive is called where exports are logged; it is not kept itself, for everything in it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A document a statement has: its format as kept, and how it is written: as a whole, or leg by leg."""

    format: str
    media_type: str
    write: Callable[[Database, Statement, BinaryIO], object] | None = None
    rows: "Callable[[Database, Statement, BinaryIO], Rows] | None" = None


def file_name(statement: Statement, format_: str) -> str:
    """Return what a document is called outside: « livraisons-erdre-2026-00042.csv »."""
    subject, extension = _NAMES.get(format_) or (format_, format_.rpartition("-")[2])
    return f"{subject}-{statement.seller.id}-{statement.number}.{extension}"


def kept(database: Database, statement: Statement, kind: Kind, *, at: datetime) -> File:
    """Return a document as it was first rendered, rendering it now when it never was.

    Raises
    ------
    EmissionsNotKept, StatementNotRevised, PrintingUnavailable
    """
    render(database, statement, [kind], at=at)
    with database.view() as view:
        found = files.find(view, statement.id, kind.format)
    assert found is not None
    return found


def render(database: Database, statement: Statement, kinds: Sequence[Kind], *, at: datetime) -> None:
    """Render and keep what never was of these documents; those with a row per leg together, in one pass over the legs.

    Raises
    ------
    EmissionsNotKept, PrintingUnavailable
    """
    with database.view() as view:
        there = {file.format for file in files.all_of(view, statement.id)}
    due = [kind for kind in kinds if kind.format not in there]
    with ExitStack() as stack:
        written = [(kind, stack.enter_context(tempfile.TemporaryFile())) for kind in due]
        write(database, statement, written)
        for kind, file in written:
            digest = _digest(file)
            with database.transaction() as tx:
                files.keep_first(tx, statement.id, kind.format, digest, file, at=at)


def write(database: Database, statement: Statement, wanted: Sequence[tuple[Kind, BinaryIO]]) -> None:
    """Write documents into files, whatever is kept. Raises what `render` does."""
    with ExitStack() as stack:
        takers = [stack.enter_context(kind.rows(database, statement, file)) for kind, file in wanted if kind.rows]
        if takers:
            with database.view() as view:
                for leg in _legs(view, statement.id):
                    for take in takers:
                        take(leg)
    for kind, file in wanted:
        if kind.write:
            kind.write(database, statement, file)


def parts(database: Database, file: File) -> Iterator[bytes]:
    """Yield a document's bytes; nothing is open in between, however slowly they are taken."""
    for number in range(-(-file.size_bytes // files.PART_BYTES)):
        with database.view() as view:
            part = files.part(view, file, number)
        yield part


@dataclass(frozen=True, slots=True)
class Pack:
    """Everything that is kept of a statement, in order, and what its manifest says."""

    statement: Statement
    entries: tuple[archive.Entry, ...]
    facts: dict[str, str]

    @property
    def name(self) -> str:
        """What the archive is called."""
        return f"mois-{self.statement.month}-{self.statement.seller.id}-{self.statement.number}.zip"

    @contextmanager
    def zipped(self) -> Iterator[tuple[BinaryIO, str]]:
        """Write the archive to a file on disk that is gone afterwards; give it with its SHA-256."""
        with tempfile.TemporaryFile() as file:
            archive.write_zip(file, self.facts, self.entries)
            digest = _digest(file)
            yield file, digest


def pack(database: Database, statement: Statement, *, at: datetime) -> Pack:
    """Return a statement's pack: whatever is not rendered yet is rendered now, so that it is whole from the first time.

    The credit notes that correct the statement are in it, once they are issued.

    Raises
    ------
    InvoiceNotValid, PrintingUnavailable, RulesUnavailable
    """
    with database.view() as view:
        has_emissions = basis_of(view, statement.id) is not None
    kinds = (*KINDS, *REVISION) if revision_sheet.is_revised(statement) else KINDS
    render(database, statement, [kind for kind in kinds if has_emissions or kind not in EMISSIONS], at=at)
    _print_invoice(database, statement, at=at)
    with database.view() as view:
        found = files.all_of(view, statement.id)
        notes = after_closing.list_credit_notes(view, Sight(), statement.id)
    entries = [
        archive.Entry(file_name(statement, file.format), file.sha256, file.size_bytes, parts(database, file))
        for file in found
    ]
    entries.extend(entry for note in notes for entry in _note_entries(database, statement, note, at=at))
    return Pack(
        statement,
        tuple(sorted(entries, key=lambda entry: entry.name)),
        {
            "statement": statement.number,
            "month": str(statement.month),
            "contract": statement.contract_reference,
            "seller_siret": statement.seller.siret,
            "buyer_siret": statement.buyer.siret,
            "closed_at": statement.closed_at.isoformat(),
        },
    )


def _print_invoice(database: Database, statement: Statement, *, at: datetime) -> None:
    """Print a statement's e-invoice, if it has one that was not printed yet."""
    with database.view() as view:
        there = {file.format for file in files.all_of(view, statement.id)}
        if CII not in there or PDF in there:
            return
        content = invoicing.print_invoice(view, statement)
    with database.transaction() as tx:
        invoicing.keep_invoice(tx, statement.id, content, at=at)


def _note_entries(
    database: Database, statement: Statement, note: CreditNote, *, at: datetime
) -> Iterator[archive.Entry]:
    """Yield what was sent of a credit note, its print made now when it never was; nothing of an internal one."""
    with database.view() as view:
        kept_of_note = note_documents.all_of(view, note.id)
        formats = {document.format for document in kept_of_note}
        drawn = invoicing.print_credit(view, note, statement) if CII in formats and PDF not in formats else b""
    if drawn:
        with database.transaction() as tx:
            kept_of_note.append(invoicing.keep_credit(tx, note.id, drawn, at=at))
    for document in kept_of_note:
        subject, extension = _NOTE_NAMES[document.format]
        name = f"{subject}-{note.seller.id}-{note.number}.{extension}"
        yield archive.Entry(name, document.sha256, len(document.content), [document.content])


def _digest(content: BinaryIO) -> str:
    """Return the SHA-256 of a file, which is then at its beginning."""
    digest = sha256()
    content.seek(0)
    while chunk := content.read(files.PART_BYTES):
        digest.update(chunk)
    content.seek(0)
    return digest.hexdigest()


# -- how each is written ---------------------------------------------------------------------------------------------


def _pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    charges = []
    if statement.legs <= documents.MOST_PRINTED_LEGS:
        with database.view() as view:
            charges = list(stream_charges(view, statement.id))
    file.write(documents.as_pdf(statement, charges))


def _deliveries_pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    # Printing takes seconds: the view is closed before.
    with database.view() as view:
        page = deliveries.as_html(statement, stream_charges(view, statement.id))
    file.write(deliveries.printed(page, statement))


def _legs(view: View, statement_id: str) -> Iterator[emissions.Leg]:
    return (emissions.Leg(*line) for line in stream_lines(view, statement_id))


@lru_cache(maxsize=8)
def _account(database: Database, statement_id: str, number: str) -> emissions.Account:
    """Return what a statement's legs come to, as frozen with it; its documents are mostly asked for together."""
    with database.view() as view:
        basis = basis_of(view, statement_id)
        if basis is None:
            raise EmissionsNotKept(number)
        return emissions.add_up(basis.baseline, basis.factors, _legs(view, statement_id))


Rows = AbstractContextManager[Callable[[emissions.Leg], None]]
"""A document that is being written, and takes a statement's legs one after the other."""


@contextmanager
def _of_charges(rows: AbstractContextManager[Callable[[Charge], None]]) -> Iterator[Callable[[emissions.Leg], None]]:
    with rows as add:
        yield lambda leg: add(leg.charge)


def _statement_csv(_: Database, statement: Statement, file: BinaryIO) -> Rows:
    return _of_charges(documents.csv_rows(file, statement))


def _deliveries_csv(_: Database, statement: Statement, file: BinaryIO) -> Rows:
    return _of_charges(deliveries.csv_rows(file, statement))


def _deliveries_xlsx(_: Database, statement: Statement, file: BinaryIO) -> Rows:
    return _of_charges(deliveries.xlsx_rows(file, statement))


def _emissions_json(database: Database, statement: Statement, file: BinaryIO) -> Rows:
    return emissions.json_records(file, statement, _account(database, statement.id, statement.number))


def _emissions_csv(database: Database, statement: Statement, file: BinaryIO) -> Rows:
    return emissions.csv_rows(file, statement, _account(database, statement.id, statement.number))


def _emissions_pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    file.write(emissions.as_pdf(statement, _account(database, statement.id, statement.number)))


def _applied(database: Database, statement: Statement) -> list[Applied]:
    if not revision_sheet.is_revised(statement):
        raise StatementNotRevised(statement.number)
    with database.view() as view:
        return Revisions(view).of_statement(statement.id)


def _revision_csv(database: Database, statement: Statement, file: BinaryIO) -> None:
    file.write(revision_sheet.as_csv(statement, _applied(database, statement)))


def _revision_pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    file.write(revision_sheet.as_pdf(statement, _applied(database, statement)))


JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF_TYPE = "application/pdf"
ZIP_TYPE = "application/zip"

STATEMENT_CSV = Kind("csv", CSV_TYPE, rows=_statement_csv)
STATEMENT_PDF = Kind("pdf", PDF_TYPE, _pdf)
DELIVERIES_CSV = Kind("leg-csv", CSV_TYPE, rows=_deliveries_csv)
DELIVERIES_XLSX = Kind("leg-xlsx", XLSX_TYPE, rows=_deliveries_xlsx)
DELIVERIES_PDF = Kind("leg-pdf", PDF_TYPE, _deliveries_pdf)
CONSUMPTION_JSON = Kind("use-json", JSON_TYPE, lambda _, statement, file: file.write(consumption.as_json(statement)))
CONSUMPTION_CSV = Kind("use-csv", CSV_TYPE, lambda _, statement, file: file.write(consumption.as_csv(statement)))
CONSUMPTION_PDF = Kind("use-pdf", PDF_TYPE, lambda _, statement, file: file.write(consumption.as_pdf(statement)))
EMISSIONS_JSON = Kind("co2-json", JSON_TYPE, rows=_emissions_json)
EMISSIONS_CSV = Kind("co2-csv", CSV_TYPE, rows=_emissions_csv)
EMISSIONS_PDF = Kind("co2-pdf", PDF_TYPE, _emissions_pdf)
REVISION_CSV = Kind("rev-csv", CSV_TYPE, _revision_csv)
REVISION_PDF = Kind("rev-pdf", PDF_TYPE, _revision_pdf)

REVISION: Sequence[Kind] = (REVISION_CSV, REVISION_PDF)
EMISSIONS: Sequence[Kind] = (EMISSIONS_JSON, EMISSIONS_CSV, EMISSIONS_PDF)
KINDS: Sequence[Kind] = (
    STATEMENT_CSV,
    STATEMENT_PDF,
    DELIVERIES_CSV,
    DELIVERIES_XLSX,
    DELIVERIES_PDF,
    CONSUMPTION_JSON,
    CONSUMPTION_CSV,
    CONSUMPTION_PDF,
    *EMISSIONS,
)
"""Every document that any statement has. One at revised prices has the sheets of `REVISION` too. What else is kept of a
statement, such as an e-invoice made when it was closed, is in its pack too."""

_NAMES = {
    "csv": ("etat", "csv"),
    "pdf": ("etat", "pdf"),
    "json": ("etat", "json"),
    **{f"leg-{extension}": ("livraisons", extension) for extension in ("csv", "xlsx", "pdf")},
    **{f"use-{extension}": ("consommation", extension) for extension in ("json", "csv", "pdf")},
    **{f"rev-{extension}": ("revision", extension) for extension in ("csv", "pdf")},
    **{f"co2-{extension}": ("co2", extension) for extension in ("json", "csv", "pdf")},
    "cii": ("facture-cii", "xml"),
    "ubl": ("facture-ubl", "xml"),
    CARRIED: ("facture-fx", "xml"),
    "facturx": ("facture", "pdf"),
}
_NOTE_NAMES = {
    CII: ("avoir-cii", "xml"),
    UBL: ("avoir-ubl", "xml"),
    CARRIED: ("avoir-fx", "xml"),
    PDF: ("avoir", "pdf"),
}
