"""A statement on paper and in a spreadsheet: whole, stable, and harmless to open."""

import csv
import io
import subprocess
import sys
from dataclasses import replace

import pytest
from pypdf import PdfReader

from services.billing import documents
from services.billing.domain.charge import Charge, Place
from services.billing.domain.statement import Gauge, Month, Statement, close
from tests.billing.builders import ERDRE, NOON, a_charge, a_contract, failed, handed_over

CONTRACT = a_contract(id="00000000-0000-7000-8000-000000000001", reference="2026-VELO-07")


def a_settled_charge(**changes: str) -> Charge:
    charge = replace(a_charge(CONTRACT), order_id="00000000-0000-7000-8000-000000000002")
    charge = replace(charge, **changes)  # type: ignore[arg-type]
    return replace(charge, settlement=charge.settle(handed_over("o"), CONTRACT, at=NOON))


def a_statement(*charges: Charge, title: str = "Transports à vélo") -> Statement:
    return close(
        replace(CONTRACT, title=title),
        ERDRE,
        Month(2026, 11),
        charges,
        statement_id="00000000-0000-7000-8000-000000000003",
        number="2026-00007",
        gauge=Gauge(9_000_000, 4_500_000, 0, 1_000_000),
        at=NOON,
    )


def pages(content: bytes) -> list[str]:
    return [
        page.extract_text().replace("\u202f", " ").replace("\xa0", " ") for page in PdfReader(io.BytesIO(content)).pages
    ]


def test_french_is_written_as_french_is() -> None:
    assert documents.month_in_french(Month(2026, 8)) == "août 2026"
    assert [documents.rate_in_french(rate) for rate in (200, 55, 21, 0)] == [
        "20\xa0%",
        "5,5\xa0%",
        "2,1\xa0%",
        "0\xa0%",
    ]


def test_the_sum_of_the_csv_is_the_total() -> None:
    charges = [a_settled_charge(), a_settled_charge(reference="C-2")]
    statement = a_statement(*charges)
    rows = csv.DictReader(io.StringIO(documents.as_csv(statement, charges).decode("utf-8-sig")), delimiter=";")
    assert sum(int(row["Montant HT"].replace(",", "")) for row in rows) == statement.net_cents


def test_a_list_too_long_to_be_attached_is_not_written_to_its_end() -> None:
    charges = [a_settled_charge(reference=f"C-{number}") for number in range(200)]
    statement = a_statement(*charges)
    whole = documents.as_csv(statement, charges)
    told = iter(charges)
    assert documents.as_csv(statement, told, most_bytes=len(whole) // 2) == b""
    assert next(told, None) is not None
    assert documents.as_csv(statement, charges, most_bytes=len(whole)) == whole


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    charge = replace(a_settled_charge(reference=text), origin=Place("s", text))
    rows = list(
        csv.DictReader(io.StringIO(documents.as_csv(a_statement(charge), [charge]).decode("utf-8-sig")), delimiter=";")
    )
    assert rows[0]["Commande"].startswith("'")
    assert rows[0]["De"].startswith("'")


def test_separators_in_text_stay_in_their_cell() -> None:
    charge = a_settled_charge(reference='C;"1"\nsuite')
    rows = list(
        csv.DictReader(io.StringIO(documents.as_csv(a_statement(charge), [charge]).decode("utf-8-sig")), delimiter=";")
    )
    assert rows[0]["Commande"] == 'C;"1"\nsuite'
    assert rows[0]["Montant HT"] == "9,00"


def test_paper_shows_parties_items_totals_gauge_and_every_leg() -> None:
    charges = [a_settled_charge(), a_settled_charge(reference="C-2")]
    lost = a_charge(CONTRACT)
    charges.append(replace(lost, settlement=lost.settle(failed("o"), CONTRACT, at=NOON)))
    first, *more = pages(documents.as_pdf(a_statement(*charges), charges))
    last = more[-1]
    for words in (
        "État mensuel n° 2026-00007",
        "Les Coursiers de l'Erdre",
        "90000010000017",
        "Ville de Nantes (démonstration)",
        "2026-VELO-07",
        "Total HT 31,50 €",
        "TVA 20 % sur 31,50 € 6,30 €",
        "Total TTC 37,80 €",
    ):
        assert words in first
    assert "C-2, trajet 1" in last
    assert "Site fermé" in last
    assert f"page {len(more) + 1} sur {len(more) + 1}" in last


def test_the_same_statement_prints_to_the_same_bytes_in_any_process() -> None:
    charge = a_settled_charge()
    program = (
        "import sys; from hashlib import sha256; from services.billing import documents;"
        "from tests.billing import test_documents as t; c = t.a_settled_charge();"
        "c = t.replace(c, origin=t.Place('a', 'A'), destination=t.Place('b', 'B'));"
        "print(sha256(documents.as_pdf(t.a_statement(c), [c])).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert charge.settlement is not None


def test_markup_in_names_is_only_text() -> None:
    charge = replace(a_settled_charge(reference="<img src='file:///etc/passwd'>"), origin=Place("s", "<b>École</b>"))
    statement = a_statement(charge, title='"}</style><script>alert(1)</script>')
    text = " ".join(pages(documents.as_pdf(statement, [charge])))
    assert "<b>École</b>" in text
    assert "file:///etc/passwd" in "".join(text.split())  # it is broken over two lines


def test_printing_asks_nobody() -> None:
    with pytest.raises(ValueError, match="without asking"):
        documents._fetch_nothing("http://example.org/style.css")


def test_paper_is_tagged_and_named_for_readers_that_speak() -> None:
    charge = a_settled_charge()
    reader = PdfReader(io.BytesIO(documents.as_pdf(a_statement(charge), [charge])))
    assert reader.metadata is not None
    assert reader.metadata.title == "État mensuel 2026-00007, Les Coursiers de l'Erdre, novembre 2026"
    assert "/StructTreeRoot" in reader.root_object
    assert str(reader.root_object["/Lang"]) == "fr"


def test_a_machine_without_pango_says_what_to_install() -> None:
    program = (
        "import sys, types; from services.billing import documents;"
        "from services.billing.domain.errors import PrintingUnavailable\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'weasyprint': raise OSError('cannot load library libpango-1.0-0')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "try: documents._draw('<p>', 'x')\n"
        "except PrintingUnavailable as refusal: print(refusal.facts['packages'][0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "libpango-1.0-0"
