"""Features of every table: jet masses and N-subjettiness ratios, for classifiers and plots.

`mj` is the mass set by `SelectionConfig.jet_mass`. N-subjettiness ratios are undefined if τ_{N-1} is zero, or if either
is negative or NaN. With one-pass axes, τ_N is occasionally slightly above τ_{N-1}; the ratio is then clipped to 1.
"""

from __future__ import annotations

import numpy as np

from processors.features.registry import feature
from processors.objects import Dijets, Floats, Jet

__all__ = ["nsubjettiness_ratio", "raw_ratio"]


def raw_ratio(jet: Jet, order: int) -> Floats:
    """τ_N / τ_{N-1}, (n_events,) float64, without the clipping of `nsubjettiness_ratio`."""
    name = f".tau{order}{order - 1}"
    if name not in jet.known:
        upper, lower = jet.tau(order), jet.tau(order - 1)
        defined = (upper >= 0) & (lower > 0) & (upper < np.inf) & (lower < np.inf)
        jet.known[name] = np.divide(upper, lower, out=np.full(len(upper), np.nan), where=defined)
    return jet.known[name]


def nsubjettiness_ratio(jet: Jet, order: int) -> Floats:
    """τ_N / τ_{N-1} in [0, 1].

    Parameters
    ----------
    jet : Jet
    order : int
        N.

    Returns
    -------
    (n_events,) float64
        NaN where undefined.

    Raises
    ------
    InputFileError
        If the file lacks τ_N or τ_{N-1}.
    """
    return np.minimum(raw_ratio(jet, order), 1.0)


@feature("mj1", label=r"$m_{j_1}$", unit="GeV", bins=(50, 0.0, 1000.0))
def mj1(dijets: Dijets) -> Floats:
    """Mass of jet 1, GeV."""
    return dijets.first.jet_mass


@feature("mj2", label=r"$m_{j_2}$", unit="GeV", bins=(50, 0.0, 500.0))
def mj2(dijets: Dijets) -> Floats:
    """Mass of jet 2, GeV."""
    return dijets.second.jet_mass


@feature("delta_mj", label=r"$m_{j_1} - m_{j_2}$", unit="GeV", bins=(50, 0.0, 500.0))
def delta_mj(dijets: Dijets) -> Floats:
    """Mass difference, GeV: non-negative if the jets are ordered in mass, signed if they are ordered in p_T."""
    return dijets.first.jet_mass - dijets.second.jet_mass


@feature("tau21_j1", label=r"$\tau_{21}^{j_1}$", unit="", bins=(50, 0.0, 1.0))
def tau21_j1(dijets: Dijets) -> Floats:
    """τ2/τ1 of jet 1."""
    return nsubjettiness_ratio(dijets.first, 2)


@feature("tau21_j2", label=r"$\tau_{21}^{j_2}$", unit="", bins=(50, 0.0, 1.0))
def tau21_j2(dijets: Dijets) -> Floats:
    """τ2/τ1 of jet 2."""
    return nsubjettiness_ratio(dijets.second, 2)


@feature("tau32_j1", label=r"$\tau_{32}^{j_1}$", unit="", bins=(50, 0.0, 1.0))
def tau32_j1(dijets: Dijets) -> Floats:
    """τ3/τ2 of jet 1."""
    return nsubjettiness_ratio(dijets.first, 3)


@feature("tau32_j2", label=r"$\tau_{32}^{j_2}$", unit="", bins=(50, 0.0, 1.0))
def tau32_j2(dijets: Dijets) -> Floats:
    """τ3/τ2 of jet 2."""
    return nsubjettiness_ratio(dijets.second, 3)


@feature("mj1_over_mjj", label=r"$m_{j_1} / m_{jj}$", unit="", bins=(50, 0.0, 0.4))
def mj1_over_mjj(dijets: Dijets) -> Floats:
    """Mass of jet 1 in units of m_jj, nearly independent of m_jj in QCD.

    Do not train on it together with `mj1`, since m_jj follows from the two.
    """
    return _over_mjj(dijets, dijets.first)


@feature("mj2_over_mjj", label=r"$m_{j_2} / m_{jj}$", unit="", bins=(50, 0.0, 0.2))
def mj2_over_mjj(dijets: Dijets) -> Floats:
    """Mass of jet 2 in units of m_jj; see `mj1_over_mjj`."""
    return _over_mjj(dijets, dijets.second)


def _over_mjj(dijets: Dijets, jet: Jet) -> Floats:
    scaled: Floats = np.divide(jet.jet_mass, dijets.mjj, out=np.full(len(dijets), np.nan), where=dijets.mjj > 0)
    return scaled
