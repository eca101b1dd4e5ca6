"""Normalisation of simulation: the sum of generator weights before any cut or skim."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analysis.compute import Backend
from analysis.core.address import full_address
from analysis.errors import DatasetError, InputFileError
from processors.runner.executor import BadFile, BadFiles, run_tasks
from processors.runner.plan import FileRecord, Plan
from processors.weighting import Weights

__all__ = ["Generated", "GeneratorSums", "normalise", "read_generator_sums", "require_enough"]

TOLERANCE = 1e-3
"""Tolerated relative difference between the sum in the files and `n_generated`, which may be rounded by hand."""

FLUCTUATION = 5.0
"""Standard deviations by which a sum of weights may exceed its expectation."""


@dataclass(frozen=True)
class Generated:
    """Record of all generated events in a file.

    Attributes
    ----------
    weight : float
        Sum of their weights.
    events : int or None
        Their number, if the file tells.
    """

    weight: float
    events: int | None = None


GeneratorSums = Mapping[FileRecord, Generated | None]


def read_generator_sums(plans: Sequence[Plan], backend: Backend, bad: BadFiles, *, timeout: float) -> GeneratorSums:
    """Read the sums of generator weights from the files of simulation.

    Parameters
    ----------
    plans : sequence of Plan
    backend : Backend
    bad : BadFiles
        Files to leave out; files whose sum cannot be read are added.
    timeout : float
        Seconds that a server may take to answer.

    Returns
    -------
    mapping of FileRecord to Generated or None
        None for a file without a sum.
    """
    sums: dict[FileRecord, Generated | None] = {}
    adapters = {plan.processor.adapter.name: plan.processor.adapter for plan in plans}
    for name, adapter in adapters.items():
        plans_of_format = [one for one in plans if one.processor.adapter.name == name and not one.dataset.is_observed]
        records = [record for plan in plans_of_format for record in plan.files if not bad.covers(record)]
        if adapter.generator_sum is None or not records:
            continue
        tasks = run_tasks(
            backend,
            _Generated(adapter.generator_sum, adapter.generator_count),
            records,
            "Reading generator sums",
            timeout=timeout,
        )
        for index, total in tasks:
            if isinstance(total, BadFile):
                bad.note(total)
            else:
                sums[records[index]] = total
    return sums


def normalise(plan: Plan, sums: GeneratorSums, weights: Mapping[str, Weights]) -> tuple[float | None, str]:
    """Find the sum of generator weights that corresponds to the events read from a dataset.

    If only a fraction of the events was read, the sum is scaled by that fraction.

    Parameters
    ----------
    plan : Plan
        Plan without the files that are left out.
    sums : mapping of FileRecord to Generated or None
    weights : mapping of str to Weights
        Weights of the events read, by file name.

    Returns
    -------
    total : float or None
        None if the sum is neither known nor needed.
    origin : str
        "runs" (stored in the files), "n_generated" (set for the dataset) or "none".

    Raises
    ------
    InputFileError
        If the dataset is to be normalised, and neither its files nor `n_generated` provide the sum.
    DatasetError
        If both provide it and differ, or `n_generated` is less than the events weigh, or covers files that are left out
        and cannot be scaled.
    """
    if plan.dataset.is_observed:
        return None, "none"
    lacking = next((record for record in plan.files if sums.get(record) is None), None)
    kept = sum(record.n_entries for record in plan.files)
    read = sum(map(len, plan.items))
    if lacking is None:
        total = math.fsum(value.weight for record in plan.files if (value := sums[record]) is not None)
        _require_agreement(plan, total)
        return total * (read / kept), "runs"
    if plan.dataset.n_generated is not None:
        given, origin = _scaled_by_hand(plan, plan.dataset.n_generated, kept, read)
        _require_enough_by_hand(plan, given, weights)
        return given, origin
    if plan.dataset.is_normalised:
        msg = (
            f"{lacking.filename} (dataset {plan.dataset.name}): there is no sum of generator weights before cuts "
            "(NanoAOD: Runs/genEventSumw), and a sum over events would be wrong for a file that was skimmed. Give "
            "metadata.n_generated, the sum for all files of the dataset, or remove xsec_pb and lumi_ifb."
        )
        raise InputFileError(msg)
    return None, "none"


def require_enough(plan: Plan, sums: GeneratorSums, weights: Mapping[str, Weights]) -> None:
    """Refuse a file whose events do not fit its own sum over all generated events: its normalisation is wrong.

    Parameters
    ----------
    plan : Plan
    sums : mapping of FileRecord to Generated or None
    weights : mapping of str to Weights
        Weights of the events read, by file name.

    Raises
    ------
    InputFileError
        Naming the file.
    """
    if plan.dataset.is_observed:
        return
    for record in plan.files:
        generated, read = sums.get(record), weights.get(record.filename, Weights())
        if generated is None or (problem := _misfit(generated, read, record.n_entries)) is None:
            continue
        msg = (
            f"{record.filename} (dataset {plan.dataset.name}): its events have a sum of generator weights of "
            f"{read.total:g}, but its tree Runs holds {problem}: merge the files again, or leave this one out."
        )
        raise InputFileError(msg)


def _misfit(generated: Generated, read: Weights, n_entries: int) -> str | None:
    """Describe the sum over all generated events if the events of the file contradict it."""
    total = generated.weight * (read.events / n_entries if n_entries else 1.0)
    if total >= 0 and read.total > total * (1 + TOLERANCE) + _chance(read, n_entries):
        return (
            f"only {generated.weight:g} for all generated events, so that the dataset would be normalised too high. "
            "Rows of Runs were lost, as when files are merged"
        )
    if generated.events is not None and 0 < generated.events < n_entries:
        return f"{generated.events} generated events where the file has {n_entries}. Rows of Runs were lost"
    whole = read.events == n_entries == generated.events
    if whole and abs(generated.weight - read.total) > TOLERANCE * read.absolute:
        return f"{generated.weight:g} for the same {n_entries} events. It is not the sum of these weights"
    return None


def _chance(read: Weights, n_entries: int) -> float:
    """Amount by which the events read may weigh more than their part of all generated events."""
    # Lost events of negative weight make the sum of the others larger; so does a part of events of unequal weights.
    variance = read.squared if read.negative else 0.0
    if read.events < n_entries:
        variance = max(variance, read.squared - read.total**2 / max(read.events, 1))
    return FLUCTUATION * math.sqrt(variance)


def _require_agreement(plan: Plan, total: float) -> None:
    given = plan.dataset.n_generated
    if given is None or plan.skipped or math.isclose(given, total, rel_tol=TOLERANCE):
        return
    msg = (
        f"dataset {plan.dataset.name}: metadata.n_generated is {given:g}, but the files hold {total:g} as the sum of "
        "generator weights before cuts. n_generated is that sum, not a number of events: correct or remove it."
    )
    raise DatasetError(msg)


def _scaled_by_hand(plan: Plan, given: float, kept: int, read: int) -> tuple[float | None, str]:
    unknown = [file for file in plan.skipped if file.n_entries is None]
    if not unknown:
        return given * read / (kept + sum(file.n_entries or 0 for file in plan.skipped)), "n_generated"
    if not plan.dataset.is_normalised:
        return None, "none"
    msg = (
        f"dataset {plan.dataset.name}: metadata.n_generated covers all its files, but {unknown[0].filename} is left "
        f"out and its number of events is not known ({unknown[0].reason}) Remove the file from the datasets file and "
        "give n_generated for the others."
    )
    raise DatasetError(msg)


def _require_enough_by_hand(plan: Plan, given: float | None, weights: Mapping[str, Weights]) -> None:
    found = sum(weights.values(), Weights())
    if given is None or found.negative or found.total <= given * (1 + TOLERANCE):
        return
    msg = (
        f"dataset {plan.dataset.name}: metadata.n_generated allows for {given:g} in the events that are read, but they "
        f"have a sum of generator weights of {found.total:g}. n_generated is the sum of the weights of all generated "
        "events, not a number of events: correct it."
    )
    raise DatasetError(msg)


@dataclass(frozen=True)
class _Generated:
    """Picklable reader of the record of all generated events in a file."""

    weight: Callable[[str], float | None]
    events: Callable[[str], int | None] | None

    def __call__(self, record: FileRecord) -> Generated | None:
        address = full_address(record.filename)
        weight = self.weight(address)
        if weight is None:
            return None
        return Generated(weight, None if self.events is None else self.events(address))
