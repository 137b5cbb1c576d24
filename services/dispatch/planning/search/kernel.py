"""The inner loop, compiled: tear strings of stops out of neighbouring routes and put them back where they cost least.

Everything is whole numbers in two flat arrays: D is what the problem says and never changes, S is what one search
changes; `layout` names what stands where in them, `arrays` fills them. A route lives in a slot: a change writes into a
fresh slot and leaves the old one as it was, so that undoing is pointing back.

Nodes: the stops of a request one after another, pickups first; then one node for each break; then a start and a home
for each vehicle. A route is start, stops and breaks, home, breaks after coming home.

Sources: SISR, Christiaens and Vanden Berghe (2020), for ruin, recreate, absences and the fleet's reduction; for pickup
and delivery, Sartori and Buriol (2020) and Curtois et al. (2018); for crossing two routes, Potvin and Rousseau (1995).
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from services.dispatch.planning.search.layout import (
    ABSENCES,
    ABSENT,
    ABSENT_NOW,
    ABSENT_PRICE,
    ACTIVE,
    AT,
    BALANCE,
    BELOW_SHARE,
    BREAK,
    BROUGHT,
    BUSY,
    CAME_BY,
    CAME_FROM,
    CAPACITY,
    CLASS,
    CLOCK,
    CLOSED_FROM,
    CLOSED_TO,
    CLOSES,
    CLOSES_RANK,
    COST,
    COST_NOW,
    DAY,
    DIMENSIONS,
    DROP_PRICE,
    EXTRA,
    FAR,
    FIRST,
    FIXED,
    FREE,
    GROUP,
    GROUP_LEAST,
    GROUP_MOST,
    GROUP_SERVED,
    HAS_CLOSURES,
    HAS_EXTRA,
    HAS_LIMITS,
    HAS_RANGE,
    HAS_SLOW,
    HERE,
    HOME,
    HOME_AT,
    HUB_MASK,
    HUB_MOST,
    HUB_USED,
    HUBS,
    IN_LIMIT,
    INFINITE,
    IS_FIRST,
    IS_NARROW,
    KEY,
    KIND,
    LAST,
    LATE,
    LATEST,
    LEAST_DROP,
    LEAVES,
    LEG,
    LEG_PRICE,
    LENGTH,
    LIMIT_MOST,
    LIMIT_USED,
    LIMITS,
    LOAD_RANK,
    LOADS,
    LOCKED,
    LONG,
    MARK,
    MARKS,
    MAY,
    MAY_WIDTH,
    METRES,
    MOVED_MINUTE,
    N_ABSENT,
    N_ACTIVE,
    N_FREE,
    N_GROUPS,
    N_HUBS,
    N_LIMITS,
    N_OLD_ABSENT,
    N_POINTS,
    N_REQUESTS,
    N_STOPS,
    N_TOUCHED,
    N_USED,
    N_VEHICLES,
    NEAR,
    NEAR_MARK,
    NEAR_REQUESTS,
    NEAR_REQUESTS_WIDTH,
    NEAR_WIDTH,
    NEXT,
    NODE,
    NODE_WIDTH,
    NODES,
    NOT_BEFORE,
    OLD_ABSENT,
    OLD_SLOT,
    OPENS,
    OPENS_RANK,
    ORDER,
    PICKUPS,
    PLACE,
    PLACE_OF,
    POINT,
    POSITION_WIDTH,
    POSITIONS,
    PRICE,
    PRICE_TO,
    RANGE,
    REQUEST,
    REQUEST_STATE,
    REQUEST_WIDTH,
    REQUESTS,
    RIDDEN_PRICE,
    RIDDEN_SECONDS,
    RIDE_LIMIT,
    RIDE_WIDTH,
    RIDES,
    RNG,
    SECONDS,
    SECONDS_TO,
    SEEN,
    SEEN_COST,
    SERVED,
    SHIFT_END,
    SHIFT_START,
    SLOT,
    SLOT_WIDTH,
    SLOTS,
    SLOW_PRICE,
    SOFT,
    STEPS_DONE,
    STOP,
    TOLD,
    TOUCHED,
    TRIAL,
    TRIAL_BEST,
    TRIAL_LEG,
    TRIAL_START,
    VEHICLE_OF,
    VEHICLE_STATE,
    VEHICLE_WIDTH,
    VEHICLES,
    VERSION,
    WAS,
    WAS_FROM,
    WAS_START,
    WAS_TO,
    WIDTH,
    WINDOW,
)  # fmt: skip

BY_CHANCE, BY_ABSENCES, LOCKED_FIRST = 0, 8, 9
"""Orders in which requests are put back; 1 to 7 are their measures."""

CONSTRUCT, LOWER, SQUEEZE, LOOSEN = range(4)
"""What `work` can do."""

TOWARDS_ABSENT, OFTEN_ABSENT_FIRST = 0.6, 0.25
"""Where all is to be served: how often room is made around what is absent, and how often what was absent most is put
back first.
"""

WHOLE_ROUTES = 0.01
"""How often all of a route is torn out where using a vehicle costs something."""

MOST_UNDER_WAY = 6.0
"""Routes are not crossed where more requests are under way in both of them: putting those back takes too long."""

OPENS_FREELY = 0.02
"""How often a vehicle's price is left aside where requests are put back, as long as some are absent."""

NEAR_STOPS, FEW_VEHICLES = 8, 8
"""A request is first tried in the vehicles that call at so many of the stops nearest to its own; in all, where none of
these can serve it, or where there are so few.
"""

compiled = njit(cache=True, nogil=True, error_model="numpy")


def _standing(number: Any) -> Any:
    """Return what tells where an array's numbers stand, as numbers of this width.

    That holds for the length of a call: its caller keeps the array. Read there, no index is turned round and no owner
    counted, which took a large part of the time.
    """

    def place(_typing: Any, table: Any) -> Any:
        def built(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            at = arguments[0]
            if isinstance(table, types.Array):
                at = context.make_array(table)(context, builder, at).data
            return builder.bitcast(at, context.get_value_type(pointer))

        pointer = types.CPointer(number)  # type: ignore[no-untyped-call]
        return pointer(table), built

    return intrinsic(place)


_bare, _narrow = _standing(types.int64), _standing(types.int32)


# -- where things are --------------------------------------------------------------------------------------------------


@compiled
def _node(D: Any, node: Any) -> Any:
    return D[NODES] + node * D[NODE_WIDTH]


@compiled
def _request(D: Any, request: Any) -> Any:
    return D[REQUESTS] + request * REQUEST_WIDTH


@compiled
def _vehicle(D: Any, vehicle: Any) -> Any:
    return D[VEHICLES] + vehicle * D[VEHICLE_WIDTH]


@compiled
def _slot(S: Any, slot: Any) -> Any:
    return S[SLOTS] + slot * SLOT_WIDTH


@compiled
def _first_position(D: Any, S: Any, slot: Any) -> Any:
    return S[POSITIONS] + slot * D[WIDTH] * D[POSITION_WIDTH]


@compiled
def _slot_of(S: Any, vehicle: Any) -> Any:
    return S[S[VEHICLE_STATE] + 2 * vehicle + SLOT]


@compiled
def _served_by(S: Any, request: Any) -> Any:
    return S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF]


@compiled
def _leg(D: Any, place: Any) -> Any:
    """Return a number of a matrix; most fit in half a number's room, and what is read most should be small."""
    if D[IS_NARROW]:
        return np.int64(_narrow(D)[place])
    return D[place]


@compiled
def _position_of(D: Any, S: Any, vehicle: Any, node: Any) -> Any:
    """Return where in a vehicle's route a node stands that is there."""
    place, width = _first_position(D, S, _slot_of(S, vehicle)) + NODE, D[POSITION_WIDTH]
    position = 0
    while S[place + position * width] != node:
        position += 1
    return position


@compiled
def _is_pickup(D: Any, node: Any) -> Any:
    at = _node(D, node)
    if D[at + KIND] != STOP:
        return False
    what = _request(D, D[at + REQUEST])
    return node < D[what + FIRST] + D[what + PICKUPS]


# -- chance ------------------------------------------------------------------------------------------------------------


