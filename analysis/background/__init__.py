"""Smooth background: functions of the dijet mass, their fit to the sidebands, and the choice of the function.

Functions are log-linear, log f(m) = sum_k c_k phi_k(x) with x = m / sqrt(s), or are made so for the fitted bins: about
their best fit (`power_laws`), or over their range (`gaussian_process`). The fit uses integrals of f over the bins, not
values at bin centres, and a basis that is orthonormal over the fitted bins. To add a function, add an entry to
`functions`, or call `register_function` in a plugin. To add a selection strategy, add one to `order.STRATEGIES`.
"""

from analysis.background.bins import Mask, Sidebands, outside
from analysis.background.estimate import CALIBRATED_FROM
from analysis.background.fit import BackgroundFit, OrderStep, WindowEstimate, fit_background
from analysis.background.function_bias import (
    RESTS_ON_SMOOTHNESS,
    FunctionBias,
    function_bias,
    hidden_shifts,
    with_function_error,
)
from analysis.background.functions import (
    FUNCTIONS,
    AdaptedFunction,
    MassFunction,
    find_function,
    function_family,
    parts_of_name,
    register_function,
)
from analysis.background.gaussian_process import GAUSSIAN_PROCESS
from analysis.background.goodness import BAD_FIT, GoodnessOfFit, goodness_of_fit, is_bad_fit
from analysis.background.many import ManyEstimates, estimate_many
from analysis.background.order import (
    BY_TEMPLATE,
    DEFAULT_STRATEGY,
    STRATEGIES,
    TRANSFER_FACTOR,
    choose_order,
    require_functions,
)
from analysis.background.power_laws import POWER_LAWS, POWER_LAWS_4
from analysis.background.spurious import SpuriousSignal, spurious_signal
from analysis.background.tabulated import TermTable, tabulate, tabulated_function

__all__ = [
    "BAD_FIT",
    "BY_TEMPLATE",
    "CALIBRATED_FROM",
    "DEFAULT_STRATEGY",
    "FUNCTIONS",
    "GAUSSIAN_PROCESS",
    "POWER_LAWS",
    "POWER_LAWS_4",
    "RESTS_ON_SMOOTHNESS",
    "STRATEGIES",
    "TRANSFER_FACTOR",
    "AdaptedFunction",
    "BackgroundFit",
    "FunctionBias",
    "GoodnessOfFit",
    "ManyEstimates",
    "Mask",
    "MassFunction",
    "OrderStep",
    "Sidebands",
    "SpuriousSignal",
    "TermTable",
    "WindowEstimate",
    "choose_order",
    "estimate_many",
    "find_function",
    "fit_background",
    "function_bias",
    "function_family",
    "goodness_of_fit",
    "hidden_shifts",
    "is_bad_fit",
    "outside",
    "parts_of_name",
    "register_function",
    "require_functions",
    "spurious_signal",
    "tabulate",
    "tabulated_function",
    "with_function_error",
]
