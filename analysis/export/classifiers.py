"""Export of trained classifiers with the files needed to apply them, without other results of the search."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.config import SearchConfig
from analysis.core.documents import ABSENT, to_json
from analysis.errors import writing
from analysis.export.portable import portable_config
from analysis.export.target import new_folder, write_json
from analysis.results import ResultsFolder
from analysis.results.manifest import Manifest
from analysis.results.values import PluginDocument
from analysis.search.classifiers import TrainedOn, load_classifiers

__all__ = ["export_classifiers"]

_NEEDED = ("classifier.json", "decorrelation.npz", "models")
"""Exported files and folders of a window."""


@dataclass(frozen=True, kw_only=True)
class _Exported:
    """Manifest of the export: fields of the manifest of the search that are needed to apply classifiers."""

    created: str | None = field(default=None, metadata=ABSENT)
    versions: Mapping[str, str] | None = field(default=None, metadata=ABSENT)
    plugins: tuple[PluginDocument, ...] | None = field(default=None, metadata=ABSENT)
    config_digest: str | None = field(default=None, metadata=ABSENT)
    random_state: int | None = field(default=None, metadata=ABSENT)
    blinded: bool | None = field(default=None, metadata=ABSENT)
    inputs: tuple[TrainedOn, ...]
    sha256: Mapping[str, str]


def export_classifiers(folder: ResultsFolder, target: Path) -> int:
    """Copy the classifiers of all windows, after checking that they belong to the search.

    Parameters
    ----------
    folder : ResultsFolder
        Results folder of a finished scan.
    target : pathlib.Path
        New folder for `cwola score --models`.

    Returns
    -------
    int
        Number of windows.

    Raises
    ------
    ResultsError
        If a file of the classifiers is missing or differs from the file that the search wrote, or the target is not
        empty.
    """
    config, _ = load_classifiers(folder.path)
    manifest = folder.load_manifest()
    needed = {path: digest for path, digest in (manifest.sha256 or {}).items() if _is_needed(path)}
    with new_folder(target) as staged:
        for path in needed:
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.path / path, staged / path)
        _write_config(staged, config)
        write_json(staged / "manifest.json", to_json(_exported(manifest, needed)))
        (staged / "README.md").write_text(_readme(manifest), encoding="utf-8")
        exported = load_classifiers(staged)[1]
    return len(exported)


def _is_needed(path: str) -> bool:
    parts = path.split("/")
    return parts[0] == "windows" and parts[2] in _NEEDED


def _write_config(staged: Path, config: SearchConfig) -> None:
    """Write the configuration without paths, and copy the files that the selection reads."""
    for name, content in portable_config(config, systematics=False).items():
        with writing(staged / name):
            (staged / name).write_bytes(content)


def _exported(manifest: Manifest, needed: Mapping[str, str]) -> _Exported:
    return _Exported(
        created=manifest.created,
        versions=manifest.versions,
        plugins=manifest.plugins,
        config_digest=manifest.config_digest,
        random_state=manifest.random_state,
        blinded=manifest.blinded,
        inputs=tuple(TrainedOn(file.dataset, file.kind, *file.identity) for file in manifest.inputs or ()),
        sha256=needed,
    )


def _readme(manifest: Manifest) -> str:
    plugins = "".join(
        f"- plugin {plugin.name}, SHA-256 {plugin.sha256}: name it with --plugin\n"
        for plugin in manifest.plugins or ()
        if plugin.of_events or "learner" in plugin.adds
    )
    version = (manifest.versions or {})["cwola-dijet"]
    return f"""# Classifiers

With cwola-dijet {version}, score simulated events of a signal of your own, in CMS NanoAOD,
Delphes or ATLAS PHYSLITE files:

```
cwola score my_signal.root --models . --output scored.parquet
```

Events are selected as in the search. Each gets the score of every fold's model in every window, their mean, and for
every selection the mean over the folds of each fold's own cut. Acceptance and efficiency are printed.

- `config.json`, and files that it names: how events are selected and features computed
- `windows/LOW-HIGH/classifier.json`: features, selections, thresholds of every fold
- `windows/LOW-HIGH/models/foldK_memberM.*`: models (`.ubj` of xgboost); the members of a fold are averaged
- `windows/LOW-HIGH/decorrelation.npz`: where there is one, how features are scaled before
- `manifest.json`: SHA-256 of all these, checked before anything is read; versions; identity of the files that the
  classifiers were trained on, which are refused
{plugins}"""