@compiled
def _chance(S: Any) -> Any:
    """Return a number from 0 up to 1 (xorshift64*, Marsaglia 2003, Vigna 2016)."""
    x = np.uint64(S[RNG])
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    S[RNG] = np.int64(x)
    return np.float64((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def _below(S: Any, bound: Any) -> Any:
    """Return a whole number from 0 up to `bound`."""
    return np.int64(_chance(S) * bound)


# -- the clock of one route --------------------------------------------------------------------------------------------


@compiled
def _opens(D: Any, node: Any, seconds: Any) -> Any:
    """Return when a stop can begin for one who is there at that time; too late is after it closes."""
    at = _node(D, node)
    seconds = max(seconds, D[at + OPENS])
    if D[HAS_CLOSURES]:
        for k in range(D[at + CLOSED_FROM], D[at + CLOSED_TO], 2):
            if D[k] <= seconds < D[k + 1]:
                seconds = D[k + 1]
    return seconds


@compiled
def _last(D: Any, node: Any, seconds: Any) -> Any:
    """Return the latest time up to `seconds` at which a stop may begin."""
    at = _node(D, node)
    seconds = min(seconds, D[at + CLOSES])
    if D[HAS_CLOSURES]:
        for k in range(D[at + CLOSED_TO] - 2, D[at + CLOSED_FROM] - 2, -2):
            if D[k] <= seconds < D[k + 1]:
                seconds = D[k] - 1
    return seconds


@compiled
def _slow_times(
    D: Any,
    S: Any,
    vehicle: Any,
    nodes: Any,
    step: Any,
    legs: Any,
    leg_step: Any,
    length: Any,
    starts: Any,
    start_step: Any,
) -> Any:
    """Time a sequence with ride limits and priced times; return what its times cost, -1 where a rule is broken.

    Node k of it stands at S[nodes + k * step], the ride into it at S[legs + k * leg_step]; its start is written to
    S[starts + k * start_step]. The starts are the least that keep every "not before".
    """
    not_before, place_of = S[NOT_BEFORE], S[PLACE_OF]
    own = _vehicle(D, vehicle)
    for k in range(length):
        S[not_before + k] = -INFINITE
        S[place_of + S[nodes + k * step]] = k
    is_kept = False
    for _ in range(1000):
        clock = D[own + SHIFT_START]
        S[starts] = clock
        for k in range(1, length):
            node = S[nodes + k * step]
            at = _node(D, node)
            kind = D[at + KIND]
            if kind == BREAK:
                begin = max(clock, D[at + OPENS])
            elif kind == HOME:
                begin = clock + S[legs + k * leg_step]
            else:
                begin = _opens(D, node, max(clock + S[legs + k * leg_step], S[not_before + k]))
            if begin > D[at + CLOSES]:
                return -1
            S[starts + k * start_step] = begin
            clock = begin + D[at + BUSY]
        if clock > D[own + SHIFT_END]:
            return -1
        is_kept = True
        for k in range(1, length):
            node = S[nodes + k * step]
            at = _node(D, node)
            if D[at + KIND] != STOP:
                continue
            request = _request(D, D[at + REQUEST])
            limit = D[request + RIDE_LIMIT]
            first_drop = D[request + FIRST] + D[request + PICKUPS]
            if limit < 0 or node >= first_drop:
                continue
            for other in range(first_drop, D[request + LAST]):
                place = S[place_of + other]
                if 0 <= place < length and S[nodes + place * step] == other:
                    least = S[starts + place * start_step] - limit - D[at + BUSY]
                    if S[starts + k * start_step] < least and S[not_before + k] < least:
                        S[not_before + k] = least
                        is_kept = False
        if is_kept:
            break
    if not is_kept:
        return -1
    price = 0
    told = D[own + TOLD]
    was, was_to = D[own + WAS_FROM], D[own + WAS_TO]
    is_same = True
    for k in range(1, length):
        node = S[nodes + k * step]
        at = _node(D, node)
        if D[at + KIND] != STOP:
            continue
        begin = S[starts + k * start_step]
        if D[at + LATE] > 0 and begin > D[at + SOFT]:
            price += D[at + LATE] * (begin - D[at + SOFT])
        if D[MOVED_MINUTE] > 0 and D[at + WAS_START] > -INFINITE:
            price += D[MOVED_MINUTE] * ((abs(begin - D[at + WAS_START]) + 59) // 60)
        if was >= was_to or D[D[WAS] + was] != node:
            is_same = False
        was += 1
    if told > 0 and (not is_same or was != was_to):
        price += told
    return price


@compiled
def _refresh(D: Any, S: Any, vehicle: Any, slot: Any) -> Any:
    """Compute everything about a slot from its sequence; return whether it can be ridden."""
    own, row = _vehicle(D, vehicle), _slot(S, slot)
    first, width = _first_position(D, S, slot), D[POSITION_WIDTH]
    length = S[row + LENGTH]
    points = D[N_POINTS]
    seconds, price = D[own + SECONDS], D[own + PRICE]
    dimensions = D[DIMENSIONS]
    at = _node(D, S[first + NODE])
    clock = D[own + SHIFT_START]
    here = D[at + POINT]
    S[first + AT] = clock
    S[first + LEAVES] = clock
    S[first + HERE] = here
    S[first + LEG] = 0
    for d in range(dimensions):
        S[first + LOADS + d] = D[at + WINDOW + d]
    total = D[own + FIXED]
    metres = 0
    served = 0
    mask = 0
    is_used = False
    pending = first  # first position whose next stop is not known yet
    position = first
    for k in range(1, length):
        before = position
        position += width
        at = _node(D, S[position + NODE])
        kind = D[at + KIND]
        if kind == BREAK:
            begin = max(clock, D[at + OPENS])
            S[position + LEG] = 0
        else:
            there = D[at + POINT]
            # As it was ridden last, if it came from there too: a look into the matrix takes longer than all else here.
            ride = S[RIDES] + RIDE_WIDTH * S[position + NODE]
            if S[ride + CAME_FROM] == here and S[ride + CAME_BY] == seconds:
                leg, ridden = S[ride + RIDDEN_SECONDS], S[ride + RIDDEN_PRICE]
            else:
                leg = _leg(D, seconds + here * points + there)
                ridden = _leg(D, price + here * points + there)
                S[ride + CAME_FROM], S[ride + CAME_BY] = here, seconds
                S[ride + RIDDEN_SECONDS], S[ride + RIDDEN_PRICE] = leg, ridden
            S[position + LEG] = leg
            total += ridden
            if D[HAS_RANGE]:
                metres += D[D[METRES] + here * points + there]
            while pending < position:
                S[pending + NEXT] = there
                S[pending + LEG_PRICE] = ridden
                pending += width
            here = there
            if kind == STOP:
                is_used = True
                begin = max(clock + leg, D[at + OPENS])
                if D[HAS_CLOSURES]:
                    begin = _opens(D, S[position + NODE], begin)
                if D[at + IS_FIRST]:
                    served += 1
                    if D[N_HUBS]:
                        mask |= D[_request(D, D[at + REQUEST]) + HUBS]
            else:
                S[row + HOME_AT] = k
                begin = clock + leg
        S[position + HERE] = here
        # A vehicle that serves nothing need not get home in time: what it may serve is still looked up here.
        if begin > D[at + CLOSES] and (is_used or kind != HOME):
            return False
        S[position + AT] = begin
        clock = begin + D[at + BUSY]
        S[position + LEAVES] = clock
        for d in range(dimensions):
            aboard = S[before + LOADS + d] + D[at + WINDOW + d]
            S[position + LOADS + d] = aboard
            # What is aboard from before may be too much; it is no reason not to drop something.
            if aboard > D[own + CAPACITY + d] and _is_pickup(D, S[position + NODE]):
                return False
    if clock > D[own + SHIFT_END] and is_used:
        return False
    if D[HAS_RANGE] and metres > D[own + RANGE] and is_used:
        return False
    limit = D[own + SHIFT_END]
    for k in range(length - 1, -1, -1):
        position = first + k * width
        at = _node(D, S[position + NODE])
        limit -= D[at + BUSY]
        if D[HAS_CLOSURES] and D[at + KIND] == STOP:
            limit = _last(D, S[position + NODE], limit)
        else:
            limit = min(limit, D[at + CLOSES])
        S[position + LATEST] = limit
        limit -= S[position + LEG]
    slow = 0
    if D[HAS_SLOW]:
        slow = _slow_times(D, S, vehicle, first + NODE, width, first + LEG, width, length, first + AT, width)
        if slow < 0:
            return False
        for k in range(1, length):
            position = first + k * width
            S[position + LEAVES] = S[position + AT] + D[_node(D, S[position + NODE]) + BUSY]
    if D[BALANCE] and is_used:
        position = first + width
        while D[_node(D, S[position + NODE]) + KIND] != STOP:
            position += width
        home = first + S[row + HOME_AT] * width
        S[row + DAY] = S[home + AT] - S[position + AT] + S[position + LEG]
    S[row + SLOW_PRICE] = slow
    S[row + COST] = total + slow if is_used else slow
    S[row + SERVED] = served
    S[row + HUB_MASK] = mask
    S[CLOCK] += 1
    S[row + VERSION] = S[CLOCK]
    return True


# -- slots -------------------------------------------------------------------------------------------------------------


@compiled
def _count(D: Any, S: Any, vehicle: Any, sign: Any) -> None:
    """Add a vehicle's route to, or take it from, the sums over all routes."""
    row = _slot(S, _slot_of(S, vehicle))
    S[COST_NOW] += sign * S[row + COST]
    if S[row + SERVED] > 0:
        S[N_USED] += sign
    if D[HAS_LIMITS]:
        own = _vehicle(D, vehicle)
        if D[own + GROUP] >= 0:
            S[S[GROUP_SERVED] + D[own + GROUP]] += sign * S[row + SERVED]
        if S[row + SERVED] > 0:
            for k in range(D[N_LIMITS]):
                if D[D[IN_LIMIT] + vehicle * D[N_LIMITS] + k]:
                    S[S[LIMIT_USED] + k] += sign
        mask = S[row + HUB_MASK]
        for k in range(D[N_HUBS]):
            if mask >> k & 1:
                S[S[HUB_USED] + k] += sign


@compiled
def _touch(D: Any, S: Any, vehicle: Any) -> Any:
    """Return the slot that may be written for a vehicle: a fresh copy of its sequence the first time."""
    state = S[VEHICLE_STATE] + 2 * vehicle
    if S[state + OLD_SLOT] >= 0:
        return S[state + SLOT]
    old = S[state + SLOT]
    S[N_FREE] -= 1
    fresh = S[S[FREE] + S[N_FREE]]
    old_row, row = _slot(S, old), _slot(S, fresh)
    S[row + LENGTH] = S[old_row + LENGTH]
    S[row + HOME_AT] = S[old_row + HOME_AT]
    _copy(D, S, old, fresh)
    S[state + OLD_SLOT] = old
    S[state + SLOT] = fresh
    S[S[TOUCHED] + S[N_TOUCHED]] = vehicle
    S[N_TOUCHED] += 1
    return fresh


@compiled
def _copy(D: Any, S: Any, source: Any, target: Any) -> None:
    """Copy a slot's sequence of nodes."""
    width = D[POSITION_WIDTH]
    here, there = _first_position(D, S, source) + NODE, _first_position(D, S, target) + NODE
    for _ in range(S[_slot(S, source) + LENGTH]):
        S[there] = S[here]
        here += width
        there += width


@compiled
def _keep(S: Any) -> None:
    """Make the changes since the last decision the state."""
    for k in range(S[N_TOUCHED]):
        state = S[VEHICLE_STATE] + 2 * S[S[TOUCHED] + k]
        S[S[FREE] + S[N_FREE]] = S[state + OLD_SLOT]
        S[N_FREE] += 1
        S[state + OLD_SLOT] = -1
    S[N_TOUCHED] = 0
    for k in range(S[N_ABSENT]):
        S[S[OLD_ABSENT] + k] = S[S[ABSENT] + k]
    S[N_OLD_ABSENT] = S[N_ABSENT]


@compiled
def _undo(D: Any, S: Any) -> None:
    """Take all changes since the last decision back."""
    width = D[POSITION_WIDTH]
    for k in range(S[N_TOUCHED]):
        vehicle = S[S[TOUCHED] + k]
        state = S[VEHICLE_STATE] + 2 * vehicle
        _count(D, S, vehicle, -1)
        S[S[FREE] + S[N_FREE]] = S[state + SLOT]
        S[N_FREE] += 1
        S[state + SLOT] = S[state + OLD_SLOT]
        S[state + OLD_SLOT] = -1
        _count(D, S, vehicle, 1)
        slot = S[state + SLOT]
        position = _first_position(D, S, slot)
        for _ in range(S[_slot(S, slot) + HOME_AT] - 1):
            position += width
            at = _node(D, S[position + NODE])
            if D[at + KIND] == STOP:
                S[S[REQUEST_STATE] + 4 * D[at + REQUEST] + VEHICLE_OF] = vehicle
    S[N_TOUCHED] = 0
    total = 0
    for k in range(S[N_OLD_ABSENT]):
        request = S[S[OLD_ABSENT] + k]
        S[S[ABSENT] + k] = request
        S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF] = -1
        total += D[_request(D, request) + ABSENT_PRICE]
    S[N_ABSENT] = S[N_OLD_ABSENT]
    S[ABSENT_NOW] = total


@compiled
def _make_absent(D: Any, S: Any, request: Any) -> None:
    S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF] = -1
    S[S[ABSENT] + S[N_ABSENT]] = request
    S[N_ABSENT] += 1
    S[ABSENT_NOW] += D[_request(D, request) + ABSENT_PRICE]


# -- where a request fits ----------------------------------------------------------------------------------------------


@compiled
def _goes_on(D: Any, S: Any, position: Any, clock: Any, ride: Any) -> Any:
    """Return whether what follows from a position on can be kept by one who leaves at `clock`; `ride`: a row."""
    at = _node(D, S[position + NODE])
    while D[at + KIND] == BREAK:
        clock = max(clock, D[at + OPENS])
        if clock > D[at + CLOSES]:
            return False
        clock += D[at + BUSY]
        position += D[POSITION_WIDTH]
        at = _node(D, S[position + NODE])
    return clock + _leg(D, ride + D[at + POINT]) <= S[position + LATEST]


@compiled
def _tried(D: Any, S: Any, vehicle: Any, length: Any) -> Any:
    """Time the sequence under trial fully; return its cost, -1 where a rule is broken."""
    own = _vehicle(D, vehicle)
    trial, legs = S[TRIAL], S[TRIAL_LEG]
    points = D[N_POINTS]
    at = _node(D, S[trial])
    here = D[at + POINT]
    total = D[own + FIXED]
    metres = 0
    clock = D[own + SHIFT_START]
    S[legs] = 0
    for k in range(1, length):
        at = _node(D, S[trial + k])
        kind = D[at + KIND]
        S[legs + k] = 0
        if kind == BREAK:
            begin = max(clock, D[at + OPENS])
        else:
            there = D[at + POINT]
            leg = _leg(D, D[own + SECONDS] + here * points + there)
            S[legs + k] = leg
            total += _leg(D, D[own + PRICE] + here * points + there)
            if D[HAS_RANGE]:
                metres += D[D[METRES] + here * points + there]
            here = there
            begin = clock + leg
            if kind == STOP:
                begin = _opens(D, S[trial + k], begin)
        if begin > D[at + CLOSES]:
            return -1
        clock = begin + D[at + BUSY]
    if clock > D[own + SHIFT_END] or (D[HAS_RANGE] and metres > D[own + RANGE]):
        return -1
    for d in range(D[DIMENSIONS]):
        aboard = D[_node(D, S[trial]) + WINDOW + d]
        for k in range(1, length):
            aboard += D[_node(D, S[trial + k]) + WINDOW + d]
            if aboard > D[own + CAPACITY + d] and _is_pickup(D, S[trial + k]):
                return -1
    if D[HAS_SLOW]:
        slow = _slow_times(D, S, vehicle, trial, 1, legs, 1, length, S[TRIAL_START], 1)
        if slow < 0:
            return -1
        total += slow
    return total


@compiled
def _verified(D: Any, S: Any, vehicle: Any, slot: Any, pickup: Any, i: Any, j: Any) -> Any:
    """Return what the route costs more with both stops after positions i and j, all rules tried; INFINITE if none."""
    position, width = _first_position(D, S, slot) + NODE, D[POSITION_WIDTH]
    row = _slot(S, slot)
    to = S[TRIAL]
    for k in range(S[row + LENGTH]):
        S[to] = S[position]
        position += width
        to += 1
        if k == i:
            S[to] = pickup
            to += 1
        if k == j:
            S[to] = pickup + 1
            to += 1
    total = _tried(D, S, vehicle, S[row + LENGTH] + 2)
    if total < 0:
        return INFINITE
    return total - S[row + COST]


@compiled
def _best_pair(D: Any, S: Any, vehicle: Any, request: Any, bound: Any) -> Any:
    """Return what a pickup and its drop add to a route at least, and where: i << 32 | j, after those old positions.

    Only what is less than `bound` is looked for; where there is nothing, the bound and -1 are returned.
    """
    slot = _slot_of(S, vehicle)
    row, own = _slot(S, slot), _vehicle(D, vehicle)
    first, width = _first_position(D, S, slot), D[POSITION_WIDTH]
    home = S[row + HOME_AT]
    pickup = D[_request(D, request) + FIRST]
    up, down = _node(D, pickup), _node(D, pickup + 1)
    at, to = D[up + POINT], D[down + POINT]
    points = D[N_POINTS]
    seconds_at, seconds_to_at = D[own + SECONDS] + at * points, D[own + SECONDS_TO] + at * points
    seconds_drop, seconds_to_drop = D[own + SECONDS] + to * points, D[own + SECONDS_TO] + to * points
    price_at, price_to_at = D[own + PRICE] + at * points, D[own + PRICE_TO] + at * points
    price_drop, price_to_drop = D[own + PRICE] + to * points, D[own + PRICE_TO] + to * points
    pickup_closes, drop_closes = D[up + CLOSES], D[down + CLOSES]
    pickup_opens, drop_opens = D[up + OPENS], D[down + OPENS]
    pickup_busy, drop_busy = D[up + BUSY], D[down + BUSY]
    across, across_seconds = _leg(D, price_at + to), _leg(D, seconds_at + to)
    dimensions = D[DIMENSIONS]
    has_closures = D[HAS_CLOSURES]
    is_rich = D[HAS_SLOW] or D[HAS_RANGE]
    drop_price, least = S[DROP_PRICE], S[LEAST_DROP]
    place = -1
    unused = 0
    if S[row + SERVED] == 0:
        unused = D[own + FIXED] + S[first + LEG_PRICE]  # the way from start to home is not ridden yet
    best = bound - unused
    slack = S[row + SLOW_PRICE]  # what the times cost now might be saved
    # Where the drop may stand at all, and the least it adds from there on.
    S[least + home] = INFINITE
    position = first + home * width
    first_drop = 0
    for k in range(home - 1, -1, -1):
        if S[position + LATEST] < drop_opens:
            first_drop = k + 1
            break
        position -= width
        if S[position + LEAVES] > drop_closes:
            S[drop_price + k] = INFINITE
            S[least + k] = S[least + k + 1]
        else:
            more = (
                _leg(D, price_to_drop + S[position + HERE])
                + _leg(D, price_drop + S[position + NEXT])
                - S[position + LEG_PRICE]
            )
            S[drop_price + k] = more
            S[least + k] = min(S[least + k + 1], more)
    for k in range(first_drop):
        S[drop_price + k] = INFINITE
        S[least + k] = S[least + first_drop]
    position = first
    for i in range(home):
        position = first + i * width
        clock = S[position + LEAVES]
        if clock > pickup_closes:
            break
        if S[position + width + LATEST] < pickup_opens:
            continue
        here = S[position + HERE]
        clock += _leg(D, seconds_to_at + here)
        if clock > pickup_closes:
            continue
        coming = _leg(D, price_to_at + here) - S[position + LEG_PRICE]
        following = S[position + NEXT]
        straight = coming + across + _leg(D, price_drop + following)
        added = coming + _leg(D, price_at + following)
        if min(straight, added + S[least + i + 1]) - slack >= best:
            continue
        fits = True
        for d in range(dimensions):
            if S[position + LOADS + d] + D[up + WINDOW + d] > D[own + CAPACITY + d]:
                fits = False
        if not fits:
            continue
        clock = max(clock, pickup_opens)
        if has_closures:
            clock = _opens(D, pickup, clock)
            if clock > pickup_closes:
                continue
        clock += pickup_busy
        if straight - slack < best:
            there = clock + across_seconds
            if there <= drop_closes:
                there = max(there, drop_opens)
                if has_closures:
                    there = _opens(D, pickup + 1, there)
                if there <= drop_closes and _goes_on(D, S, position + width, there + drop_busy, seconds_drop):
                    found = straight
                    if is_rich:
                        found = _verified(D, S, vehicle, slot, pickup, i, i) - unused
                    if found < best:
                        best, place = found, i << 32 | i
        if added + S[least + i + 1] - slack >= best:
            continue
        is_at_pickup = True
        is_settled = False
        for j in range(i + 1, home):
            position += width
            if is_settled:
                clock = S[position + LEAVES]
            else:
                at_node = _node(D, S[position + NODE])
                if D[at_node + KIND] == BREAK:
                    clock = max(clock, D[at_node + OPENS])
                    if clock > D[at_node + CLOSES]:
                        break
                    clock += D[at_node + BUSY]
                else:
                    if is_at_pickup:
                        clock += _leg(D, seconds_at + D[at_node + POINT])
                        is_at_pickup = False
                    else:
                        clock += S[position + LEG]
                    if clock > S[position + LATEST]:
                        break
                    if clock <= S[position + AT]:
                        is_settled = True
                        clock = S[position + LEAVES]
                    else:
                        if has_closures:
                            clock = _opens(D, S[position + NODE], clock)
                        clock += D[at_node + BUSY]
            if clock > drop_closes:
                break
            for d in range(dimensions):
                if S[position + LOADS + d] + D[up + WINDOW + d] > D[own + CAPACITY + d]:
                    fits = False
            if not fits:
                break
            added_both = straight if is_at_pickup else added + S[drop_price + j]
            if added_both - slack < best:
                there = clock + (across_seconds if is_at_pickup else _leg(D, seconds_to_drop + S[position + HERE]))
                if there <= drop_closes:
                    there = max(there, drop_opens)
                    if has_closures:
                        there = _opens(D, pickup + 1, there)
                    if there <= drop_closes and _goes_on(D, S, position + width, there + drop_busy, seconds_drop):
                        found = added_both
                        if is_rich:
                            found = _verified(D, S, vehicle, slot, pickup, i, j) - unused
                        if found < best:
                            best, place = found, i << 32 | j
            if not is_at_pickup and added + S[least + j + 1] - slack >= best:
                break
    return best + unused, place


@compiled
def _best_many(D: Any, S: Any, vehicle: Any, request: Any) -> Any:
    """Put all stops of a request one by one into the best trial, each where it costs least; return what that adds.

    The way for requests with several pickups or drops, and for what is aboard already. INFINITE where there is none.
    """
    slot = _slot_of(S, vehicle)
    row, what = _slot(S, slot), _request(D, request)
    length = S[row + LENGTH]
    best_trial, trial = S[TRIAL_BEST], S[TRIAL]
    position = _first_position(D, S, slot) + NODE
    for k in range(length):
        S[best_trial + k] = S[position]
        position += D[POSITION_WIDTH]
    first, last = D[what + FIRST], D[what + LAST]
    lowest = 0  # no drop before this position
    cost = S[row + COST]
    for node in range(first, last):
        is_drop = node >= first + D[what + PICKUPS]
        best, place = INFINITE, -1
        for after in range(length):
            if D[_node(D, S[best_trial + after]) + KIND] == HOME:
                break
            if is_drop and after < lowest:
                continue
            for k in range(after + 1):
                S[trial + k] = S[best_trial + k]
            S[trial + after + 1] = node
            for k in range(after + 1, length):
                S[trial + k + 1] = S[best_trial + k]
            total = _tried(D, S, vehicle, length + 1)
            if 0 <= total < best:
                best, place = total, after
        if place < 0:
            return INFINITE
        for k in range(length, place + 1, -1):
            S[best_trial + k] = S[best_trial + k - 1]
        S[best_trial + place + 1] = node
        length += 1
        if not is_drop:
            lowest = lowest + 1 if place < lowest else place + 1
        cost = best
    return cost - S[row + COST]


@compiled
def _is_let(D: Any, S: Any, vehicle: Any, request: Any) -> Any:
    """Return whether the rules that couple couriers let this vehicle serve one request more."""
    row = _slot(S, _slot_of(S, vehicle))
    group = D[_vehicle(D, vehicle) + GROUP]
    if group >= 0 and S[S[GROUP_SERVED] + group] >= D[D[GROUP_MOST] + group]:
        return False
    if S[row + SERVED] == 0:
        for k in range(D[N_LIMITS]):
            if D[D[IN_LIMIT] + vehicle * D[N_LIMITS] + k] and S[S[LIMIT_USED] + k] >= D[D[LIMIT_MOST] + k]:
                return False
    new = D[_request(D, request) + HUBS] & ~S[row + HUB_MASK]
    if new:
        for k in range(D[N_HUBS]):
            if new >> k & 1 and S[S[HUB_USED] + k] >= D[D[HUB_MOST] + k]:
                return False
    return True


@compiled
def _is_short(D: Any, S: Any, vehicle: Any) -> Any:
    """Return whether the vehicle's group serves less than it should."""
    group = D[_vehicle(D, vehicle) + GROUP]
    return group >= 0 and S[S[GROUP_SERVED] + group] < D[D[GROUP_LEAST] + group]


@compiled
def _is_pair(D: Any, what: Any) -> Any:
    return D[what + LAST] - D[what + FIRST] == 2 and D[what + PICKUPS] == 1


@compiled
def _price_in(D: Any, S: Any, vehicle: Any, request: Any, bound: Any) -> Any:
    """Return what serving a request with a vehicle adds at least, from what was seen of the same route if possible.

    What is not less than `bound` need not be exact: it is at least that then.
    """
    row = _slot(S, _slot_of(S, vehicle))
    seen = S[SEEN] + 3 * (request * D[N_VEHICLES] + vehicle)
    if S[seen] != S[row + VERSION] or (S[seen + PLACE] < 0 and S[seen + SEEN_COST] < bound):
        S[seen] = S[row + VERSION]
        what = _request(D, request)
        S[seen + PLACE] = 0
        if S[row + LENGTH] + D[what + LAST] - D[what + FIRST] > D[WIDTH]:
            S[seen + SEEN_COST] = INFINITE
        elif _is_pair(D, what):
            # A quarter more than asked: bounds rise from look to look, and what was seen should still answer then.
            S[seen + SEEN_COST], S[seen + PLACE] = _best_pair(D, S, vehicle, request, bound + (abs(bound) >> 2))
        else:
            S[seen + SEEN_COST] = _best_many(D, S, vehicle, request)
    return S[seen + SEEN_COST]


@compiled
def _insert(D: Any, S: Any, vehicle: Any, request: Any) -> Any:
    """Put a request where it was seen to cost least; return whether that holds, else nothing is changed."""
    what = _request(D, request)
    first, last = D[what + FIRST], D[what + LAST]
    seen = S[SEEN] + 3 * (request * D[N_VEHICLES] + vehicle)
    width = D[POSITION_WIDTH]
    _count(D, S, vehicle, -1)
    if _is_pair(D, what):
        i, j = S[seen + PLACE] >> 32, S[seen + PLACE] & 0xFFFFFFFF
        slot = _touch(D, S, vehicle)
        row = _slot(S, slot)
        start = _first_position(D, S, slot) + NODE
        for k in range(S[row + LENGTH] - 1, j, -1):
            S[start + (k + 2) * width] = S[start + k * width]
        S[start + (j + 2) * width] = first + 1
        for k in range(j, i, -1):
            S[start + (k + 1) * width] = S[start + k * width]
        S[start + (i + 1) * width] = first
        S[row + LENGTH] += 2
    else:
        _best_many(D, S, vehicle, request)
        slot = _touch(D, S, vehicle)
        row = _slot(S, slot)
        start = _first_position(D, S, slot) + NODE
        S[row + LENGTH] += last - first
        for k in range(S[row + LENGTH]):
            S[start + k * width] = S[S[TRIAL_BEST] + k]
    holds = _refresh(D, S, vehicle, slot)
    if holds:
        S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF] = vehicle
    else:
        kept = start
        for k in range(S[row + LENGTH]):
            node = S[start + k * width]
            if node < first or node >= last:
                S[kept] = node
                kept += width
        S[row + LENGTH] -= last - first
        _refresh(D, S, vehicle, slot)
        S[seen] = S[row + VERSION]
        S[seen + SEEN_COST], S[seen + PLACE] = INFINITE, 0
    _count(D, S, vehicle, 1)
    return holds


