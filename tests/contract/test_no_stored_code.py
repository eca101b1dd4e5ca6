"""Nothing that lies on disk is executed, and nobody foresees the name of an unfinished file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    *(f"{module}.{name}" for module in ("pickle", "cloudpickle", "dill", "marshal") for name in ("load", "loads")),
    *("pickle.Unpickler", "cloudpickle.Unpickler", "shelve.open", "joblib.load", "torch.load", "yaml.load"),
    *("pandas.read_pickle", "pd.read_pickle", "yaml.unsafe_load", "yaml.full_load"),
    *("eval", "exec", "compile", "os.system", "os.popen"),
}

ALLOWED = {
    ("analysis/compute/cloudpickled.py", "pickle.loads"): "arrives from the scheduler, as a part of a pickle",
    ("analysis/compute/cloudpickled.py", "cloudpickle.loads"): "the same",
    ("analysis/compute/worker.py", "cloudpickle.loads"): "the task",
    ("analysis/compute/processes.py", "pickle.loads"): "arrives with the task; the file holds arrays only",
}
"""Where bytes come from a running process of the same command, and not from a file."""


def dangerous(source: str) -> Iterator[str]:
    """Calls and mentions that unpickle or evaluate, by their names at the place of their import."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    names |= {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            full = names.get(first, first) + dot + rest
            if full in FORBIDDEN:
                yield full
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            if names.get(first, first) + dot + rest in ("np.load", "numpy.load"):
                if options.get("allow_pickle") != "False":
                    yield "numpy.load"
            elif options.get("allow_pickle", "False") != "False" or options.get("shell", "False") != "False":
                yield "allow_pickle or shell"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(stream)",
        "from pickle import loads as read\nread(b'')",
        "import pickle as p\nreaders = {'.pkl': p.loads}",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import awkward\nawkward.anything(path, allow_pickle=flag)",
        "import joblib\njoblib.load(path)",
        "from torch import load\nload(path)",
        "eval(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
    ],
)
def test_what_executes_is_recognised(source: str) -> None:
    assert list(dangerous(source))


def test_only_workers_unpickle_and_only_what_they_are_sent() -> None:
    files = [path for package in ("analysis", "processors") for path in sorted((ROOT / package).rglob("*.py"))]
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in [*files, ROOT / "cwola.py"]
        for name in dangerous(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


PUBLIC = ("/tmp", "/var/tmp", "/dev/shm")


def foreseen(source: str) -> Iterator[str]:
    """Names of temporary files that somebody else may prepare: fixed, or with the number of the process only."""
    for node in ast.walk(ast.parse(source)):
        text = ast.unparse(node)
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        names = called.endswith((".with_name", ".with_suffix", ".with_stem", ".joinpath", "Path", "open"))
        if (names or isinstance(node, ast.BinOp)) and "getpid" in text and "token_hex" not in text:
            yield text
        if called in ("tempfile.mktemp", "mktemp"):
            yield text
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(PUBLIC):
            yield text


@pytest.mark.parametrize(
    "source",
    [
        "path.with_name(f'.{path.name}.{os.getpid()}.tmp')",
        "Path(folder) / f'{os.getpid()}.tmp'",
        "open(f'{path}.{getpid()}', 'w')",
        "tempfile.mktemp()",
        "Path('/tmp/cwola')",
    ],
)
def test_a_foreseen_name_is_recognised(source: str) -> None:
    assert list(foreseen(source))


@pytest.mark.thorough
def test_no_temporary_name_is_foreseen() -> None:
    files = [path for package in ("analysis", "processors") for path in sorted((ROOT / package).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix(): list(foreseen(path.read_text(encoding="utf-8"))) for path in files}
    assert {name: names for name, names in found.items() if names} == {}
