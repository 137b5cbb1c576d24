"""What an order tells of how far and when is kept with its legs, so that another list can price them again."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from services.billing import documents, queries, use_cases
from services.billing.documents.reading import Reading
from services.billing.domain.month import Month
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.queries import ChargeFilter, Sight
from services.billing.repository import Documents
from services.kit import clock
from services.kit.database import Database
from tests.billing.builders import (
    NOON,
    a_contract,
    a_leg_to_price,
    an_order,
    handed_over,
    hear,
    order_placed,
    publish,
    register,
    settle,
    stamp,
)

BANDS = (
    PriceLine("PRES", "Moins de 2 km", Unit.DISTANCE, 500, at_least=0, below=2000),
    PriceLine("LOIN", "De 2 à 9 km", Unit.DISTANCE, 800, at_least=2000, below=9000),
    PriceLine("DOSSIER", "Par commande", Unit.ORDER, 200),
)
DEARER = (
    PriceLine("LOIN", "De 0 à 9 km", Unit.DISTANCE, 900, at_least=0, below=9000),
    PriceLine("MIDI", "De midi à 14 h", Unit.HOURS, 100, at_least=720, below=840),
    PriceLine("URGENT", "Moins d'une heure avant", Unit.URGENT, 50, at_least=0, below=60),
)


def test_a_leg_is_priced_by_its_distance_and_again_by_another_list(either_database: Database) -> None:
    contract = register(either_database, a_contract(), BANDS)
    order = an_order(contract, legs=[a_leg_to_price(number, loads={}) for number in (1, 2)])
    placed = order_placed(order)
    for leg in placed.legs:
        leg.pickup.latitude, leg.pickup.longitude = 47.20, -1.55
        leg.drop.latitude, leg.drop.longitude = (47.23, -1.55) if leg.number == 1 else (47.201, -1.55)
        leg.pickup.window_start.CopyFrom(stamp(NOON + timedelta(minutes=30)))  # 13 h 30 in Paris
    clock.set_now(NOON)
    try:
        hear(either_database, placed)
    finally:
        clock.reset()
    with either_database.view() as view:
        legs = queries.list_charges(view, Sight(), ChargeFilter(order_id=order.id), limit=5)
    assert [[line.code for line in leg.estimate.lines] for leg in legs] == [["LOIN", "DOSSIER"], ["PRES"]]
    assert [leg.leg_facts.metres for leg in legs] == [3336, 111]
    with either_database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 10), DEARER)
    with either_database.view() as view:
        legs = queries.list_charges(view, Sight(), ChargeFilter(order_id=order.id), limit=5)
    assert [leg.held_cents for leg in legs] == [1050, 1050]


def test_every_unit_stands_on_an_e_invoice(database: Database) -> None:
    lines = (
        PriceLine("DOSSIER", "Par commande", Unit.ORDER, 200),
        PriceLine("ARRET", "Par arrêt", Unit.STOP, 150),
        PriceLine("PRES", "Moins de 9 km", Unit.DISTANCE, 500, at_least=0, below=9000),
        PriceLine("MATIN", "Avant 15 h", Unit.HOURS, 100, at_least=0, below=900),
        PriceLine("WE", "Samedi ou dimanche", Unit.SATURDAY_OR_SUNDAY, 300),
        PriceLine("URGENT", "Moins d'une heure avant", Unit.URGENT, 50, at_least=0, below=60),
    )
    contract = register(database, a_contract(), lines)
    order = an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 15), {})])
    placed = order_placed(order)
    placed.legs[0].pickup.latitude, placed.legs[0].pickup.longitude = 47.20, -1.55
    placed.legs[0].drop.latitude, placed.legs[0].drop.longitude = 47.23, -1.55
    placed.legs[0].pickup.window_start.CopyFrom(stamp(NOON + timedelta(minutes=30)))
    hear(database, placed)
    settle(database, handed_over(order.id))
    with database.transaction() as tx:
        closing = use_cases.close_month(tx, contract.id, Month(2026, 11), at=datetime(2026, 12, 2, tzinfo=UTC))
    (statement,) = closing.statements
    assert [(item.code, item.quantity, item.amount_cents) for item in statement.items] == [
        ("ARRET", 2, 300),
        ("DOSSIER", 1, 200),
        ("MATIN", 1, 100),
        ("PRES", 1, 500),
        ("URGENT", 1, 50),
        ("WE", 1, 300),
    ]
    with database.view() as view:
        kept = Documents(view).get(statement.id, "ubl")
        rows = documents.as_csv(statement, queries.lines_of(view, statement.id)).decode("utf-8-sig")
    assert kept is not None, "it passed every layer"
    assert Reading.of(kept.content).figures.net == Decimal("14.50")
    assert ";commande;" in rows
    assert ";arrêt;" in rows
