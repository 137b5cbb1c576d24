from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import PlanNotReady, PlanNotSolving, PlanStale
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.plan import LeftOut, Plan, PlannedDelivery, PlanState, aboard
from services.dispatch.domain.reach import EVERYTHING, NOTHING, Reach
from services.dispatch.domain.round import Round, RoundState
from tests.dispatch.builders import NOW, TODAY, a_delivery, a_round, a_stop, at

ERDRE, LOIRE = Reach("erdre"), Reach("loire")
ONE, TWO, THREE = (a_delivery(number) for number in (1, 2, 3))


def a_draft_round(delivery: Delivery, cooperative_id: str, shift_id: str) -> Round:
    stops = tuple(a_stop(kind, delivery.id) for kind in StopKind)
    return a_round(
        id=f"round-{shift_id}",
        cooperative_id=cooperative_id,
        shift_id=shift_id,
        shift_print="print",
        stops=stops,
        state=RoundState.DRAFT,
        published_at=None,
    )


def a_plan() -> Plan:
    """One delivery each for two cooperatives, a third that is left out."""
    asked = Plan("plan", TODAY, "erdre", "Régie", NOW, 1.0)
    return asked.begin(at=NOW).draft(
        [PlannedDelivery(delivery.id, 1, ("erdre", "loire")) for delivery in (ONE, TWO, THREE)],
        ["a", "b"],
        [a_draft_round(ONE, "erdre", "a"), a_draft_round(TWO, "loire", "b")],
        [LeftOut(THREE.id, ("window",), "Trop serré.")],
        at=NOW,
    )


DELIVERIES = {delivery.id: delivery for delivery in (ONE, TWO, THREE)}
PRINTS = {"a": "print", "b": "print"}


def test_each_cooperative_publishes_its_own_rounds() -> None:
    plan, published, left_out = a_plan().publish(ERDRE, DELIVERIES, PRINTS, at=NOW)
    assert [round_.cooperative_id for round_ in published] == ["erdre"]
    assert [item.delivery_id for item in left_out] == [THREE.id]
    assert plan.state is PlanState.DRAFT
    plan, published, left_out = plan.publish(LOIRE, DELIVERIES, PRINTS, at=NOW)
    assert [round_.cooperative_id for round_ in published] == ["loire"]
    assert left_out == ()  # told once
    assert plan.state is PlanState.PUBLISHED


def test_publishing_twice_publishes_nothing_more() -> None:
    plan, _, _ = a_plan().publish(EVERYTHING, DELIVERIES, PRINTS, at=NOW)
    _, published, left_out = plan.publish(EVERYTHING, DELIVERIES, PRINTS, at=NOW)
    assert (published, left_out) == ((), ())


@pytest.mark.parametrize(
    ("deliveries", "prints", "kinds"),
    [
        (DELIVERIES | {ONE.id: replace(ONE, state=DeliveryState.CANCELLED)}, PRINTS, ["delivery-cancelled"]),
        (DELIVERIES | {ONE.id: replace(ONE, state=DeliveryState.PLANNED)}, PRINTS, ["delivery-planned"]),
        (DELIVERIES | {ONE.id: replace(ONE, edition=2)}, PRINTS, ["delivery-amended"]),
        (DELIVERIES, {"a": "other", "b": "print"}, ["shift-changed"]),
        (DELIVERIES, {"b": "print"}, ["shift-changed"]),
        (DELIVERIES | {ONE.id: replace(ONE, edition=2)}, {}, ["shift-changed", "delivery-amended"]),
    ],
)
def test_a_stale_draft_is_not_published_and_says_what_changed(
    deliveries: dict[DeliveryId, Delivery], prints: dict[str, str], kinds: list[str]
) -> None:
    with pytest.raises(PlanStale) as refusal:
        a_plan().publish(ERDRE, deliveries, prints, at=NOW)
    changes = refusal.value.facts["changes"]
    assert isinstance(changes, list)
    assert [change["kind"] for change in changes] == kinds


@pytest.mark.parametrize(
    ("now", "told"),
    [(at(9, 16), "16 min"), (at(14), "5 h"), (at(9, day=TODAY + timedelta(days=1)), "24 h")],
)
def test_a_draft_whose_first_stop_has_passed_is_not_published(now: datetime, told: str) -> None:
    with pytest.raises(PlanStale) as refusal:
        a_plan().publish(ERDRE, DELIVERIES, PRINTS, at=now)
    assert refusal.value.facts["changes"] == [
        {
            "kind": "time-passed",
            "shift_id": "a",
            "detail": f"le premier arrêt d'une tournée (livraison C-0001) est passé depuis {told}",
        }
    ]


