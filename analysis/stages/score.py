"""Scoring of files with the classifiers of a finished search, such as another signal with published classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.fractions import fraction
from analysis.core.location import Location
from analysis.core.plugins import require_same_plugins
from analysis.core.scratch import ScratchFolder
from analysis.errors import ConfigError, writing
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.export.event_list import require_format, write_events
from analysis.histograms.spectra import window_counts
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents
from analysis.search.classifiers import (
    Classifier,
    ScoredEvents,
    load_classifiers,
    load_origin,
    score_events,
    scored_columns,
)
from analysis.stages.files import describe_files
from analysis.stages.process import process

__all__ = ["Rate", "ScoreSummary", "ScoredSelection", "score_files"]

_NAME = "scored"

FIRST_RUN = 100_000
"""Smallest run number regarded as real data; LHC data have larger and simulation smaller run numbers."""


@dataclass(frozen=True)
class Rate:
    """Normalisation of the scored files.

    Attributes
    ----------
    lumi_ifb, xsec_pb : float or None
        Luminosity, and cross-section of the sample. With both, events are those expected.
    n_generated : float or None
        Sum of generator weights before any cut, for files that do not record it.
    """

    lumi_ifb: float | None = None
    xsec_pb: float | None = None
    n_generated: float | None = None

    def require_complete(self) -> None:
        """Raise for a cross-section without a luminosity.

        Raises
        ------
        ConfigError
        """
        if self.xsec_pb is not None and self.lumi_ifb is None:
            msg = "--xsec needs --lumi: the number of expected events is cross-section times luminosity."
            raise ConfigError(msg)


@dataclass(frozen=True)
class ScoredSelection:
    """Yields of a sample in one selection and window.

    Attributes
    ----------
    window, selection : str
    events : float
        Sum of weights of the events that pass in the window, with pass weights; expected events if normalised.
    acceptance : float
        Fraction of the generated events that pass in the window.
    efficiency : float or None
        Fraction of the events in the window that pass; None without events in the window.
    events_per_fb : float or None
        Events expected for a cross-section of 1 fb; None without luminosity.
    """

    window: str
    selection: str
    events: float
    acceptance: float
    efficiency: float | None
    events_per_fb: float | None = None


@dataclass(frozen=True)
class ScoreSummary:
    """Summary of scored files.

    Attributes
    ----------
    path : pathlib.Path
        File of the scored events.
    n_events : int
        Number of events in the search region.
    generated : float
        Sum of generator weights before any cut; if not recorded in the files, the sum over the events in the files.
    recorded : bool
        Whether the files record the sum of generator weights.
    selections : tuple of ScoredSelection
    """

    path: Path
    n_events: int
    generated: float
    recorded: bool
    selections: tuple[ScoredSelection, ...]


def score_files(
    files: Sequence[str],
    models: Path,
    output: Path,
    backend: Backend,
    *,
    window: tuple[float, float] | None = None,
    rate: Rate | None = None,
    parts: Location | None = None,
    **described: str | None,
) -> ScoreSummary:
    """Select the events of files as in the search, and score them.

    Parameters
    ----------
    files : sequence of str
        Paths or URLs of simulated files of one sample: ROOT files or tables.
    models : pathlib.Path
        Results folder of the search, or a copy of its files for `analysis.search.classifiers`.
    output : pathlib.Path
        `.parquet`, `.csv` or `.txt`.
    backend : Backend
    window : (low, high), optional
        Window to score, GeV; by default all windows.
    rate : Rate, optional
        Luminosity, cross-section and number of generated events.
    parts : Location, optional
        Folder of the selected events, which are kept; by default a folder beside `output` that is removed at the end.
    **described
        `format_name` and `tree` of the files; by default detected in the first file.

    Returns
    -------
    ScoreSummary

    Raises
    ------
    ConfigError
        If the window is unknown, the number of generated events is needed and not known, the files were used in the
        training, they hold real data and the search is blinded, or the loaded plugins differ from the plugins of the
        event selection of the search.
    ResultsError
        If a file of the classifiers is missing or differs from the file that the search wrote.
    """
    require_format(output)
    rate = rate or Rate()
    rate.require_complete()
    config, classifiers = load_classifiers(models, window)
    _require_plugins(models)
    dataset = _describe(files, rate, **described)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with ScratchFolder(".scoring_", output.parent) as scratch:
        folder = ResultsFolder(scratch)
        events = process({_NAME: dataset}, config.model_copy(update={"systematics": ()}), folder, backend, parts=parts)
        _require_untrained(events, models)
        _require_generated(events, rate)
        table = events.stored([_NAME], folder).read()  # all events are listed, with all features
    _require_simulation(table, config)
    scored = [score_events(table, classifier) for classifier in classifiers]
    write_events(scored_columns(table, scored), output)
    return _summarise(output, table, events, classifiers, scored)


def _describe(files: Sequence[str], rate: Rate, *, format_name: str | None = None, tree: str | None = None) -> Dataset:
    found, addresses = describe_files(files, format_name, tree)
    return Dataset(
        _NAME,
        "background",
        found,
        addresses,
        xsec_pb=rate.xsec_pb,
        lumi_ifb=rate.lumi_ifb,
        n_generated=rate.n_generated,
    )


def _summarise(
    output: Path,
    table: EventTable,
    events: ProcessedEvents,
    classifiers: Sequence[Classifier],
    scored: Sequence[ScoredEvents],
) -> ScoreSummary:
    record = events.records[_NAME]
    recorded = record.sum_of_weights is not None
    generated = record.cutflow["all"].weight if record.sum_of_weights is None else record.sum_of_weights
    scale, lumi_ifb = events.scale(_NAME), events.datasets[_NAME].lumi_ifb
    selections: list[ScoredSelection] = []
    for classifier, one in zip(classifiers, scored, strict=True):
        counts = window_counts(table, classifier.window, one.passes)
        selections += [
            ScoredSelection(
                classifier.window.name,
                name,
                count,
                acceptance := fraction(count, generated * scale),
                fraction(count, float(counts[0])) if counts[0] > 0 else None,
                None if lumi_ifb is None else acceptance * lumi_ifb,
            )
            for name, count in zip(one.passes.names, counts.tolist(), strict=True)
        ]
    return ScoreSummary(output, len(table), generated, recorded, tuple(selections))


def _require_plugins(models: Path) -> None:
    """Raise if the loaded plugins differ from the search; for safety, plugins named in a folder are never loaded."""
    recorded = load_origin(models).plugins
    require_same_plugins(recorded, f"{models} was made", "Plugins run as code: read those that others give you.")


def _require_untrained(events: ProcessedEvents, models: Path) -> None:
    """Raise if a file was used in the training of the classifiers, according to the manifest."""
    trained = [item for item in load_origin(models).inputs if item.kind != "signal"]
    for file in events.inputs:
        same = (one for one in trained if (one.uuid, one.content or file.content) == file.identity)
        if (item := next(same, None)) is not None:
            msg = (
                f"{file.file} was used in the search itself, as dataset {item.dataset} of kind {item.kind}: "
                f"models that saw an event must not score it. Its out-of-fold scores are in {models}; `cwola select` "
                "lists them."
            )
            raise ConfigError(msg)


def _require_generated(events: ProcessedEvents, rate: Rate) -> None:
    if rate.lumi_ifb is not None and events.records[_NAME].sum_of_weights is None:
        msg = (
            "the files do not record how many events were generated, so --lumi cannot be applied. Give --generated "
            "NUMBER, the sum of generator weights before any cut."
        )
        raise ConfigError(msg)


def _require_simulation(table: EventTable, config: SearchConfig) -> None:
    blinded = config.statistics.blind or not config.statistics.unblind
    if blinded and len(table) and int(table.column("run").max()) >= FIRST_RUN:
        msg = (
            f"the files hold real data (run {int(table.column('run').max())}), and the search is blinded. Score "
            "simulation, or use classifiers of a search with unblind = true in [statistics]."
        )
        raise ConfigError(msg)
