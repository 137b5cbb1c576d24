"""Everything we measure, one after the other: python -m bench."""

import asyncio

from bench import http, lane, startup

if __name__ == "__main__":
    startup.main()
    http.main()
    asyncio.run(lane.measure_sqlite())
    asyncio.run(lane.measure_postgres())
