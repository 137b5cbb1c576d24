import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.database import Database
from services.kit.errors import DomainError, NotYet, Refusals
from services.kit.events import outbox
from services.kit.events.message import Message
from services.orders import queries
from services.orders.domain.contract import CeilingWarning
from services.orders.domain.errors import ClientReferenceTaken, NoContract, NotFound
from services.orders.domain.order import Actor, Flow, Order, Status
from services.orders.domain.recurrence import Pause
from services.orders.domain.recurring_request import RecurringRequest
from services.orders.domain.site import SiteTerms
from services.orders.queries import OrderFilter
from services.orders.repository import Contracts, Orders, RecurringRequests, Sites
from services.orders.tables import metadata
from services.orders.use_cases import orders as order_cases
from services.orders.use_cases import recurring_requests as request_cases
from services.orders.use_cases import registers
from services.orders.use_cases.orders import Asked
from tests.orders.builders import (
    CONTRACT,
    DEPARTMENT,
    LAUNDRY,
    NOW,
    SCHOOL,
    TODAY,
    a_contract,
    a_recurrence,
    a_site,
    codes,
    legs_of,
    some_terms,
)
from tests.orders.conftest import furnish

HORIZON = 35


@pytest.fixture
def furnished(either_database: Database) -> Iterator[Database]:
    with either_database.transaction() as tx:
        furnish(tx)
    yield either_database


def asked(flow: Flow = Flow.ONE_WAY, department_id: str = DEPARTMENT, **changes: object) -> Asked:
    return replace(Asked(department_id, flow, legs_of(flow)), **changes)  # type: ignore[arg-type]


def place(database: Database, wanted: Asked | None = None) -> Order:
    with database.transaction() as tx:
        return order_cases.place_order(tx, wanted or asked(), actor=Actor.DEPARTMENT, at=NOW)[0]


def all_orders(database: Database) -> list[Order]:
    with database.view() as view:
        return queries.list_orders(view, OrderFilter(), limit=1_000)


def said(database: Database) -> list[Message]:
    with database.view() as view:
        return [pending.message for pending in outbox.pending(view, 1_000)]


def create(database: Database, at: datetime = NOW, **changes: object) -> RecurringRequest:
    with database.transaction() as tx:
        terms = replace(some_terms(), **changes)  # type: ignore[arg-type]
        return request_cases.create(tx, DEPARTMENT, terms, horizon_days=HORIZON, at=at)[0]


# Orders


def test_an_order_is_kept_and_told(furnished: Database) -> None:
    order = place(furnished, asked(Flow.EXCHANGE, note="sonner", client_reference="L-1"))
    assert order.reference == "CMD-2026-000001"
    assert place(furnished).reference == "CMD-2026-000002"
    with furnished.view() as view:
        assert queries.get_order(view, order.id, DEPARTMENT) == order
        assert [step.what for step in queries.history(view, order.id)] == ["placed"]
    first = said(furnished)[0]
    assert (first.type, first.subject, first.source) == ("orders.v1.OrderPlaced", order.id, "/orders")


def test_what_is_wrong_is_told_at_once_and_nothing_is_kept(furnished: Database) -> None:
    place(furnished, asked(client_reference="L-1"))
    elsewhere = replace(legs_of(Flow.ONE_WAY)[0], drop=replace(legs_of(Flow.ONE_WAY)[0].drop, site_id="nowhere"))
    with pytest.raises(Refusals) as refused:
        place(furnished, asked(client_reference="L-1", legs=(elsewhere,), contract_id="unknown"))
    assert codes(refused.value) == [
        ("unknown-site", "/legs/0/drop/site_id"),
        ("unknown-contract", "/contract_id"),
        ("client-reference-taken", "/client_reference"),
    ]
    assert len(all_orders(furnished)) == 1


def test_a_client_reference_is_unique_per_department(furnished: Database) -> None:
    first = place(furnished, asked(client_reference="L-1"))
    with pytest.raises(ClientReferenceTaken) as refused:
        place(furnished, asked(client_reference="L-1"))
    assert refused.value.facts["order_id"] == first.id


def test_a_department_cannot_use_the_sites_of_another(furnished: Database) -> None:
    with pytest.raises(DomainError) as refused:
        place(furnished, asked(department_id="voirie"))
    assert {code for code, _ in codes(refused.value)} == {"unknown-site"}


