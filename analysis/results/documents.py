"""Results as JSON documents, and back: what `results.json` and the record of a window hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata, resources
from platform import python_version
from typing import Any

import hist
import jsonschema
import numpy as np
from numpy.typing import NDArray

from analysis import __version__
from analysis.background import FUNCTIONS, BackgroundFit, OrderStep
from analysis.config import ClassifierConfig
from analysis.core.plugins import plugin_records
from analysis.errors import ResultsError
from analysis.learning import Choice
from analysis.limits.rules import RULES
from analysis.regions import MassWindow
from analysis.search.member_spread import MemberSpread
from analysis.search.non_closure import NonClosure
from analysis.search.seeds import seed_spread
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult, GlobalResult, LimitResult

__all__ = [
    "SCHEMA",
    "check_results",
    "cut_order",
    "marked",
    "results_document",
    "schema_error",
    "software_versions",
    "window_document",
    "window_from_document",
]

_LONGEST_REASON = 300
SCHEMA = 1
"""Number of the layout of `results.json`; additive changes keep it."""

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


def software_versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that results depend on."""
    found = {"cwola-dijet": __version__, "python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def results_document(
    results: Sequence[WindowResult],
    *,
    config_digest: str,
    random_state: int,
    processed: Mapping[str, Any],
    trials: Mapping[str, int],
    blinded: bool,
    global_result: GlobalResult,
) -> dict[str, Any]:
    """Assemble `results.json`.

    Parameters
    ----------
    results : sequence of WindowResult
        One per window, with its seeds joined.
    config_digest : str
    random_state : int
    processed : mapping
        Of the processing stage: "inputs", one mapping per input file; "cutflow" and "n_minus_one", dataset to cut to
        events and weight.
    trials : mapping
        Numbers of windows, selections, training seeds and looks in total.
    blinded : bool
    global_result : GlobalResult

    Returns
    -------
    dict
        JSON-ready, in the layout of `results.schema.json`.
    """
    windows = [window_document(result) for result in results]
    for window in windows:
        del window["edges"], window["training_seed"]
        window.pop("hidden", None)
        for selection in window["selections"]:
            if selection["fit"] is not None:
                del selection["fit"]["state"]
    return {
        "schema": SCHEMA,
        "config_digest": config_digest,
        "versions": software_versions(),
        "plugins": plugin_records(),
        "random_state": random_state,
        **processed,
        "trials": dict(trials),
        "blinded": blinded,
        "windows": windows,
        "global": _global_document(global_result),
    }


def _global_document(result: GlobalResult) -> dict[str, Any]:
    document = asdict(result)
    return document | {"interval": None if result.interval is None else list(result.interval)}


def check_results(document: Mapping[str, Any]) -> None:
    """Check a document against the shipped JSON Schema.

    Raises
    ------
    ResultsError
        Naming the first place that does not fit.
    """
    if (error := schema_error(document)) is not None:
        msg = f"results.json does not follow schema {SCHEMA} {error}"
        raise ResultsError(msg)


def schema_error(document: Mapping[str, Any]) -> str | None:
    """First place of a document that does not fit the shipped JSON Schema, with the reason; None if all fits."""
    error = jsonschema.exceptions.best_match(_validator(tuple(RULES)).iter_errors(document))
    return None if error is None else f"at {error.json_path}: {error.message[:_LONGEST_REASON]}"


def marked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Mark a document that does not fit its schema with "schema_error", so that it is kept and nobody overlooks it."""
    checked = {name: value for name, value in document.items() if name != "schema_error"}
    error = schema_error(checked)
    return checked if error is None else {**checked, "schema_error": error}


def cut_order(cutflow: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Bring the cuts of several datasets in one order.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to anything
        A dataset may lack cuts: simulation has no certified luminosity.

    Returns
    -------
    list of str
        Every cut once, after the one that it follows in its dataset.
    """
    order: list[str] = []
    for cuts in cutflow.values():
        position = 0
        for cut in cuts:
            if cut not in order:
                order.insert(position, cut)
            position = order.index(cut) + 1
    return order


def window_document(result: WindowResult) -> dict[str, Any]:
    """Everything of a window but its spectrum, workspaces and models."""
    return {
        **result.window.to_json(),
        "edges": result.edges.tolist(),
        "training_seed": result.training_seed,
        "status": result.status,
        "reason": result.reason,
        "selections": [_selection_document(selection) for selection in result.selections],
        **({"hidden": [list(mask) for mask in result.hidden]} if result.hidden else {}),
        **({"choices": [_choice_document(choice) for choice in result.choices]} if result.choices else {}),
    }


def window_from_document(
    document: Mapping[str, Any],
    spectrum: hist.Hist[Any] | None,
    workspaces: Mapping[str, dict[str, Any]],
    passes: NDArray[Any] | None,
) -> WindowResult:
    """Rebuild a window from `window_document`; models stay on disk.

    Parameters
    ----------
    document : mapping
    spectrum : hist.Hist or None
    workspaces : mapping of selection name to dict
    passes : (n_events, n_selections) array or None

    Returns
    -------
    WindowResult
    """
    return WindowResult(
        window=MassWindow.from_json(document),
        edges=np.array(document["edges"]),
        selections=tuple(
            _selection_from_document(selection, workspaces.get(selection["name"]))
            for selection in document["selections"]
        ),
        spectrum=spectrum,
        passes=passes,
        reason=document["reason"],
        choices=tuple(_choice_from_document(choice) for choice in document.get("choices", ())),
        training_seed=document["training_seed"],
        hidden=tuple((low, high) for low, high in document.get("hidden", ())),
    )


