"""Everything we measure, one after the other: python -m bench."""

import asyncio

from bench import big_days, holds, http, lane, month, planning, replan, startup, travel

if __name__ == "__main__":
    startup.main()
    http.main()
    asyncio.run(lane.measure_sqlite())
    asyncio.run(lane.measure_postgres())
    travel.main()
    holds.main([])
    month.main([])
    replan.main()
    big_days.main([])
    planning.main(["--seeds", "1"])  # an hour and more; what is there from an earlier run is kept