def test_every_leg_must_fall_into_the_contract(furnished: Database) -> None:
    with furnished.transaction() as tx:
        Contracts(tx).put(tx, a_contract(ends_on=date(2026, 11, 26)))
    with pytest.raises(NoContract) as refused:
        place(furnished, asked(Flow.LOAN))
    assert refused.value.pointer == "/legs/1/pickup/window/start"


def test_an_order_of_another_department_does_not_exist(furnished: Database) -> None:
    order = place(furnished)
    with furnished.view() as view, pytest.raises(NotFound):
        queries.get_order(view, order.id, "voirie")
    with furnished.transaction() as tx, pytest.raises(NotFound):
        Orders(tx).get(order.id, "")


def test_a_fact_about_an_unknown_order_must_wait(furnished: Database) -> None:
    with furnished.transaction() as tx, pytest.raises(NotYet):
        order_cases.hear(tx, "unknown", lambda order: order.held(1, at=NOW))


def test_what_happened_to_an_order_survives_storing(furnished: Database) -> None:
    order = place(furnished, asked(Flow.LOAN))
    with furnished.transaction() as tx:
        order_cases.hear(tx, order.id, lambda known: known.held(2500, at=NOW))
        order = order_cases.cancel_order(tx, Orders(tx).get(order.id, None), None, "plus besoin", at=NOW)
        order = order_cases.hear(tx, order.id, lambda known: known.cancelled(1, is_late=False, at=NOW))
    assert [message.type for message in said(furnished)] == [
        "orders.v1.OrderPlaced",
        "orders.v1.OrderCancelled",
        "orders.v1.OrderCancelled",
    ]
    with furnished.view() as view:
        kept = queries.get_order(view, order.id, None)
        steps = [step.what for step in queries.history(view, order.id)]
    assert kept == order
    assert [leg.status for leg in kept.legs] == [Status.CANCELLED, Status.CANCELLING]
    assert steps == ["placed", "accepted", "cancellation-asked", "cancelled", "cancellation-asked"]


def test_contacts_of_old_orders_are_forgotten_and_nothing_else(furnished: Database) -> None:
    order = place(furnished)
    assert order.legs[0].drop.contact == "Mme Roy"
    with furnished.transaction() as tx:
        assert Orders(tx).forget_contacts(date(2026, 11, 26)) == 0
        assert Orders(tx).forget_contacts(date(2026, 11, 27)) == 1
        assert Orders(tx).forget_contacts(date(2026, 11, 27)) == 0
    leg = all_orders(furnished)[0].legs[0]
    assert leg.drop == replace(order.legs[0].drop, contact="")
    assert leg.pickup == order.legs[0].pickup


# Registers


def test_an_edited_site_leaves_placed_orders_as_they_were(furnished: Database) -> None:
    order = place(furnished)
    with furnished.transaction() as tx:
        site = Sites(tx).get(SCHOOL, DEPARTMENT, for_update=True)
        registers.edit_site(tx, site, SiteTerms("École neuve", "2 rue", 47.2, -1.5))
    assert all_orders(furnished)[0].legs == order.legs
    assert place(furnished).legs[0].drop.site_name == "École neuve"


def test_an_older_word_about_a_contract_changes_nothing_and_warnings_stay(furnished: Database) -> None:
    warning = CeilingWarning(80, 100_000, 20_000, NOW)
    with furnished.transaction() as tx:
        registers.learn_warning(tx, CONTRACT, warning)
        registers.learn_warning(tx, CONTRACT, replace(warning, threshold_percent=50, crossed_at=NOW - timedelta(1)))
        registers.learn_contract(tx, a_contract(title="avenant", registered_at=NOW))
        registers.learn_contract(tx, a_contract(title="ancien", registered_at=NOW - timedelta(days=9999)))
        contract = Contracts(tx).get(CONTRACT)
        with pytest.raises(NotYet):
            registers.learn_warning(tx, "unknown", warning)
    assert (contract.title, contract.warning) == ("avenant", warning)


# Recurring requests


def dates_of(database: Database) -> list[str]:
    return [str(order.occurrence_date) for order in all_orders(database) if order.status is not Status.CANCELLING]


def test_a_new_request_makes_the_orders_of_its_horizon_at_once(furnished: Database) -> None:
    create(furnished)
    dates = dates_of(furnished)
    # Today's pickup is from 8 to 10, local time, and it is 10 now; Christmas is a holiday.
    assert dates == [
        "2026-11-27", "2026-12-01", "2026-12-04", "2026-12-08", "2026-12-11", "2026-12-15", "2026-12-18",
        "2026-12-22", "2026-12-29",
    ]  # fmt: skip
    assert [message.type for message in said(furnished)] == ["orders.v1.OrderPlaced"] * 9


