"""Anomaly methods, one a file: each says which events a classifier learns to tell apart."""

from dataclasses import replace

from analysis.config import LearningConfig
from analysis.errors import ConfigError
from analysis.learning import Method
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
    "Idealised",
    "SACWoLa",
    "Supervised",
    "configured_method",
    "get_method",
]

_ALL: tuple[Method, ...] = (CWoLa(), SACWoLa(), SALAD(), DataVsSimulation(), Idealised(), Supervised())

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""Methods by name."""


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
        msg = f"unknown method '{name}' in learning.method. Methods: {', '.join(METHODS)}."
        raise ConfigError(msg)
    return METHODS[name]
