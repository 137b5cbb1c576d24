"""How long a ride takes, how far it is and where it leads: one interface, over streets or straight lines.

`Roads` is what the service is given at its wiring; `matrix` and `line` are the estimate alone, always there.
"""

from services.dispatch.travel.engines import Info
from services.dispatch.travel.estimate import Point, PointOffTheMap, Travel, line, matrix
from services.dispatch.travel.roads import Line, Roads, Route, Snap, Stretch, open_roads

__all__ = [
    "Info",
    "Line",
    "Point",
    "PointOffTheMap",
    "Roads",
    "Route",
    "Snap",
    "Stretch",
    "Travel",
    "line",
    "matrix",
    "open_roads",
]
