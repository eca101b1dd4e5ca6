"""P-values and limits from pyhf workspaces; choice of the calculator and validity of asymptotic formulae.

Asymptotic limits are too strong for small backgrounds (5 % at 20 events, 17 % at one event), for backgrounds that
are compatible with zero within three standard deviations, and far below an expectation with a Gaussian error, where the
background vanishes: these cases use toys, unless the caller selects a calculator. A discovery test statistic is clipped
at zero for a deficit; the signed z uses the unclipped profile-likelihood ratio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.core.notebook import facts
from analysis.errors import StatisticsError
from analysis.statistics.asymptotics import asymptotic_limits
from analysis.statistics.counting import averaged_p0, counting_limits, counting_model, counting_p0
from analysis.statistics.counting_models import GaussianCounting
from analysis.statistics.likelihood import Likelihood
from analysis.statistics.toys import signed_roots, toy_limits, toy_p0

__all__ = ["POST_FIT", "PRE_FIT", "DiscoveryResult", "LimitResult", "checked", "discovery", "upper_limit"]

Array = NDArray[np.float64]

PRE_FIT, POST_FIT = "pre-fit", "post-fit"
"""Whether an expectation has the background from outside the window alone, or fitted with the count of the window."""

_TRUSTED_DISCOVERY = 10.0  # expected background events, of several bins, above which z is good to about 0.1
_CLOSE = 0.1  # difference of z from that of toys up to which asymptotics are trusted
_CHECKED = 3.0  # z above which p-values of toys are given even if they agree
_FAR_DEFICIT = -2.0
_TRUSTED_LIMIT = 20.0
_TRUSTED_ERROR = 1 / 3  # of the background: above, three standard deviations reach zero
_CALCULATORS = ("auto", "asymptotics", "toys")


@dataclass(frozen=True)
class DiscoveryResult:
    """Test of the background-only hypothesis.

    Attributes
    ----------
    z : float
        Signed significance sign(mu_hat) sqrt(q), q = -2 log lambda(0): negative for a deficit.
    p0 : float
        One-sided p-value, the upper tail of the normal distribution at z; above 1/2 for a deficit.
    asymptotics_trusted : bool
        Whether z is within 0.1 of the significance of `p0_toys`, at this background, error and count; if not, that is
        the better p-value. With several bins, and for z below -3: whether 10 background events are expected, with an
        error that does not reach down to zero.
    p0_toys : float or None
        From pseudo-experiments: those of the sidebands where the fit is known, see `analysis.search.sideband_toys`,
        else of the workspace, exact for one bin. None if asymptotics are trusted, z is below 3 and the background is
        not small.
    p0_averaged : float or None
        Poisson probability averaged over the error of the background: conservative, while `p0_toys` is calibrated only
        approximately. For one bin with fewer than 10 background events, or an error that reaches down to zero.
    """

    z: float
    p0: float
    asymptotics_trusted: bool = True
    p0_toys: float | None = None
    p0_averaged: float | None = None

    def _repr_html_(self) -> str:
        known = {"p0 by toys": self.p0_toys, "p0, averaged": self.p0_averaged}
        toys = {name: value for name, value in known.items() if value is not None}
        return facts("Discovery test", {"z": self.z, "p0": self.p0, "Asymptotics": self.asymptotics_trusted, **toys})


@dataclass(frozen=True)
class LimitResult:
    """Upper limit on the number of signal events in the window after the selection.

    Attributes
    ----------
    rule : str
        "visible-events": at fixed selection, ignoring that the classifier would learn from more signal.
    calculator : str
        "asymptotics" (Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727) or "toys".
    observed_events : float or None
        None while blinded.
    expected_events : tuple of float
        At -2, -1, 0, 1, 2 standard deviations of the background-only expectation.
    level : float
        The limit is at confidence level 1 - level.
    construction : str
        "CLs" (arXiv:hep-ex/9902006), or "CLs+b", which may exclude every signal, with a limit of 0.
    asymptotics_trusted : bool
        False if the background is below 20 events, its error above a third of it, or the count far below a background
        with a Gaussian error: asymptotic limits are then too strong.
    expectation : str
        "pre-fit": the expected limits are those of the background as the sideband fit gives it, and no count enters;
        "post-fit": the background is first fitted, without signal, to the observed counts too, as pyhf does, so that an
        excess raises the expected limits within the error of the background.
    """

    rule: str
    calculator: str
    observed_events: float | None
    expected_events: tuple[float, ...]
    level: float = 0.05
    construction: str = "CLs"
    asymptotics_trusted: bool = True
    expectation: str = POST_FIT

    def _repr_html_(self) -> str:
        expected = zip(("−2σ", "−1σ", "median", "+1σ", "+2σ"), self.expected_events, strict=True)
        title = f"Upper limit, {100 * (1 - self.level):g}% {self.construction}, {self.calculator}, in {self.rule}"
        shown = {f"Expected {self.expectation}, {name}": events for name, events in expected}
        return facts(title, {"Observed": self.observed_events, **shown})

    def scaled(self, weight: float) -> LimitResult:
        """Return limits in sums of weights, converted from effective events of `weight` each."""
        observed = self.observed_events
        return replace(
            self,
            observed_events=None if observed is None else observed * weight,
            expected_events=tuple(value * weight for value in self.expected_events),
        )


def discovery(
    workspace: dict[str, Any], *, n_toys: int = 10_000, random_state: int | np.random.Generator = 0
) -> DiscoveryResult:
    """Signed significance of an excess over the background.

    Parameters
    ----------
    workspace : dict
        pyhf workspace whose parameter of interest scales the signal; any number of bins.
    n_toys : int
        Drawn for several bins if asymptotics are not trusted; a single bin needs no toys.
    random_state : int or numpy.random.Generator

    Returns
    -------
    DiscoveryResult

    Raises
    ------
    StatisticsError
        If the workspace cannot be used or a fit fails.

    Examples
    --------
    >>> from analysis.statistics import Counting, counting_workspace, discovery
    >>> counting = Counting(120.0, 100.0, 5.0, likelihood="gaussian")
    >>> found = discovery(counting_workspace(counting, channel="3300-3700", measurement="search"))
    >>> round(found.z, 2), round(found.p0, 3)
    (1.73, 0.042)
    """
    likelihood = Likelihood(workspace)
    z = float(signed_roots(likelihood, likelihood.data[None])[0])
    p0, counting = float(stats.norm.sf(z)), counting_model(likelihood)
    large = _trusted(likelihood, _TRUSTED_DISCOVERY)
    if large and (counting is None or z < -_CHECKED):
        return DiscoveryResult(z=z, p0=p0)
    if counting is None:
        p0_toys = toy_p0(likelihood, n_toys=n_toys, random_state=random_state)
        return DiscoveryResult(z, p0, asymptotics_trusted=False, p0_toys=p0_toys)
    return checked(DiscoveryResult(z, p0, p0_averaged=None if large else averaged_p0(counting)), counting_p0(counting))


def checked(result: DiscoveryResult, p0_toys: float) -> DiscoveryResult:
    """Compare a discovery test with the p-value of toys: what they give, and whether asymptotics are trusted."""
    trusted = 0 < p0_toys < 1 and abs(float(stats.norm.isf(p0_toys)) - result.z) < _CLOSE
    needed = not trusted or result.z > _CHECKED or result.p0_averaged is not None
    return replace(result, asymptotics_trusted=trusted, p0_toys=p0_toys if needed else None)


def upper_limit(
    workspace: dict[str, Any],
    *,
    level: float = 0.05,
    blinded: bool = False,
    calculator: str = "auto",
    construction: str = "CLs",
    n_toys: int = 2_000,
    random_state: int | np.random.Generator = 0,
) -> LimitResult:
    """Compute the limit on the visible signal events.

    Parameters
    ----------
    workspace : dict
        pyhf workspace; its signal template defines the number of events at signal strength 1.
    level : float
        Signals with CLs < level are excluded.
    blinded : bool
        Compute the expected limits only.
    calculator : str
        "asymptotics", "toys", or "auto": toys if asymptotics are not trusted.
    construction : str
        "CLs" or "CLs+b".
    n_toys : int
        Drawn for each hypothesis with several bins; a single bin needs no toys.
    random_state : int or numpy.random.Generator

    Returns
    -------
    LimitResult

    Raises
    ------
    StatisticsError
        If an option is unknown, the workspace cannot be used, the limit cannot be bracketed or a fit fails.

    Examples
    --------
    >>> from analysis.statistics import Counting, counting_workspace, upper_limit
    >>> counting = Counting(100.0, 100.0, 5.0, likelihood="gaussian")
    >>> workspace = counting_workspace(counting, channel="3300-3700", measurement="search")
    >>> limit = upper_limit(workspace)
    >>> round(limit.observed_events, 1)
    23.0
    >>> [round(events, 1) for events in limit.expected_events]
    [12.1, 16.3, 23.0, 32.6, 44.7]
    """
    _require_options(level, calculator, construction)
    likelihood = Likelihood(workspace)
    trusted = _trusted(likelihood, _TRUSTED_LIMIT) and not _far_below(likelihood, blinded=blinded)
    chosen = ("asymptotics" if trusted else "toys") if calculator == "auto" else calculator
    options: dict[str, Any] = {"level": level, "cls": construction == "CLs"}
    if chosen == "toys":
        limits = _toy_limits(likelihood, n_toys, random_state, options)
    else:
        limits = asymptotic_limits(likelihood, **options) * likelihood.events
    observed, *expected = limits.tolist()
    return LimitResult(
        rule="visible-events",
        calculator=chosen,
        observed_events=None if blinded else observed,
        expected_events=tuple(np.maximum.accumulate(expected).tolist()),  # toys with few counts may swap neighbours
        level=level,
        construction=construction,
        asymptotics_trusted=trusted,
        expectation=_expectation(likelihood),
    )


def _toy_limits(
    likelihood: Likelihood, n_toys: int, random_state: int | np.random.Generator, options: dict[str, Any]
) -> Array:
    counting = counting_model(likelihood)
    if counting is not None:
        return counting_limits(counting, **options)
    return toy_limits(likelihood, n_toys=n_toys, random_state=random_state, **options) * likelihood.events


def _expectation(likelihood: Likelihood) -> str:
    """Whether the data of the workspace are its own expectation without signal, so that no count enters."""
    nominal = likelihood.expected(likelihood.start[None])[0]
    return PRE_FIT if np.allclose(likelihood.data, nominal, rtol=1e-9, atol=1e-12) else POST_FIT


def _far_below(likelihood: Likelihood, *, blinded: bool) -> bool:
    """Whether the count of a single bin is so far below its background that a Gaussian one is fitted close to zero."""
    counting = None if blinded else counting_model(likelihood)
    return isinstance(counting, GaussianCounting) and bool(counting.signed_z(counting.n, 0.0) < _FAR_DEFICIT)


def _trusted(likelihood: Likelihood, least: float) -> bool:
    """Whether the background under the signal is large and precise enough for asymptotic formulae.

    The background is the one of a single bin with the same sensitivity, (sum s)^2 / sum(s^2 / b).
    """
    signal, background = likelihood.signal(), likelihood.background()
    effective = signal.sum() ** 2 / (signal**2 / background).sum()
    weight = signal**2 / background
    relative = np.sqrt(likelihood.background_variance()) / background
    return bool(effective >= least and (weight @ relative) / weight.sum() <= _TRUSTED_ERROR)


def _require_options(level: float, calculator: str, construction: str) -> None:
    if calculator not in _CALCULATORS or construction not in {"CLs", "CLs+b"} or not 0 < level < 1:
        msg = (
            f"a limit needs calculator {', '.join(_CALCULATORS)}, construction CLs or CLs+b and a level between 0 and "
            f"1, found {calculator!r}, {construction!r}, {level:g}."
        )
        raise StatisticsError(msg)
