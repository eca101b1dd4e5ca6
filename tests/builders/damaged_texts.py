"""Text files of every kind that commands read, damaged by chance: configurations, data sets, spectra, corrections and
files of results."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any

import hist
import uhi.io.json
from hypothesis import strategies as st

from analysis.core.documents import to_json
from analysis.limits.values import LimitsFile
from tests.builders.limit_documents import scan_of, signal
from tests.builders.toy_search import CONFIG
from tests.builders.toys import dijet, write_nanoaod

DEEP = "DEEP"
"""Stands for very deep nesting, which nothing could serialise."""

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 3, 1e30, 1e-300, -0.5, 10**9, 2**63, 10**400, inf, -inf, nan),
    *("", "x", "x" * 20_000, "a\0b", "\ud800", "\u202e\x1b[31m", "a\nb", "../../x", "/dev/zero", "é/ß", "nan", DEEP),
    *([], {}, [[]], [None], {"": 1}, {"a\nb": 2}, {"\ud800": 1}, [1, "a", None], list(range(3000))),
)

RESULTS = (
    *("results/results.json", "results/manifest.json", "results/config.json", "results/process.json"),
    *("results/diagnostics.json", "results/validation.json", "results/limits.json", "results/global.json"),
    *(f"results/windows/3300-3700/{name}.json" for name in ("window", "spectrum", "workspace_eff_0.1", "classifier")),
)
"""Files of a results folder."""

READERS: dict[str, tuple[str, ...]] = {
    "report": ("report", "--output", "results", "--to", "report.html"),
    "impacts": ("impacts", "--output", "results"),
    "plot": ("plot", "--output", "results", "--only", "scan", "--jobs", "1", "--to", "plots"),
    "select": ("select", "results", "--window", "3300:3700", "--selection", "eff_0.1", "--output", "selected.csv"),
    "pyhf": ("export", "pyhf", "--output", "results", "--to", "exported"),
    "classifiers": ("export", "classifiers", "--output", "results", "--to", "exported"),
    "score": ("score", "few.root", "--models", "results", "--output", "scored.csv", "--jobs", "1"),
}
"""Commands that read a results folder."""

MADE = ("out", "plots", "exported", "report.html", "selected.csv", "scored.csv")
"""What the commands write."""

VETO = {
    "schema_version": 2,
    "corrections": [
        {
            "name": "map",
            "version": 1,
            "inputs": [
                {"name": "type", "type": "string"},
                *({"name": name, "type": "real"} for name in ("eta", "phi")),
            ],
            "output": {"name": "veto", "type": "real"},
            "data": {
                "nodetype": "category",
                "input": "type",
                "content": [
                    {
                        "key": "jetvetomap",
                        "value": {
                            "nodetype": "multibinning",
                            "inputs": ["eta", "phi"],
                            "edges": [[-5.0, 0.0, 5.0], [-3.2, 0.0, 3.2]],
                            "content": [0.0, 0.0, 0.0, 1.0],
                            "flow": 0.0,
                        },
                    }
                ],
            },
        }
    ],
}


@dataclass(frozen=True)
class Kind:
    """A kind of text file.

    Attributes
    ----------
    name : str
        File, relative to the folder of the search.
    document : object
        A valid one.
    commands : tuple of tuples
        Arguments of commands that read it.
    """

    name: str
    document: Any
    commands: tuple[tuple[str, ...], ...]

    def write(self, document: Any) -> bytes:
        """Text of a document; as JSON if the format cannot hold it."""
        format_ = {".toml": as_toml, ".csv": as_csv}.get(Path(self.name).suffix, as_json)
        try:
            text = format_(document)
        except (AttributeError, TypeError):
            text = as_json(document)
        return text.encode("utf-8", "surrogatepass")


def _signal_entry() -> dict[str, Any]:
    metadata = {"kind": "signal", "format": "nanoaod", "masses": {"A": 3500.0, "B": 400.0}, "n_generated": 200}
    return {"files": {"signal.root": "Events"}, "metadata": metadata | {"xsec_pb": 0.01, "lumi_ifb": 20.0}}


def _entry(kind: str) -> dict[str, Any]:
    return {"events": {"files": {"few.root": "Events"}, "metadata": {"kind": kind, "format": "nanoaod"}}}


def _process(datasets: str, config: str | None = None) -> tuple[tuple[str, ...], ...]:
    settings = ("--config", config) if config else ()
    return (("process", "--output", "out", "--jobs", "1", "--datasets", datasets, *settings),)


def _fit(*arguments: str) -> tuple[tuple[str, ...], ...]:
    return (("fit", *arguments, "--window", "3300:3700", "--json"),)


def _rows() -> list[list[Any]]:
    return [[3000 + 100 * i, 3100 + 100 * i, round(4e5 * 0.87**i)] for i in range(30)]


def _spectrum() -> Any:
    spectrum = hist.Hist(hist.axis.Regular(30, 3000, 6000, name="mjj"), hist.axis.StrCategory(["a"], name="selection"))
    spectrum.view()[:, 0] = [count for _, _, count in _rows()]
    return json.loads(json.dumps(spectrum, default=uhi.io.json.default))


SETTINGS = tomllib.loads(CONFIG) | {"selection": {"jet_mass": "ungroomed", "pt_min": 200.0}}
HEADER = ["low", "high", "count"]

INPUTS = (
    Kind("search.toml", SETTINGS, _process("few.json", "search.toml")),
    Kind("search.json", SETTINGS, _process("few.json", "search.json")),
    Kind("datasets.json", {**_entry("pseudodata"), "signal": _signal_entry()}, _process("datasets.json")),
    Kind("golden.json", {"1": [[1, 88], [91, 92]], "99": [[1, 300]]}, _process("data.json", "data.toml")),
    Kind("veto.json", VETO, _process("few.json", "veto.toml")),
    Kind("spectrum.csv", [HEADER, *_rows()], _fit("spectrum.csv")),
    Kind(
        "weighted.csv",
        [[*HEADER, "variance"], *([*row, 2 * row[2]] for row in _rows())],
        _fit("weighted.csv"),
    ),
    Kind("spectrum.json", _spectrum(), _fit("spectrum.json", "--selection", "a")),
)
"""Files that users write."""


def prepare(folder: Path) -> dict[str, Kind]:
    """Kinds by name; what the commands read beside a damaged file is written.

    Parameters
    ----------
    folder : pathlib.Path
        Holds `results` of the toy search, to which limits are added.
    """
    for name, run in (("few", 99), ("signal", 98)):
        write_nanoaod(folder / f"{name}.root", [dijet()] * 110, run=run)  # 100 are in the luminosity section 0
    for name, kind in (("few", "pseudodata"), ("data", "data")):
        (folder / f"{name}.json").write_text(json.dumps(_entry(kind)))
    (folder / "data.toml").write_text('[selection]\nlumi_mask = "golden.json"\n')
    (folder / "veto.toml").write_text('[selection]\nveto_map = "veto.json"\n')
    limits = LimitsFile(limits=tuple(signal("point", 20.0, {"A": 3500.0}, observed=1.1)), injections=(scan_of(),))
    (folder / "results" / "limits.json").write_text(json.dumps(to_json(limits)))
    for kind in INPUTS:
        (folder / kind.name).write_bytes(kind.write(kind.document))
    stored = [Kind(name, json.loads((folder / name).read_text()), tuple(READERS.values())) for name in RESULTS]
    return {kind.name: kind for kind in (*INPUTS, *stored)}


def as_json(document: Any) -> str:
    return json.dumps(document).replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000)


def as_toml(document: Any) -> str:
    lines = [f"{_key(key)} = {_inline(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"[{_key(key)}]", *(f"{_key(name)} = {_inline(one)}" for name, one in value.items())]
    return "\n".join(lines) + "\n"


def as_csv(document: Any) -> str:
    if not isinstance(document, list):
        return str(document)
    return "\n".join(",".join(map(str, row)) if isinstance(row, list) else str(row) for row in document)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)


def _inline(value: Any) -> str:
    if value == DEEP:
        return "[" * 5_000 + "]" * 5_000
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


@st.composite
def damages(draw: Callable[[Any], Any], kind: Kind) -> tuple[tuple[str, ...], bytes]:
    """A command, and what the file that it reads holds."""
    document = deepcopy(kind.document)
    for _ in range(draw(st.integers(0, 2))):
        document = _change(draw, document)
    return draw(st.sampled_from(kind.commands)), _spoil(draw, kind.write(document))


def _change(draw: Callable[[Any], Any], document: Any) -> Any:
    place = draw(st.sampled_from(list(_places(document))))
    how = draw(st.sampled_from(["odd", "odd", "odd", "leave out", "rename", "wrap", "move"]))
    odd = draw(st.sampled_from(ODD))
    if not place:
        return odd if how == "odd" else document
    holder, last = _at(document, place[:-1]), place[-1]
    if how == "odd":
        holder[last] = odd
    elif how == "leave out":
        del holder[last]
    elif how == "rename" and isinstance(holder, dict):
        holder[odd if isinstance(odd, str) else "other"] = holder.pop(last)
    elif how == "wrap":
        holder[last] = [holder[last]]
    else:
        holder[last] = deepcopy(_at(document, draw(st.sampled_from(list(_places(document))))))
    return document


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values, few of each long list."""
    yield above
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _places(value, (*above, key))
    elif isinstance(document, list) and document:
        for index in sorted({0, len(document) // 2, len(document) - 1}):
            yield from _places(document[index], (*above, index))


def _at(document: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        document = document[part]
    return document


def _spoil(draw: Callable[[Any], Any], content: bytes) -> bytes:
    how = draw(st.sampled_from(["no"] * 6 + ["cut", "byte", "insert", "mark", "repeat", "other encoding"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    new = draw(st.sampled_from([b"\0", b"\xff", b"\xed\xa0\x80", b"{", b"]", b'"', b"\n", b",", b"1e999", b"-", b"#"]))
    if how == "other encoding":
        return content.decode("utf-8", "replace").encode("utf-16")
    spoilt = {
        "cut": content[:at],
        "byte": content[:at] + new + content[at + 1 :],
        "insert": content[:at] + new + content[at:],
        "mark": b"\xef\xbb\xbf" + content,
        "repeat": content + content,
    }
    return spoilt.get(how, content)


def remove_made(folder: Path) -> None:
    """Remove what the commands wrote."""
    for name in MADE:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
