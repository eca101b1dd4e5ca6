"""Requirements of a search, checked in advance: known names, samples of the method, measured corrections."""

from __future__ import annotations

from analysis.background import BY_TEMPLATE, TRANSFER_FACTOR, require_functions
from analysis.config import SearchConfig
from analysis.errors import ConfigError
from analysis.learning import (
    INCLUSIVE,
    ContrastMethod,
    OptionalMethod,
    TemplateMethod,
    configured_learner,
    selection_names,
)
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.search.non_closure import Corrections, NonClosure, check_corrections

__all__ = ["measured_corrections", "require_known", "require_samples", "uses_template"]


def uses_template(config: SearchConfig) -> bool:
    """Whether thresholds or backgrounds come from the background template of the method."""
    by_template = config.background.strategy == BY_TEMPLATE
    return by_template or config.learning.threshold_reference == "background-template"


def require_known(config: SearchConfig) -> None:
    """Raise for unknown methods and functions, missing libraries and impossible masses, before any work is done.

    Raises
    ------
    ConfigError
        Names the unknown entry and the available ones, the extra to install, or the settings that exclude each other.
    """
    (low, high), sqrt_s_gev = config.scan.fit_range, config.background.sqrt_s_gev
    if high >= sqrt_s_gev:
        msg = (
            f"scan.fit_range = [{low:g}, {high:g}] GeV does not end below the collision energy: give the right "
            f"background.sqrt_s_gev, now {sqrt_s_gev:g}, or narrow scan.fit_range."
        )
        raise ConfigError(msg)
    method = get_method(config.learning.method)
    if isinstance(method, OptionalMethod):
        method.require_installed()
    if uses_template(config) and not isinstance(method, TemplateMethod):
        setting, others = (
            ("background.strategy", f"{TRANSFER_FACTOR} or events")
            if config.background.strategy == BY_TEMPLATE
            else ("learning.threshold_reference", "spectrum or sidebands")
        )
        msg = f"method {method.name} has no template of the background: set {setting} to {others}."
        raise ConfigError(msg)
    learning = config.learning
    if not isinstance(method, ContrastMethod):
        settings = {
            "learning.cross_fitting": ("kfold", learning.cross_fitting, learning.cross_fitting == "nested"),
            "learning.tuning.criterion": ("none", learning.tuning.criterion, learning.tuning.criterion != "none"),
        }
        for setting, (needed, value, chooses) in settings.items():
            if chooses:
                msg = f'method {method.name} has no labels to choose by: set {setting} = "{needed}", found "{value}".'
                raise ConfigError(msg)
    configured_learner(learning, 1)
    require_functions(config.background.functions, config.background.strategy)


def require_samples(config: SearchConfig, *, truth: bool, simulation: bool) -> None:
    """Raise if the method needs simulation or truth that the datasets lack, before any work is done.

    Parameters
    ----------
    config : SearchConfig
    truth : bool
        Whether simulated signal events are marked, as in pseudodata.
    simulation : bool
        Whether simulated background is available.

    Raises
    ------
    ConfigError
        Names the method and the missing datasets.
    """
    method = get_method(config.learning.method)
    if method.uses_truth and not truth:
        msg = (
            f"method {method.name} uses the truth of simulated events, which datasets of kind data do not have. Search "
            "datasets of kind pseudodata with it, or set learning.method to another one."
        )
        raise ConfigError(msg)
    if method.needs_simulation and not simulation:
        msg = (
            f"method {method.name} needs datasets of kind background, and there are none. Add one to the datasets file "
            "and run `cwola process` again, or set learning.method to another one."
        )
        raise ConfigError(msg)


def measured_corrections(
    found: Corrections | None, scan: RegionScan, config: SearchConfig
) -> dict[str, dict[str, NonClosure]]:
    """Return the corrections required by the configuration.

    Parameters
    ----------
    found : mapping of window to selection to (delta, error), or None
        Relative non-closure (n - b) / b on samples without signal, with its error. The inclusive selection is optional:
        without an entry it stays uncorrected.
    scan : RegionScan
    config : SearchConfig

    Returns
    -------
    dict of str to dict of str to NonClosure
        Empty with `statistics.non_closure = "none"`.

    Raises
    ------
    ConfigError
        If the non-closure of a selection of a window was not measured.
    """
    if config.statistics.non_closure == "none":
        return {}
    learning = config.learning
    names = selection_names(
        learning.efficiencies, chosen=learning.working_point == "argos", apart=learning.cross_fitting == "half"
    )
    return check_corrections(found, [window.name for window in scan.windows], [INCLUSIVE, *names])
