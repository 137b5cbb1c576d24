"""The law of public money: prices, ceilings, charges, statements; no storage, no wire, no clock."""