def test_a_draft_is_published_some_minutes_after_its_first_stop() -> None:
    _, published, _ = a_plan().publish(EVERYTHING, DELIVERIES, PRINTS, at=at(9, 15))
    assert len(published) == 2


def test_a_plan_begins_once_it_is_computed_and_looked_at() -> None:
    asked = Plan("plan", TODAY, "erdre", "Régie", NOW, 30.0)
    assert asked.not_before is None
    assert asked.begin(at=at(14)).not_before == at(14, 10) + timedelta(seconds=30)


def test_rounds_for_which_nothing_changed_are_published_without_the_others() -> None:
    changed = DELIVERIES | {ONE.id: replace(ONE, state=DeliveryState.CANCELLED)}
    with pytest.raises(PlanStale):
        a_plan().publish(EVERYTHING, changed, PRINTS, at=NOW, only=["round-a", "round-b"])
    plan, published, left_out = a_plan().publish(EVERYTHING, changed, PRINTS, at=NOW, only=["round-b"])
    assert [round_.id for round_ in published] == ["round-b"]
    assert [item.delivery_id for item in left_out] == [THREE.id]
    assert plan.state is PlanState.DRAFT
    assert [round_.id for round_ in plan.drafts_within(EVERYTHING)] == ["round-a"]


def test_what_changed_for_another_cooperative_does_not_matter() -> None:
    changed = DELIVERIES | {TWO.id: replace(TWO, state=DeliveryState.CANCELLED)}
    _, published, _ = a_plan().publish(ERDRE, changed, {"a": "print"}, at=NOW)
    assert len(published) == 1


@pytest.mark.parametrize("state", [PlanState.REQUESTED, PlanState.SOLVING, PlanState.FAILED])
def test_only_a_draft_is_published(state: PlanState) -> None:
    with pytest.raises(PlanNotReady):
        replace(a_plan(), state=state).publish(ERDRE, DELIVERIES, PRINTS, at=NOW)


def test_a_plan_that_loses_or_doubles_a_delivery_is_not_kept() -> None:
    plan = replace(a_plan(), state=PlanState.SOLVING)
    for left_out in ([], [LeftOut(THREE.id, (), ""), LeftOut(ONE.id, (), "")]):
        with pytest.raises(ValueError, match="once"):
            plan.draft(plan.inputs, plan.shift_ids, plan.rounds, left_out, at=NOW)


@pytest.mark.parametrize("state", [PlanState.DRAFT, PlanState.PUBLISHED, PlanState.FAILED])
def test_a_plan_that_came_to_an_end_is_not_computed_over(state: PlanState) -> None:
    plan = replace(a_plan(), state=state)
    with pytest.raises(PlanNotSolving):
        plan.begin(at=NOW)
    with pytest.raises(PlanNotSolving):
        plan.fail("Le calcul s'est interrompu.", at=NOW)
    with pytest.raises(PlanNotSolving):
        plan.draft(plan.inputs, plan.shift_ids, plan.rounds, plan.left_out, at=NOW)


def test_a_plan_whose_process_died_is_begun_again() -> None:
    begun = Plan("plan", TODAY, "erdre", "Régie", NOW, 1.0).begin(at=NOW)
    assert begun.begin(at=NOW).state is PlanState.SOLVING


def test_a_plan_concerns_who_asked_and_who_may_ride() -> None:
    plan = a_plan()
    assert plan.concerns(ERDRE)
    assert plan.concerns(LOIRE)
    assert plan.concerns(EVERYTHING)
    assert not plan.concerns(Reach("sevre"))
    assert not plan.concerns(NOTHING)
    assert not Plan("plan", TODAY, "erdre", "Régie", NOW, 1.0).concerns(LOIRE)
    assert not Plan("plan", TODAY, "", "Administration", NOW, 1.0).concerns(NOTHING)


def test_what_is_aboard_adds_up() -> None:
    round_ = a_draft_round(ONE, "erdre", "a")
    stops = [*round_.stops, *(a_stop(kind, TWO.id) for kind in StopKind)]
    nested = replace(round_, stops=(stops[0], stops[2], stops[3], stops[1]))
    assert [stop.aboard_grams for stop in aboard(nested, DELIVERIES).stops] == [24_000, 48_000, 24_000, 0]
    assert [stop.aboard_millilitres for stop in aboard(nested, DELIVERIES).stops] == [120_000, 240_000, 120_000, 0]
