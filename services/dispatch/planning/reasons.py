"""Why a request is left out: vehicle by vehicle, each reason true when tried alone, and one French sentence."""

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem


def explain(problem: RoutingProblem, plan: Plan) -> Plan:
    """Return the plan with reasons and a French sentence for every request it leaves out."""
    raise NotImplementedError
