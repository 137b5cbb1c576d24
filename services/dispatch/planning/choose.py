"""Choosing a plan, or a part of one, from routes that are known; nothing here makes a route.

CP-SAT chooses under the rules that couple vehicles, SCIP where routes only share requests and vehicles.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ortools.linear_solver.python import model_builder
from ortools.sat.python import cp_model

from services.dispatch.planning.problem import Objective, RoutingProblem

LARGEST_VALUE = 2**60
"""What the solver is to minimise must stay inside 64 bits."""

MOST_CANDIDATES = 4_000
"""Of a larger pool those are weighed that the linear relaxation likes best: from more, seconds are not enough."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route that can be ridden: by `vehicle` or any other of its class, serving `requests` (all of them indices).

    `price` is the route's own: the vehicle's fixed price, rides and lateness. `hubs` are the hub limits whose point it
    calls at.
    """

    vehicle: int
    requests: frozenset[int]
    price: int
    day_seconds: int = 0
    hubs: frozenset[int] = frozenset()


def vehicle_classes(problem: RoutingProblem) -> tuple[int, ...]:
    """Return a number for each vehicle; those of one number ride each other's routes, and no rule tells them apart."""
    named: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for index, request in enumerate(problem.requests):
        for vehicle_id in (*(request.allowed_vehicles or ()), *request.forbidden_vehicles):
            named[vehicle_id].append(("request", index))
        if request.locked_to is not None:
            named[request.locked_to].append(("lock", index))
    for index, limit in enumerate(problem.fleet_limits):
        for vehicle_id in limit.vehicles:
            named[vehicle_id].append(("limit", index))
    numbers: dict[object, int] = {}
    return tuple(
        numbers.setdefault((replace(vehicle, id=""), frozenset(named[vehicle.id])), len(numbers))
        for vehicle in problem.vehicles
    )


def choose(
    problem: RoutingProblem,
    pool: Sequence[Candidate],
    *,
    seconds: float,
    seed: int = 0,
    hint: Sequence[int] = (),
    workers: int = 1,
    deterministic: float | None = None,
) -> list[int] | None:
    """Return the indices of candidates that make a better plan, by `plan.rank`, than `hint`; None where none is found.

    Each request is served once or left out, locked requests are served, a class has no more routes than vehicles;
    shares, fleet and hub limits hold. `hint` are the indices of a plan known already; where that breaks one of these
    rules, any plan that keeps them is better. `deterministic` bounds the work in CP-SAT's own unit (about a second):
    with one worker, and `seconds` long enough, the same pool and seed give the same answer. None also where the prices
    are too large to be weighed in one number.

    Source: set partitioning over the routes of a search, as Subramanian, Uchoa and Ochi (2013) do.
    """
    began = time.monotonic()
    choice = _Choice(problem, pool, hint)
    if choice.largest_value > LARGEST_VALUE:
        return None
    if len(choice.kept) > MOST_CANDIDATES:
        promising = _most_promising(choice, seconds / 2)
        if promising is None:
            return None
        choice.keep_only(promising)
    model, used = _model(choice)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.0, seconds - (time.monotonic() - began))
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = workers
    solver.parameters.catch_sigint_signal = False  # it would end the process at the next Ctrl-C, plan and all
    # Set partitioning is won by its linear relaxation; without all of it, half a minute does not do what a second does.
    solver.parameters.linearization_level = 2
    solver.parameters.add_lp_constraints_lazily = False
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    solver.parameters.subsolvers.append("max_lp")
    if deterministic is not None:
        solver.parameters.max_deterministic_time = deterministic
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    if choice.known_value is not None and round(solver.objective_value) >= choice.known_value:
        return None
    return [index for index, literal in used.items() if solver.boolean_value(literal)]


def partition(
    sets: Sequence[frozenset[int]],
    prices: Sequence[int],
    *,
    classes: Sequence[int],
    free: Mapping[int, int],
    most: int,
    known: Sequence[int],
    seconds: float,
    nodes: int,
) -> list[int] | None:
    """Return the indices of sets that together serve each request once, at a lower price than the `known` ones.

    None where none are found. At most so many of a class as it has `free`, and `most` in all. `seconds` and `nodes`
    bound the solver: with enough seconds, the same is found again.
    """
    model = model_builder.Model()  # type: ignore[no-untyped-call]
    used = [model.new_bool_var("") for _ in sets]
    serving: dict[int, list[model_builder.Variable]] = defaultdict(list)
    of_class: dict[int, list[model_builder.Variable]] = defaultdict(list)
    for one, number, literal in zip(sets, classes, used, strict=True):
        of_class[number].append(literal)
        for request in one:
            serving[request].append(literal)
    for literals in serving.values():
        model.add(model_builder.LinearExpr.sum(literals) == 1)
    for number, literals in of_class.items():
        model.add(model_builder.LinearExpr.sum(literals) <= free.get(number, 0))
    model.add(model_builder.LinearExpr.sum(used) <= most)
    unit = max(prices) / 1_000 or 1.0
    model.minimize(model_builder.LinearExpr.weighted_sum(used, [price / unit for price in prices]))
    inside = set(known)
    for index, literal in enumerate(used):
        model.add_hint(literal, float(index in inside))
    solver = model_builder.Solver("scip")
    solver.set_time_limit_in_seconds(seconds)
    # By default it is content a ten-thousandth from the best.
    solver.set_solver_specific_parameters(f"limits/nodes = {nodes}\nlimits/gap = 0")
    if solver.solve(model) not in (model_builder.SolveStatus.OPTIMAL, model_builder.SolveStatus.FEASIBLE):
        return None
    chosen = [index for index, literal in enumerate(used) if solver.value(literal) > 0.5]
    return chosen if sum(prices[index] for index in chosen) < sum(prices[index] for index in known) else None


