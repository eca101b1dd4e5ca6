"""Export of boosted trees as JSON with evaluators, and as ONNX, after a check with stored events."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.export.neutral.check import Checked, Sample, check_window, permuted, with_missing
from analysis.export.neutral.document import require_trees, trees_document
from analysis.export.neutral.onnx_graph import onnx_model
from analysis.export.target import new_folder, write_compact
from analysis.regions import span_of
from analysis.results import ResultsFolder
from analysis.results.processed_events import load_processed
from analysis.search.classifiers import Classifier, load_classifiers

__all__ = ["ExportedTrees", "export_trees"]

_EVALUATORS = ("cwola_trees.py", "cwola_trees.hpp")
N_REFERENCE = 1000


@dataclass(frozen=True)
class ExportedTrees:
    """What was exported: results of the check, by window and form."""

    checks: Mapping[str, Mapping[str, Checked]]


def export_trees(folder: ResultsFolder, target: Path, *, onnx: bool) -> ExportedTrees:
    """Write the classifiers of all windows as plain trees.

    Parameters
    ----------
    folder : ResultsFolder
        Results folder of a finished scan, with its selected events.
    target : pathlib.Path
        New folder.
    onnx : bool
        Also write ONNX (extra `onnx`).

    Returns
    -------
    ExportedTrees

    Raises
    ------
    ResultsError
        If the classifiers have no such form, a form differs from the classifiers, or the target is not empty.
    """
    _, classifiers = load_classifiers(folder.path)
    for classifier in classifiers:
        require_trees(classifier)
    stored = load_processed(folder).searched(folder)
    features = dict.fromkeys(name for classifier in classifiers for name in classifier.features)
    events = stored.read(span_of([classifier.window for classifier in classifiers]), tuple(features))
    checks = {}
    with new_folder(target) as staged:
        for name in _EVALUATORS:
            shutil.copyfile(Path(__file__).parent / "evaluators" / name, staged / name)
        for classifier in classifiers:
            sample = Sample.of(with_missing(events, classifier), classifier)
            document = trees_document(classifier, sample.scores)
            path = staged / f"trees_{classifier.window.name}.json"
            write_compact(path, document)
            content = onnx_model(document) if onnx else None
            if content is not None:
                path.with_suffix(".onnx").write_bytes(content)
            checks[classifier.window.name] = check_window(document, sample, path, content)
            reference = Sample.of(permuted(events, classifier, N_REFERENCE), classifier)
            _write_reference(staged / f"reference_{classifier.window.name}.csv", reference, classifier)
        (staged / "README.md").write_text(_readme(checks, onnx=onnx), encoding="utf-8")
    return ExportedTrees(checks)


def _write_reference(path: Path, sample: Sample, classifier: Classifier) -> None:
    folds = [f"score_fold{fold}" for fold in range(sample.scores.shape[1])]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*classifier.features, "mjj", "tie", *folds, *(f"pass_{n}" for n in classifier.selections)])
        columns = (sample.X, sample.mjj[:, None], sample.tie[:, None], sample.scores, sample.passes)
        for row in zip(*columns, strict=True):
            writer.writerow([_text(value) for values in row for value in values])


def _text(value: np.floating) -> str:
    """Shortest text that gives the number again, "nan" for an undefined feature."""
    return str(value)


def _readme(checks: Mapping[str, Mapping[str, Checked]], *, onnx: bool) -> str:
    rows = "\n".join(
        f"| {window} | {form} | {one.events} | {one.difference:.1g} | {one.changed} |"
        for window, forms in checks.items()
        for form, one in forms.items()
    )
    graph = (
        "- `trees_LOW-HIGH.onnx`: the same as ONNX; inputs `features` (n, k) float32, `mjj` and `tie` (n, 1) float64,\n"
        "  outputs `scores` and `passes`\n"
        if onnx
        else ""
    )
    return f"""# Classifiers as plain trees

- `trees_LOW-HIGH.json`: the classifiers of the window LOW-HIGH GeV: for each fold its members, boosted trees, and the
  thresholds of the selections
{graph}- `cwola_trees.py`, `cwola_trees.hpp`: evaluators that need only the standard library of Python and of C++17
- `reference_LOW-HIGH.csv`: inputs, scores and decisions to test any other program with. Features are mixed between
  events, so that no row is an event

```python
from cwola_trees import Trees

trees = Trees("trees_LOW-HIGH.json")
print(trees.features, trees.selections)
print(trees.scores([0.1, 0.05, 0.4, 0.5]), trees.passes([0.1, 0.05, 0.4, 0.5], mjj=3500.0))
```

Features have the order of `features` in the JSON file; masses are in GeV, NaN is an undefined feature. `scores` gives
one number for each fold, `passes` for each selection the fraction of folds that let the event pass: its weight, for a
signal that no fold was trained on. Equal scores are ordered by `tie`, a random number from 0 to 1. Events outside
`fit_range` have no score.

Compared with the classifiers of the search, with stored events, half of them with further undefined features:

| window | form | events | largest difference of a score | changed decisions |
|---|---|---|---|---|
{rows}
"""
