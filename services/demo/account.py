"""The account of a played month: what was asked, held, ridden and invoiced, and whether the three services agree.

Everything is read over HTTP as the administrator, page after page, and compared leg by leg and cent by cent.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from services.demo.house import House
from services.demo.setting import Setting

AGREEING = {
    # state in dispatch -> what billing may have made of it, what orders may show
    "delivered": ({"delivered"}, {"delivered"}),
    "failed": ({"failed_charged", "released"}, {"failed"}),
    "cancelled": ({"cancelled_charged", "released"}, {"cancelled"}),
    "lapsed": ({"released"}, {"lapsed"}),
}
"""What the three services must say of a leg that has ended."""


def to_cents(amount: str | None) -> int:
    """Read decimal text with two decimals as cents; nothing is zero."""
    if not amount:
        return 0
    whole, _, part = amount.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return int(whole) * 100 + sign * int(part.ljust(2, "0")[:2] or 0)


def euros(amount_cents: int) -> str:
    """Write cents the French way."""
    text = f"{abs(amount_cents) // 100:,}".replace(",", "\u202f") + f",{abs(amount_cents) % 100:02d}\u00a0€"
    return f"-{text}" if amount_cents < 0 else text


@dataclass(slots=True)
class Account:
    """A month's figures and everything the services disagree about (nothing, when all is well)."""

    month: str
    counts: Counter[str] = field(default_factory=Counter)
    held_cents: int = 0
    owed_cents: int = 0
    invoiced_cents: int = 0
    left_cents: Mapping[str, int] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)

    @property
    def is_balanced(self) -> bool:
        """Whether orders, dispatch and billing agree on every leg and every cent."""
        return not self.disagreements

    def lines(self) -> list[str]:
        """Return the account as printed lines."""
        rows = [
            ("Commandes demandées", str(self.counts["asked"])),
            ("  engagées", str(self.counts["held"])),
            ("  refusées (plafond)", str(self.counts["refused"])),
            ("Trajets remis", str(self.counts["delivered"])),
            ("  en échec", str(self.counts["failed"])),
            ("  annulés", str(self.counts["cancelled"])),
            ("  périmés", str(self.counts["lapsed"])),
            ("  à venir", str(self.counts["open"])),
            ("Engagé, à venir", euros(self.held_cents)),
            ("Dû, pas encore facturé", euros(self.owed_cents)),
            ("Facturé (hors taxes)", euros(self.invoiced_cents)),
            *((f"Reste du marché {reference}", euros(cents)) for reference, cents in self.left_cents.items()),
        ]
        width = max(len(label) for label, _ in rows)
        verdict = (
            "Rapprochement : les trois bases s'accordent, au centime."
            if self.is_balanced
            else f"Rapprochement : {len(self.disagreements)} désaccords."
        )
        return [
            f"Compte du mois {self.month}",
            *(f"{label:<{width}}  {value:>16}" for label, value in rows),
            *self.statements,
            verdict,
            *(f"  ! {line}" for line in self.disagreements[:20]),
        ]


def draw_up(house: House, setting: Setting, first: date, *, tell: Callable[[str], None]) -> Account:
    """Read the three services and return the account, telling it line by line."""
    account = Account(f"{first:%Y-%m}")
    orders = list(house.admin.pages("orders", "/v1/orders"))
    deliveries = {(row["order_id"], row["leg"]): row for row in house.admin.pages("dispatch", "/v1/deliveries")}
    charges = {(row["order_id"], row["leg"]): row for row in house.admin.pages("billing", "/v1/charges")}
    compare_legs(account, orders, deliveries, charges)
    compare_money(account, house, setting, orders, charges)
    for line in account.lines():
        tell(line)
    return account


