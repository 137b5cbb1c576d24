"""An invoice's arithmetic: exact to the cent, per rate on the total, and every deviation named."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.billing.documents.invoice import (
    Allowance,
    Figures,
    Invoice,
    VatCategory,
    arithmetic_faults,
    credit_note,
    vat_totals,
)
from services.billing.documents.mapping import Syntax, as_xml
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from tests.billing.documents.invoices import (
    a_credit_note,
    a_full_invoice,
    a_line,
    an_invoice,
    for_a_service,
    of_a_franchise,
)


def test_vat_is_computed_once_on_the_total_of_a_rate() -> None:
    """Example I: three lines of 10.03 at 20 % are 6.02, not three times 2.01."""
    invoice = an_invoice(*(a_line("1", "10.03", number=str(number)) for number in (1, 2, 3)))
    assert (invoice.net_cents, invoice.tax_cents, invoice.gross_cents) == (3009, 602, 3611)


def test_a_revised_price_keeps_its_decimals() -> None:
    """Example D: 182 x 9.7524 is 1 774.94, and not 182 x 9.75."""
    assert an_invoice(a_line("182", "9.7524")).net_cents == 177_494


def test_half_a_cent_is_rounded_away_from_zero() -> None:
    assert a_line("1", "0.005").amount_cents == 1
    assert a_line("-1", "0.005").amount_cents == -1


def test_an_advance_is_paid_already_and_no_line() -> None:
    invoice = a_full_invoice()
    assert (invoice.lines_cents, invoice.allowances_cents, invoice.net_cents) == (265_570, 5_570, 260_000)
    assert (invoice.gross_cents, invoice.due_cents) == (312_000, 282_000)


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        ({"net": Decimal("2600.01")}, {"BT-109", "BT-112"}),
        ({"tax": Decimal("519.99")}, {"BT-110", "BT-112"}),
        ({"gross": Decimal("3120.01")}, {"BT-112", "BT-115"}),
        ({"due": Decimal("2820.01")}, {"BT-115"}),
        ({"lines_total": Decimal("2655.71")}, {"BT-106", "BT-109"}),
        ({"allowances_total": Decimal("55.71")}, {"BT-107", "BT-109"}),
        ({"vat": ()}, {"BG-23", "BT-110"}),
    ],
)
def test_every_sum_that_is_not_exact_is_named(changes: dict[str, Any], terms: set[str]) -> None:
    figures: Figures = a_full_invoice().figures
    assert arithmetic_faults(figures) == []
    assert {term for term, _ in arithmetic_faults(replace(figures, **changes))} == terms


def test_a_credit_note_names_its_invoice_and_takes_the_lines_own_rates() -> None:
    original = an_invoice(a_line("10", "9.45"), a_line("1", "100", 55, number="2"))
    note = credit_note(
        original,
        number="2026-00043",
        issued_on=date(2027, 1, 5),
        due_on=date(2027, 2, 4),
        lines=[a_line("1", "100", 55)],
    )
    assert (note.net_cents, note.tax_cents) == (10_000, 550)
    assert note.preceding is not None
    assert (note.preceding.number, note.preceding.issued_on) == (original.number, original.issued_on)
    assert (note.buyer, note.seller, note.notes) == (original.buyer, original.seller, original.notes)
    assert arithmetic_faults(note.figures) == []


PRICES = st.decimals("0", "99999", places=2) | st.decimals("0", "999", places=4)
QUANTITIES = st.integers(1, 100_000).map(Decimal) | st.decimals("0.01", "500", places=2)


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    """Return invoices of random priced lines, with and without VAT, price cut, advance, service code."""
    lines = [
        a_line(
            str(draw(QUANTITIES)),
            str(draw(PRICES)),
            draw(st.sampled_from([200, 200, 100, 55])),
            number=str(number),
            code=f"P-{number}",
        )
        for number in range(1, draw(st.integers(1, 6)) + 1)
    ]
    most = lines[0].amount_cents
    cut = draw(st.integers(0, most)) if most and draw(st.booleans()) else 0
    allowances = (
        (Allowance(cut, "Réfaction décidée", "95", lines[0].vat_permille, VatCategory.STANDARD),) if cut else ()
    )
    invoice = an_invoice(*lines, allowances=allowances)
    invoice = replace(invoice, prepaid_cents=draw(st.integers(0, max(invoice.gross_cents, 0))))
    if draw(st.booleans()):
        invoice = of_a_franchise(invoice)
        invoice = replace(invoice, prepaid_cents=min(invoice.prepaid_cents, invoice.gross_cents))
    if draw(st.booleans()):
        invoice = for_a_service(invoice)
    return a_credit_note(invoice) if draw(st.booleans()) else invoice


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(invoices())
def test_any_invoice_adds_up_and_passes_every_layer_in_every_syntax(invoice: Invoice) -> None:
    assert arithmetic_faults(invoice.figures) == []
    for syntax in Syntax:
        content = as_xml(invoice, syntax)
        assert Reading.of(content).figures == invoice.figures
        assert list(map(str, fatal(validate(content)))) == []


@given(invoices())
def test_the_totals_of_vat_are_those_of_lines_and_cuts(invoice: Invoice) -> None:
    assert vat_totals(invoice.lines, invoice.allowances) == invoice.vat_totals
    assert sum(total.base_cents for total in invoice.vat_totals) == invoice.net_cents
