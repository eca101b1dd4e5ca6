"""Moves events of the sidebands along m_jj, feature by feature, by conditional quantiles."""

from analysis.learning.transport.quantiles import Forest
from analysis.learning.transport.sidebands import Sideband, Transport, fit_transport

__all__ = ["Forest", "Sideband", "Transport", "fit_transport"]