def compare_legs(
    account: Account,
    orders: list[dict[str, Any]],
    deliveries: dict[tuple[str, int], dict[str, Any]],
    charges: dict[tuple[str, int], dict[str, Any]],
) -> None:
    """Every leg is known to all three under states that agree, or refused by billing and known so."""
    known: set[tuple[str, int]] = set()
    for order in orders:
        account.counts["asked"] += 1
        if order["status"] == "refused":
            account.counts["refused"] += 1
            if any((order["id"], leg["number"]) in charges for leg in order["legs"]):
                account.disagreements.append(f"{order['reference']} refusée, mais engagée en facturation")
            known.update((order["id"], leg["number"]) for leg in order["legs"])
            continue
        account.counts["held"] += 1
        for leg in order["legs"]:
            key = (order["id"], leg["number"])
            known.add(key)
            compare_leg(account, f"{order['reference']}/{leg['number']}", leg, deliveries.get(key), charges.get(key))
    for name, rows in (("exploitation", deliveries), ("facturation", charges)):
        account.disagreements.extend(f"{key} inconnu des commandes, connu en {name}" for key in rows.keys() - known)


def compare_leg(
    account: Account, name: str, leg: dict[str, Any], delivery: dict[str, Any] | None, charge: dict[str, Any] | None
) -> None:
    """Compare one leg in the three services."""
    if delivery is None or charge is None:
        account.disagreements.append(f"{name} : absent de l'exploitation ou de la facturation")
        return
    state = delivery["state"]
    if state not in AGREEING:
        account.counts["open"] += 1
        if charge["settled"] is not None:
            account.disagreements.append(f"{name} : {state} en exploitation, mais soldé en facturation")
        return
    account.counts[state] += 1
    outcomes, statuses = AGREEING[state]
    outcome = (charge["settlement"] or {}).get("outcome")
    if outcome not in outcomes or leg["status"] not in statuses:
        account.disagreements.append(
            f"{name} : {state} en exploitation, {outcome} en facturation, {leg['status']} en commande"
        )
    settled = leg["settled"]["amount"] if leg["settled"] else None
    if settled != charge["settled"]:
        account.disagreements.append(f"{name} : {settled} en commande, {charge['settled']} en facturation")


def compare_money(
    account: Account,
    house: House,
    setting: Setting,
    orders: list[dict[str, Any]],
    charges: dict[tuple[str, int], dict[str, Any]],
) -> None:
    """Ceilings, held, owed and invoiced amounts, statements and charges must all come to the same sums."""
    left = {}
    for reference, contract_id in setting.contracts.items():
        use = house.admin.get("billing", f"/v1/contracts/{contract_id}/consumption")
        own = [charge for charge in charges.values() if charge["contract_id"] == contract_id]
        held = sum(to_cents(charge["held"]) for charge in own if charge["settled"] is None)
        owed = sum(to_cents(charge["settled"]) for charge in own if charge["settled"] and not charge["statement_id"])
        invoiced = sum(to_cents(charge["settled"]) for charge in own if charge["statement_id"])
        for name, sum_of_charges in (("held", held), ("owed", owed), ("invoiced", invoiced)):
            if to_cents(use[name]) != sum_of_charges:
                account.disagreements.append(
                    f"{reference} : {name} {use[name]} au plafond, {euros(sum_of_charges)} en lignes"
                )
        if to_cents(use["ceiling"]) != held + owed + invoiced + to_cents(use["left"]) or to_cents(use["left"]) < 0:
            account.disagreements.append(f"{reference} : le plafond n'est pas la somme de ses parts")
        if not use["is_balanced"]:
            account.disagreements.append(f"{reference} : le grand livre ne s'équilibre pas")
        account.held_cents += held
        account.owed_cents += owed
        account.invoiced_cents += invoiced
        left[reference] = to_cents(use["left"])
    account.left_cents = left
    asked = sum(to_cents(order["held"]) for order in orders if order["status"] != "refused")
    charged = sum(to_cents(charge["held"]) for charge in charges.values())
    if asked and asked != charged:
        account.disagreements.append(f"engagé {euros(asked)} en commandes, {euros(charged)} en facturation")
    total = 0
    for statement in house.admin.pages("billing", "/v1/statements"):
        total += to_cents(statement["net"])
        account.statements.append(
            f"État {statement['number']} de {statement['seller']['name']}, {statement['legs']} trajets : "
            f"{euros(to_cents(statement['net']))} HT, {euros(to_cents(statement['gross']))} TTC"
        )
    if total != account.invoiced_cents:
        account.disagreements.append(f"états {euros(total)}, lignes facturées {euros(account.invoiced_cents)}")