# -- ruin --------------------------------------------------------------------------------------------------------------


@compiled
def _unmark(S: Any, marked: Any) -> None:
    """Take the marks off the first so many requests of ORDER."""
    for k in range(marked):
        S[S[REQUEST_STATE] + 4 * S[S[ORDER] + k] + MARK] = 0


@compiled
def _tear(D: Any, S: Any, vehicle: Any, position: Any, count: Any, skipped: Any) -> None:
    """Take `count` stops around a position out of a route, each with the rest of its request.

    `skipped` stops in the middle of the string stay (0: none).
    """
    slot = _slot_of(S, vehicle)
    home = S[_slot(S, slot) + HOME_AT]
    width = D[POSITION_WIDTH]
    span = count + skipped
    low = max(1, position - span + 1)
    high = min(position, home - span)
    begin = low + _below(S, high - low + 1) if high > low else low
    end = min(home, begin + span)
    hole = begin + 1 + _below(S, max(1, count - 1)) if skipped > 0 else end
    marked = 0
    start = _first_position(D, S, slot) + NODE
    for k in range(begin, end):
        if hole <= k < hole + skipped:
            continue
        at = _node(D, S[start + k * width])
        if D[at + KIND] != STOP:
            continue
        request = D[at + REQUEST]
        state = S[REQUEST_STATE] + 4 * request
        if S[state + MARK] == 0:
            S[state + MARK] = 1
            S[S[ORDER] + marked] = request
            marked += 1
    if marked == 0:
        return
    _count(D, S, vehicle, -1)
    slot = _touch(D, S, vehicle)
    row = _slot(S, slot)
    start = _first_position(D, S, slot) + NODE
    kept = start
    length = 0
    for k in range(S[row + LENGTH]):
        node = S[start + k * width]
        at = _node(D, node)
        if D[at + KIND] != STOP or S[S[REQUEST_STATE] + 4 * D[at + REQUEST] + MARK] == 0:
            S[kept] = node
            kept += width
            length += 1
    S[row + LENGTH] = length
    if _refresh(D, S, vehicle, slot):
        for k in range(marked):
            _make_absent(D, S, S[S[ORDER] + k])
    else:
        # Without them the way got longer than it was (no triangle inequality): leave this route alone.
        old = S[S[VEHICLE_STATE] + 2 * vehicle + OLD_SLOT]
        S[row + LENGTH] = S[_slot(S, old) + LENGTH]
        _copy(D, S, old, slot)
        _refresh(D, S, vehicle, slot)
    _count(D, S, vehicle, 1)
    _unmark(S, marked)


