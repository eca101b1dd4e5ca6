"""Conversion of results to JSON documents and back: `results.json` and the record of a window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata, resources
from platform import python_version
from typing import Any

import hist
import jsonschema
import numpy as np
from numpy.typing import NDArray

from analysis import __version__
from analysis.background import (
    FUNCTIONS,
    AdaptedFunction,
    BackgroundFit,
    GoodnessOfFit,
    find_function,
    parts_of_name,
    tabulate,
    tabulated_function,
)
from analysis.config import ClassifierConfig
from analysis.core.documents import from_json, to_json
from analysis.core.plugins import plugin_records
from analysis.errors import ResultsError
from analysis.learning import Choice
from analysis.limits.rules import RULES
from analysis.results.values import (
    ChoiceDocument,
    FitDocument,
    FitState,
    PluginDocument,
    Results,
    SelectionDocument,
    WindowDocument,
)
from analysis.search.null_distribution import Calibration
from analysis.search.seeds import seed_spread
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult

__all__ = [
    "SCHEMA",
    "calibration_of",
    "check_results",
    "cut_order",
    "marked",
    "plugin_documents",
    "reported_window",
    "schema_error",
    "software_versions",
    "window_document",
    "window_from_document",
    "with_calibrations",
]

_LONGEST_REASON = 300
SCHEMA = 1
"""Version of the layout of `results.json`; unchanged by additions."""

_SAME = (
    "name",
    "method",
    "features",
    "efficiency",
    "efficiency_achieved",
    "n_obs",
    "background",
    "background_error",
    "weight",
    "calibrated",
    "s_over_sqrt_b",
    "non_closure",
    "likelihood",
    "limit",
    "reason",
    "members",
    "template",
)
"""Fields common to a selection and its document."""

_LIBRARIES = (
    "awkward",
    "coffea",
    "hist",
    "iminuit",
    "numpy",
    "pyarrow",
    "pyhf",
    "scipy",
    "uproot",
    "vector",
    "xgboost-cpu",
    "xgboost",
)


def software_versions(elsewhere: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Return the versions of this package, of Python and of the libraries that results depend on.

    Parameters
    ----------
    elsewhere : mapping of str to sequence of str, optional
        Other versions with which tasks ran on the workers of a cluster, by library.
    """
    versions = {"cwola-dijet": __version__, "python": python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions | {f"{name} of workers": ", ".join(found) for name, found in (elsewhere or {}).items()}


def plugin_documents() -> tuple[PluginDocument, ...]:
    """Return the plugins in use, for `results.json`."""
    return tuple(from_json(PluginDocument, plugin) for plugin in plugin_records())


def check_results(document: Mapping[str, Any]) -> None:
    """Check a document against the shipped JSON Schema.

    Raises
    ------
    ResultsError
        If the document violates the schema; the message names the first violation.
    """
    if (error := schema_error(document)) is not None:
        msg = f"results.json does not follow schema {SCHEMA} {error}"
        raise ResultsError(msg)


def schema_error(document: Mapping[str, Any]) -> str | None:
    """Return the first violation of the shipped JSON Schema, with the reason; None if the document is valid."""
    added = [name for plugin in _plugins(document) for name in plugin.get("adds", {}).get(RULES.kind, ())]
    rules = tuple(dict.fromkeys([*RULES, *map(str, added)]))
    error = jsonschema.exceptions.best_match(_validator(rules).iter_errors(document))
    return None if error is None else f"at {error.json_path}: {error.message[:_LONGEST_REASON]}"


def _plugins(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = document.get("plugins")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def marked(results: Results) -> Results:
    """Mark results that violate the schema with `schema_error`, so that they are kept and the violation is visible."""
    unmarked = replace(results, schema_error=None)
    return replace(unmarked, schema_error=schema_error(to_json(unmarked)))


def cut_order(cutflow: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Merge the cuts of several datasets into one order.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to anything
        A dataset may lack cuts: simulation has no certified luminosity.

    Returns
    -------
    list of str
        Each cut once, placed after its predecessor in the dataset that introduced it.
    """
    order: list[str] = []
    for cuts in cutflow.values():
        position = 0
        for cut in cuts:
            if cut not in order:
                order.insert(position, cut)
            position = order.index(cut) + 1
    return order


def window_document(result: WindowResult) -> WindowDocument:
    """Return the record of a window as stored in its file, without spectrum, workspaces and models."""
    document = reported_window(result)
    selections = zip(document.selections, result.selections, strict=True)
    return replace(
        document,
        edges=tuple(result.edges.tolist()),
        training_seed=result.training_seed,
        hidden=result.hidden,
        selections=tuple(
            replace(stored, fit=_with_state(stored.fit, full.fit, result.edges)) for stored, full in selections
        ),
    )


def reported_window(result: WindowResult) -> WindowDocument:
    """Return the record of a window as in `results.json`."""
    window = result.window
    return WindowDocument(
        signal=window.signal,
        lower=window.lower,
        upper=window.upper,
        mask=window.mask,
        fit_range=window.fit_range,
        status=result.status,
        reason=result.reason,
        selections=tuple(_selection_document(selection) for selection in result.selections),
        choices=tuple(
            ChoiceDocument(choice.classifier.model_dump(mode="json"), choice.value, choice.working_point)
            for choice in result.choices
        ),
    )


def window_from_document(
    document: WindowDocument,
    spectrum: hist.Hist[Any] | None,
    workspaces: Mapping[str, dict[str, Any]],
    passes: NDArray[Any] | None,
) -> WindowResult:
    """Rebuild a window from `window_document`; models stay on disk.

    Parameters
    ----------
    document : WindowDocument
    spectrum : hist.Hist or None
    workspaces : mapping of selection name to dict
    passes : (n_events, n_selections) array or None
    """
    return WindowResult(
        window=document.window,
        edges=np.array(document.edges),
        selections=tuple(
            _selection_from_document(selection, workspaces.get(selection.name)) for selection in document.selections
        ),
        spectrum=spectrum,
        passes=passes,
        reason=document.reason,
        choices=tuple(
            Choice(ClassifierConfig(**choice.classifier), choice.value, choice.working_point)
            for choice in document.choices
        ),
        training_seed=document.training_seed or 0,
        hidden=document.hidden,
    )


def _calibration_fields(calibration: Calibration | None) -> dict[str, Any]:
    if calibration is None:
        return {}
    return {
        "z_calibrated": calibration.z,
        "z_calibrated_error": calibration.z_error,
        "p0_calibrated": calibration.p0,
        "p0_calibrated_error": calibration.p0_error,
        "calibration": calibration.source,
        "null_distribution": calibration.null,
    }


def _selection_document(selection: SelectionResult) -> SelectionDocument:
    test = selection.discovery
    return SelectionDocument(
        **{name: getattr(selection, name) for name in _SAME},
        z=None if test is None else test.z,
        p0=None if test is None else test.p0,
        p0_toys=None if test is None else test.p0_toys,
        p0_averaged=None if test is None else test.p0_averaged,
        asymptotics_trusted=None if test is None else test.asymptotics_trusted,
        **_calibration_fields(selection.calibration),
        fit=None if selection.fit is None else _fit_document(selection.fit, selection.goodness),
        seeds={
            "z": seed_spread(selection, "z"),
            "n_obs": seed_spread(selection, "n_obs"),
            "background": seed_spread(selection, "background"),
            "fit_p_value": seed_spread(selection, "fit_p_value"),
        }
        if selection.seeds
        else {},
    )


def _selection_from_document(document: SelectionDocument, workspace: dict[str, Any] | None) -> SelectionResult:
    test = None
    if document.z is not None and document.p0 is not None:
        trusted = document.asymptotics_trusted
        test = DiscoveryResult(document.z, document.p0, bool(trusted), document.p0_toys, document.p0_averaged)
    return SelectionResult(
        **{name: getattr(document, name) for name in _SAME},
        discovery=test,
        fit=None if document.fit is None else _fit_from_document(document.fit),
        goodness=None if document.fit is None else _goodness_from_document(document.fit),
        workspace=workspace,
        calibration=calibration_of(document),
    )


def with_calibrations(windows: Sequence[WindowResult], results: Results) -> list[WindowResult]:
    """Give windows that were read from their own files the calibrations in `results.json`."""
    shown = {
        (window.name, selection.name): calibration_of(selection)
        for window in results.windows
        for selection in window.selections
    }
    return [
        replace(
            window,
            selections=tuple(
                _calibrated(selection, shown.get((window.window.name, selection.name)))
                for selection in window.selections
            ),
        )
        for window in windows
    ]


def _calibrated(selection: SelectionResult, found: Calibration | None) -> SelectionResult:
    """Give a selection and its further trainings the calibration of the first training."""
    seeds = tuple(
        seed if seed.discovery is None or found is None else replace(seed, calibration=found.again(seed.discovery.z))
        for seed in selection.seeds
    )
    return replace(selection, calibration=found, seeds=seeds)


def calibration_of(document: SelectionDocument) -> Calibration | None:
    """Return the calibration that a selection shows; None without one."""
    if document.calibration is None or document.z_calibrated is None:
        return None
    error = document.z_calibrated_error or 0.0
    return Calibration(document.calibration, document.z_calibrated, error, document.null_distribution)


def _fit_document(fit: BackgroundFit, goodness: GoodnessOfFit | None) -> FitDocument:
    return FitDocument(
        function=fit.function.name,
        chi2=fit.deviance,
        ndof=fit.ndof,
        p_value=None if goodness is None else goodness.p_value,
        p_value_method=None if goodness is None else goodness.method,
        parameters=fit.parameters,
        path=tuple(fit.path),
        function_error=fit.function_error,
        hidden_shift=fit.hidden_shift,
    )


def _with_state(document: FitDocument | None, fit: BackgroundFit | None, edges: NDArray[Any]) -> FitDocument | None:
    if document is None or fit is None:
        return None
    shape, _ = parts_of_name(fit.function.name)
    tabulated = _adapted(shape) or not FUNCTIONS.givers.get(shape, "").startswith("analysis.")
    state = FitState(
        sqrt_s_gev=fit.sqrt_s_gev,
        coefficients=fit.coefficients.tolist(),
        covariance=fit.covariance.tolist(),
        transform=fit.transform.tolist(),
        cumulants=None if fit.cumulants is None else fit.cumulants.tolist(),
        terms=tabulate(fit.function, edges, fit.sqrt_s_gev) if tabulated else None,
    )
    return replace(document, state=state)


def _adapted(name: str) -> bool:
    """Whether the terms of a function depend on the fit."""
    return isinstance(FUNCTIONS.get(name), AdaptedFunction)


def _fit_from_document(document: FitDocument) -> BackgroundFit:
    state = document.state
    if state is None:
        msg = "a background fit without its state cannot be evaluated: read it from the file of its window."
        raise ResultsError(msg)
    function = find_function(document.function)
    if state.terms is not None and (function is None or _adapted(parts_of_name(document.function)[0])):
        function = tabulated_function(document.function, state.terms)
    if function is None:
        msg = (
            f"the results were fitted with the background function '{document.function}', which is not known: it "
            "came from a plugin. Name that with --plugin, or in `plugins` of the configuration."
        )
        raise ResultsError(msg)
    return BackgroundFit(
        function=function,
        sqrt_s_gev=state.sqrt_s_gev,
        coefficients=np.array(state.coefficients),
        covariance=np.array(state.covariance),
        transform=np.array(state.transform),
        deviance=document.chi2,
        ndof=document.ndof,
        path=tuple(document.path),
        cumulants=None if state.cumulants is None else np.array(state.cumulants),
        function_error=document.function_error,
        hidden_shift=document.hidden_shift,
    )


def _goodness_from_document(document: FitDocument) -> GoodnessOfFit | None:
    if document.p_value is None or document.p_value_method is None:
        return None
    return GoodnessOfFit(document.p_value, document.chi2, document.ndof, document.p_value_method)


@cache
def _validator(rules: tuple[str, ...]) -> Any:
    """Return the schema with the names of the limit rules, including rules of plugins."""
    schema = json.loads(resources.files("analysis.results").joinpath("results.schema.json").read_text(encoding="utf-8"))
    schema["$defs"]["injection_limit"]["properties"]["rule"]["enum"] = [*rules, None]
    return jsonschema.Draft202012Validator(schema)