class _Choice:
    """What may be chosen, what that adds to the value to minimise, and what is known.

    `kept` are the candidates to choose from, `known` those of the hint. `limits` has every "at most": what each
    candidate uses of it, and how much there is. `shares` has what each serves for a group, and how much that should
    be. `known_value` is the hint's value, None where it breaks a rule.
    """

    def __init__(self, problem: RoutingProblem, pool: Sequence[Candidate], hint: Sequence[int]) -> None:
        self.problem = problem
        self.pool = pool
        self._classes = vehicle_classes(problem)
        stand_ins = self._cheapest_alike()
        self.kept = sorted(set(stand_ins))
        self.known = {stand_ins[index] for index in hint}
        self.served = {request for index in hint for request in pool[index].requests}
        self.limits = [*self._limits()]
        self.shares = [(self._served_by(share.group), problem.least(share)) for share in problem.shares]
        absent = [request for request in range(len(problem.requests)) if request not in self.served]
        is_allowed = (
            sum(len(pool[index].requests) for index in hint) == len(self.served)
            and not any(problem.requests[request].locked_to is not None for request in absent)
            and all(sum(uses.get(index, 0) for index in self.known) <= most for uses, most in self.limits)
        )
        is_complete = is_allowed and not absent
        self.most_left_out = len(absent) if is_allowed else len(problem.requests)
        self.most_used = len(hint) if is_complete else min(len(problem.vehicles), len(problem.requests))
        self._weigh()
        self.known_value = self._value(hint, absent) if is_allowed else None

    def keep_only(self, kept: Sequence[int]) -> None:
        """Choose from these and the hint."""
        self.kept = sorted({*kept, *self.known})
        inside = set(self.kept)
        self.limits = [({i: use for i, use in uses.items() if i in inside}, most) for uses, most in self.limits]
        self.shares = [({i: use for i, use in uses.items() if i in inside}, least) for uses, least in self.shares]

    @property
    def serving(self) -> list[list[int]]:
        """The candidates that serve each request."""
        serving: list[list[int]] = [[] for _ in self.problem.requests]
        for index in self.kept:
            for request in self.pool[index].requests:
                serving[request].append(index)
        return serving

    def _cheapest_alike(self) -> list[int]:
        """Return for each candidate the cheapest one that does the same."""
        best: dict[object, int] = {}
        is_balanced = self.problem.prices.balance_per_second > 0
        keys = []
        for index, one in enumerate(self.pool):
            keys.append((self._classes[one.vehicle], one.requests, one.hubs, is_balanced and one.day_seconds))
            if one.price < self.pool[best.setdefault(keys[-1], index)].price:
                best[keys[-1]] = index
        return [best[key] for key in keys]

    def _limits(self) -> Iterator[tuple[Mapping[int, int], int]]:
        problem, pool = self.problem, self.pool
        of_class: dict[int, dict[int, int]] = defaultdict(dict)
        for index in self.kept:
            of_class[self._classes[pool[index].vehicle]][index] = 1
        vehicles = Counter(self._classes)
        yield from ((of_class[number], vehicles[number]) for number in sorted(of_class))
        for limit in problem.fleet_limits:
            inside = [vehicle.id in limit.vehicles for vehicle in problem.vehicles]
            yield {index: 1 for index in self.kept if inside[pool[index].vehicle]}, limit.at_most
        for number, hub in enumerate(problem.hub_limits):
            yield {index: 1 for index in self.kept if number in pool[index].hubs}, hub.at_most
        for share in problem.shares:
            yield self._served_by(share.group), problem.most(share)

    def _served_by(self, group: str) -> dict[int, int]:
        inside = [vehicle.group == group for vehicle in self.problem.vehicles]
        return {index: len(self.pool[index].requests) for index in self.kept if inside[self.pool[index].vehicle]}

    def _weigh(self) -> None:
        """Set what each candidate used and each request left out adds to the value."""
        problem = self.problem
        prices = [problem.left_out_price(request) for request in problem.requests]
        largest = sum(sorted(self.pool[index].price for index in self.kept)[-self.most_used :])
        largest += sum(sorted(prices)[len(prices) - self.most_left_out :])
        largest += sum(problem.prices.below_share * least for _, least in self.shares)
        self.longest_day = max((self.pool[index].day_seconds for index in self.kept), default=0)
        largest += problem.prices.balance_per_second * self.longest_day
        self._vehicle = left_out = 0
        if problem.objective is Objective.VEHICLES_FIRST:
            self._vehicle = largest + 1
            left_out = self._vehicle * (self.most_used + 1)
        self.largest_value = largest + self._vehicle * self.most_used + left_out * self.most_left_out
        self.used_weights = {index: self.pool[index].price + self._vehicle for index in self.kept}
        self.left_out_weights = [price + left_out for price in prices]

    def _value(self, hint: Sequence[int], absent: Sequence[int]) -> int:
        """Return what `_model` would make of the hint."""
        prices = self.problem.prices
        days = [self.pool[index].day_seconds for index in hint] or [0]
        below = [max(0, least - sum(uses.get(index, 0) for index in self.known)) for uses, least in self.shares]
        return (
            sum(self.pool[index].price + self._vehicle for index in hint)
            + sum(self.left_out_weights[request] for request in absent)
            + prices.below_share * sum(below)
            + prices.balance_per_second * (max(days) - min(days))
        )


