"""Background functions by name.

All are log-linear, log f(m) = c_0 + sum_k c_k phi_k(x) with x = m / sqrt(s), so that one solver fits all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.core.registry import Registry
from analysis.errors import ConfigError

__all__ = ["FUNCTIONS", "MassFunction", "function_family", "look_up", "register_function"]

Array = NDArray[np.float64]
Term = Callable[[Array], Array]


@dataclass(frozen=True)
class MassFunction:
    """Log-linear function of the dijet mass.

    Attributes
    ----------
    name : str
    terms : tuple of callable
        phi_k(x), x = m / sqrt(s), after the constant term.
    formula : str
        Human-readable. p0 is the normalisation, p1, p2, ... are the coefficients of `terms`.
    """

    name: str
    terms: tuple[Term, ...]
    formula: str

    @property
    def n_parameters(self) -> int:
        """Number of coefficients, normalisation included."""
        return len(self.terms) + 1

    def basis(self, x: Array) -> Array:
        """(..., n_parameters): the terms at x = m / sqrt(s)."""
        return np.stack([np.ones_like(x), *(term(x) for term in self.terms)], axis=-1)

    def extends(self, other: MassFunction) -> bool:
        """Whether `other` is this function with some coefficients fixed at zero."""
        return set(other.terms) < set(self.terms)


def _log_power(k: int, sign: float) -> Term:
    return lambda x: sign * np.log(x) ** k


def _power(k: int, sign: float) -> Term:
    return lambda x: sign * x**k


def _log_falling(x: Array) -> Array:
    return np.log1p(-x)


_MINUS_LOG = tuple(_log_power(k, -1.0) for k in (1, 2, 3))
_LOG, _LOG_SQUARED = _log_power(1, 1.0), _log_power(2, 1.0)
_POWERS = tuple(_power(k, 1.0) for k in (1, 2, 3))
_MINUS_X, _MINUS_X_SQUARED = _power(1, -1.0), _power(2, -1.0)

_DIJET_TERMS = (_log_falling, *_MINUS_LOG)
_DIJET_FORMULAE = (
    "p0 (1-x)^p1",
    "p0 (1-x)^p1 / x^p2",
    "p0 (1-x)^p1 / x^(p2 + p3 ln x)",
    "p0 (1-x)^p1 / x^(p2 + p3 ln x + p4 ln^2 x)",
)
_EXP_FORMULAE = ("p0", "p0 exp(p1 x)", "p0 exp(p1 x + p2 x^2)", "p0 exp(p1 x + p2 x^2 + p3 x^3)")

_ALL = (
    *(MassFunction(f"dijet{n + 2}", _DIJET_TERMS[: n + 1], formula) for n, formula in enumerate(_DIJET_FORMULAE)),
    MassFunction("atlas1", (_log_falling, _MINUS_LOG[0]), "p0 (1-x)^p1 x^(-p2)"),
    MassFunction("atlas2", (_log_falling, _MINUS_LOG[0], _LOG_SQUARED), "p0 (1-x)^p1 x^(-p2 + p3 ln x)"),
    MassFunction("atlas3", (_LOG, _MINUS_X, _POWERS[1]), "p0 x^p1 exp(-p2 x + p3 x^2)"),
    *(MassFunction(f"exp{n + 1}", _POWERS[:n], formula) for n, formula in enumerate(_EXP_FORMULAE)),
    MassFunction("ua2", (_MINUS_LOG[0], _MINUS_X, _MINUS_X_SQUARED), "p0 x^(-p1) exp(-p2 x - p3 x^2)"),
)

FUNCTIONS: Registry[MassFunction] = Registry("background function")
"""Background functions by name.

`dijetN` has N parameters including the normalisation; `dijet4` is Eq. 2.4 of arXiv:2009.02205. `atlas1` to `atlas3` are
the three functions of ATLAS' first search, arXiv:2005.02983, with its decorrelating constants xi set to zero: the
constants only mix the parameters, and the fit uses its own orthonormal basis. `atlas1` is `dijet3` under another name.
`expN` is the exponential of a polynomial in x with N parameters including the normalisation, from the exponential
family of arXiv:2502.09770, used there up to N = 4; `exp1` is therefore a constant. `ua2` is the function of the UA2
experiment.
"""


def register_function(function: MassFunction) -> None:
    """Register a function under its name, also from a plugin.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    FUNCTIONS.add(function.name, function, origin=function.formula)


for _function in _ALL:
    register_function(_function)


def look_up(names: Sequence[str | MassFunction]) -> tuple[MassFunction, ...]:
    """Look up functions by name, nested or not; `MassFunction` objects are returned unchanged.

    Raises
    ------
    ConfigError
        If the list is empty or a function is unknown.
    """
    if unknown := [name for name in names if isinstance(name, str) and name not in FUNCTIONS]:
        msg = (
            f"unknown background function '{unknown[0]}'. Functions: {', '.join(FUNCTIONS)}. One of a plugin needs "
            "that with --plugin."
        )
        raise ConfigError(msg)
    if not names:
        msg = "background.functions is empty."
        raise ConfigError(msg)
    return tuple(FUNCTIONS[name] if isinstance(name, str) else name for name in names)


def function_family(names: Sequence[str | MassFunction]) -> tuple[MassFunction, ...]:
    """Look up nested functions, fewest parameters first.

    Raises
    ------
    ConfigError
        If a function is unknown, or does not extend the one before it.
    """
    family = look_up(names)
    for lower, higher in pairwise(family):
        if not higher.extends(lower):
            msg = f"background.functions must be nested with rising order; {higher.name} does not extend {lower.name}."
            raise ConfigError(msg)
    return family
