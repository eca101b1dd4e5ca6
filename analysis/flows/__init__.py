"""Normalizing flows: densities of the features at a given m_jj, learned in the sidebands. Needs the extra `flows`."""

from analysis.flows.backend import require_flows
from analysis.flows.density import ConditionalDensity, Sample, fit_density, fit_part
from analysis.flows.marginals import ConditionalQuantiles
from analysis.flows.network import Flow, Fraction
from analysis.flows.settings import DEFAULTS, FlowSettings

__all__ = [
    "DEFAULTS",
    "ConditionalDensity",
    "ConditionalQuantiles",
    "Flow",
    "FlowSettings",
    "Fraction",
    "Sample",
    "fit_density",
    "fit_part",
    "require_flows",
]