def _most_promising(choice: _Choice, seconds: float) -> list[int] | None:
    """Return the candidates that the linear relaxation uses, then those of least reduced cost; None if it takes longer.

    Prices of days and of shares not reached are not in it.
    """
    model = model_builder.Model()  # type: ignore[no-untyped-call]
    unit = max(choice.used_weights.values()) / 1_000 or 1.0
    used = {index: model.new_num_var(0, math.inf, "") for index in choice.kept}
    left_out = [model.new_num_var(0, math.inf, "") for _ in choice.left_out_weights]
    for absent, serving in zip(left_out, choice.serving, strict=True):
        model.add(model_builder.LinearExpr.sum([absent, *(used[index] for index in serving)]) == 1)
    for uses, most in choice.limits:
        terms = [used[index] for index in uses]
        model.add(model_builder.LinearExpr.weighted_sum(terms, list(uses.values())) <= most)
    weights = [weight / unit for weight in (*choice.used_weights.values(), *choice.left_out_weights)]
    model.minimize(model_builder.LinearExpr.weighted_sum([*used.values(), *left_out], weights))
    solver = model_builder.Solver("glop")
    solver.set_time_limit_in_seconds(seconds)
    if solver.solve(model) != model_builder.SolveStatus.OPTIMAL:
        return None
    ranks = {i: (-float(solver.value(used[i])), float(solver.reduced_cost(used[i]))) for i in choice.kept}
    return sorted(choice.kept, key=ranks.__getitem__)[:MOST_CANDIDATES]


def _model(choice: _Choice) -> tuple[cp_model.CpModel, dict[int, cp_model.IntVar]]:
    """Return the model and the literal of each candidate."""
    problem, pool, prices = choice.problem, choice.pool, choice.problem.prices
    model = cp_model.CpModel()
    used = {index: model.new_bool_var("") for index in choice.kept}
    left_out = [model.new_bool_var("") for _ in problem.requests]
    serving = choice.serving

    def total(uses: Mapping[int, int]) -> cp_model.LinearExpr:
        return cp_model.LinearExpr.weighted_sum([used[index] for index in uses], list(uses.values()))

    for request, absent, by in zip(problem.requests, left_out, serving, strict=True):
        model.add_exactly_one([absent, *(used[index] for index in by)])
        if request.locked_to is not None:
            model.add(absent == 0)
    for uses, most in choice.limits:
        if sum(uses.values()) > most:
            model.add(total(uses) <= most)
    value = total({index: choice.used_weights[index] for index in choice.kept})
    value += cp_model.LinearExpr.weighted_sum(left_out, choice.left_out_weights)
    if problem.objective is Objective.VEHICLES_FIRST:
        model.add(sum(left_out) <= choice.most_left_out)
        model.add(sum(used.values()) <= choice.most_used)
    if prices.below_share:
        for uses, least in choice.shares:
            below = model.new_int_var(0, least, "")
            model.add(below + total(uses) >= least)
            value += prices.below_share * below
    if prices.balance_per_second:
        longest, shortest = (model.new_int_var(0, choice.longest_day, "") for _ in range(2))
        model.add(shortest <= longest)
        # Each route serves a request, and each request is in one route: its day is that of the route.
        for absent, by in zip(left_out, serving, strict=True):
            day = total({index: pool[index].day_seconds for index in by})
            model.add(day <= longest)
            model.add(shortest <= day + choice.longest_day * absent)
        value += prices.balance_per_second * (longest - shortest)
    model.minimize(value)
    for index, literal in used.items():
        model.add_hint(literal, index in choice.known)
    for number, absent in enumerate(left_out):
        model.add_hint(absent, number not in choice.served)
    return model, used
