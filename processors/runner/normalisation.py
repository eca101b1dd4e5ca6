"""Normalisation of simulation: the sum of generator weights before any cut or skim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.compute import Backend
from analysis.core.address import full_address
from analysis.errors import DatasetError, InputFileError
from processors.runner.executor import BadFile, BadFiles, run_tasks
from processors.runner.plan import FileRecord, Plan

__all__ = ["GeneratorSums", "normalise", "read_generator_sums", "require_enough"]

TOLERANCE = 1e-3
"""Tolerated relative difference between the sum in the files and `n_generated`, which may be rounded by hand."""

GeneratorSums = Mapping[FileRecord, float | None]


def read_generator_sums(plans: Sequence[Plan], backend: Backend, bad: BadFiles, *, timeout: int) -> GeneratorSums:
    """Read the sums of generator weights from the files of simulation.

    Parameters
    ----------
    plans : sequence of Plan
    backend : Backend
    bad : BadFiles
        Files to leave out; files whose sum cannot be read are added.
    timeout : int
        Seconds that a server may take to answer.

    Returns
    -------
    mapping of FileRecord to float or None
        None for a file without a sum.
    """
    sums: dict[FileRecord, float | None] = {}
    readers = {plan.processor.adapter.name: plan.processor.adapter.generator_sum for plan in plans}
    for name, read in readers.items():
        plans_of_format = [one for one in plans if one.processor.adapter.name == name and not one.dataset.is_observed]
        records = [record for plan in plans_of_format for record in plan.files if not bad.covers(record)]
        if read is None or not records:
            continue
        tasks = run_tasks(backend, _GeneratorSum(read), records, "Reading generator sums", timeout=timeout)
        for index, total in tasks:
            if isinstance(total, BadFile):
                bad.note(total)
            else:
                sums[records[index]] = total
    return sums


def normalise(plan: Plan, sums: GeneratorSums) -> tuple[float | None, str]:
    """Find the sum of generator weights that corresponds to the events read from a dataset.

    If only a fraction of the events was read, the sum is scaled by that fraction.

    Parameters
    ----------
    plan : Plan
        Plan without the files that are left out.
    sums : mapping of FileRecord to float or None

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
        If both provide it and differ, or `n_generated` covers files that are left out and cannot be scaled.
    """
    if plan.dataset.is_observed:
        return None, "none"
    lacking = next((record for record in plan.files if sums.get(record) is None), None)
    kept = sum(record.n_entries for record in plan.files)
    read = sum(map(len, plan.items))
    if lacking is None:
        total = math.fsum(value for record in plan.files if (value := sums[record]) is not None)
        _require_agreement(plan, total)
        return total * (read / kept), "runs"
    if plan.dataset.n_generated is not None:
        return _scaled_by_hand(plan, plan.dataset.n_generated, kept, read)
    if plan.dataset.is_normalised:
        msg = (
            f"{lacking.filename} (dataset {plan.dataset.name}): there is no sum of generator weights before cuts "
            "(NanoAOD: Runs/genEventSumw), and a sum over events would be wrong for a file that was skimmed. Give "
            "metadata.n_generated, the sum for all files of the dataset, or remove xsec_pb and lumi_ifb."
        )
        raise InputFileError(msg)
    return None, "none"


def require_enough(plan: Plan, sums: GeneratorSums, read: Mapping[str, float]) -> None:
    """Refuse a file whose events weigh more than its own sum over all generated events: its normalisation is wrong.

    Parameters
    ----------
    plan : Plan
    sums : mapping of FileRecord to float or None
    read : mapping of str to float
        Sum of generator weights of the events read, by file name.

    Raises
    ------
    InputFileError
        Naming the file.
    """
    if plan.dataset.is_observed:
        return
    for record in plan.files:
        total, found = sums.get(record), read.get(record.filename, 0.0)
        if total is not None and total >= 0 and found > total * (1 + TOLERANCE):
            msg = (
                f"{record.filename} (dataset {plan.dataset.name}): its events have a sum of generator weights of "
                f"{found:g}, but its tree Runs holds only {total:g} for all generated events, so that the dataset "
                "would be normalised too high. Rows of Runs were lost, as when files are merged: merge the files "
                "again, or leave this one out."
            )
            raise InputFileError(msg)


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


@dataclass(frozen=True)
class _GeneratorSum:
    """Picklable call of an adapter's `generator_sum` on a file."""

    read: Any

    def __call__(self, record: FileRecord) -> float | None:
        total: float | None = self.read(full_address(record.filename))
        return total
