"""pyhf workspaces of a mass spectrum: signal template on a smooth background with its fit covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import StatisticsError
from analysis.statistics.counting_models import require_likelihood
from analysis.statistics.samples import (
    POI,
    PULL_RANGE,
    SPURIOUS,
    SignalSystematic,
    pull_bounds,
    scaled_sample,
    shifted_sample,
    signal_sample,
    systematic_parameters,
)

__all__ = ["Shape", "ShapeWorkspace", "shape_workspace"]

Array = NDArray[np.float64]

_MODE = "background_fit"
_LEAST_EXPECTED = 1e-3  # events; emptier bins are merged with a neighbour
_KEEP_POSITIVE = 0.999
_CENTRE = 6.0  # of the parameter of a wide mode, five widths above the end of pyhf's polynomial
_LARGEST_LOG = 600.0  # of a factor that a float64 holds
_MAX_LOG = 3.0  # of a shift of one standard deviation, in bins that are nearly empty


@dataclass(frozen=True)
class Shape:
    """Inputs of a shape workspace, in events per bin.

    Attributes
    ----------
    observed : (n_bins,) float64 or None
        Counts; None while blinded.
    background : (n_bins,) float64
    covariance : (n_bins, n_bins) float64
        Covariance of `background`, from its fit.
    signal : (n_bins,) float64
        Template in any normalisation: limits are in units of its sum.
    background_variations : mapping of str to (n_bins,) float64
        Further symmetric one-sigma shifts of the background, each with its own parameter: the spread of an ensemble,
        the choice of function.
    spurious_signal : float
        One-sigma size of a false signal from the background function, in events; 0 for none.
    signal_systematics : sequence of SignalSystematic
    likelihood : str
        As in `analysis.statistics.Counting`. "profile": the logarithm of the background is linear in its parameters, as
        in its fit; "gaussian": the background itself is.
    freedom : float
        Width of the constraint of the modes of `covariance`, in their standard deviations. 1 if the fit used other bins
        than these; large if these bins are also those of the fit, which would else be counted twice.
    """

    observed: Array | None
    background: Array
    covariance: Array
    signal: Array
    background_variations: Mapping[str, Array] = field(default_factory=dict)
    spurious_signal: float = 0.0
    signal_systematics: Sequence[SignalSystematic] = ()
    likelihood: str = "profile"
    freedom: float = 1.0

    def __post_init__(self) -> None:
        n_bins = len(self.background)
        require_likelihood(self.likelihood)
        if not self.freedom >= 1.0 or (self.freedom > 1.0 and self.likelihood != "profile"):
            msg = f"the freedom of a background is 1, or more for the likelihood 'profile', found {self.freedom:g}."
            raise StatisticsError(msg)
        rows = {"observed": self.observed, "signal": self.signal, **self.background_variations}
        for name, row in rows.items():
            if row is not None and (np.shape(row) != (n_bins,) or not np.isfinite(row).all()):
                msg = f"'{name}' must be {n_bins} finite numbers, one per bin of the background."
                raise StatisticsError(msg)
        square = self.covariance.shape == (n_bins, n_bins) and np.isfinite(self.covariance).all()
        if not square or (np.diag(self.covariance) < 0).any():
            msg = (
                f"the covariance of {n_bins} bins must be {n_bins} x {n_bins} finite numbers, positive on the diagonal."
            )
            raise StatisticsError(msg)
        observed = np.zeros(1) if self.observed is None else self.observed
        if not (self.background >= 0).all() or self.background.sum() <= 0 or (observed < 0).any():
            msg = "background and observed counts must not be negative, and the background not empty."
            raise StatisticsError(msg)
        if (self.signal < 0).any() or self.signal.sum() <= 0 or not self.spurious_signal >= 0:
            msg = "the signal template must be positive, and the spurious signal not negative. Use a larger sample."
            raise StatisticsError(msg)


@dataclass(frozen=True)
class ShapeWorkspace:
    """Workspace with its binning and the kept and pruned modes.

    Attributes
    ----------
    workspace : dict
        pyhf workspace that follows the HistFactory schema 1.0.0.
    events : float
        Signal events at mu = 1.
    groups : tuple of (first, last)
        Original bins (last one excluded) of each bin of the workspace.
    kept, pruned : tuple of float
        Effects of the eigenmodes of the covariance: largest shift of a bin divided by its total uncertainty.
    """

    workspace: dict[str, Any]
    events: float
    groups: tuple[tuple[int, int], ...]
    kept: tuple[float, ...]
    pruned: tuple[float, ...]


def shape_workspace(shape: Shape, *, channel: str, measurement: str, prune: float = 0.01) -> ShapeWorkspace:
    """Write the workspace of a spectrum.

    The covariance becomes one correlated parameter per eigenmode, `background_fit_0` the largest: for the likelihood
    "profile" a `normsys` of each bin, which is a sample of its own, for "gaussian" a symmetric `histosys`. Signal
    strength 1 is about one standard deviation, for any normalisation of the template: pyhf's fits lose precision if a
    template is small compared to its background.

    Parameters
    ----------
    shape : Shape
    channel, measurement : str
        Names.
    prune : float
        Remove modes that shift no bin by more than this fraction of its total uncertainty.

    Returns
    -------
    ShapeWorkspace

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.statistics import discovery, shape_workspace
    >>> from analysis.statistics.shapes import Shape
    >>> background = np.array([400.0, 200.0, 100.0])
    >>> covariance = np.outer(background, background) * 0.01**2  # one percent, correlated
    >>> shape = Shape(np.array([400.0, 240.0, 100.0]), background, covariance, signal=np.array([0.0, 1.0, 0.0]))
    >>> found = shape_workspace(shape, channel="3000-3300", measurement="search")
    >>> [parameter["name"] for parameter in found.workspace["measurements"][0]["config"]["parameters"]]
    ['mu', 'background_fit_0']
    >>> round(discovery(found.workspace).z, 1)
    2.7
    """
    groups = _groups(shape.background)
    merged = _merge(shape, groups)
    total = np.sqrt(merged.background + np.diag(merged.covariance))
    scale = 1.0 / float(np.sqrt(((merged.signal / total) ** 2).sum()))
    scale = max(scale, 1.0 / float(merged.signal.sum()))
    modes, effects = _modes(merged, total)
    kept = effects >= prune
    shifts = {f"{_MODE}_{k}": shift for k, shift in enumerate(modes[kept])} | dict(merged.background_variations)
    if shape.likelihood == "gaussian":
        shifts = {name: _bounded(shift, merged.background) for name, shift in shifts.items()}
    ends = (*groups[1:].tolist(), len(shape.background))
    return ShapeWorkspace(
        workspace=_write(merged, shifts, scale, channel, measurement),
        events=scale * float(merged.signal.sum()),
        groups=tuple(zip(groups.tolist(), ends, strict=True)),
        kept=tuple(effects[kept].tolist()),
        pruned=tuple(effects[~kept].tolist()),
    )


def _write(shape: Shape, shifts: Mapping[str, Array], scale: float, channel: str, measurement: str) -> dict[str, Any]:
    template = scale * shape.signal
    samples = [signal_sample(template, shape.signal_systematics, scale)]
    bounded = dict(shifts)
    if shape.spurious_signal > 0:
        bounded[SPURIOUS] = shape.spurious_signal * shape.signal / shape.signal.sum()
    if shape.likelihood == "profile":
        samples += _exponential(shape.background, bounded, shape.freedom)
    else:
        samples.append(shifted_sample("background", shape.background, shifts))
        if SPURIOUS in bounded:
            spurious = bounded[SPURIOUS]
            samples.append(shifted_sample(SPURIOUS, np.zeros(len(spurious)), {SPURIOUS: spurious}))
    observed = shape.background if shape.observed is None else shape.observed
    reach = 10.0 * (abs(observed.sum() - shape.background.sum()) + 10.0 * np.sqrt(shape.background.sum()) + 10.0)
    parameters: list[dict[str, Any]] = [
        {"name": POI, "inits": [0.0], "bounds": [[0.0, max(100.0, float(reach / template.sum()))]]},
        *({"name": name, **_constraint(shape, name, shift)} for name, shift in bounded.items()),
        *systematic_parameters(shape.signal_systematics),
    ]
    return {
        "channels": [{"name": channel, "samples": samples}],
        "observations": [{"name": channel, "data": observed.tolist()}],
        "measurements": [{"name": measurement, "config": {"poi": POI, "parameters": parameters}}],
        "version": "1.0.0",
    }


def _exponential(background: Array, shifts: Mapping[str, Array], freedom: float) -> list[dict[str, Any]]:
    """Write one sample per bin, exponential in each parameter.

    pyhf has no wider constraints, and between -1 and 1 its `normsys` is a polynomial, which differs from the
    exponential if the factor is large. A wide mode is therefore centred at `_CENTRE`, where it is exponential.
    """
    logs = {name: np.clip(shift / background, -_MAX_LOG, _MAX_LOG) for name, shift in shifts.items()}
    nominal = background
    if freedom > 1.0:
        modes = [name for name in logs if name.startswith(_MODE)]
        largest = float(np.sum([np.abs(logs[name]) for name in modes], axis=0).max()) if modes else 0.0
        widened = max(1.0, min(freedom, _LARGEST_LOG / (_CENTRE * max(largest, 1e-9))))
        logs |= {name: widened * logs[name] for name in modes}
        nominal = background * np.exp(-_CENTRE * np.sum([logs[name] for name in modes], axis=0))
    return [
        scaled_sample(
            f"background_{index}",
            np.where(np.arange(len(background)) == index, nominal, 0.0),
            {name: float(np.exp(log[index])) for name, log in logs.items()},
        )
        for index in range(len(background))
    ]


def _constraint(shape: Shape, name: str, shift: Array) -> dict[str, Any]:
    """Bounds of a parameter, and the centre of a wide one."""
    if shape.likelihood != "profile":
        return {"bounds": pull_bounds(shape.background, shift)}
    if shape.freedom == 1.0 or not name.startswith(_MODE):
        return {"bounds": [[-PULL_RANGE, PULL_RANGE]]}
    return {"bounds": [[1.0, 2.0 * _CENTRE - 1.0]], "inits": [_CENTRE], "auxdata": [_CENTRE]}


def _modes(shape: Shape, total: Array) -> tuple[Array, Array]:
    """Return one-sigma shifts (n_modes, n_bins) of the eigenmodes, largest effect first, and their effects."""
    covariance = shape.covariance
    variances, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    if variances.min() < -1e-6 * max(variances.max(), 1e-300):
        msg = f"the covariance of the background has a negative eigenvalue, {variances.min():g}. Check the fit."
        raise StatisticsError(msg)
    shifts = (vectors * np.sqrt(np.maximum(variances, 0.0))).T
    shifts *= np.where(shifts.sum(axis=1) < 0, -1.0, 1.0)[:, None]  # the sign of an eigenvector is arbitrary
    effects = np.abs(shifts / total).max(axis=1)
    order = np.argsort(-effects, kind="stable")
    return shifts[order], effects[order]


def _bounded(shift: Array, background: Array) -> Array:
    """Keep both sides of a shift positive and equal, so that the interpolation stays linear."""
    return np.clip(shift, -_KEEP_POSITIVE * background, _KEEP_POSITIVE * background)


def _groups(background: Array) -> NDArray[np.intp]:
    """First bin of each group with enough expected events; an empty bin joins the group on its left."""
    starts, expected = [0], 0.0
    for index, value in enumerate(background):
        if expected >= _LEAST_EXPECTED and value >= _LEAST_EXPECTED:
            starts.append(index)
            expected = 0.0
        expected += float(value)
    return np.array(starts)


def _merge(shape: Shape, starts: NDArray[np.intp]) -> Shape:
    def merge(row: Array) -> Array:
        return np.asarray(np.add.reduceat(np.asarray(row, dtype=float), starts))

    systematics = [
        systematic
        if systematic.kind != "histosys"
        else SignalSystematic(
            systematic.name,
            systematic.kind,
            merge(np.asarray(systematic.up)),
            None if systematic.down is None else merge(np.asarray(systematic.down)),
        )
        for systematic in shape.signal_systematics
    ]
    covariance = np.add.reduceat(np.add.reduceat(shape.covariance, starts, axis=0), starts, axis=1)
    return Shape(
        observed=None if shape.observed is None else merge(shape.observed),
        background=merge(shape.background),
        covariance=covariance,
        signal=merge(shape.signal),
        background_variations={name: merge(shift) for name, shift in shape.background_variations.items()},
        spurious_signal=shape.spurious_signal,
        signal_systematics=systematics,
        likelihood=shape.likelihood,
        freedom=shape.freedom,
    )
