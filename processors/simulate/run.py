"""Simulate a sample: blocks in parallel, kept as they finish, then merged into one file in NanoAOD layout.

The file has the trees `Events` (`FatJet_*`, `run`, `luminosityBlock`, `event`, `genWeight`) and `Runs` (sums of
generator weights), and under `cwola_simulation` a JSON string with settings, versions and cross-section. Constituents
are `PFCands_*`, with `FatJetPFCands_jetIdx` and `FatJetPFCands_pFCandsIdx`, as in PFNano.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from analysis.compute import Backend, track
from analysis.core.atomic import replacing_file
from analysis.core.location import Location, RemotePath, remove_file
from analysis.core.text_files import one_line
from analysis.errors import ConfigError, InputFileError, ResultsError
from processors.opening import create_root, open_root
from processors.simulate.blocks import Block, MakeBlock, combine, read_block, sample_digest
from processors.simulate.generator import CrossSection, require_generators, require_settings, versions
from processors.simulate.jets import CONSTITUENTS
from processors.simulate.settings import SimulationSettings

__all__ = ["PROVENANCE", "read_provenance", "simulate"]

PROVENANCE = "cwola_simulation"
"""Key of the JSON string in the file."""

COMPRESSION = uproot.LZMA(9)
"""As in NanoAOD: a third smaller than zlib, at a cost that is negligible beside generation."""

PSEUDODATA_KEY = 2**32 - 1
"""Spawn key for the number of pseudodata events; blocks are numbered from 0."""


def simulate(settings: SimulationSettings, output: Path, backend: Backend, *, parts: Location | None = None) -> Path:
    """Simulate a sample; finished blocks of an interrupted run are reused.

    Parameters
    ----------
    settings : SimulationSettings
    output : pathlib.Path
        ROOT file. An existing sample with the same settings is kept; one with other settings is replaced.
    backend : Backend
        Backend for the tasks. The events do not depend on it.
    parts : Location, optional
        Folder in which finished blocks are kept, in `<name of output>.blocks/`, which is removed at the end; default:
        beside the output. All workers must be able to write there.

    Returns
    -------
    pathlib.Path
        Path of the output.

    Raises
    ------
    ConfigError
        If Pythia or fastjet is missing or rejects the settings, if a command file has settings that are not taken, if
        `output` is a file that was not simulated here, or if the luminosity of pseudodata needs more events than
        `n_events`.
    """
    require_generators()
    require_settings(settings)
    folder = (output.parent if parts is None else parts).absolute() / f"{output.name}.blocks"
    make = MakeBlock(settings, folder)
    if not (output.exists() and _provenance_to_replace(output)["digest"] == sample_digest(settings)):
        _make_missing(make, backend)
        _write_sample(make, output)
    _remove_blocks(make)
    return output


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Read the settings and versions with which a file was simulated.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    dict or None
        "settings", "versions", "digest", "n_events", "xsec_pb" and "xsec_error_pb"; None for files of other origin.

    Raises
    ------
    InputFileError
        If the path is not a readable ROOT file.
    """
    try:
        with open_root(str(path)) as file:
            if PROVENANCE not in file:
                return None
            provenance: dict[str, Any] = json.loads(str(file[PROVENANCE]))
            return provenance
    except (OSError, ValueError, uproot.DeserializationError) as error:
        msg = f"{path}: expected a ROOT file, but reading failed: {one_line(error)}. Remove it or give another path."
        raise InputFileError(msg) from error


def _provenance_to_replace(output: Path) -> dict[str, Any]:
    provenance = read_provenance(output)
    if provenance is None:
        msg = f"{output} exists and was not made by `cwola simulate`; it is not overwritten. Give another output."
        raise ConfigError(msg)
    return provenance


def _remove_blocks(make: MakeBlock) -> None:
    """Remove blocks; of this machine also those that are incomplete. The folder is kept if it holds other files."""
    folder = make.folder
    if isinstance(folder, RemotePath):
        for block in range(make.settings.n_blocks):
            with suppress(FileNotFoundError, ResultsError):
                remove_file(make.path(block))
        return
    for path in folder.glob("*.npz"):
        path.unlink()
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _make_missing(make: MakeBlock, backend: Backend) -> None:
    blocks = range(make.settings.n_blocks)
    missing = [block for block in blocks if read_block(make.path(block), make.stamp(block)) is None]
    for _ in track(backend.map(make, missing), total=len(missing), description="Simulating"):
        pass