@compiled
def _ruin(D: Any, S: Any, stops_wanted: Any, longest: Any, towards_absent: Any) -> None:
    """Tear strings of stops out of the routes around a stop drawn by chance: as often as said, one that is absent."""
    stops = D[N_STOPS]
    seed = -1
    if S[N_ABSENT] > 0 and towards_absent > 0.0 and _chance(S) < towards_absent:
        what = _request(D, S[S[ABSENT] + _below(S, S[N_ABSENT])])
        seed = D[what + FIRST] + _below(S, D[what + LAST] - D[what + FIRST])
    else:
        for _ in range(50):
            node = _below(S, stops)
            if _served_by(S, D[_node(D, node) + REQUEST]) >= 0:
                seed = node
                break
    if seed < 0:
        return
    mean = max(1.0, (stops - 2 * S[N_ABSENT]) / max(1, S[N_USED]))
    most = min(np.float64(longest), mean)
    most_strings = max(1.0, 4.0 * stops_wanted / (1.0 + most) - 1.0)
    strings = 1 + _below(S, most_strings)
    for k in range(-1, D[NEAR_WIDTH]):
        node = seed if k < 0 else D[D[NEAR] + seed * D[NEAR_WIDTH] + k]
        if node < 0:
            break
        vehicle = _served_by(S, D[_node(D, node) + REQUEST])
        if vehicle < 0 or S[S[VEHICLE_STATE] + 2 * vehicle + OLD_SLOT] >= 0:
            continue
        slot = _slot_of(S, vehicle)
        here = S[_slot(S, slot) + HOME_AT] - 1
        if k < 0 and D[_vehicle(D, vehicle) + FIXED] > 0 and _chance(S) < WHOLE_ROUTES:
            _tear(D, S, vehicle, 1, here, 0)  # so that a vehicle that costs more than it saves can go
            break
        count = 1 + _below(S, min(np.float64(here), most))
        position = _position_of(D, S, vehicle, node)
        skipped = 0
        if count > 1 and count < here and _chance(S) < 0.5:
            skipped = 1
            while count + skipped < here and _chance(S) > 0.5:
                skipped += 1
        _tear(D, S, vehicle, position, count, skipped)
        strings -= 1
        if strings == 0:
            break


