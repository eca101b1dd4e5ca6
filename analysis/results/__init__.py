"""The only writer and reader of a results folder.

Layout: `config.json` (resolved configuration), `process.json`, `events.json` and `parts/` (selected events),
`windows/<low>-<high>/` (record, spectrum as UHI JSON, workspaces as pyhf JSON, pass weights, scores, models as UBJ and
the inputs for applying them, see `analysis.search.classifiers`), `seeds/<number>/<low>-<high>/` (further trainings,
without models and scores), `global.json`, `signals/` (workspaces of the signal samples), `validation/` and
`validation.json` (signal-free tests), `two_sample/` and `two_sample.json` (windows against templates), `injections/`
(one record per injection), `limits.json` (limits and sensitivities derived from them), `results.json`, `manifest.json`,
`plots/` and `cwola.log`. All files are written atomically: an existing file is complete.
"""

from analysis.results.folder import ResultsFolder
from analysis.results.selected_events import load_events

__all__ = ["ResultsFolder", "load_events"]
