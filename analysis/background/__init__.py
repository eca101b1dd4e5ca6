"""Smooth background: functions of the dijet mass, their fit to the sidebands, and the choice of the function.

All functions are log-linear, log f(m) = sum_k c_k phi_k(x) with x = m / sqrt(s). The fit uses integrals of f over the
bins, not values at bin centres, and a basis that is orthonormal over the fitted bins. To add a function, add an entry
to `functions`, or call `register_function` in a plugin. To add a selection strategy, add one to `order.STRATEGIES`.
"""

from analysis.background.bins import Mask, Sidebands, outside
from analysis.background.estimate import CALIBRATED_FROM
from analysis.background.fit import BackgroundFit, OrderStep, WindowEstimate, fit_background
from analysis.background.functions import FUNCTIONS, MassFunction, function_family, register_function
from analysis.background.goodness import GoodnessOfFit, goodness_of_fit
from analysis.background.many import ManyEstimates, estimate_many
from analysis.background.order import STRATEGIES, choose_order, require_functions
from analysis.background.spurious import SpuriousSignal, spurious_signal
from analysis.background.tabulated import TermTable, tabulate, tabulated_function

__all__ = [
    "CALIBRATED_FROM",
    "FUNCTIONS",
    "STRATEGIES",
    "BackgroundFit",
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
    "fit_background",
    "function_family",
    "goodness_of_fit",
    "outside",
    "register_function",
    "require_functions",
    "spurious_signal",
    "tabulate",
    "tabulated_function",
]
