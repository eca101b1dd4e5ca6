"""Commands that read generated text files: configurations, datasets, spectra, corrections and files of results.

`python -m tests.builders.damaged_texts FOLDER N` runs N of them in this process, always the same ones, and prints what
went wrong as JSON.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any

import hist
import numpy as np
import uhi.io.json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.toy_search import CONFIG

MOST_SECONDS = 10.0
MOST_BYTES = 1_000_000_000

DEEP = "DEEP"
"""Stands for very deep nesting, which no program could serialise."""

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 3, 1e30, 1e-300, -0.5, 10**9, 2**63, 10**400, inf, -inf, nan),
    *("", "x", "x" * 20_000, "a\0b", "\ud800", "\u202e\x1b[31m", "a\nb", "../../x", "/dev/zero", "é/ß", DEEP),
    *([], {}, [[]], [None], {"": 1}, {"a\nb": 2}, [1, "a", None], list(range(3000))),
)

Make = Callable[[Any], str]


@dataclass(frozen=True)
class Kind:
    """A kind of text file.

    Attributes
    ----------
    name : str
        File, relative to the folder of the search.
    commands : tuple of tuples
        Arguments of commands that read it.
    document : object
        A valid one.
    write : callable
        Its text.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    document: Any
    write: Make


def to_json(document: Any) -> str:
    return json.dumps(document).replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000)


def to_toml(document: Any) -> str:
    lines = [f"{_key(key)} = {_inline(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"[{_key(key)}]", *(f"{_key(name)} = {_inline(one)}" for name, one in value.items())]
    return "\n".join(lines) + "\n"


def to_csv(document: Any) -> str:
    if not isinstance(document, list):
        return str(document)
    return "\n".join(
        ",".join(map(str, row)) if isinstance(row, list) else str(row).encode("utf-8", "replace").decode()
        for row in document
    )


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)


def _inline(value: Any) -> str:
    if value == DEEP:
        return "[" * 5_000 + "]" * 5_000
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def kinds(folder: Path) -> list[Kind]:
    """Of a search in a folder, which `results` holds."""
    import tomllib

    _write_valid(folder)
    process = ("process", "--output", "out", "--jobs", "1", "--datasets")
    fit = ("--window", "3300:3700", "--json")
    config = tomllib.loads(CONFIG) | {"selection": {"jet_mass": "ungroomed", "pt_min": 200.0}}
    counts = np.round(3e5 * np.exp(-np.arange(3000, 6000, 100) / 700)).astype(int)
    rows = [["low", "high", "count"], *([3000 + 100 * i, 3100 + 100 * i, int(n)] for i, n in enumerate(counts))]
    spectrum = hist.Hist(hist.axis.Regular(30, 3000, 6000, name="mjj"), hist.axis.StrCategory(["a"], name="selection"))
    spectrum.view()[:, 0] = counts
    results = ("--output", "results")
    readers = (
        ("report", *results, "--to", "report.html"),
        ("impacts", *results),
        ("plot", *results, "--only", "scan", "--jobs", "1", "--to", "plots"),
        ("export", "pyhf", *results, "--to", "exported"),
        ("export", "classifiers", *results, "--to", "exported"),
        ("score", "bump.root", "--models", "results", "--output", "scored.csv", "--jobs", "1"),
    )
    stored = [
        *("results.json", "manifest.json", "config.json", "process.json", "diagnostics.json", "validation.json"),
        *(f"windows/3300-3700/{name}.json" for name in ("window", "spectrum", "workspace_eff_0.1", "classifier")),
        *("signals/signals.json", "limits.json"),
    ]
    return [
        Kind("search.toml", ((*process, "small.json", "--config", "search.toml"),), config, to_toml),
        Kind("search.json", ((*process, "small.json", "--config", "search.json"),), config, to_json),
        Kind("datasets.json", ((*process, "datasets.json"),), _read(folder / "datasets.json"), to_json),
        Kind("golden.json", ((*process, "data.json", "--config", "data.toml"),), {"1": [[1, 88], [91, 92]], "2": [[1, 300]]}, to_json),
        Kind("veto.json", ((*process, "small.json", "--config", "veto.toml"),), VETO, to_json),
        Kind("spectrum.csv", (("fit", "spectrum.csv", *fit),), rows, to_csv),
        Kind(
            "spectrum.json",
            (("fit", "spectrum.json", "--selection", "a", *fit),),
            json.loads(json.dumps(spectrum, default=uhi.io.json.default)),
            to_json,
        ),
        *(Kind(f"results/{name}", readers, _read(folder / "results" / name), to_json) for name in stored),
    ]


def _write_valid(folder: Path) -> None:
    """Write what the commands read beside the damaged file: few events, and configurations that name further files."""
    for name, kind in (("small", "pseudodata"), ("data", "data")):
        entry = {"files": {"bump.root": "Events"}, "metadata": {"kind": kind, "format": "nanoaod"}}
        (folder / f"{name}.json").write_text(json.dumps({"events": entry}))
    (folder / "data.toml").write_text('[selection]\nlumi_mask = "golden.json"\n')
    (folder / "veto.toml").write_text('[selection]\nveto_map = "veto.json"\n')


