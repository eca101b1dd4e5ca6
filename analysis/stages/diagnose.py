"""Stage `diagnose` after a scan: numbers for figures of features, masses and classifiers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pyarrow as pa

from analysis.compute import Backend
from analysis.core.fingerprint import fingerprint
from analysis.diagnostics import diagnose_windows
from analysis.diagnostics.sections import DiagnosedWindow
from analysis.errors import CwolaError, ResultsError
from analysis.histograms.mass_plane import MASSES
from analysis.results import ResultsFolder
from analysis.search.classifiers import Classifier, load_classifiers
from analysis.search.values import SearchData, WindowResult
from analysis.stages.inputs import SearchInputs, stage

__all__ = ["diagnose", "diagnosis_key"]

_log = logging.getLogger("cwola")


def diagnose(inputs: SearchInputs, backend: Backend) -> list[DiagnosedWindow]:
    """Write `diagnostics.json` for the results on disk, unless it is up to date.

    No result depends on the diagnostics. Events that cannot be read, or differ from the searched ones, therefore only
    cause a warning in the log, and figures are omitted or show earlier diagnostics.

    Parameters
    ----------
    inputs : SearchInputs
        Inputs with the folder of a finished scan.
    backend : Backend

    Returns
    -------
    list of DiagnosedWindow
        One per searched window.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.stages.diagnose import diagnose
    >>> from analysis.stages.inputs import SearchInputs
    >>> with open_backend(1) as backend:
    ...     windows = diagnose(SearchInputs.load("results"), backend)
    >>> windows[0].performance.n_signal  # hidden events in 3.3-3.7 TeV
    164
    """
    folder = inputs.folder
    manifest = folder.load_manifest()
    window_keys = manifest.window_keys or ()
    key = diagnosis_key(inputs, [*window_keys, *(manifest.seed_keys or ())])
    stored = folder.load_diagnostics(key)
    if stored is not None:
        return stored
    with stage("diagnose"):
        try:
            diagnosed = _diagnose(inputs, backend)
        except (CwolaError, OSError, pa.ArrowException) as error:
            before = folder.load_diagnostics()
            kept = "left out" if before is None else "those of before"
            _log.warning("diagnose: figures of features, masses and classifiers are %s: %s", kept, error)
            return before or []
        folder.save_diagnostics(key, window_keys, diagnosed)
    return diagnosed


def diagnosis_key(inputs: SearchInputs, trainings: Sequence[str]) -> str:
    """Return the fingerprint of the diagnostics of trainings of these keys: first of each window, then further ones."""
    return fingerprint(
        code=["analysis.diagnostics.engine"],
        events=inputs.searched,
        seed=inputs.config.random_state,
        upstream=list(trainings),
    )


def _diagnose(inputs: SearchInputs, backend: Backend) -> list[DiagnosedWindow]:
    folder, searched = inputs.folder, inputs.searched
    results = [result for result in folder.load_results()[1] if result.status != "failed"]
    if not results:
        return []
    names = [result.window.name for result in results]
    for name in names:
        folder.require_inputs(name, searched)
    classifiers = _classifiers(folder, blinded=inputs.blinded)
    data = inputs.read_fitted(_features(inputs, results, classifiers), simulation=False)
    _require_same_events(data, results)
    scores = {} if data.blinded else {name: folder.load_scores(name, inputs=searched) for name in names}
    return diagnose_windows(data, results, scores, classifiers, backend, random_state=inputs.config.random_state)


def _features(
    inputs: SearchInputs, results: Sequence[WindowResult], classifiers: Mapping[str, Classifier]
) -> tuple[str, ...]:
    """Return the features of figures: those that were trained on, and the jet masses where there are any."""
    trained = [one.features for result in results for one in result.selections]
    scored = [classifier.features for classifier in classifiers.values()]
    names = dict.fromkeys(name for features in (*trained, *scored, MASSES) for name in features)
    known = {spec.name for spec in inputs.stored.features}
    return tuple(name for name in names if name in known)


def _require_same_events(data: SearchData, results: list[WindowResult]) -> None:
    mjj = data.table.mjj
    for result in results:
        found = int(result.window.in_fit_range(mjj).sum())
        if result.passes is not None and len(result.passes) != found:
            msg = (
                f"window {result.window.name} GeV was searched with {len(result.passes)} events in its fit range, and "
                f"{found} are on disk. Run `cwola scan` again."
            )
            raise ResultsError(msg)


def _classifiers(folder: ResultsFolder, *, blinded: bool) -> dict[str, Classifier]:
    """Read the classifiers by window; empty while blinded if the folder lacks classifiers of scaled features."""
    try:
        return {classifier.window.name: classifier for classifier in load_classifiers(folder.path)[1]}
    except ResultsError:
        if blinded:
            return {}
        raise
