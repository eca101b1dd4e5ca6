"""Anomaly methods, one a file: each says which events a classifier learns to tell apart."""

from analysis.errors import ConfigError
from analysis.learning import Method
from analysis.methods.cwola import CWoLa

__all__ = ["METHODS", "CWoLa", "get_method"]

METHODS: dict[str, Method] = {method.name: method for method in (CWoLa(),)}
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
