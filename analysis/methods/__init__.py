"""Anomaly methods, one a file: each trains a model that scores events, most of them by what a classifier separates."""

from dataclasses import replace
from typing import Any

from analysis.config import LearningConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError
from analysis.learning import Method
from analysis.methods.contrast import FromContrast, adapted
from analysis.methods.cwola import CWoLa
from analysis.methods.data_vs_simulation import DataVsSimulation
from analysis.methods.idealised import Idealised
from analysis.methods.sa_cwola import SACWoLa
from analysis.methods.salad import SALAD
from analysis.methods.supervised import Supervised

__all__ = [
    "METHODS",
    "SALAD",
    "CWoLa",
    "DataVsSimulation",
    "FromContrast",
    "Idealised",
    "SACWoLa",
    "Supervised",
    "configured_method",
    "get_method",
    "register_method",
]

METHODS: Registry[Method] = Registry("method")
"""Methods by name."""


def register_method(method: Any) -> None:
    """Add a method under its name, here or in a plugin; one with a `contrast` alone is given its `fit`.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    METHODS.add(method.name, adapted(method), origin=type(method).__qualname__)


for _method in (CWoLa(), SACWoLa(), SALAD(), DataVsSimulation(), Idealised(), Supervised()):
    register_method(_method)


def configured_method(config: LearningConfig) -> Method:
    """Return the method of a configuration with its settings.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    method = get_method(config.method)
    return replace(method, simulation_weight=config.simulation_weight) if isinstance(method, SACWoLa) else method


def get_method(name: str) -> Method:
    """Look a method up.

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
