"""Anomaly methods, one per file: each trains a model that scores events, in most cases a classifier."""

from dataclasses import replace
from typing import Any

from analysis.config import LearningConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError
from analysis.learning import Method
from analysis.methods.anode import ANODE
from analysis.methods.cathode import CATHODE
from analysis.methods.contrast import FromContrast, adapted, uses_sidebands
from analysis.methods.curtains import Curtains
from analysis.methods.curtains_flow import CurtainsFlow
from analysis.methods.cwola import CWoLa
from analysis.methods.data_vs_simulation import DataVsSimulation
from analysis.methods.idealised import Idealised
from analysis.methods.interpolated_sidebands import InterpolatedSidebands
from analysis.methods.sa_cwola import SACWoLa
from analysis.methods.salad import SALAD
from analysis.methods.supervised import Supervised

__all__ = [
    "ANODE",
    "CATHODE",
    "METHODS",
    "SALAD",
    "CWoLa",
    "Curtains",
    "CurtainsFlow",
    "DataVsSimulation",
    "FromContrast",
    "Idealised",
    "InterpolatedSidebands",
    "SACWoLa",
    "Supervised",
    "configured_method",
    "get_method",
    "register_method",
    "require_extra",
    "uses_sidebands",
]

METHODS: Registry[Method] = Registry("method")
"""Methods by name."""


def register_method(method: Any) -> None:
    """Add a method under its name, here or in a plugin; a method with only a `contrast` is given a `fit`.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    METHODS.add(method.name, adapted(method), origin=type(method).__qualname__)


for _method in (
    CWoLa(),
    Curtains(),
    InterpolatedSidebands(),
    SACWoLa(),
    SALAD(),
    CATHODE(),
    CurtainsFlow(),
    ANODE(),
    DataVsSimulation(),
    Idealised(),
    Supervised(),
):
    register_method(_method)


def configured_method(config: LearningConfig) -> Method:
    """Return the configured method with its settings.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    method = get_method(config.method)
    return replace(method, simulation_weight=config.simulation_weight) if isinstance(method, SACWoLa) else method


def get_method(name: str) -> Method:
    """Look up a method.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in METHODS:
        msg = (
            f"unknown method '{name}' in learning.method. Methods: {', '.join(METHODS)}. One of a plugin needs that "
            "with --plugin."
        )
        raise ConfigError(msg)
    return METHODS[name]


def require_extra(method: Method) -> None:
    """Raise if a method needs an extra of the package that is not installed.

    Raises
    ------
    ConfigError
        Names the method and the extra.
    """
    if hasattr(method, "require_extra"):
        method.require_extra()
