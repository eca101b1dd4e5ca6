"""Signal injected into the training events: what the classifiers learn of it, and what they select then.

With weak supervision the efficiency of a signal depends on how much of it the data hold. One injection hides a Poisson
number of simulated signal events among the data, drawn without replacement, and trains the classifiers of a window on
both. For a limit the injected events are in the training folds only: they leave before thresholds, counts and fits, so
that the counts are those of the data, scored by models that expect the signal. The efficiency is that of signal events
that were not injected. For the display of sensitivity they stay, and are searched like data.
"""

from analysis.injection.drawing import add_signal, draw_signal, held_out
from analysis.injection.engine import InjectionData, inject
from analysis.injection.values import EfficiencyMap, InjectedSelection, Injection, InjectionResult

__all__ = [
    "EfficiencyMap",
    "InjectedSelection",
    "Injection",
    "InjectionData",
    "InjectionResult",
    "add_signal",
    "draw_signal",
    "held_out",
    "inject",
]
