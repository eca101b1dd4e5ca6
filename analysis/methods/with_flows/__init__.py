"""Methods with normalizing flows: the background of the window from densities that are learned in the sidebands."""

from analysis.methods.with_flows.anode import ANODE
from analysis.methods.with_flows.base import WithFlows
from analysis.methods.with_flows.cathode import CATHODE
from analysis.methods.with_flows.curtains_flow import CurtainsFlow
from analysis.methods.with_flows.lacathode import LaCATHODE
from analysis.methods.with_flows.r_anode import RANODE

__all__ = ["ANODE", "CATHODE", "RANODE", "CurtainsFlow", "LaCATHODE", "WithFlows"]
