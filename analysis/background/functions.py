"""Background functions by name.

Most are log-linear, log f(m) = c_0 + sum_k c_k phi_k(x) with x = m / sqrt(s), so that one solver fits all of them. The
others become so about their best fit to given bins: `AdaptedFunction`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Sidebands
from analysis.core.registry import Registry
from analysis.errors import ConfigError

__all__ = [
    "FUNCTIONS",
    "HIGHEST_RATIO",
    "AdaptedFunction",
    "MassFunction",
    "PassFailFunction",
    "Term",
    "find_function",
    "function_family",
    "look_up",
    "parts_of_name",
    "register_function",
    "times_ratio",
]

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
    offset : callable, optional
        Added to log f with the coefficient one.
    precision : tuple of float
        Inverse variance of the Gaussian prior about zero of each coefficient of `terms`; zero for a free coefficient.
        Empty if all are free.
    centre : tuple of float
        Values of ln p0, p1, p2, ... where all coefficients are zero. Empty if these are zero as well.

    Examples
    --------
    >>> from analysis.background import FUNCTIONS
    >>> FUNCTIONS["dijet3"].formula, FUNCTIONS["dijet3"].n_parameters
    ('p0 (1-x)^p1 / x^p2', 3)
    >>> FUNCTIONS["dijet4"].extends(FUNCTIONS["dijet3"])
    True
    """

    name: str
    terms: tuple[Term, ...]
    formula: str
    offset: Term | None = None
    precision: tuple[float, ...] = ()
    centre: tuple[float, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of free coefficients, normalisation included."""
        return len(self.terms) + 1 - sum(value > 0 for value in self.precision)

    @property
    def n_ratio(self) -> int:
        """Number of coefficients, the last ones, of a ratio of passing to failing events; 0 for one spectrum."""
        return 0

    def basis(self, x: Array) -> Array:
        """(..., n_coefficients): the terms at x = m / sqrt(s)."""
        return np.stack([np.ones_like(x), *(term(x) for term in self.terms)], axis=-1)

    def parameters(self, coefficients: Array) -> dict[str, float]:
        """Parameters of the formula by name, from (n_coefficients,) coefficients; `ln_p0` is the log of p0 per GeV."""
        values = (coefficients + (np.array(self.centre) if self.centre else 0.0)).tolist()
        return {"ln_p0" if k == 0 else f"p{k}": value for k, value in enumerate(values)}

    def extends(self, other: MassFunction) -> bool:
        """Whether `other` is this function with some coefficients fixed at zero."""
        return not isinstance(other, AdaptedFunction) and set(other.terms) < set(self.terms)

    def adapted(self, _data: Sidebands, _sqrt_s_gev: float) -> MassFunction:
        """Return the log-linear function that is fitted to given bins."""
        return self


@dataclass(frozen=True, kw_only=True)
class AdaptedFunction(MassFunction):
    """Function that is log-linear only for given bins, such as the expansion about a best fit.

    Attributes
    ----------
    n_free : int
        Number of free parameters.
    adapt : callable
        Maps bins and the collision energy (GeV) to the log-linear function of the same name. Raises FitError.

    Examples
    --------
    >>> from analysis.background import FUNCTIONS, AdaptedFunction
    >>> isinstance(FUNCTIONS["power-laws"], AdaptedFunction), FUNCTIONS["power-laws"].n_free
    (True, 6)
    """

    n_free: int
    adapt: Callable[[Sidebands, float], MassFunction]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, normalisation included."""
        return self.n_free

    def extends(self, _other: MassFunction) -> bool:
        """Return False: no function can be nested in it."""
        return False

    def adapted(self, data: Sidebands, sqrt_s_gev: float) -> MassFunction:
        """Return the log-linear function that is fitted to given bins."""
        return self.adapt(data, sqrt_s_gev)


def _log_power(k: int, sign: float) -> Term:
    return lambda x: sign * np.log(x) ** k


def _power(k: int, sign: float) -> Term:
    return lambda x: sign * x**k


def _log_falling(x: Array) -> Array:
    return np.log1p(-x)


def _one(x: Array) -> Array:
    return np.ones_like(x)


_MINUS_LOG = tuple(_log_power(k, -1.0) for k in (1, 2, 3))
_LOG, _LOG_SQUARED = _log_power(1, 1.0), _log_power(2, 1.0)
_POWERS = tuple(_power(k, 1.0) for k in (1, 2, 3))
_MINUS_X, _MINUS_X_SQUARED = _power(1, -1.0), _power(2, -1.0)
_RATIO_TERMS = (_one, *(_log_power(k, 1.0) for k in (1, 2, 3, 4, 5)))
_TIMES_RATIO = "*ratio"


@dataclass(frozen=True, kw_only=True)
class PassFailFunction(MassFunction):
    """Function of the events that pass a selection: one of those that fail it, times a smooth ratio.

    The ratio is the exponential of a polynomial in ln x; `ratio1` has a straight line. See `times_ratio`.

    Attributes
    ----------
    shape : MassFunction
        Function of the events that fail.
    order : int
        Order of the polynomial.
    """

    shape: MassFunction
    order: int

    @property
    def n_parameters(self) -> int:
        """Number of free coefficients of both."""
        return self.shape.n_parameters + self.n_ratio

    @property
    def n_ratio(self) -> int:
        """Number of coefficients of the ratio."""
        return self.order + 1

    def parameters(self, coefficients: Array) -> dict[str, float]:
        """Parameters by name: those of the shape, and r0, r1, ... of the ratio."""
        of_shape, of_ratio = np.split(coefficients, [len(coefficients) - self.n_ratio])
        return self.shape.parameters(of_shape) | {f"r{k}": value for k, value in enumerate(of_ratio.tolist())}

    def adapted(self, data: Sidebands, sqrt_s_gev: float) -> MassFunction:
        """Return the log-linear function of both, with the shape adapted to the events that fail."""
        return times_ratio(self.shape.adapted(data.failing, sqrt_s_gev), self.order)


HIGHEST_RATIO = len(_RATIO_TERMS) - 1
"""Highest order of the polynomial of a pass/fail ratio."""


def times_ratio(shape: MassFunction, order: int) -> PassFailFunction:
    """Multiply a function by a pass/fail ratio exp(r0 + r1 ln x + ...) with a polynomial of the given order."""
    polynomial = " + ".join(("r0", "r1 ln x", *(f"r{k} ln^{k} x" for k in range(2, order + 1)))[: order + 1])
    free = (0.0,) * (order + 1)
    return PassFailFunction(
        f"{shape.name}{_TIMES_RATIO}{order}",
        (*shape.terms, *_RATIO_TERMS[: order + 1]),
        f"{shape.formula} exp({polynomial})",
        offset=shape.offset,
        precision=(*shape.precision, *free) if shape.precision else (),
        centre=(*shape.centre, *free) if shape.centre else (),
        shape=shape,
        order=order,
    )


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

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, MassFunction, register_function
    >>> register_function(MassFunction("power-law", (lambda x: -np.log(x),), "p0 / x^p1"))
    >>> FUNCTIONS["power-law"].n_parameters
    2
    >>> FUNCTIONS.remove("power-law")
    """
    FUNCTIONS.add(function.name, function, origin=function.formula)


for _function in _ALL:
    register_function(_function)


def parts_of_name(name: str) -> tuple[str, int | None]:
    """Return the name of the shape and the order of the ratio of `dijet5*ratio1`; None for a function without ratio."""
    shape, _, order = name.partition(_TIMES_RATIO)
    return (shape, int(order)) if order.isdecimal() and int(order) <= HIGHEST_RATIO else (name, None)


def find_function(name: str) -> MassFunction | None:
    """Return a function by name, such as `dijet5` or `dijet5*ratio1`; None if it is unknown."""
    shape, order = parts_of_name(name)
    found = FUNCTIONS.get(shape)
    return found if found is None or order is None else times_ratio(found, order)


def look_up(names: Sequence[str | MassFunction]) -> tuple[MassFunction, ...]:
    """Look up functions by name, nested or not; `MassFunction` objects are returned unchanged.

    Raises
    ------
    ConfigError
        If the list is empty or a function is unknown.
    """
    found = {name: find_function(name) for name in names if isinstance(name, str)}
    if unknown := [name for name, function in found.items() if function is None]:
        msg = (
            f"unknown background function '{unknown[0]}'. Functions: {', '.join(FUNCTIONS)}. One of a plugin needs "
            "that with --plugin."
        )
        raise ConfigError(msg)
    if not names:
        msg = "background.functions is empty."
        raise ConfigError(msg)
    functions = (found[name] if isinstance(name, str) else name for name in names)
    return tuple(function for function in functions if function is not None)


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