def test_generating_again_makes_nothing_and_later_makes_only_what_is_new(furnished: Database) -> None:
    request = create(furnished)
    for days in (0, 0, 3, 3, 12, 5):
        with furnished.transaction() as tx:
            request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW + timedelta(days=days))
    dates = dates_of(furnished)
    assert len(dates) == len(set(dates))
    assert dates[-1] == "2027-01-08"


def test_two_generators_at_once_make_each_order_once(furnished: Database) -> None:
    request = create(furnished)
    later = NOW + timedelta(days=60)
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def generate() -> None:
        barrier.wait()
        try:
            with furnished.transaction() as tx:
                known = RecurringRequests(tx).get(request.id, None)  # not locked: the claims alone must hold
                request_cases.unfold(tx, known, horizon_days=HORIZON, at=later)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=generate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    dates = dates_of(furnished)
    assert len(dates) == len(set(dates)) == 9 + 10
    assert len(said(furnished)) == len(dates)
    references = [order.reference for order in all_orders(furnished)]
    assert len(set(references)) == len(references)


def test_a_generator_that_dies_halfway_leaves_nothing_half_done(furnished: Database) -> None:
    request = create(furnished, at=NOW)
    before = dates_of(furnished)
    with pytest.raises(RuntimeError), furnished.transaction() as tx:
        request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW + timedelta(days=20))
        raise RuntimeError("killed")
    assert dates_of(furnished) == before
    with furnished.transaction() as tx:
        again = request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW + timedelta(days=20))
    assert len(again.orders) == 4


@settings(max_examples=15, deadline=None)
@given(runs=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40)), min_size=1, max_size=6))
def test_any_runs_with_any_horizons_make_what_one_run_would(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]]
) -> None:
    runs = sorted(runs)
    made = []
    furthest = max(start + horizon for start, horizon in runs)
    for plan in (runs, [(0, furthest)]):
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('generated')}/orders.db", metadata)
        database.upgrade()
        with database.transaction() as tx:
            furnish(tx)
            RecurringRequests(tx).add(tx, RecurringRequest("r", DEPARTMENT, some_terms(), NOW))
            for start, horizon in plan:
                request_cases.unfold_by_id(tx, "r", horizon_days=horizon, at=NOW + timedelta(days=start))
        made.append(dates_of(database))
        database.dispose()
    by_runs, by_one = made
    assert len(by_runs) == len(set(by_runs))
    assert set(by_runs) <= set(by_one)
    # What only the one run made lay within the horizon of none of the others, or was over by then.
    for due_on in set(by_one) - set(by_runs):
        days = (date.fromisoformat(due_on) - TODAY).days
        assert not any(start < days <= start + horizon for start, horizon in runs)


def test_dates_without_a_contract_are_held_up_with_a_reason_and_made_once_there_is_one(furnished: Database) -> None:
    with furnished.transaction() as tx:
        Contracts(tx).put(tx, a_contract(ends_on=date(2026, 12, 10)))
    request = create(furnished)
    assert dates_of(furnished)[-1] == "2026-12-08"
    assert request.problem.startswith("11/12/2026 : Aucun marché")
    with furnished.transaction() as tx:
        assert RecurringRequests(tx).get(request.id, None).problem == request.problem
        Contracts(tx).put(tx, a_contract())
        assert request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW).problem == ""
        assert RecurringRequests(tx).get(request.id, None).problem == ""
    assert dates_of(furnished)[-1] == "2026-12-29"


def test_a_pause_cancels_what_is_free_and_resuming_makes_it_again(furnished: Database) -> None:
    request = create(furnished)
    with furnished.transaction() as tx:
        paused = request_cases.pause(tx, request, Pause(date(2026, 12, 1), date(2026, 12, 11)), at=NOW)
    assert [str(order.occurrence_date) for order in paused.cancelled] == [
        "2026-12-01", "2026-12-04", "2026-12-08", "2026-12-11"
    ]  # fmt: skip
    assert paused.kept == ()
    with furnished.transaction() as tx:
        again = request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW)
        assert again.orders == ()
        _, unfolded = request_cases.resume(tx, paused.request, date(2026, 12, 8), horizon_days=HORIZON, at=NOW)
    assert [str(order.occurrence_date) for order in unfolded.orders] == ["2026-12-08", "2026-12-11"]
    dates = dates_of(furnished)
    assert len(dates) == len(set(dates))


