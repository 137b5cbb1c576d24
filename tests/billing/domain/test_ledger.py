"""An entry moves something somewhere; accounts sum to zero whatever moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.ledger import Account, Entry, balances_of

accounts = st.sampled_from(Account)


@given(st.lists(st.tuples(accounts, accounts, st.integers(1, 10**9))))
def test_accounts_sum_to_zero_whatever_moved(moved: list[tuple[Account, Account, int]]) -> None:
    assert sum(balances_of(moved).values()) == 0


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_no_entry(amount: int) -> None:
    with pytest.raises(ValueError, match="moves something"):
        Entry("contract", Account.AVAILABLE, Account.HELD, amount, "placed")


def test_nowhere_is_no_entry() -> None:
    with pytest.raises(ValueError, match="moves something"):
        Entry("contract", Account.HELD, Account.HELD, 1, "placed")