# -- crossing ----------------------------------------------------------------------------------------------------------


@compiled
def _cross(D: Any, S: Any, heat: Any, most_torn: Any) -> Any:
    """Let two vehicles go on with each other's stops from some time on; return whether they do.

    A stop is drawn by chance. Of the vehicles that call near to it, one that would be in time for it is chosen, by what
    the two new legs cost and by chance, the more of it the hotter. Requests that are under way where the routes are cut
    are torn out; with more than `most_torn` of them nothing is done. Nor is it where a break, or a rule that couples
    couriers, is in the way.
    """
    node = _below(S, D[N_STOPS])
    vehicle = _served_by(S, D[_node(D, node) + REQUEST])
    if vehicle < 0:
        return False
    cut = _position_of(D, S, vehicle, node)
    other, other_cut = _partner(D, S, vehicle, cut, heat)
    if other < 0:
        return False
    marked = _mark_under_way(D, S, vehicle, cut, 0)
    if marked >= 0:
        marked = _mark_under_way(D, S, other, other_cut, marked)
    if marked < 0:
        return False
    if marked > most_torn:
        _unmark(S, marked)
        return False
    _count(D, S, vehicle, -1)
    _count(D, S, other, -1)
    slot, other_slot = _slot_of(S, vehicle), _slot_of(S, other)
    holds = _join(D, S, vehicle, slot, cut, other_slot, other_cut)
    holds = _join(D, S, other, other_slot, other_cut, slot, cut) and holds
    _count(D, S, vehicle, 1)
    _count(D, S, other, 1)
    _unmark(S, marked)
    if holds and (not D[HAS_LIMITS] or _is_within(D, S)):
        for k in range(marked):
            _make_absent(D, S, S[S[ORDER] + k])
        return True
    _undo(D, S)
    return False


