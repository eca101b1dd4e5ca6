"""Anomaly methods, one a file: each says which events a classifier learns to tell apart."""

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
    "get_method",
]

_ALL: tuple[Method, ...] = (CWoLa(), SACWoLa(), SALAD(), DataVsSimulation(), Idealised(), Supervised())

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""Methods by name."""


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
