"""A closed month's documents: rendered once, kept, given ever after, and all of them in one archive.

What is asked for the first time is rendered into a file on disk, row by row where it may be long, and kept as it is.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO

from services.billing import documents
from services.billing.documents import archive, consumption, deliveries, emissions
from services.billing.domain.errors import EmissionsNotKept
from services.billing.domain.statement import Statement
from services.billing.queries.lines import stream_charges, stream_lines
from services.billing.repository import files
from services.billing.repository.emissions import basis_of
from services.billing.repository.files import File
from services.kit.database import Database, View

PACK = "pack"
"""What the archive is called where exports are logged; it is not kept itself, for everything in it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A document a statement has: its format as kept, and how it is written."""

    format: str
    media_type: str
    write: Callable[[Database, Statement, BinaryIO], object]


def file_name(statement: Statement, format_: str) -> str:
    """Return what a document is called outside: « livraisons-erdre-2026-00042.csv »."""
    subject, extension = _NAMES.get(format_) or (format_, format_.rpartition("-")[2])
    return f"{subject}-{statement.seller.id}-{statement.number}.{extension}"


def kept(database: Database, statement: Statement, kind: Kind, *, at: datetime) -> File:
    """Return a document as it was first rendered, rendering it now when it never was.

    Raises
    ------
    EmissionsNotKept, PrintingUnavailable
    """
    with database.view() as view:
        found = files.find(view, statement.id, kind.format)
    if found is not None:
        return found
    with tempfile.TemporaryFile() as content:
        kind.write(database, statement, content)
        digest = _digest(content)
        with database.transaction() as tx:
            files.keep_first(tx, statement.id, kind.format, digest, content, at=at)
    with database.view() as view:
        found = files.find(view, statement.id, kind.format)
    assert found is not None
    return found


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

    Raises
    ------
    PrintingUnavailable
    """
    with database.view() as view:
        has_emissions = basis_of(view, statement.id) is not None
    for kind in KINDS:
        if has_emissions or kind not in EMISSIONS:
            kept(database, statement, kind, at=at)
    with database.view() as view:
        found = files.all_of(view, statement.id)
    entries = [
        archive.Entry(file_name(statement, file.format), file.sha256, file.size_bytes, parts(database, file))
        for file in found
    ]
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


def _digest(content: BinaryIO) -> str:
    """Return the SHA-256 of a file, which is then at its beginning."""
    digest = sha256()
    content.seek(0)
    while chunk := content.read(files.PART_BYTES):
        digest.update(chunk)
    content.seek(0)
    return digest.hexdigest()


# -- how each is written ---------------------------------------------------------------------------------------------


def _csv(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        documents.write_csv(file, statement, stream_charges(view, statement.id))


def _pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    charges = []
    if statement.legs <= documents.MOST_PRINTED_LEGS:
        with database.view() as view:
            charges = list(stream_charges(view, statement.id))
    file.write(documents.as_pdf(statement, charges))


def _deliveries_csv(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        deliveries.write_csv(file, statement, stream_charges(view, statement.id))


def _deliveries_xlsx(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        deliveries.write_xlsx(file, statement, stream_charges(view, statement.id))


def _deliveries_pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    # Printing takes seconds: the view is closed before.
    with database.view() as view:
        page = deliveries.as_html(statement, stream_charges(view, statement.id))
    file.write(deliveries.printed(page, statement))


def _legs(view: View, statement: Statement) -> Iterator[emissions.Leg]:
    return (emissions.Leg(*line) for line in stream_lines(view, statement.id))


def _account(view: View, statement: Statement) -> emissions.Account:
    basis = basis_of(view, statement.id)
    if basis is None:
        raise EmissionsNotKept(statement.number)
    return emissions.add_up(basis.baseline, basis.factors, _legs(view, statement))


def _emissions_json(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        emissions.write_json(file, statement, _account(view, statement), _legs(view, statement))


def _emissions_csv(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        emissions.write_csv(file, statement, _account(view, statement), _legs(view, statement))


def _emissions_pdf(database: Database, statement: Statement, file: BinaryIO) -> None:
    with database.view() as view:
        account = _account(view, statement)
    file.write(emissions.as_pdf(statement, account))


JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF_TYPE = "application/pdf"
ZIP_TYPE = "application/zip"

STATEMENT_CSV = Kind("csv", CSV_TYPE, _csv)
STATEMENT_PDF = Kind("pdf", PDF_TYPE, _pdf)
DELIVERIES_CSV = Kind("leg-csv", CSV_TYPE, _deliveries_csv)
DELIVERIES_XLSX = Kind("leg-xlsx", XLSX_TYPE, _deliveries_xlsx)
DELIVERIES_PDF = Kind("leg-pdf", PDF_TYPE, _deliveries_pdf)
CONSUMPTION_JSON = Kind("use-json", JSON_TYPE, lambda _, statement, file: file.write(consumption.as_json(statement)))
CONSUMPTION_CSV = Kind("use-csv", CSV_TYPE, lambda _, statement, file: file.write(consumption.as_csv(statement)))
CONSUMPTION_PDF = Kind("use-pdf", PDF_TYPE, lambda _, statement, file: file.write(consumption.as_pdf(statement)))
EMISSIONS_JSON = Kind("co2-json", JSON_TYPE, _emissions_json)
EMISSIONS_CSV = Kind("co2-csv", CSV_TYPE, _emissions_csv)
EMISSIONS_PDF = Kind("co2-pdf", PDF_TYPE, _emissions_pdf)

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
"""Every document that can be rendered at any time. What else is kept of a statement, such as an e-invoice made when it
was closed, is in its pack too."""

_NAMES = {
    "csv": ("etat", "csv"),
    "pdf": ("etat", "pdf"),
    "json": ("etat", "json"),
    **{f"leg-{extension}": ("livraisons", extension) for extension in ("csv", "xlsx", "pdf")},
    **{f"use-{extension}": ("consommation", extension) for extension in ("json", "csv", "pdf")},
    **{f"co2-{extension}": ("co2", extension) for extension in ("json", "csv", "pdf")},
    "cii": ("facture-cii", "xml"),
    "ubl": ("facture-ubl", "xml"),
    "facturx": ("facture", "pdf"),
}
