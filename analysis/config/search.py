"""The complete configuration: one validated model per stage."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from analysis.config.learning import LATER, LearningConfig
from analysis.config.limits import LimitsConfig
from analysis.config.model import Fraction, Model, NonNegative, PluginName, Positive
from analysis.config.selection import SelectionConfig
from analysis.config.systematics import SystematicConfig, one_entry_per_source
from analysis.config.table import TableConfig
from analysis.config.validation import ValidationConfig
from analysis.config.variants import Variant, replaced_section
from analysis.core.documents import digest
from analysis.core.notebook import facts

__all__ = [
    "BackgroundConfig",
    "PlotConfig",
    "ScanConfig",
    "SearchConfig",
    "StatisticsConfig",
    "StyleName",
]

_MOST_BINS, _MOST_WINDOWS = 7000, 1000
"""Limits of a scan: covariances of more bins need too much memory."""

_N_COLORS = 6
"""Colours that figures tell apart."""

_LATER: dict[str, dict[str, Any]] = {
    "learning": {"learner": "boosted_trees", "learner_settings": {}, **LATER},
    "statistics": {"blind": False, "non_closure": "none", "model": "counting"},
    "plots": {
        "style": "plain",
        "status": None,
        "only": [],
        "sqrt_s_tev": None,
        "lumi_ifb": None,
        "colors": [],
        "labels": {},
        "ranges": [],
    },
}


class ScanConfig(Model):
    """Layout of the mass windows, all in GeV.

    Either `windows` lists the signal regions, or they are laid out from `first` to `last` with `width` and `step`.

    Attributes
    ----------
    windows : tuple of (low, high), optional
        Explicit list of signal regions, instead of the regular layout.
    sidebands, masks : tuple of (low, high), optional
        For each of `windows`: the range from the start of its lower to the end of its upper training sideband, and the
        interval that the background fit excludes. They replace `sideband_width` and `mask_margin`.
    first, last, width, step : float
        Lower edge of the first signal region, upper limit of the last one, their width and spacing.
    sideband_width : float or "fit-range"
        Width of the training sideband on each side; "fit-range": all of the fit range beside the window. Wide sidebands
        have more events, and find false excesses where features, or how they depend on each other, follow m_jj.
    mask_margin : float
        Width by which the interval excluded from the background fit exceeds the signal region on each side.
    fit_range : (low, high)
        Range of the background fit.
    bin_width : float
        Width of the fit bins.
    smooth_edge : float, optional
        Lowest m_jj at which the spectrum is smooth; by default derived from `pt_hat_min` of the datasets.
    """

    windows: tuple[tuple[float, float], ...] | None = None
    sidebands: tuple[tuple[float, float], ...] | None = None
    masks: tuple[tuple[float, float], ...] | None = None
    first: Positive = 3300.0
    last: Positive = 4500.0
    width: Positive = 400.0
    step: Positive = 200.0
    sideband_width: Positive | Literal["fit-range"] = 200.0
    mask_margin: NonNegative = 100.0
    fit_range: tuple[float, float] = (3000.0, 6500.0)
    bin_width: Positive = 100.0
    smooth_edge: Positive | None = None

    @property
    def sets_windows(self) -> bool:
        """Whether windows and fit range were given, not taken from the defaults, which are those of the demo."""
        given = self.model_fields_set
        return "fit_range" in given and ("windows" in given or {"first", "last"} <= given)

    def signal_regions(self) -> tuple[tuple[float, float], ...]:
        """Return the signal regions [low, high) in GeV."""
        if self.windows is not None:
            return self.windows
        count = int((self.last - self.first - self.width) / self.step + 1e-9) + 1
        return tuple((self.first + i * self.step, self.first + i * self.step + self.width) for i in range(count))

    def reach(self, signal: tuple[float, float]) -> tuple[float, float]:
        """Return the range of a signal region with its training sidebands, if `sidebands` are not given."""
        if self.sideband_width == "fit-range":
            return min(self.fit_range[0], signal[0]), max(self.fit_range[1], signal[1])
        return signal[0] - self.sideband_width, signal[1] + self.sideband_width

    @property
    def least_sideband(self) -> float:
        """Width of the training sideband that a window chosen for a signal must leave on each side, GeV."""
        return 2 * self.bin_width if self.sideband_width == "fit-range" else self.sideband_width

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        low, high = self.fit_range
        n_bins = (high - low) / self.bin_width
        if high <= low or abs(n_bins - round(n_bins)) > 1e-6:
            msg = "fit_range must hold a whole number of bins of bin_width"
            raise ValueError(msg)
        if n_bins > _MOST_BINS:
            msg = f"fit_range holds {n_bins:.3g} bins of bin_width, more than {_MOST_BINS}"
            raise ValueError(msg)
        if self.windows is None and (self.last - self.first) / self.step > _MOST_WINDOWS:
            msg = f"there are more than {_MOST_WINDOWS} steps from first to last"
            raise ValueError(msg)
        if self.windows is None and self.last < self.first + self.width:
            msg = "last must be at least first + width, so that there is one window"
            raise ValueError(msg)
        regions = self.signal_regions()
        if not regions or any(b <= a for a, b in regions):
            msg = "windows must be a non-empty list of [low, high] with low < high"
            raise ValueError(msg)
        if len({f"{low:g}-{high:g}" for low, high in regions}) != len(regions):
            msg = "windows lists the same signal region twice, to six digits"
            raise ValueError(msg)
        for name in ("sidebands", "masks"):
            self._require_around_windows(name)
        return self

    def _require_around_windows(self, name: str) -> None:
        intervals = getattr(self, name)
        if intervals is None:
            return
        if self.windows is None or len(intervals) != len(self.windows):
            msg = f"{name} must list one interval for each of windows, which must be given too"
            raise ValueError(msg)
        for (low, high), (start, stop) in zip(intervals, self.windows, strict=True):
            if low > start or high < stop or (name == "sidebands" and (low == start or high == stop)):
                msg = f"{name} must reach beyond their windows, found [{low:g}, {high:g}] for [{start:g}, {stop:g}]"
                raise ValueError(msg)


class BackgroundConfig(Model):
    """Smooth background of the m_jj spectrum.

    Attributes
    ----------
    functions : tuple of str
        Fit functions, fewest parameters first; the order is chosen without using events inside the mask. The default
        does not begin with `dijet2`, which is too stiff even for a few hundred events.
    strategy : str
        Fit of the background, by name in `analysis.background.STRATEGIES`: "transfer-factor" (a selection is a smooth
        fraction of all events, whose shape is fitted to those that fail it), "events" (every selection alone, with the
        order by its number of events), "template" (all events times the passing fraction of the method's template),
        "likelihood-ratio" (more sensitive, but the error does not include the choice), "raise" and "chi2-acceptance"
        (as in ATLAS' second and first search).
    alpha : float
        With "likelihood-ratio", the next function is used if the test prefers it with p < alpha.
    function_error : str
        "spurious" adds the bias of the function against other smooth functions that describe the sidebands as well to
        the error of the background, where it is beyond the fluctuations of the sidebands; "none" does not.
    sqrt_s_gev : float
        Collision energy, GeV.
    """

    functions: tuple[str, ...] = ("dijet3", "dijet4", "dijet5")
    strategy: str = "transfer-factor"
    alpha: Fraction = 0.05
    function_error: Literal["spurious", "none"] = "spurious"
    sqrt_s_gev: Positive = 13000.0


class StatisticsConfig(Model):
    """P-values and limits.

    Attributes
    ----------
    cls_level : float
        Limits exclude at confidence level 1 - cls_level.
    calculator : str
        Calculator of limits: "asymptotics", "toys", or "auto" (toys where asymptotic limits are too strong).
    pseudo_experiments : int
        Number of background-only spectra for the global p-value; with 0, only the Bonferroni bound is given.
    unblind : bool
        Show counts, p-values and observed limits inside windows for datasets of kind "data", too.
    blind : bool
        Hide them for datasets of any kind; overrides `unblind`.
    likelihood : str
        Model of the background in the likelihood of a count: "profile", the profile likelihood of the sideband fit, or
        "gaussian", a Gaussian error of the background, as in Eq. 2.6 of arXiv:2009.02205.
    non_closure : str
        "correct" shifts the background of every selection by the bias of the estimate measured on signal-free samples,
        and adds the error of the bias as a nuisance parameter. "none" uses the fit without correction.
    model : str
        "counting" tests the events in the window. "shape" also tests the templates of the signal samples in all bins of
        the fit, its sidebands included; windows and their p-values stay the same.
    """

    cls_level: Fraction = 0.05
    calculator: Literal["auto", "asymptotics", "toys"] = "auto"
    pseudo_experiments: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    unblind: bool = False
    blind: bool = False
    likelihood: Literal["profile", "gaussian"] = "profile"
    non_closure: Literal["none", "correct"] = "none"
    model: Literal["counting", "shape"] = "counting"


StyleName = Literal["plain", "cms", "atlas"]
"""Style of all figures."""


class RangeConfig(Model):
    """Range of the main axes of figures.

    Attributes
    ----------
    figure : str
        Name or kind of the figures, as in `only`.
    x, y : (low, high), optional
        In the units of the axes; by default as drawn.
    """

    figure: str
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("x", "y"):
            found = getattr(self, name)
            if found is not None and not found[0] < found[1]:
                msg = f"{name}: {list(found)} is no range: the first value must be below the second"
                raise ValueError(msg)
        return self


class PlotConfig(Model):
    """Style and choice of figures.

    Attributes
    ----------
    formats : tuple of str
        File formats of every figure.
    only : tuple of str
        Names or kinds of the figures to draw, such as "spectrum" or "map_*", with `*` and `?` as in a shell; if empty,
        all figures.
    style : "plain", "cms" or "atlas"
        Fonts, ticks and frames, as defined by mplhep; no style writes the name of an experiment.
    experiment_label : str, optional
        Text such as "CMS" or "ATLAS" on the figures; none by default, since a label claims an experiment.
    status : str, optional
        Text after the label, such as "Preliminary".
    sqrt_s_tev : float, optional
        Energy of the collisions that is written above the figures, TeV.
    lumi_ifb : float, optional
        Integrated luminosity that is written above the figures, fb⁻¹.
    colors : tuple of str
        Colours of lines, points and areas, such as "#5790fc", six or more in order; by default six that are
        distinguishable for all kinds of colour vision (arXiv:2107.02270).
    labels : dict of str to str
        Labels of datasets in legends; formulae between dollar signs.
    ranges : tuple of RangeConfig
        Ranges of figures; later ones win.
    """

    formats: tuple[Literal["pdf", "png", "svg"], ...] = ("pdf", "png")
    only: tuple[str, ...] = ()
    style: StyleName = "plain"
    experiment_label: str | None = None
    status: str | None = None
    sqrt_s_tev: Positive | None = None
    lumi_ifb: Positive | None = None
    colors: tuple[Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")], ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    ranges: tuple[RangeConfig, ...] = ()

    @field_validator("colors")
    @classmethod
    def _enough(cls, colors: tuple[str, ...]) -> tuple[str, ...]:
        if colors and len({color.lower() for color in colors}) < max(_N_COLORS, len(colors)):
            msg = f"list {_N_COLORS} different colours or more, or none"
            raise ValueError(msg)
        return colors


class SearchConfig(Model):
    """The complete, resolved configuration of a search.

    Attributes
    ----------
    random_state : int
        Seed of folds, tie-breaks and classifiers.
    plugins : tuple of str
        Modules, or paths of `.py` files, that add features, cuts, formats, systematics, methods or background
        functions.
    selection, scan, learning, background, statistics, validation, plots, limits
        One model per stage.
    table : TableConfig
        Columns of tables that are searched instead of ROOT files.
    systematics : tuple of SystematicConfig
        Uncertainties of simulation; none by default.
    variants : tuple of Variant
        Further searches of the same events and windows; none by default.

    Examples
    --------
    >>> from analysis.config import SearchConfig
    >>> config = SearchConfig(learning={"efficiencies": [0.02]}, selection={"jet_mass": "softdrop"})
    >>> config.selection.jet_mass, config.selection.abs_dy_search
    ('softdrop', 1.2)
    >>> config.learning.efficiencies, config.learning.n_folds
    ((0.02,), 5)
    """

    random_state: Annotated[int, Field(ge=0, lt=2**63)] = 0
    plugins: tuple[PluginName, ...] = ()
    selection: SelectionConfig = SelectionConfig()
    scan: ScanConfig = ScanConfig()
    learning: LearningConfig = LearningConfig()
    background: BackgroundConfig = BackgroundConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    validation: ValidationConfig = ValidationConfig()
    plots: PlotConfig = PlotConfig()
    limits: LimitsConfig = LimitsConfig()
    table: TableConfig = TableConfig()
    systematics: Annotated[tuple[SystematicConfig, ...], BeforeValidator(one_entry_per_source)] = ()
    variants: tuple[Variant, ...] = ()

    @model_validator(mode="after")
    def _possible_variants(self) -> Self:
        names = [variant.name for variant in self.variants]
        if repeated := [name for name in names if names.count(name) > 1]:
            msg = f"variants has two entries of the name '{repeated[0]}'"
            raise ValueError(msg)
        for variant in self.variants:
            self.variant(variant)
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.systematics]
        if repeated := [name for name in names if names.count(name) > 1]:
            msg = f"systematics has two entries of the name '{repeated[0]}'"
            raise ValueError(msg)
        if [one.kind for one in self.systematics].count("luminosity") > 1:
            msg = "systematics has two entries of kind luminosity; add their sizes in quadrature"
            raise ValueError(msg)
        return self

    def _repr_html_(self) -> str:
        rows = [
            (f"{section}.{key}" if isinstance(values, Model) else key, value)
            for section, values in self.changed.items()
            for key, value in (values.changed.items() if isinstance(values, Model) else {section: values}.items())
        ]
        return facts("Configuration: what is not the default", dict(rows))

    def variant(self, variant: Variant) -> SearchConfig:
        """Return the configuration of one of the variants, which has none of its own.

        Raises
        ------
        ValueError
            If one of its keys is unknown, or a value is not allowed.
        """
        sections = {
            name: replaced_section(getattr(self, name), values, f"variants.{variant.name}.{name}")
            for name, values in variant.sections.items()
        }
        return self.model_copy(update={**sections, "variants": ()})

    def digest(self, *sections: str) -> str:
        """Digest of the whole configuration, or of the named sections; covers the names of files, not their content."""
        document = self.model_dump(mode="json", context={"portable": True})
        # Keys added in later versions enter the digest only if they are used: results without them stay valid.
        if not self.plugins:
            del document["plugins"]
        del document["variants"]  # searches of their own
        if sections:
            document["statistics"]["model"] = "counting"  # only signals depend on it, whose results name it
        for section, later in _LATER.items():
            for key, unused in later.items():
                if document[section][key] == unused:
                    del document[section][key]
        for name in ("limits", "validation", "table"):
            if not sections and document[name] == SearchConfig().model_dump(mode="json")[name]:
                del document[name]
        return digest({name: document[name] for name in sections} if sections else document)
