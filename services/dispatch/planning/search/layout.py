"""What stands where in the two flat arrays of the kernel: D, what the problem says, and S, what a search changes.

Each begins with a head of single numbers and of the places where its tables begin; a table's row is a run of fields.
"""

INFINITE = 2**61

# -- D: head -----------------------------------------------------------------------------------------------------------
(
    N_STOPS, N_NODES, N_REQUESTS, N_VEHICLES, N_POINTS, DIMENSIONS, WIDTH, NEAR_WIDTH, N_GROUPS, N_LIMITS, N_HUBS,
    NODE_WIDTH, VEHICLE_WIDTH, POSITION_WIDTH,
    HAS_LIMITS, HAS_SLOW, HAS_RANGE, HAS_CLOSURES, HAS_EXTRA, MOVED_MINUTE, BELOW_SHARE, BALANCE,
    NODES, REQUESTS, VEHICLES, CLOSURES, MAY, EXTRA, NEAR, METRES, GROUP_MOST, GROUP_LEAST, LIMIT_MOST, HUB_MOST,
    IN_LIMIT, WAS, MAY_WIDTH, NEAR_REQUESTS, NEAR_REQUESTS_WIDTH, IS_NARROW,
) = range(40)  # fmt: skip
D_HEAD = 40

# a node: stop, break, start or home; loads (negative where they leave) begin at WINDOW
STOP, BREAK, START, HOME = range(4)
(POINT, OPENS, CLOSES, SOFT, LATE, BUSY, KIND, REQUEST, IS_FIRST, CLOSED_FROM, CLOSED_TO, WAS_START, WINDOW) = range(13)

# a request; its stops are nodes FIRST up to LAST
(
    FIRST, LAST, PICKUPS, ABSENT_PRICE, RIDE_LIMIT, LOCKED, HUBS, LOAD_RANK, FAR, LIMITS, OPENS_RANK, CLOSES_RANK, LONG,
    REQUEST_WIDTH,
) = range(14)  # fmt: skip

# a vehicle; SECONDS .. PRICE_TO are places of its matrices (row = from; row = to), capacities begin at CAPACITY; where
# matrices are narrow, two of their numbers stand in one, and places count those
(
    SHIFT_START, SHIFT_END, RANGE, FIXED, CLASS, GROUP, SECONDS, SECONDS_TO, PRICE, PRICE_TO, TOLD, WAS_FROM, WAS_TO,
    CAPACITY,
) = range(14)  # fmt: skip

# -- S: head -----------------------------------------------------------------------------------------------------------
(
    RNG, CLOCK, STEPS_DONE, COST_NOW, ABSENT_NOW, N_USED,
    N_FREE, N_TOUCHED, N_ABSENT, N_OLD_ABSENT, N_ACTIVE,
    SLOTS, POSITIONS, VEHICLE_STATE, REQUEST_STATE, SEEN, FREE, TOUCHED, ABSENT, OLD_ABSENT, ACTIVE, GROUP_SERVED,
    LIMIT_USED, HUB_USED, DROP_PRICE, LEAST_DROP, TRIAL, TRIAL_LEG, TRIAL_START, TRIAL_BEST, NOT_BEFORE, PLACE_OF,
    ORDER, KEY, NEAR_MARK, MARKS, RIDES, BROUGHT,
) = range(38)  # fmt: skip
S_HEAD = 38

# a slot: one route
LENGTH, HOME_AT, COST, VERSION, SERVED, SLOW_PRICE, HUB_MASK, DAY, SLOT_WIDTH = range(9)

# a position of a route: its node, when it begins, may be left and must begin at the latest, the ride into it, the price
# of the ride out of it to the next place, where the courier stands, the next place; what is aboard begins at LOADS
NODE, AT, LEAVES, LATEST, LEG, LEG_PRICE, HERE, NEXT, LOADS = range(9)

# a vehicle's two slots; a request's state; what was seen of a request in a route (its version stands first)
SLOT, OLD_SLOT = range(2)
VEHICLE_OF, ABSENCES, MARK = range(3)
SEEN_COST, PLACE = 1, 2

# the last ride to a node: from which point, by which matrix, what it took
CAME_FROM, CAME_BY, RIDDEN_SECONDS, RIDDEN_PRICE, RIDE_WIDTH = range(5)