def _write_sample(make: MakeBlock, output: Path) -> None:
    settings = make.settings
    blocks = [_require_block(make, number) for number in range(settings.n_blocks)]
    cross_section = combine([(block.cross_section, len(block.jets)) for block in blocks])
    n_events = _number_of_events(settings, cross_section)
    provenance = {
        "settings": settings.model_dump(),
        "versions": versions(),
        "digest": sample_digest(settings),
        "n_events": n_events,
        "xsec_pb": cross_section.value_pb,
        "xsec_error_pb": cross_section.error_pb,
    }
    jets = ak.concatenate([block.jets for block in blocks])[:n_events]
    with replacing_file(output) as temporary, create_root(temporary, compression=COMPRESSION) as file:
        _fill(file, "Events", _events(settings, jets))
        _fill(file, "Runs", _runs(settings, n_events))
        file[PROVENANCE] = json.dumps(provenance)


def _require_block(make: MakeBlock, number: int) -> Block:
    block = read_block(make.path(number), make.stamp(number))
    if block is None:
        msg = f"block {make.path(number)} is missing although it was made. Check that nothing else writes there."
        raise InputFileError(msg)
    return block


def _number_of_events(settings: SimulationSettings, cross_section: CrossSection) -> int:
    """Return the number of events in the sample: all, or as many as the luminosity of pseudodata yields."""
    if settings.pseudodata_lumi_ifb is None:
        return settings.n_events
    xsec_pb = settings.pseudodata_xsec_pb or cross_section.value_pb
    expected = xsec_pb * 1000.0 * settings.pseudodata_lumi_ifb
    seeds = np.random.SeedSequence(settings.seed, spawn_key=(PSEUDODATA_KEY,))
    drawn = int(np.random.default_rng(seeds).poisson(expected))
    if drawn > settings.n_events:
        msg = (
            f"pseudodata of {settings.pseudodata_lumi_ifb:g} fb-1 at {xsec_pb:.4g} pb has {drawn} "
            f"events ({expected:.0f} expected), but n_events is {settings.n_events}. Raise n_events to "
            f"{int(expected + 5 * np.sqrt(expected)) + 1} (blocks made so far are kept) or lower the luminosity."
        )
        raise ConfigError(msg)
    return drawn


def _events(settings: SimulationSettings, jets: ak.Array) -> dict[str, Any]:
    number = np.arange(len(jets), dtype=np.uint64)
    bits = settings.mantissa_bits
    rounded = {name: _rounded(jets[name], bits) for name in jets.fields if name != CONSTITUENTS}
    inside = _constituents(jets[CONSTITUENTS], bits) if CONSTITUENTS in jets.fields else {}
    return {
        "FatJet": ak.zip(rounded),
        **inside,
        "run": np.full(len(jets), settings.run_number, np.uint32),
        "luminosityBlock": (1 + number // np.uint64(settings.block_events)).astype(np.uint32),
        "event": 1 + number,
        "genWeight": np.ones(len(jets), np.float32),
    }


def _constituents(found: ak.Array, bits: int | None) -> dict[str, ak.Array]:
    """Return the constituents of the jets of each event one after another, with the positions of their jets."""
    jet, _ = ak.broadcast_arrays(ak.local_index(found, axis=1), found["pt"])
    joined = {name: ak.flatten(found[name], axis=2) for name in found.fields}
    position = ak.values_astype(ak.local_index(joined["pt"]), np.int32)
    return {
        "PFCands": ak.zip({name: _rounded(values, bits) for name, values in joined.items()}),
        "FatJetPFCands": ak.zip(
            {"jetIdx": ak.values_astype(ak.flatten(jet, axis=2), np.int32), "pFCandsIdx": position}
        ),
    }


def _runs(settings: SimulationSettings, n_events: int) -> dict[str, Any]:
    return {
        "run": np.array([settings.run_number], np.uint32),
        "genEventCount": np.array([n_events], np.int64),
        "genEventSumw": np.array([n_events], np.float64),
        "genEventSumw2": np.array([n_events], np.float64),
    }


def _rounded(values: ak.Array, bits: int | None) -> ak.Array:
    """Round to the nearest float32 with `bits` mantissa bits; carries propagate into the exponent."""
    if bits is None or bits == 23:
        return values
    flat = np.ascontiguousarray(ak.to_numpy(ak.flatten(values)), np.float32)
    dropped = np.uint32(23 - bits)
    half = np.uint32(1) << (dropped - np.uint32(1))
    kept: NDArray[np.uint32] = ((flat.view(np.uint32) + half) >> dropped) << dropped
    return ak.unflatten(kept.view(np.float32), ak.num(values))


def _fill(file: Any, name: str, columns: dict[str, Any]) -> None:
    """Write a TTree; an assignment would write an RNTuple."""
    types = {key: value.type if isinstance(value, ak.Array) else value.dtype for key, value in columns.items()}
    file.mktree(name, types).extend(columns)