def test_what_can_no_longer_be_cancelled_for_free_is_kept_and_named(furnished: Database) -> None:
    request = create(furnished)
    the_day_before = datetime.fromisoformat("2026-11-26T12:00:00+01:00")
    with furnished.transaction() as tx:
        paused = request_cases.pause(tx, request, Pause(date(2026, 11, 27), date(2026, 12, 1)), at=the_day_before)
    assert [str(order.occurrence_date) for order in paused.kept] == ["2026-11-27"]
    assert [str(order.occurrence_date) for order in paused.cancelled] == ["2026-12-01"]


def test_ending_keeps_the_past_and_gives_up_the_rest(furnished: Database) -> None:
    request = create(furnished)
    with furnished.transaction() as tx:
        ended = request_cases.end(tx, request, date(2026, 12, 5), at=NOW)
    assert len(ended.cancelled) == 6
    assert dates_of(furnished) == ["2026-11-27", "2026-12-01", "2026-12-04"]
    with furnished.transaction() as tx:
        assert request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW).orders == ()


def test_an_order_cancelled_by_hand_is_not_made_again(furnished: Database) -> None:
    request = create(furnished)
    order = all_orders(furnished)[0]
    with furnished.transaction() as tx:
        order_cases.cancel_order(tx, Orders(tx).get(order.id, None), None, "férié local", at=NOW)
        assert request_cases.unfold_by_id(tx, request.id, horizon_days=HORIZON, at=NOW).orders == ()


def test_a_request_that_cannot_be_right_is_refused_with_all_faults(furnished: Database) -> None:
    with furnished.transaction() as tx, pytest.raises(Refusals) as refused:
        leg = some_terms().legs[0]
        terms = some_terms(
            legs=(replace(leg, drop=replace(leg.drop, site_id="nowhere")),),
            recurrence=a_recurrence("FREQ=HOURLY", zone="Mars/Olympus"),
        )
        request_cases.create(tx, DEPARTMENT, terms, horizon_days=HORIZON, at=NOW)
    assert codes(refused.value) == [
        ("unknown-zone", "/zone"),
        ("unsupported-rule-part", "/rule"),
        ("unknown-site", "/legs/0/drop/site_id"),
    ]


def test_a_request_without_any_contract_is_refused(furnished: Database) -> None:
    with furnished.transaction() as tx:
        Sites(tx).add(tx, a_site("other", "culture"))
        with pytest.raises(DomainError) as refused:
            request_cases.create(tx, "culture", some_terms(), horizon_days=HORIZON, at=NOW)
    assert "unknown-site" in {code for code, _ in codes(refused.value)}
    with furnished.transaction() as tx, pytest.raises(NoContract):
        Contracts(tx).put(tx, a_contract(departments=()))
        request_cases.create(tx, DEPARTMENT, some_terms(), horizon_days=HORIZON, at=NOW)


def test_a_preview_shows_what_comes_and_creates_nothing(furnished: Database) -> None:
    with furnished.view() as view:
        foreseen = request_cases.preview(view, DEPARTMENT, some_terms(), count=10, at=NOW)
    assert len(foreseen) == 10
    assert [each.occurrence.cause for each in foreseen if each.occurrence.day is None] == ["Noël"]
    assert all_orders(furnished) == []


# Lists


def test_lists_are_narrowed_by_site_date_status_and_request(furnished: Database) -> None:
    request = create(furnished)
    single = place(furnished)
    with furnished.transaction() as tx:
        order_cases.hear(tx, single.id, lambda order: order.held(1, at=NOW))
    with furnished.view() as view:

        def found(**wanted: object) -> list[str]:
            return [order.id for order in queries.list_orders(view, OrderFilter(**wanted), limit=100)]  # type: ignore[arg-type]

        assert len(found()) == 10
        assert len(found(department_id="voirie")) == 0
        assert found(statuses=["accepted"]) == [single.id]
        assert found(date_from=date(2026, 11, 26), date_to=date(2026, 11, 26)) == [single.id]
        assert len(found(recurring_request_id=request.id)) == 9
        assert len(found(site_id=LAUNDRY)) == 10
        assert found(site_id="nowhere") == []
        assert queries.count_by_status(view, OrderFilter()) == {"requested": 9, "accepted": 1}
        first = queries.list_orders(view, OrderFilter(), limit=4)
        place_of = (first[-1].legs[0].service_date, first[-1].id)
        rest = queries.list_orders(view, OrderFilter(), after=place_of, limit=100)
        assert [order.id for order in (*first, *rest)] == found()