def _choice_document(choice: Choice) -> dict[str, Any]:
    return {
        "classifier": choice.classifier.model_dump(mode="json"),
        "value": choice.value,
        "working_point": choice.working_point,
    }


def _choice_from_document(document: Mapping[str, Any]) -> Choice:
    return Choice(ClassifierConfig(**document["classifier"]), document["value"], document["working_point"])


def _selection_document(selection: SelectionResult) -> dict[str, Any]:
    found, limit = selection.discovery, selection.limit
    return {
        "name": selection.name,
        "method": selection.method,
        "features": list(selection.features),
        "efficiency": selection.efficiency,
        "efficiency_achieved": selection.efficiency_achieved,
        "n_obs": selection.n_obs,
        "background": selection.background,
        "background_error": selection.background_error,
        "weight": selection.weight,
        "calibrated": selection.calibrated,
        "z": None if found is None else found.z,
        "p0": None if found is None else found.p0,
        "p0_toys": None if found is None else found.p0_toys,
        "p0_averaged": None if found is None else found.p0_averaged,
        "asymptotics_trusted": None if found is None else found.asymptotics_trusted,
        "s_over_sqrt_b": selection.s_over_sqrt_b,
        "non_closure": None if selection.non_closure is None else asdict(selection.non_closure),
        "fit": None if selection.fit is None else _fit_document(selection.fit),
        "limit": None if limit is None else {**asdict(limit), "expected_events": list(limit.expected_events)},
        "reason": selection.reason,
        **({} if selection.members is None else {"members": asdict(selection.members)}),
        **({} if not selection.seeds else {"seeds": _seeds_document(selection)}),
    }


def _seeds_document(selection: SelectionResult) -> dict[str, Any]:
    spreads = {
        "z": seed_spread(selection, "z"),
        "n_obs": seed_spread(selection, "n_obs"),
        "background": seed_spread(selection, "background"),
    }
    return {name: None if one is None else {**asdict(one), "values": list(one.values)} for name, one in spreads.items()}


def _selection_from_document(document: Mapping[str, Any], workspace: dict[str, Any] | None) -> SelectionResult:
    limit, z, non_closure = document["limit"], document["z"], document.get("non_closure")
    same = ("name", "method", "efficiency", "efficiency_achieved", "n_obs", "background", "background_error")
    return SelectionResult(
        **{key: document[key] for key in (*same, "weight", "calibrated", "s_over_sqrt_b", "reason")},
        features=tuple(document["features"]),
        discovery=None
        if z is None
        else DiscoveryResult(
            z, document["p0"], document["asymptotics_trusted"], document["p0_toys"], document["p0_averaged"]
        ),
        fit=None if document["fit"] is None else _fit_from_document(document["fit"]),
        limit=None if limit is None else LimitResult(**{**limit, "expected_events": tuple(limit["expected_events"])}),
        workspace=workspace,
        members=None if document.get("members") is None else MemberSpread(**document["members"]),
        non_closure=None if non_closure is None else NonClosure(**non_closure),
    )


def _fit_document(fit: BackgroundFit) -> dict[str, Any]:
    return {
        "function": fit.function.name,
        "chi2": fit.deviance,
        "ndof": fit.ndof,
        "p_value": fit.p_value,
        "parameters": fit.parameters,
        "path": [asdict(step) for step in fit.path],
        "state": {
            "sqrt_s_gev": fit.sqrt_s_gev,
            "coefficients": fit.coefficients.tolist(),
            "covariance": fit.covariance.tolist(),
            "transform": fit.transform.tolist(),
            "cumulants": None if fit.cumulants is None else fit.cumulants.tolist(),
        },
    }


def _fit_from_document(document: Mapping[str, Any]) -> BackgroundFit:
    state = document["state"]
    if document["function"] not in FUNCTIONS:
        msg = (
            f"the results were fitted with the background function '{document['function']}', which is not known: it "
            "came from a plugin. Name that with --plugin, or in `plugins` of the configuration."
        )
        raise ResultsError(msg)
    return BackgroundFit(
        function=FUNCTIONS[document["function"]],
        sqrt_s_gev=state["sqrt_s_gev"],
        coefficients=np.array(state["coefficients"]),
        covariance=np.array(state["covariance"]),
        transform=np.array(state["transform"]),
        deviance=document["chi2"],
        ndof=document["ndof"],
        path=tuple(OrderStep(**step) for step in document["path"]),
        cumulants=None if state["cumulants"] is None else np.array(state["cumulants"]),
    )


@cache
def _validator(rules: tuple[str, ...]) -> Any:
    """Return the schema with the names of the limit rules, which a plugin may add to."""
    schema = json.loads(resources.files("analysis.results").joinpath("results.schema.json").read_text(encoding="utf-8"))
    schema["$defs"]["injection_limit"]["properties"]["rule"]["enum"] = [*rules, None]
    return jsonschema.Draft202012Validator(schema)
