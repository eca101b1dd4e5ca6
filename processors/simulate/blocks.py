"""Blocks of events: generated, measured, and kept as separate files until the sample is complete."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import awkward as ak
import numpy as np

from analysis.core.fingerprint import fingerprint
from analysis.core.location import Location, read_file, write_file
from analysis.core.text_files import open_regular
from processors.simulate.detector import detect
from processors.simulate.generator import CrossSection, Generator, versions
from processors.simulate.jets import CONSTITUENTS, find_jets, silent_stdout
from processors.simulate.settings import SimulationSettings

__all__ = ["Block", "MakeBlock", "combine", "read_block", "sample_digest"]

MAX_PYTHIA_SEED = 900_000_000

_CODE = (__name__, "processors.simulate.run")

AFTERWARDS = {"n_events", "run_number", "mantissa_bits", "pseudodata_lumi_ifb", "pseudodata_xsec_pb"}
"""Settings that take effect only when the blocks are merged."""


@dataclass(frozen=True)
class Block:
    """A block as read from its file.

    Attributes
    ----------
    jets : (n_events,) array of lists of records
        Fields as in `find_jets`, float32.
    cross_section : CrossSection
    """

    jets: ak.Array
    cross_section: CrossSection


@dataclass(frozen=True)
class MakeBlock:
    """Picklable function that generates one block, writes it to the folder, and returns its path.

    Attributes
    ----------
    settings : SimulationSettings
    folder : Location
    """

    settings: SimulationSettings
    folder: Location

    def __call__(self, block: int) -> Location:
        """Generate a block; its events depend only on the settings and its number."""
        seeds = np.random.SeedSequence(self.settings.seed, spawn_key=(block,))
        pythia_seed = 1 + int(seeds.generate_state(1)[0]) % MAX_PYTHIA_SEED
        rng = np.random.default_rng(seeds)
        with silent_stdout():
            generator = Generator(self.settings, pythia_seed)
            batches = generator.batches(self.settings.events_of(block))
            jets = ak.concatenate([self._measure(batch, generator.invisible(batch), rng) for batch in batches])
        path = self.path(block)
        _write(path, jets, generator.cross_section(), self.stamp(block))
        return path

    def _measure(self, batch: ak.Array, invisible: tuple[int, ...], rng: np.random.Generator) -> ak.Array:
        settings = self.settings
        particles = detect(batch, rng, settings.detector, invisible)
        return find_jets(
            particles,
            n_jets=settings.n_jets,
            pt_min=settings.jet_pt_min,
            declustered=settings.declusterings,
            constituents=settings.constituents,
        )

    def path(self, block: int) -> Location:
        """Path of a block."""
        return self.folder / f"{block:06d}.npz"

    def stamp(self, block: int) -> str:
        """Digest of everything that determines a block; full blocks do not depend on the total number of events."""
        settings = self.settings.model_dump(exclude=AFTERWARDS)
        return fingerprint(
            code=_CODE,
            settings=settings,
            versions=versions(),
            block=block,
            n_events=self.settings.events_of(block),
        )


def read_block(path: Location, stamp: str) -> Block | None:
    """Read a block; None if it is missing, damaged, or from other settings or code."""
    try:
        with _opened(path) as stream, np.load(stream, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            if about["stamp"] != stamp:
                return None
            inside = [name for name in stored.files if name.startswith(_INSIDE)]
            columns = {name: stored[name] for name in stored.files if name not in (*_BESIDE, *inside)}
            if inside:
                parts = ak.zip({name.removeprefix(_INSIDE): stored[name] for name in inside})
                columns[CONSTITUENTS] = ak.unflatten(parts, stored[_N_INSIDE])
            jets = ak.unflatten(ak.zip(columns, depth_limit=1), stored["n_jets"])
            return Block(jets, CrossSection(**about["cross_section"]))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _opened(path: Location) -> IO[bytes]:
    return open_regular(path) if isinstance(path, Path) else BytesIO(read_file(path))


def sample_digest(settings: SimulationSettings) -> str:
    """Digest of everything that determines a sample."""
    return fingerprint(code=_CODE, settings=settings.model_dump(), versions=versions())


def combine(parts: list[tuple[CrossSection, int]]) -> CrossSection:
    """Average cross-sections, weighted by the numbers of events."""
    total = sum(count for _, count in parts)
    value = sum(part.value_pb * count for part, count in parts) / total
    error = float(np.hypot.reduce([part.error_pb * count for part, count in parts])) / total
    return CrossSection(value, error)


_INSIDE, _N_INSIDE = "constituent_", "n_constituents"
"""Prefix of the fields of the constituents of all jets in a file of a block, and their number by jet."""

_BESIDE = ("about", "n_jets", _N_INSIDE)
"""What a file of a block holds beside the fields of the jets."""


def _write(path: Location, jets: ak.Array, cross_section: CrossSection, stamp: str) -> None:
    about = json.dumps({"stamp": stamp, "cross_section": asdict(cross_section)})
    columns = {
        name: ak.to_numpy(ak.flatten(jets[name])).astype(np.float32) for name in jets.fields if name != CONSTITUENTS
    }
    if CONSTITUENTS in jets.fields:
        inside = ak.flatten(jets[CONSTITUENTS])
        columns[_N_INSIDE] = ak.to_numpy(ak.num(inside))
        parts = {name: ak.to_numpy(ak.flatten(inside[name])) for name in inside.fields}
        columns |= {f"{_INSIDE}{name}": values.astype(np.float32) for name, values in parts.items()}
    content = BytesIO()
    np.savez(content, about=np.array(about), n_jets=ak.to_numpy(ak.num(jets)), **columns)
    write_file(path, content.getvalue())
