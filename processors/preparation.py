"""Prepare a configuration for processing: digests of what determines the parts, and systematics with their files."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import analysis
from analysis.config import SearchConfig, SelectionConfig
from analysis.core.documents import digest
from analysis.core.fingerprint import fingerprint
from analysis.core.plugins import active_plugins
from analysis.events.dataset import Dataset
from analysis.events.identity import event_hash
from analysis.events.schema import table_schema
from processors.calibration import calibrated_entries
from processors.features import FEATURES, requested_features
from processors.formats import ADAPTERS
from processors.selection.cuts import CUTS
from processors.systematics import SYSTEMATICS
from processors.variations import Systematics

__all__ = ["prepare_systematics", "processing_digest", "settings_digest"]

_CODE = ("processors.dijet",)
"""Modules that determine the content of a part."""


def processing_digest(config: SearchConfig) -> str:
    """Digest of everything that determines the parts: selection, cuts, features and their source text."""
    functions = [
        *(one.read for one in ADAPTERS.values()),
        *(one.compute for one in FEATURES.values()),
        *(one.passes for one in CUTS.values()),
        event_hash,
        table_schema,
    ]
    return fingerprint(
        code=_CODE,
        plugins=[(ADAPTERS, ADAPTERS), (FEATURES, FEATURES), (CUTS, CUTS)],
        selection=config.selection.identity(),
        sqrt_s_gev=config.background.sqrt_s_gev,
        features=[one.spec.to_json() for one in requested_features(config)],
        cuts=list(CUTS),
        version=analysis.__version__,
        functions=_sources(functions),
    )


def settings_digest(config: SearchConfig) -> str:
    """Digest of the configuration of the parts; keys that later versions add do not enter unless they are used."""
    default = SelectionConfig().identity()
    selection = {key: value for key, value in config.selection.identity().items() if default.get(key) != value}
    plugins = sorted(plugin.name for plugin in active_plugins() if plugin.of_events)
    optional = [one.spec.name for one in requested_features(config) if one.optional]
    return digest([selection, config.background.sqrt_s_gev, plugins, *([optional] if optional else [])])


def prepare_systematics(config: SearchConfig, datasets: Mapping[str, Dataset]) -> Systematics:
    """Read the files of the systematics, and add the digest of their code. Errors as of `Systematics.prepare`."""
    entries = calibrated_entries(config.systematics, config.selection.calibration)
    systematics = Systematics.prepare(entries, datasets, config.random_state)
    functions = [one.vary_jets or one.vary_weights for _, one in systematics.entries if one.effect != "rate"]
    kinds = [config.kind for config, _ in systematics.entries]
    return replace(
        systematics, code=fingerprint(code=_CODE, plugins=[(SYSTEMATICS, kinds)], functions=_sources(functions))
    )


def _sources(functions: Iterable[Any]) -> list[str]:
    """SHA-256 of the modules that define the functions, including an analyst's own modules."""
    return sorted({sha256(_source(function)).hexdigest() for function in functions})


def _source(function: Any) -> bytes:
    """Text of the module that defines a function, or the bytecode of a function without a file (in a notebook)."""
    try:
        return Path(inspect.getfile(function if inspect.isroutine(function) else type(function))).read_bytes()
    except (OSError, TypeError):
        code = function.__code__
        return repr((code.co_code, code.co_consts, code.co_names)).encode()