@compiled
def _partner(D: Any, S: Any, vehicle: Any, cut: Any, heat: Any) -> Any:
    """Return which vehicle is to go on from a position of this one's route, and from where in its own; -1 if none."""
    points, width = D[N_POINTS], D[POSITION_WIDTH]
    position = _first_position(D, S, _slot_of(S, vehicle)) + cut * width
    before, node, own = position - width, S[position + NODE], _vehicle(D, vehicle)
    least, best, best_cut = np.inf, -1, -1
    for k in range(D[NEAR] + node * D[NEAR_WIDTH], D[NEAR] + (node + 1) * D[NEAR_WIDTH]):
        if D[k] < 0:
            break
        other = _served_by(S, D[_node(D, D[k]) + REQUEST])
        if other < 0 or other == vehicle:
            continue
        others = _vehicle(D, other)
        other_cut = _position_of(D, S, other, D[k]) + 1
        after = _first_position(D, S, _slot_of(S, other)) + other_cut * width
        last = after - width
        ride, back = S[last + HERE] * points + S[position + HERE], S[before + HERE] * points + S[after + HERE]
        if S[last + LEAVES] + _leg(D, D[others + SECONDS] + ride) > S[position + LATEST]:
            continue
        if S[before + LEAVES] + _leg(D, D[own + SECONDS] + back) > S[after + LATEST]:
            continue
        more = _leg(D, D[others + PRICE] + ride) + _leg(D, D[own + PRICE] + back)
        more -= S[before + LEG_PRICE] + S[last + LEG_PRICE]
        value = more - heat * np.log(_chance(S) + 1e-300)
        if value < least:
            least, best, best_cut = value, other, other_cut
    return best, best_cut


@compiled
def _mark_under_way(D: Any, S: Any, vehicle: Any, cut: Any, marked: Any) -> Any:
    """Mark requests with stops on both sides of a cut, after so many in ORDER; return how many there are then.

    Where a break comes after the cut all marks are taken off, and -1 is returned.
    """
    slot = _slot_of(S, vehicle)
    start, width = _first_position(D, S, slot) + NODE, D[POSITION_WIDTH]
    home = S[_slot(S, slot) + HOME_AT]
    for k in range(cut, home):
        at = _node(D, S[start + k * width])
        if D[at + KIND] != STOP:
            _unmark(S, marked)
            return -1
        S[S[KEY] + D[at + REQUEST]] = 0
    for k in range(1, cut):
        at = _node(D, S[start + k * width])
        if D[at + KIND] == STOP:
            S[S[KEY] + D[at + REQUEST]] = 1
    for k in range(cut, home):
        request = D[_node(D, S[start + k * width]) + REQUEST]
        state = S[REQUEST_STATE] + 4 * request
        if S[S[KEY] + request] and S[state + MARK] == 0:
            S[state + MARK] = 1
            S[S[ORDER] + marked] = request
            marked += 1
    return marked


@compiled
def _join(D: Any, S: Any, vehicle: Any, head: Any, cut: Any, tail: Any, tail_cut: Any) -> Any:
    """Give a vehicle what a slot of its own has before a cut and another has from one on, but for what is marked.

    Return whether it can be ridden and everything in it be served by this vehicle.
    """
    slot = _touch(D, S, vehicle)
    row, head_row, may = _slot(S, slot), _slot(S, head), D[MAY] + (vehicle >> 6)
    width, length = D[POSITION_WIDTH], 0
    start = _first_position(D, S, slot) + NODE
    source = _first_position(D, S, head) + NODE
    for k in range(cut):
        node = S[source + k * width]
        at = _node(D, node)
        if D[at + KIND] != STOP or S[S[REQUEST_STATE] + 4 * D[at + REQUEST] + MARK] == 0:
            S[start + length * width] = node
            length += 1
    home, end = S[head_row + HOME_AT], S[head_row + LENGTH]
    other = _first_position(D, S, tail) + NODE
    holds = True
    for k in range(tail_cut, S[_slot(S, tail) + HOME_AT]):
        node = S[other + k * width]
        request = D[_node(D, node) + REQUEST]
        if S[S[REQUEST_STATE] + 4 * request + MARK]:
            continue
        if length + end - home >= D[WIDTH] or not D[may + request * D[MAY_WIDTH]] >> (vehicle & 63) & 1:
            holds = False
            break
        S[start + length * width] = node
        S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF] = vehicle
        length += 1
    for k in range(home, end):
        S[start + length * width] = S[source + k * width]
        length += 1
    S[row + LENGTH] = length
    return _refresh(D, S, vehicle, slot) and holds


@compiled
def _is_within(D: Any, S: Any) -> Any:
    """Return whether no group serves more, and no hub is called at by more vehicles, than it may.

    That is all that crossing two routes may break: no vehicle is used after it that was not before.
    """
    is_within = True
    for group in range(D[N_GROUPS]):
        is_within = is_within and S[S[GROUP_SERVED] + group] <= D[D[GROUP_MOST] + group]
    for k in range(D[N_HUBS]):
        is_within = is_within and S[S[HUB_USED] + k] <= D[D[HUB_MOST] + k]
    return is_within


# -- recreate ----------------------------------------------------------------------------------------------------------


@compiled
def _sort_absent(D: Any, S: Any, by: Any) -> None:
    """Put the absent requests into an order: by chance, or by one of their measures."""
    count = S[N_ABSENT]
    absent, key = S[ABSENT], S[KEY]
    for k in range(count):
        request = S[absent + k]
        what = _request(D, request)
        if by == 0:
            value = _below(S, 1 << 30)
        elif by == 1:
            value = -D[what + LOAD_RANK]
        elif by == 2:
            value = -D[what + FAR]
        elif by == 3:
            value = D[what + FAR]
        elif by == 4:
            value = D[what + LIMITS]
        elif by == 5:
            value = D[what + OPENS_RANK]
        elif by == 6:
            value = -D[what + CLOSES_RANK]
        elif by == 7:
            value = -D[what + LONG]
        elif by == LOCKED_FIRST:
            value = -1 if D[what + LOCKED] else _below(S, 1 << 30)
        else:
            value = -(S[S[REQUEST_STATE] + 4 * request + ABSENCES] << 16) + _below(S, 1 << 15)
        S[key + request] = value
    for k in range(1, count):
        request = S[absent + k]
        value = S[key + request]
        j = k - 1
        while j >= 0 and S[key + S[absent + j]] > value:
            S[absent + j + 1] = S[absent + j]
            j -= 1
        S[absent + j + 1] = request


