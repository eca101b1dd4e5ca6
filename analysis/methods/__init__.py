"""Anomaly methods, one per file: each trains a model that scores events, in most cases a classifier."""

from dataclasses import replace
from typing import Any

from analysis.config import LearningConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError, ResultsError
from analysis.learning import Method, ModelStorage, stored_form
from analysis.methods.contrast import FromContrast, adapted, removes_drift, uses_sidebands
from analysis.methods.curtains import Curtains
from analysis.methods.cwola import CWoLa
from analysis.methods.data_vs_simulation import DataVsSimulation
from analysis.methods.idealised import Idealised
from analysis.methods.interpolated_sidebands import InterpolatedSidebands
from analysis.methods.sa_cwola import SACWoLa
from analysis.methods.salad import SALAD
from analysis.methods.supervised import Supervised
from analysis.methods.with_flows import ANODE, CATHODE, RANODE, CurtainsFlow, LaCATHODE
from analysis.methods.without_labels import LDA, PCA, Autoencoder, NearestNeighbours, Unlabelled

__all__ = [
    "ANODE",
    "CATHODE",
    "LDA",
    "METHODS",
    "PCA",
    "RANODE",
    "SALAD",
    "Autoencoder",
    "CWoLa",
    "Curtains",
    "CurtainsFlow",
    "DataVsSimulation",
    "FromContrast",
    "Idealised",
    "InterpolatedSidebands",
    "LaCATHODE",
    "NearestNeighbours",
    "SACWoLa",
    "Supervised",
    "Unlabelled",
    "configured_method",
    "find_storage",
    "get_method",
    "register_method",
    "removes_drift",
    "storage_of",
    "uses_sidebands",
]

METHODS: Registry[Method] = Registry("method")
"""Methods by name."""


def register_method(method: Any) -> None:
    """Add a method under its name, here or in a plugin; a method with only a `contrast` is given a `fit`.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> from analysis.methods import METHODS, SACWoLa, register_method
    >>> register_method(SACWoLa(simulation_weight=0.3, name="gentle_sa_cwola"))
    >>> METHODS["gentle_sa_cwola"].simulation_weight
    0.3
    >>> METHODS.remove("gentle_sa_cwola")
    """
    METHODS.add(method.name, adapted(method), origin=type(method).__qualname__)


for _method in (
    CWoLa(),
    Curtains(),
    InterpolatedSidebands(),
    SACWoLa(),
    SALAD(),
    CATHODE(),
    LaCATHODE(),
    CurtainsFlow(),
    ANODE(),
    RANODE(),
    DataVsSimulation(),
    Idealised(),
    Supervised(),
    Autoencoder(),
    PCA(),
    NearestNeighbours(),
    LDA(),
):
    register_method(_method)


def configured_method(config: LearningConfig) -> Method:
    """Return the configured method with its settings.

    Raises
    ------
    ConfigError
        If the name is unknown.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.methods import configured_method
    >>> configured_method(load_config(preset="sa-cwola-2021").learning).simulation_weight
    0.5
    """
    method = get_method(config.method)
    return replace(method, simulation_weight=config.simulation_weight) if isinstance(method, SACWoLa) else method


def get_method(name: str) -> Method:
    """Look up a method.

    Raises
    ------
    ConfigError
        If the name is unknown.

    Examples
    --------
    >>> from analysis.methods import get_method
    >>> get_method("salad").needs_simulation
    True
    >>> get_method("cwola").needs_simulation
    False
    """
    if name not in METHODS:
        msg = (
            f"unknown method '{name}' in learning.method. Methods: {', '.join(METHODS)}. One of a plugin needs that "
            "with --plugin."
        )
        raise ConfigError(msg)
    return METHODS[name]


def storage_of(method: Method, learner: str) -> ModelStorage | None:
    """Return the stored form of the models of a method: its own, or that of its learner, given by `stored_name`.

    None for a method with models of its own but no stored form for them.
    """
    if isinstance(method, ModelStorage):
        return method
    return stored_form(learner) if isinstance(method, FromContrast) else None


def find_storage(learner: str | None, method: str) -> ModelStorage:
    """Look up the stored form of models on disk.

    Parameters
    ----------
    learner : str or None
        Name of the stored form of the learner that trained them; None if the method did.
    method : str

    Raises
    ------
    ConfigError
        If the learner or the method is unknown.
    ResultsError
        If the method has no stored form.
    """
    if learner is not None:
        return stored_form(learner)
    storage = get_method(method)
    if not isinstance(storage, ModelStorage):
        msg = f"method {method} has no stored form of models, and cannot read these. Load the plugin that wrote them."
        raise ResultsError(msg)
    return storage
