"""A month's documents: each kept as first rendered, harmless to open, alike on each rendering, all in one archive."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest
from pypdf import PdfReader

from services.billing import documents, pack, use_cases
from services.billing.domain.charge import Fact, Place
from services.billing.domain.contract import Contract, LoadMass
from services.billing.domain.emissions import Baseline, BikeKind, DistanceSource, MassSource, Ridden
from services.billing.domain.errors import EmissionsNotKept
from services.billing.domain.statement import Month, Statement
from services.billing.pack import Kind
from services.billing.repository import factors as factor_table
from services.billing.repository import files
from services.billing.tables import documents as documents_table
from services.billing.tables import emissions as emissions_table
from services.billing.use_cases import emissions as freezing
from services.kit.database import Database
from tests.billing.builders import (
    a_contract,
    an_order,
    failed,
    handed_over,
    hold,
    register,
    settle,
)
from tests.billing.conftest import NOW

NOVEMBER = Month(2026, 11)


def ridden(**changes: Any) -> Ridden:
    """Return a ride of 2.4 km with 24 kg in a round of 9 km on an electric bike."""
    return replace(
        Ridden("round-1", 9_000, 2_400, DistanceSource.STREETS, BikeKind.ELECTRIC, 24_000, MassSource.CATALOGUE),
        **changes,
    )


def deliver(database: Database, contract: Contract, reference: str, fact: Fact | None = None, **changes: Any) -> str:
    """Hold an order and settle it by a fact about it, a hand-over unless one is given; return its id."""
    order = replace(an_order(contract, reference=reference), **changes)
    hold(database, order)
    settle(database, replace(fact or handed_over("", ridden=ridden()), order_id=order.id))
    return order.id


def close(database: Database, contract: Contract, month: Month = NOVEMBER, *, at: datetime = NOW) -> Statement:
    with database.transaction() as tx:
        return use_cases.close_month(tx, contract.id, month, at=at).statements[0]


def content(database: Database, statement: Statement, kind: Kind) -> bytes:
    return b"".join(pack.parts(database, pack.kept(database, statement, kind, at=NOW)))


def rendered(database: Database, statement: Statement, kind: Kind) -> bytes:
    """Return the bytes as they would be rendered now, whatever is kept."""
    file = io.BytesIO()
    pack.write(database, statement, [(kind, file)])
    return file.getvalue()


def co2(database: Database, statement: Statement) -> Any:
    return json.loads(content(database, statement, pack.EMISSIONS_JSON))


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))


def text_of(content: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return text.replace("\u202f", " ").replace("\xa0", " ")


@pytest.fixture
def statement(database: Database) -> Statement:
    """November of the first cooperative: two hand-overs of one round, one short, and a failure that is charged."""
    contract = register(database, a_contract())
    deliver(database, contract, "C-1")
    short = handed_over("", counted={"ballot-linge": 2}, note="Un de moins", proof_ids=("p-1", "p-2"))
    deliver(database, contract, "C-2", replace(short, ridden=ridden(load_grams=16_000, direct_metres=3_000)))
    deliver(database, contract, "C-3", failed("", ridden=ridden()), department_id="voirie")
    return close(database, contract)


# -- CO2 ---------------------------------------------------------------------------------------------------------------


def test_the_legs_of_a_round_share_its_kilometres(database: Database, statement: Statement) -> None:
    told = co2(database, statement)
    shares = [Decimal(record["km_share"]) for record in told["deliveries"]]
    # 24 x 2.4, 16 x 3 and 24 x 2.4 of 163.2 kilogram-kilometres
    assert shares == [Decimal("3.176"), Decimal("2.647"), Decimal("3.176")]
    assert told["km_ridden"] == "9.000"
    assert told["kg_co2e"] == "0.013"  # 9 x 0.03 x 0.048 = 0.01296
    assert (told["legs"], told["deliveries_done"], told["km_paid"]) == (3, 2, "7.800")
    assert told["goods_kg"] == "40.000"
    # (24 x 2.4 + 16 x 3) / 1000 t.km x 1.95077; what failed spares no van
    assert told["baseline_kg_co2e"] == "0.206"
    assert (told["baseline"], told["avoided_kg_co2e"], told["level"]) == ("B", "0.193", 3)
    assert [record["is_delivered"] for record in told["deliveries"]] == [True, True, False]
    assert {factor["id"] for factor in told["factors"]} >= {"electricity_fr", "cargo_bike_consumption"}
    assert all(factor["source"] for factor in told["factors"])


def test_the_worked_example_comes_out_of_a_months_statement(database: Database) -> None:
    contract = register(database, a_contract(co2_baseline=Baseline.DEDICATED_VAN))
    alone = ridden(round_id="", round_metres=0, load_grams=6_000)
    for number in range(246):
        deliver(database, contract, f"C-{number:03d}", handed_over("", ridden=alone))
    told = co2(database, close(database, contract))
    assert (told["deliveries_done"], told["km_paid"], told["kg_co2e"]) == (246, "590.400", "0.850")
    assert (told["baseline"], told["baseline_kg_co2e"], told["avoided_kg_co2e"]) == ("A", "299.451", "298.601")


def test_a_round_is_shared_with_legs_of_another_contract(either_database: Database) -> None:
    ours, other = (register(either_database, a_contract()) for _ in range(2))
    deliver(either_database, ours, "C-1")
    deliver(either_database, other, "D-1", handed_over("", ridden=ridden(direct_metres=4_800)))
    both = [co2(either_database, close(either_database, contract)) for contract in (ours, other)]
    assert [told["km_ridden"] for told in both] == ["3.000", "6.000"]


def test_what_comes_late_changes_no_closed_month(database: Database) -> None:
    contract = register(database, a_contract())
    deliver(database, contract, "C-1")
    before = close(database, contract)
    late = deliver(database, contract, "C-2", handed_over("", ridden=ridden()))
    assert rendered(database, before, pack.EMISSIONS_JSON) == content(database, before, pack.EMISSIONS_JSON)
    assert co2(database, before)["km_ridden"] == "9.000"
    after = close(database, contract, Month(2026, 12), at=datetime.fromisoformat("2027-01-02T09:00:00+00:00"))
    (record,) = co2(database, after)["deliveries"]
    assert record["delivery_id"] == f"{late}-1"
    assert record["km_share"] == "4.500"


def test_a_new_factor_changes_later_months_only(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = register(database, a_contract())
    deliver(database, contract, "C-1")
    before = close(database, contract)
    electricity = next(row for row in factor_table.all_factors() if row.id == "electricity_fr")
    newer = replace(electricity, value=Decimal("0.052"), valid_from=date(2026, 12, 1), version="2026")
    known = (*factor_table.all_factors(), newer)
    monkeypatch.setattr(freezing, "all_factors", lambda: known)
    assert co2(database, before)["deliveries"][0]["kg_co2e"] == "0.012960"
    deliver(database, contract, "C-2", handed_over("", ridden=ridden(round_id="round-2")))
    after = close(database, contract, Month(2026, 12), at=datetime.fromisoformat("2027-01-02T09:00:00+00:00"))
    assert co2(database, after)["deliveries"][0]["kg_co2e"] == "0.014040"
    assert "electricity_fr:2026 " in co2(database, after)["deliveries"][0]["factor_set_version"]


def test_the_same_fact_again_leaves_one_record(database: Database) -> None:
    contract = register(database, a_contract())
    order = an_order(contract)
    hold(database, order)
    for metres in (2_400, 2_400, 9_999):
        settle(database, handed_over(order.id, ridden=ridden(direct_metres=metres)))
    (record,) = co2(database, close(database, contract))["deliveries"]
    assert record["km_paid"] == "2.400"


def test_an_unknown_mass_is_the_contracts_and_flagged(database: Database) -> None:
    contract = register(database, a_contract(load_masses=(LoadMass("ballot-linge", 8_000),)))
    unknown = ridden(load_grams=0, mass_source=MassSource.DEFAULT)
    deliver(database, contract, "C-1", handed_over("", counted={"ballot-linge": 2}, ridden=unknown))
    (record,) = co2(database, close(database, contract))["deliveries"]
    assert (record["mass_kg"], record["mass_source"], record["level"]) == ("16.000", "default", 1)


def test_a_leg_of_which_nothing_was_told_shows_as_such(database: Database) -> None:
    contract = register(database, a_contract())
    deliver(database, contract, "C-1", handed_over(""))
    statement = close(database, contract)
    told = co2(database, statement)
    assert (told["legs_by_level"], told["level"], told["kg_co2e"]) == ({"0": 1}, 1, "0.000")
    assert told["deliveries"][0]["kg_co2e"] is None
    assert "Trajets dont rien n'est connu" in text_of(content(database, statement, pack.EMISSIONS_PDF))


def test_a_muscle_bike_is_told_as_zero_and_not_as_nothing(database: Database) -> None:
    contract = register(database, a_contract())
    deliver(database, contract, "C-1", handed_over("", ridden=ridden(bike_kind=BikeKind.MUSCLE)))
    (record,) = co2(database, close(database, contract))["deliveries"]
    assert record["kg_co2e"] == "0.000000"


def test_a_month_from_before_emissions_were_kept_has_none_and_says_so(database: Database, statement: Statement) -> None:
    with database.transaction() as tx:
        tx.execute(emissions_table.delete())
    with pytest.raises(EmissionsNotKept):
        pack.kept(database, statement, pack.EMISSIONS_CSV, at=NOW)
    names = [entry.name for entry in pack.pack(database, statement, at=NOW).entries]
    assert not any(name.startswith("co2") for name in names)


def test_the_co2_csv_has_a_row_per_leg(database: Database, statement: Statement) -> None:
    found = rows(content(database, statement, pack.EMISSIONS_CSV))
    assert [row["Part de la tournée (km)"] for row in found] == ["3,176", "2,647", "3,176"]
    assert {row["Véhicule"] for row in found} == {"vélo à assistance électrique"}
    assert [row["Issue"] for row in found] == ["remis", "remis", "échec facturé"]


def test_the_co2_paper_names_its_baseline_level_and_factors(database: Database, statement: Statement) -> None:
    text = text_of(content(database, statement, pack.EMISSIONS_PDF))
    for told in ("0,013 kgCO2e", "0,193 kgCO2e", "B, fourgonnette", "niveau de précision 3 sur 4", "0,048 kgCO2e/kWh"):
        assert told in text
    assert "Arrêté du 26 avril 2017" in text


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_the_list_has_a_line_per_leg_with_what_was_counted_and_its_proofs(
    database: Database, statement: Statement
) -> None:
    first, short, failed_ = rows(content(database, statement, pack.DELIVERIES_CSV))
    assert (first["Commande"], first["Charges annoncées"], first["Charges comptées"]) == ("C-1", "3", "3")
    assert (short["Charges comptées"], short["Preuves"]) == ("2", "p-1 p-2")
    assert short["Détail des charges"] == "Ballot de linge 2 sur 3"
    assert short["Remarque"].endswith("Un de moins")
    assert short["Codes de prix"] == "COURSE LINGE"
    assert (failed_["Issue"], failed_["Charges comptées"], failed_["Codes de prix"]) == ("échec facturé", "0", "ECHEC")
    assert (failed_["Code service"], failed_["Service"]) == ("voirie", "Voirie et signalisation")
    assert sum(int(row["Montant HT"].replace(",", "")) for row in (first, short, failed_)) == statement.net_cents


def test_the_spreadsheet_says_the_same_with_dates_and_numbers(database: Database, statement: Statement) -> None:
    book = openpyxl.load_workbook(io.BytesIO(content(database, statement, pack.DELIVERIES_XLSX)))
    sheet = book["Livraisons"]
    head, *lines = list(sheet.iter_rows(values_only=True))
    found = [dict(zip(head, line, strict=True)) for line in lines]
    assert [line["Commande"] for line in found] == ["C-1", "C-2", "C-3"]
    assert sum(round(line["Montant HT"] * 100) for line in found) == statement.net_cents
    assert found[0]["Date de service"] == datetime(2026, 11, 16)  # noqa: DTZ001 - as a sheet has it
    assert book.properties.created == statement.closed_at.replace(tzinfo=None)


def test_text_is_no_formula(database: Database) -> None:
    contract = register(database, a_contract())
    order = an_order(contract, reference="C-1")
    (leg,) = order.legs
    trap = replace(order, legs=(replace(leg, destination=Place("site", "=HYPERLINK(1)")),))
    hold(database, trap)
    settle(database, handed_over(order.id))
    statement = close(database, contract)
    (row,) = rows(content(database, statement, pack.DELIVERIES_CSV))
    assert row["Vers"] == "'=HYPERLINK(1)"
    sheet = openpyxl.load_workbook(io.BytesIO(content(database, statement, pack.DELIVERIES_XLSX)))["Livraisons"]
    cell = next(cell for cell in sheet[2] if cell.value == "=HYPERLINK(1)")
    assert cell.data_type == "s"


def test_a_long_list_is_printed_by_day_and_department(
    database: Database, statement: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = text_of(content(database, statement, pack.DELIVERIES_PDF))
    assert "C-2,\ntrajet 1" in short
    assert "p-2" in short
    monkeypatch.setattr(documents, "MOST_PRINTED_LEGS", 2)
    monkeypatch.setattr("services.billing.documents.deliveries.MOST_PRINTED_LEGS", 2)
    long = text_of(rendered(database, statement, pack.DELIVERIES_PDF))
    assert "C-2" not in long
    assert "Propreté des bâtiments" in long
    annexed = text_of(rendered(database, statement, pack.STATEMENT_PDF))
    assert "liste des livraisons jointe" in annexed
    assert "C-2" not in annexed


def test_no_document_has_a_word_for_who_rode(database: Database, statement: Statement) -> None:
    for kind in (pack.DELIVERIES_CSV, pack.EMISSIONS_CSV, pack.CONSUMPTION_CSV, pack.STATEMENT_CSV):
        head = content(database, statement, kind).decode("utf-8-sig").splitlines()[0].lower()
        assert "coursi" not in head
        assert "livreur" not in head


# -- consumption -------------------------------------------------------------------------------------------------------


def test_the_consumption_is_that_of_the_closing(database: Database, statement: Statement) -> None:
    told = json.loads(content(database, statement, pack.CONSUMPTION_JSON))
    (scope,) = told["scopes"]
    assert scope["ceiling"] == "90000.00"
    assert (scope["invoiced"], scope["delivered"], scope["held"]) == ("30.30", "0.00", "0.00")
    assert (scope["committed"], scope["left"]) == ("30.30", "89969.70")
    (row,) = rows(content(database, statement, pack.CONSUMPTION_CSV))
    assert (row["Périmètre"], row["Reste disponible HT"]) == ("Ensemble du marché", "89969,70")
    text = text_of(content(database, statement, pack.CONSUMPTION_PDF))
    assert "89 969,70 €" in text
    assert "Voirie et signalisation" in text


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", pack.KINDS, ids=lambda kind: kind.format)
def test_the_same_month_gives_the_same_bytes_each_time_it_is_rendered(
    database: Database, statement: Statement, kind: Kind
) -> None:
    first, again = (sha256(rendered(database, statement, kind)).hexdigest() for _ in range(2))
    assert again == first


@pytest.mark.parametrize("has_harfbuzz_subset", [True, False])
def test_a_page_drawn_later_is_the_same_bytes_whatever_cuts_its_fonts_down(
    database: Database, statement: Statement, monkeypatch: pytest.MonkeyPatch, has_harfbuzz_subset: bool
) -> None:
    if not has_harfbuzz_subset:
        monkeypatch.setattr("weasyprint.pdf.fonts.harfbuzz_subset", None)
    first = rendered(database, statement, pack.CONSUMPTION_PDF)
    assert first.startswith(b"%PDF")
    monkeypatch.setattr("fontTools.misc.timeTools.time", SimpleNamespace(time=lambda: 2e9))
    later = rendered(database, statement, pack.CONSUMPTION_PDF)
    assert sha256(later).hexdigest() == sha256(first).hexdigest()


def test_what_was_kept_first_is_given(database: Database, statement: Statement) -> None:
    with database.transaction() as tx:
        use_cases.keep_document(tx, statement.id, "leg-csv", b"first", at=NOW)
    assert content(database, statement, pack.DELIVERIES_CSV) == b"first"


def test_a_large_document_is_kept_in_parts(either_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 100)
    contract = register(either_database, a_contract())
    deliver(either_database, contract, "C-1")
    statement = close(either_database, contract)
    file = pack.kept(either_database, statement, pack.DELIVERIES_CSV, at=NOW)
    found = list(pack.parts(either_database, file))
    assert len(found) > 3
    assert {len(part) for part in found[:-1]} == {100}
    whole = b"".join(found)
    assert whole == rendered(either_database, statement, pack.DELIVERIES_CSV)
    assert (file.size_bytes, file.sha256) == (len(whole), sha256(whole).hexdigest())


def zipped(database: Database, statement: Statement) -> bytes:
    with pack.pack(database, statement, at=NOW).zipped() as (file, digest):
        content = file.read()
    assert digest == sha256(content).hexdigest()
    return content


def test_a_pack_holds_everything_that_is_kept_and_its_manifest(database: Database, statement: Statement) -> None:
    archive = zipfile.ZipFile(io.BytesIO(zipped(database, statement)))
    assert archive.testzip() is None
    names = archive.namelist()
    assert names[0] == "manifeste.json"
    assert names[1:] == sorted(names[1:])
    assert {"facture-cii-erdre-2026-00001.xml", "etat-erdre-2026-00001.pdf", "co2-erdre-2026-00001.json"} < set(names)
    assert {"facture-ubl-erdre-2026-00001.xml", "facture-erdre-2026-00001.pdf"} < set(names)
    assert len(names) == 1 + len(pack.KINDS) + 3
    manifest = json.loads(archive.read("manifeste.json"))
    assert manifest["statement"] == "2026-00001"
    listed = {file["file"]: (file["sha256"], file["bytes"]) for file in manifest["files"]}
    assert listed == {
        name: (sha256(archive.read(name)).hexdigest(), archive.getinfo(name).file_size) for name in names[1:]
    }


def test_a_pack_is_the_same_bytes_each_time(database: Database, statement: Statement) -> None:
    first = sha256(zipped(database, statement)).hexdigest()
    assert sha256(zipped(database, statement)).hexdigest() == first
    # And even when all that can be rendered anew is.
    with database.transaction() as tx:
        tx.execute(documents_table.delete().where(documents_table.c.format.in_([kind.format for kind in pack.KINDS])))
    assert sha256(zipped(database, statement)).hexdigest() == first