@compiled
def _mark_near(D: Any, S: Any, request: Any) -> None:
    """Mark the vehicles that call at stops near to those of a request."""
    S[MARKS] += 1
    near, width = D[NEAR_REQUESTS] + request * D[NEAR_REQUESTS_WIDTH], D[NEAR_REQUESTS_WIDTH]
    for k in range(near, near + width):
        if D[k] < 0:
            break
        vehicle = _served_by(S, D[k])
        if vehicle >= 0:
            S[S[NEAR_MARK] + vehicle] = S[MARKS]


@compiled
def _bring(D: Any, S: Any, request: Any) -> None:
    """Read the rows of prices that placing a request will read here and there, one after another: that is quicker.

    They are those of the first vehicle that is active; others may have their own.
    """
    own, what = _vehicle(D, S[S[ACTIVE]]), _request(D, request)
    points, step = D[N_POINTS], 16 if D[IS_NARROW] else 8  # of each line of the processor's memory, one number
    brought = 0
    for node in range(D[what + FIRST], D[what + LAST]):
        at = D[_node(D, node) + POINT] * points
        for place in range(D[own + PRICE] + at, D[own + PRICE] + at + points, step):
            brought += _leg(D, place)
        if D[own + PRICE_TO] != D[own + PRICE]:
            for place in range(D[own + PRICE_TO] + at, D[own + PRICE_TO] + at + points, step):
                brought += _leg(D, place)
    S[BROUGHT] = brought  # what nobody used would not be read


@compiled
def _recreate(D: Any, S: Any, by: Any, blink: Any, opens_freely: Any, bearable: Any, dearer: Any) -> None:
    """Put absent requests, in that order, where each costs least; what costs more than its absence stays absent.

    Where it `opens_freely`, using a vehicle is taken to cost nothing: together requests may pay for what none does.
    Where something is `bearable`, an absence costs that, and `dearer` for each time it was counted before.
    """
    _sort_absent(D, S, by)
    count = S[N_ABSENT]
    absent, active = S[ABSENT], S[ACTIVE]
    vehicles = D[N_VEHICLES]
    still = 0
    for k in range(count):
        request = S[absent + k]
        may = D[MAY] + request * D[MAY_WIDTH]
        price_of_absence = D[_request(D, request) + ABSENT_PRICE]
        most = price_of_absence
        if bearable > 0:
            most = min(most, _borne(S, request, bearable, dearer))
        best_vehicle = -1
        is_near_only = S[N_ACTIVE] > FEW_VEHICLES
        if is_near_only:
            _mark_near(D, S, request)
        _bring(D, S, request)
        for _ in range(4):
            best, best_vehicle = most, -1
            empties = 0
            for a in range(S[N_ACTIVE]):
                vehicle = S[active + a]
                row = _slot(S, _slot_of(S, vehicle))
                if is_near_only and S[row + SERVED] > 0 and S[S[NEAR_MARK] + vehicle] != S[MARKS]:
                    continue
                if not D[may + (vehicle >> 6)] >> (vehicle & 63) & 1:
                    continue
                if S[row + SERVED] == 0:
                    # Of vehicles that are alike, one unused is tried.
                    alike = D[_vehicle(D, vehicle) + CLASS]
                    if alike < 62:
                        if empties >> alike & 1:
                            continue
                        empties |= 1 << alike
                if blink > 0.0 and _chance(S) < blink:
                    continue
                if D[HAS_LIMITS] and not _is_let(D, S, vehicle, request):
                    continue
                more = 0
                if D[HAS_EXTRA]:
                    more += D[D[EXTRA] + request * vehicles + vehicle]
                if D[BELOW_SHARE] and _is_short(D, S, vehicle):
                    more -= D[BELOW_SHARE]
                if opens_freely and S[row + SERVED] == 0:
                    more -= D[_vehicle(D, vehicle) + FIXED]
                price = more + _price_in(D, S, vehicle, request, best - more)
                if price < best:
                    best, best_vehicle = price, vehicle
            if best_vehicle < 0:
                if not is_near_only:
                    break
                is_near_only = False
            elif _insert(D, S, best_vehicle, request):
                break
            best_vehicle = -1
        if best_vehicle < 0:
            S[absent + still] = request
            still += 1
        else:
            S[ABSENT_NOW] -= price_of_absence
    S[N_ABSENT] = still


# -- the search --------------------------------------------------------------------------------------------------------


@compiled
def total(data: Any, state: Any) -> Any:
    """Return what the state costs."""
    D, S = _bare(data), _bare(state)
    total = S[COST_NOW] + S[ABSENT_NOW]
    if D[HAS_EXTRA]:
        for request in range(D[N_REQUESTS]):
            vehicle = _served_by(S, request)
            if vehicle >= 0:
                total += D[D[EXTRA] + request * D[N_VEHICLES] + vehicle]
    if D[BELOW_SHARE]:
        for group in range(D[N_GROUPS]):
            total += D[BELOW_SHARE] * max(0, D[D[GROUP_LEAST] + group] - S[S[GROUP_SERVED] + group])
    if D[BALANCE]:
        longest, shortest = 0, INFINITE
        for vehicle in range(D[N_VEHICLES]):
            row = _slot(S, _slot_of(S, vehicle))
            if S[row + SERVED] > 0:
                longest, shortest = max(longest, S[row + DAY]), min(shortest, S[row + DAY])
        if shortest < INFINITE:
            total += D[BALANCE] * (longest - shortest)
    return total


@compiled
def fixed(data: Any, state: Any) -> Any:
    """Return what the vehicles cost that are used."""
    D, S = _bare(data), _bare(state)
    total = 0
    for vehicle in range(D[N_VEHICLES]):
        if S[_slot(S, _slot_of(S, vehicle)) + SERVED] > 0:
            total += D[_vehicle(D, vehicle) + FIXED]
    return total


@compiled
def _order(S: Any) -> Any:
    """Draw the order in which requests are put back."""
    draw = _below(S, 24.0)
    if draw < 8:
        return 0
    if draw < 12:
        return 1
    return 2 + (draw - 12) // 2


@compiled
def _weight(S: Any) -> Any:
    """Return how much the absent count, those often absent more."""
    total = 0
    for k in range(S[N_ABSENT]):
        total += 1 + S[S[REQUEST_STATE] + 4 * S[S[ABSENT] + k] + ABSENCES]
    return total


@compiled
def _count_absences(S: Any, dearer: Any) -> Any:
    """Count what is absent once more; return how much dearer all of it is then."""
    more = 0
    for k in range(S[N_ABSENT]):
        place = S[REQUEST_STATE] + 4 * S[S[ABSENT] + k] + ABSENCES
        more += int(dearer * (S[place] + 1)) - int(dearer * S[place])
        S[place] += 1
    return more


@compiled
def _borne(S: Any, request: Any, bearable: Any, dearer: Any) -> Any:
    """Return what the absence of a request costs where it is borne for a while."""
    return bearable + int(dearer * S[S[REQUEST_STATE] + 4 * request + ABSENCES])


@compiled
def _loose(D: Any, S: Any, bearable: Any, dearer: Any) -> Any:
    """Return what the state costs where absences are borne and using a vehicle costs nothing."""
    loose = total(D, S) - S[ABSENT_NOW] - fixed(D, S)
    for k in range(S[N_ABSENT]):
        loose += _borne(S, S[S[ABSENT] + k], bearable, dearer)
    return loose


