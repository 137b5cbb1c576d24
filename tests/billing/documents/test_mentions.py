"""What the law wants on an invoice: dated rows with sources, nothing in code."""

from datetime import date

import pytest

from services.billing.documents.mentions import NOTES, mention, rows


def test_every_row_is_dated_and_has_a_source() -> None:
    assert {*NOTES, "payment-terms", "vat-due", "exemption-text", "exemption-code"} == {row.kind for row in rows()}
    assert all(row.source and row.text for row in rows())
    assert len({(row.kind, row.valid_from) for row in rows()}) == len(rows())


def test_a_mention_is_that_of_its_day() -> None:
    assert mention("exemption-code", date(2026, 11, 30)) == "VATEX-FR-FRANCHISE"
    with pytest.raises(LookupError):
        mention("payment-terms", date(2019, 3, 31))


def test_every_note_fits_what_the_portal_takes() -> None:
    assert all(len(row.text) <= 1024 for row in rows())
