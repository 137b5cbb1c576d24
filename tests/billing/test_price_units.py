"""What an order tells of how far and when is kept with its legs, so that another list can price them again."""

from datetime import date, timedelta

from services.billing import queries
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.queries import ChargeFilter, Sight
from services.kit import clock
from services.kit.database import Database
from tests.billing.builders import (
    NOON,
    a_contract,
    a_leg_to_price,
    an_order,
    hear,
    order_placed,
    publish,
    register,
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