@compiled
def work(
    data: Any,
    state: Any,
    best: Any,
    best_cost: Any,
    mode: Any,
    steps: Any,
    heat: Any,
    stops_wanted: Any,
    longest: Any,
    crossed: Any,
    blink: Any,
    bearable: Any,
    dearer: Any,
) -> Any:
    """Do one of four things for so many steps at a temperature; return the cost of the best routes.

    CONSTRUCT puts what is absent into the routes, locked requests first, once, and keeps that. LOWER lowers the cost:
    `best` (see `write`) is overwritten with each state better than `best_cost`. SQUEEZE tries to place what is absent
    in the active vehicles, and ends when nothing is absent; what is often absent counts more from step to step, so
    that others give way to it. LOOSEN lowers the cost where an absence costs what is `bearable`, and `dearer` (less
    than one where costs are coarse) from step to step; `best` is overwritten with states where nothing is absent.
    """
    D, S = _bare(data), _bare(state)
    if mode == CONSTRUCT:
        steps = 1
    now = total(D, S)
    if mode == SQUEEZE:
        now -= S[ABSENT_NOW]
    elif mode == LOOSEN:
        now = _loose(D, S, bearable, dearer)
    weight = _weight(S)
    wants_all = mode in (SQUEEZE, LOOSEN)
    for _ in range(steps):
        if mode == SQUEEZE and S[N_ABSENT] == 0:
            break
        by = LOCKED_FIRST
        if mode != CONSTRUCT:
            S[STEPS_DONE] += 1
            if not (crossed > 0.0 and _chance(S) < crossed and _cross(D, S, heat, MOST_UNDER_WAY)):
                _ruin(D, S, stops_wanted, longest, TOWARDS_ABSENT if wants_all else 0.0)
            by = BY_ABSENCES if wants_all and _chance(S) < OFTEN_ABSENT_FIRST else _order(S)
        opens_freely = mode == LOOSEN or (mode == LOWER and S[N_OLD_ABSENT] > 0 and _chance(S) < OPENS_FREELY)
        _recreate(D, S, by, blink, opens_freely, bearable, dearer)
        bar = now - heat * np.log(_chance(S) + 1e-300)
        if mode == SQUEEZE:
            found_weight = _weight(S)
            found = total(D, S) - S[ABSENT_NOW]
            is_better = S[N_ABSENT] == 0 or found_weight < weight or (found_weight == weight and found < bar)
            _count_absences(S, 0.0)
        else:
            found = _loose(D, S, bearable, dearer) if mode == LOOSEN else total(D, S)
            is_better = found < bar or mode == CONSTRUCT
        if is_better:
            _keep(S)
            now = found
            if mode == LOWER or (mode == LOOSEN and S[N_ABSENT] == 0):
                if mode == LOOSEN:
                    found = total(D, S)
                if found < best_cost:
                    best_cost = found
                    write(D, S, best)
        else:
            _undo(D, S)
        if mode == SQUEEZE:
            weight = _weight(S)
        elif mode == LOOSEN:
            now += _count_absences(S, dearer)
    return best_cost


@compiled
def close(data: Any, state: Any, vehicle: Any) -> None:
    """Take a vehicle out of use; what it served is absent."""
    D, S = _bare(data), _bare(state)
    _count(D, S, vehicle, -1)
    slot = _touch(D, S, vehicle)
    row, width = _slot(S, slot), D[POSITION_WIDTH]
    start = _first_position(D, S, slot) + NODE
    kept = start
    length = 0
    for k in range(S[row + LENGTH]):
        node = S[start + k * width]
        at = _node(D, node)
        if D[at + KIND] != STOP:
            S[kept] = node
            kept += width
            length += 1
        elif _served_by(S, D[at + REQUEST]) >= 0:
            _make_absent(D, S, D[at + REQUEST])
    S[row + LENGTH] = length
    _refresh(D, S, vehicle, slot)
    _count(D, S, vehicle, 1)
    _keep(S)
    kept = 0
    for a in range(S[N_ACTIVE]):
        if S[S[ACTIVE] + a] != vehicle:
            S[S[ACTIVE] + kept] = S[S[ACTIVE] + a]
            kept += 1
    S[N_ACTIVE] = kept


@compiled
def ease(data: Any, state: Any, kept: Any) -> None:
    """Count absences as a share of what they were counted so far."""
    D, S = _bare(data), _bare(state)
    for request in range(D[N_REQUESTS]):
        absences = S[REQUEST_STATE] + 4 * request + ABSENCES
        S[absences] = np.int64(kept * S[absences])


@compiled
def close_unused(state: Any) -> None:
    """Take every vehicle out of use that serves nothing."""
    S = _bare(state)
    kept = 0
    for a in range(S[N_ACTIVE]):
        vehicle = S[S[ACTIVE] + a]
        if S[_slot(S, _slot_of(S, vehicle)) + SERVED] > 0:
            S[S[ACTIVE] + kept] = vehicle
            kept += 1
    S[N_ACTIVE] = kept


@compiled
def easiest(data: Any, state: Any) -> Any:
    """Return the vehicle whose requests have been absent least, -1 where none may be closed."""
    D, S = _bare(data), _bare(state)
    best, best_vehicle = np.inf, -1
    width = D[POSITION_WIDTH]
    for a in range(S[N_ACTIVE]):
        vehicle = S[S[ACTIVE] + a]
        slot = _slot_of(S, vehicle)
        row = _slot(S, slot)
        total = 0.0
        start = _first_position(D, S, slot) + NODE
        for k in range(1, S[row + HOME_AT]):
            at = _node(D, S[start + k * width])
            if D[at + KIND] == STOP:
                request = D[at + REQUEST]
                total += 1.0 + S[S[REQUEST_STATE] + 4 * request + ABSENCES]
                if D[_request(D, request) + LOCKED]:
                    total = np.inf
        total += _chance(S)
        if total < best:
            best, best_vehicle = total, vehicle
    return best_vehicle


@compiled
def write(data: Any, state: Any, rows: Any) -> None:
    """Copy the state's routes to `rows`: for each vehicle its length, then its nodes."""
    D, S = _bare(data), _bare(state)
    width = D[POSITION_WIDTH]
    for vehicle in range(D[N_VEHICLES]):
        slot = _slot_of(S, vehicle)
        start = _first_position(D, S, slot) + NODE
        length = S[_slot(S, slot) + LENGTH]
        rows[vehicle, 0] = length
        for k in range(length):
            rows[vehicle, k + 1] = S[start + k * width]


@compiled
def route_prices(state: Any, prices: Any) -> None:
    """Copy to `prices` what the route of each vehicle costs."""
    S = _bare(state)
    for vehicle in range(len(prices)):
        prices[vehicle] = S[_slot(S, _slot_of(S, vehicle)) + COST]


@compiled
def read(data: Any, state: Any, rows: Any) -> Any:
    """Make the state what `rows` say; return whether every route holds: one that does not loses its requests."""
    D, S = _bare(data), _bare(state)
    holds = True
    width = D[POSITION_WIDTH]
    for request in range(D[N_REQUESTS]):
        S[S[REQUEST_STATE] + 4 * request + VEHICLE_OF] = -1
    for vehicle in range(D[N_VEHICLES]):
        slot = _slot_of(S, vehicle)
        row = _slot(S, slot)
        start = _first_position(D, S, slot) + NODE
        is_same = S[row + VERSION] > 0 and rows[vehicle, 0] == S[row + LENGTH]
        if is_same:
            for k in range(S[row + LENGTH]):
                if rows[vehicle, k + 1] != S[start + k * width]:
                    is_same = False
        if not is_same:
            if S[row + VERSION] > 0:
                _count(D, S, vehicle, -1)
            S[row + VERSION] = 0
            S[row + LENGTH] = rows[vehicle, 0]
            for k in range(S[row + LENGTH]):
                S[start + k * width] = rows[vehicle, k + 1]
            is_good = _refresh(D, S, vehicle, slot)
            if not is_good:
                holds = False
                kept = start
                length = 0
                for k in range(S[row + LENGTH]):
                    node = S[start + k * width]
                    if D[_node(D, node) + KIND] != STOP:
                        S[kept] = node
                        kept += width
                        length += 1
                S[row + LENGTH] = length
                is_good = _refresh(D, S, vehicle, slot)
            if is_good:
                _count(D, S, vehicle, 1)
        for k in range(S[row + LENGTH]):
            at = _node(D, S[start + k * width])
            if D[at + KIND] == STOP:
                S[S[REQUEST_STATE] + 4 * D[at + REQUEST] + VEHICLE_OF] = vehicle
    S[N_ABSENT] = 0
    S[ABSENT_NOW] = 0
    for request in range(D[N_REQUESTS]):
        if _served_by(S, request) < 0:
            _make_absent(D, S, request)
    _keep(S)
    return holds


@compiled
def open_all(data: Any, state: Any) -> None:
    """Make every vehicle active that can be ridden at all."""
    D, S = _bare(data), _bare(state)
    S[N_ACTIVE] = 0
    for vehicle in range(D[N_VEHICLES]):
        if S[_slot(S, _slot_of(S, vehicle)) + VERSION] > 0:
            S[S[ACTIVE] + S[N_ACTIVE]] = vehicle
            S[N_ACTIVE] += 1
