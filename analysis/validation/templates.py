"""Events of the window against the template of the method: class 0 of its training set, made from all events.

Without signal a template should have the distribution of the window. Whatever it lacks is a difference that classifiers
learn, so the test on samples without signal shows the error of the template itself, and the one on data is to be read
beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.errors import TableError, WindowError
from analysis.learning import ContrastMethod
from analysis.learning.protocols import METHOD_SEED
from analysis.search.values import SearchData
from analysis.search.window import WindowTask
from analysis.statistics.two_sample import PermutationTest, Union, neighbour_test
from analysis.validation.averages import combined_p
from analysis.validation.values import TemplateClosure

__all__ = ["DATA", "TemplateTest", "closure_of", "measure_closure", "window_and_template"]

DATA = "data"

LEAST_EVENTS = 50
"""Events of window or template without which nothing is tested."""

_EVENTS = 5_000
"""Events of either sample in the closure of a signal-free sample, which is to be cheap."""

_PERMUTATIONS = 99


@dataclass(frozen=True, kw_only=True)
class TemplateTest:
    """Two-sample tests of one window against the template of the method.

    Attributes
    ----------
    window : str
        Name, such as "3300-3700".
    sample : str
        "data", or the source of a signal-free sample.
    method : str
    n_window, n_template : int or None
        Numbers of events that were compared.
    tests : tuple of PermutationTest
    notes : tuple of str
        Information on the sample for the reader.
    reason : str or None
        Why nothing was tested.
    """

    window: str
    sample: str
    method: str
    n_window: int | None = None
    n_template: int | None = None
    tests: tuple[PermutationTest, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str | None = None


def window_and_template(task: WindowTask, data: SearchData, *, most: int) -> Union:
    """Make the union of the window and the template of a search.

    Parameters
    ----------
    task : WindowTask
    data : SearchData
    most : int
        Largest number of events of either sample.

    Returns
    -------
    Union
        The window first.

    Raises
    ------
    TableError
        If the method has no template, or fewer than 50 events of either sample remain.
    WindowError
        If a region of the window has no events.
    """
    fold = task.folds[0]
    method, samples = fold.method, data.within(task.window).samples(fold.method)
    if not isinstance(method, ContrastMethod):
        msg = f"method {method.name} makes no sample to compare the window with."
        raise TableError(msg)
    if fold.decorrelation is not None:
        samples = samples.apply(fold.decorrelation.fit(samples.data, fold.features).apply)
    seed = fold.seed(METHOD_SEED)
    union = Union.of(
        method.contrast(samples, task.window, fold.features, random_state=seed), seed=fold.random_state, most=most
    )
    if min(union.sizes) < LEAST_EVENTS:
        window, template = union.sizes
        msg = (
            f"too few events to compare: {window} of window {task.window.name} GeV and {template} of the template, "
            f"fewer than {LEAST_EVENTS}, are left as independent events of weight 1."
        )
        raise TableError(msg)
    return union


def measure_closure(task: WindowTask, data: SearchData, sample: str) -> TemplateTest:
    """Test one signal-free sample by the divergence of the window from the template, or say why not."""
    found = TemplateTest(window=task.window.name, sample=sample, method=task.folds[0].method.name)
    try:
        union = window_and_template(task, data, most=_EVENTS)
    except (TableError, WindowError) as error:
        return replace(found, reason=str(error))
    test = neighbour_test(union, permutations=_PERMUTATIONS, seed=task.config.random_state)
    return replace(found, n_window=union.sizes[0], n_template=union.sizes[1], tests=(test,))


def closure_of(tests: Sequence[TemplateTest]) -> TemplateClosure | None:
    """Average the tests of the draws of one source; None if none was made."""
    made = [(one, one.tests[0]) for one in tests if one.tests]
    if not made:
        return None
    first, _ = made[0]
    p = combined_p([test.p for _, test in made])
    assert p is not None
    assert first.n_window is not None
    assert first.n_template is not None
    return TemplateClosure(
        divergence=float(np.mean([test.value - test.mean for _, test in made])),
        spread=float(np.mean([test.spread for _, test in made])),
        p=p,
        draws=len(made),
        n_window=first.n_window,
        n_template=first.n_template,
    )
