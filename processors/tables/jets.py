"""Tables in the layout of the LHC Olympics: momenta, masses and N-subjettiness of two jets, no m_jj or features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.errors import InputFileError
from analysis.events.schema import FeatureSpec
from processors.features import FEATURES, compute_features, wanted_names
from processors.files.convert import JETS, MOMENTUM, TAUS, cylindrical
from processors.objects import Dijets, Floats, Index, Jet, Provenance, Tally, dijet_kinematics
from processors.tables.reading import Columns

__all__ = ["has_jets", "jet_features", "jets_to_columns"]


def has_jets(columns: Columns) -> bool:
    """Return whether a table holds the momenta of two jets, as pxj1, pyj1, pzj1, mj1 and the same for j2."""
    return all(f"{name}{jet}" in columns for jet in JETS for name in MOMENTUM)


def jet_features() -> dict[str, FeatureSpec]:
    """Specifications of the registered features, by name."""
    return {name: feature.spec for name, feature in FEATURES.items()}


def jets_to_columns(columns: Columns, config: SearchConfig, source: str) -> Columns:
    """Compute m_jj, |Δy| and features of a table of jets: the optional ones only if the configuration names them.

    Parameters
    ----------
    columns : dict of str to (n_events,) array
        pxj1, pyj1, pzj1, mj1 and optionally tau1j1, tau2j1, tau3j1 in GeV, and the same for j2. The one mass of a jet
        also serves as `jet_mass`.
    config : SearchConfig
    source : str

    Returns
    -------
    dict of str to (n_events,) array
        Columns that are not of the jets, then `mjj`, `abs_dy` and the features that the table allows.

    Raises
    ------
    InputFileError
        If momenta are not finite, or a jet has no transverse momentum.
    """
    jets = [_jet(columns, jet, source) for jet in JETS]
    joined = {name: np.concatenate([jets[0][name], jets[1][name]]) for name in jets[0].keys() & jets[1].keys()}
    count = len(jets[0]["pt"])
    swap = jets[1]["pt"] > jets[0]["pt"]
    rows = np.arange(count)
    source_of_jets = _Jets(joined, source)
    first = Jet(source_of_jets, np.where(swap, rows + count, rows))
    second = Jet(source_of_jets, np.where(swap, rows, rows + count))
    mjj, abs_dy = dijet_kinematics(first, second)
    wanted = wanted_names(config)
    dijets = _dijets(first, second, mjj, abs_dy, source).ordered(config.selection.jet_order)
    features, unavailable = compute_features(
        dijets, (one for name, one in FEATURES.items() if name in wanted or not one.optional)
    )
    used = {f"{name}{jet}" for jet in JETS for name in (*MOMENTUM, *TAUS)}
    kept = {name: values for name, values in columns.items() if name not in used}
    return {
        **kept,
        "mjj": mjj,
        "abs_dy": abs_dy,
        **{name: values for name, values in features.items() if name not in unavailable},
    }


def _jet(columns: Columns, jet: str, source: str) -> dict[str, Floats]:
    momentum = {name: columns[f"{name}{jet}"].astype(np.float64) for name in MOMENTUM}
    for name, values in momentum.items():
        if bad := int((~np.isfinite(values)).sum()):
            msg = f"{source}: column {name}{jet} is not finite in {bad} rows. Remove these rows from the table."
            raise InputFileError(msg)
    if bad := int((np.hypot(momentum["px"], momentum["py"]) == 0).sum()):
        msg = (
            f"{source}: {jet} has no transverse momentum in {bad} rows, which are events with fewer than two jets. "
            "Remove them."
        )
        raise InputFileError(msg)
    missing = np.full(len(momentum["px"]), np.nan)
    taus = {name: columns[f"{name}{jet}"].astype(np.float64) if f"{name}{jet}" in columns else missing for name in TAUS}
    return cylindrical(momentum | taus)


@dataclass(frozen=True)
class _Jets:
    """Both jets of all events, as `processors.sources.JetSource`."""

    columns: dict[str, Floats]
    source: str

    def column(self, name: str, index: Index) -> Floats:
        known = "mass" if name == "jet_mass" else name
        if known not in self.columns:
            msg = f"{self.source}: the table has no {name} of the jets."
            raise InputFileError(msg)
        return self.columns[known][index]


@dataclass(frozen=True)
class _NoBranches:
    """Events without further branches, as `processors.sources.EventSource`."""

    source: str

    def column(self, name: str, _index: Index) -> NDArray[Any]:
        msg = f"{self.source}: the table has no branch {name}."
        raise InputFileError(msg)

    def holds(self, _name: str) -> bool:
        return False

    def jagged(self, name: str, index: Index) -> Any:
        return self.column(name, index)


def _dijets(first: Jet, second: Jet, mjj: Floats, abs_dy: Floats, source: str) -> Dijets:
    count = len(mjj)
    ones, zeros = np.ones(count), np.zeros(count, np.uint64)
    return Dijets(
        first,
        second,
        mjj,
        abs_dy,
        np.arange(count),
        zeros,
        zeros,
        zeros,
        zeros,
        ones,
        _NoBranches(source),
        Provenance(source, "", "", "", 0),
        Tally(count, float(count)),
        ones,
        np.full(count, 2),
    )
