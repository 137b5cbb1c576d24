from datetime import UTC, date, datetime

import pytest

from services.orders.domain.contract import choose
from services.orders.domain.errors import NoContract, UnknownContract, WhichContract
from tests.orders.builders import CONTRACT, a_contract

DAY = date(2026, 11, 26)


def test_the_only_contract_that_applies_need_not_be_named() -> None:
    closed = a_contract(id="old", ends_on=date(2026, 6, 30))
    assert choose([closed, a_contract()], department_id="proprete", day=DAY, contract_id=None).id == CONTRACT


def test_of_several_one_must_be_named() -> None:
    with pytest.raises(WhichContract) as refused:
        choose([a_contract(), a_contract(id="other")], department_id="proprete", day=DAY, contract_id=None)
    assert refused.value.facts["contracts"] == [CONTRACT, "other"]
    assert (
        choose([a_contract(), a_contract(id="other")], department_id="proprete", day=DAY, contract_id="other").id
        == "other"
    )


def test_a_contract_that_is_not_open_to_the_department_does_not_exist_for_it() -> None:
    with pytest.raises(UnknownContract):
        choose([a_contract()], department_id="culture", day=DAY, contract_id=CONTRACT)
    with pytest.raises(NoContract):
        choose([a_contract()], department_id="culture", day=DAY, contract_id=None)


def test_outside_its_period_a_contract_does_not_apply() -> None:
    for contract_id in (None, CONTRACT):
        with pytest.raises(NoContract):
            choose([a_contract()], department_id="proprete", day=date(2028, 1, 1), contract_id=contract_id)
    assert a_contract().covers(date(2027, 12, 31))


def test_the_local_day_and_the_cut_off_follow_the_contract() -> None:
    late_evening = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
    assert a_contract().local_day(late_evening) == DAY
    assert a_contract(cutoff_minutes=90).cutoff_at(late_evening) == datetime(2026, 11, 25, 22, 0, tzinfo=UTC)