VETO = {
    "schema_version": 2,
    "corrections": [
        {
            "name": "map",
            "version": 1,
            "inputs": [{"name": name, "type": kind} for name, kind in (("type", "string"), ("eta", "real"), ("phi", "real"))],
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


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {}


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values, few of each long list."""
    found = [above]
    if isinstance(document, dict):
        for key, value in document.items():
            found += places(value, (*above, key))
    elif isinstance(document, list):
        for index in sorted({0, len(document) // 2, len(document) - 1} & set(range(len(document)))):
            found += places(document[index], (*above, index))
    return found


@st.composite
def damaged(draw: Callable[[Any], Any], known: list[Kind]) -> tuple[Kind, tuple[str, ...], bytes]:
    """A command, and the content of the file that it reads."""
    kind = draw(st.sampled_from(known))
    command = draw(st.sampled_from(kind.commands))
    document = deepcopy(kind.document)
    for _ in range(draw(st.integers(0, 2))):
        document = _change(draw, document)
    try:
        text = kind.write(document)
    except (AttributeError, TypeError, ValueError):  # a document that the format cannot hold
        text = to_json(document)
    content = text.encode("utf-8", "surrogatepass")
    return kind, command, _spoil(draw, content)


def _change(draw: Callable[[Any], Any], document: Any) -> Any:
    place = draw(st.sampled_from(places(document)))
    how = draw(st.sampled_from(["odd", "odd", "odd", "leave out", "rename", "wrap", "move"]))
    odd = draw(st.sampled_from(ODD))
    if not place:
        return odd if how == "odd" else document
    holder = document
    for part in place[:-1]:
        holder = holder[part]
    last = place[-1]
    if how == "odd":
        holder[last] = odd
    elif how == "leave out":
        del holder[last]
    elif how == "rename" and isinstance(holder, dict):
        holder[odd if isinstance(odd, str) else "other"] = holder.pop(last)
    elif how == "wrap":
        holder[last] = [holder[last]]
    else:
        other = document
        for part in draw(st.sampled_from(places(document))):
            other = other[part]
        holder[last] = deepcopy(other)
    return document


def _spoil(draw: Callable[[Any], Any], content: bytes) -> bytes:
    how = draw(st.sampled_from(["no"] * 6 + ["cut", "byte", "insert", "mark", "repeat", "other encoding"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if how == "cut":
        return content[:at]
    if how in ("byte", "insert"):
        new = draw(st.sampled_from([b"\0", b"\xff", b"\xed\xa0\x80", b"{", b"]", b'"', b"\n", b",", b"1e999", b"-", b"#"]))
        return content[:at] + new + content[at + (how == "byte") :]
    if how == "mark":
        return b"\xef\xbb\xbf" + content
    if how == "repeat":
        return content + content
    return content.decode("utf-8", "replace").encode("utf-16") if how == "other encoding" else content


class TooLongError(BaseException):
    """Not to be caught by what is tested."""


@contextmanager
def limited(seconds: float) -> Any:
    def stop(*_: object) -> None:
        raise TooLongError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command; a traceback is an error of its own."""
    from analysis import cli
    from analysis.core.plugins import unload_plugins

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    sys.argv = ["cwola", *arguments]
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            unload_plugins()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def judge(command: tuple[str, ...], codes: Counter[int]) -> str | None:
    """What is wrong with the end of a command."""
    start = time.monotonic()
    try:
        with limited(MOST_SECONDS):
            code, _, err = call(*command)
    except TooLongError:
        return f"longer than {MOST_SECONDS} s"
    except BaseException as error:
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-4:]
        return f"{type(error).__name__}: {str(error)[:200]} at " + " < ".join(
            f"{Path(one.filename).name}:{one.lineno}" for one in reversed(last)
        )
    codes[code] += 1
    if os.environ.get("SHOW"):
        print(code, err[:300].strip(), file=sys.__stderr__)
    if code == 0:
        return None
    lines = err.strip("\n").split("\n")
    if code not in (1, 2) or len(lines) != 1 or not lines[0].startswith("error: ") or len(lines[0]) > 5000:
        return f"code {code} after {time.monotonic() - start:.1f} s with {len(lines)} lines: {err[:600]!r}"
    return None


def run(folder: Path, number: int, *, only: str = "") -> dict[str, Any]:
    os.chdir(folder)
    known = [kind for kind in kinds(folder) if only in kind.name]
    failures: list[dict[str, Any]] = []
    seen: list[str] = []
    codes: Counter[int] = Counter()

    @settings(
        max_examples=number,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(known))
    def one(case: tuple[Kind, tuple[str, ...], bytes]) -> None:
        kind, command, content = case
        path = folder / kind.name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(content)
        try:
            problem = judge(command, codes)
        finally:
            for made in ("out", "plots", "exported"):
                shutil.rmtree(folder / made, ignore_errors=True)
            path.unlink() if before is None else path.write_bytes(before)
        seen.append(kind.name)
        if problem is not None:
            failures.append({"file": kind.name, "command": " ".join(command), "problem": problem, "content": content[:300].decode(errors="replace")})

    one()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"failures": failures, "documents": len(seen), "kinds": sorted(set(seen)), "peak": peak, "codes": dict(codes)}


if __name__ == "__main__":
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    found = run(Path(sys.argv[1]).absolute(), int(sys.argv[2]), only=only)
    json.dump(found, sys.stdout, indent=1)
