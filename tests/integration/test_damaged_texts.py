"""Text files of every kind, damaged by chance or no files at all: one error or none, soon, and in little memory."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.builders.commands import start
from tests.builders.damaged_texts import HEADER, INPUTS, READERS, RESULTS, Kind, damages, prepare, remove_made
from tests.builders.toy_search import Cwola

N_EXAMPLES = 15
"""Of each of the 20 kinds."""

MOST_CPU_SECONDS, MOST_SECONDS = 20, 300
MOST_BYTES = 1_000_000_000
LONGEST = 3000
"""Characters of a message."""


class TooLongError(BaseException):
    """Not to be caught by what is tested."""


@pytest.fixture(scope="module")
def kinds(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Kind]]:
    """All kinds by name, in the current folder."""
    folder = tmp_path_factory.mktemp("texts")
    shutil.copytree(finished, folder / "results")
    found = prepare(folder)
    (folder / "abstract.txt").write_text("We search.")
    with chdir(folder):
        yield found


@contextmanager
def limited() -> Iterator[None]:
    """End what takes too long."""

    def stop(*_: object) -> None:
        raise TooLongError

    timers = {signal.ITIMER_REAL: MOST_SECONDS, signal.ITIMER_PROF: MOST_CPU_SECONDS}
    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    try:
        for timer, seconds in timers.items():
            signal.setitimer(timer, seconds)
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)
        remove_made(Path())


def memory(name: str) -> int:
    """Bytes of VmRSS, in use, or VmHWM, the most in use since the last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


@contextmanager
def less_memory_than(most: int) -> Iterator[None]:
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = memory("VmRSS")
    yield
    assert memory("VmHWM") - before < most


def assert_one_error(code: int, err: str) -> None:
    assert code in (0, 1), err
    if code:
        assert err.startswith("error: "), err
        assert err.count("\n") == 1, err
        assert len(err) < LONGEST, err
        assert "fault of cwola" not in err


@pytest.mark.parametrize("name", [kind.name for kind in INPUTS] + list(RESULTS))
def test_a_damaged_text_ends_in_one_error(kinds: dict[str, Kind], cwola: Cwola, name: str) -> None:
    @settings(
        max_examples=N_EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(case=damages(kinds[name]))
    def run(case: tuple[tuple[str, ...], bytes]) -> None:
        command, content = case
        with replaced(Path(name), content), limited():
            outcome = cwola(*command)
        assert_one_error(outcome.code, outcome.err)

    with less_memory_than(MOST_BYTES):
        run()


def csv(*rows: Sequence[object]) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in rows).encode()


EDGES = range(3000, 6000, 100)
WIDE = [(low, low + 100, 1000) for low in EDGES]

MANY_KEYS = {str(number): 1 for number in range(200_000)}

HARD: list[tuple[str, bytes, str]] = [
    ("search.toml", b"a." * 100_000 + b"a = 1", "nested more than 50 levels deep"),
    ("search.toml", b"[" + b"'a' . " * 100_000 + b"a]", "nested more than 50 levels deep"),
    ("search.toml", b"[scan]\nbin_width = 0.0000035", "1e+09 bins of bin_width, more than 7000"),
    ("search.toml", b"[scan]\nstep = 1e-9", "more than 1000 steps from first to last"),
    ("datasets.json", json.dumps({"a": dict.fromkeys(map(str, range(200_000)), 1)}).encode(), "/a/files/0: Input"),
    ("datasets.json", json.dumps({"a": {"files": ["a"], "metadata": MANY_KEYS}}).encode(), "more than 100 keys"),
    ("datasets.json", json.dumps({str(i): 1 for i in range(200_000)}).encode(), "/9/files: Input"),
    ("spectrum.csv", csv(HEADER, *((i, i + 1, 9) for i in range(1000, 9001))), "8001 bins in 1000-9001 GeV are more"),
    ("spectrum.csv", csv(HEADER, *((*edges, "1e30") for *edges, _ in WIDE)), "found no valid minimum"),
    (
        "weighted.csv",
        csv([*HEADER, "variance"], *((*row, 10.0 ** (300 - 20 * i)) for i, row in enumerate(WIDE))),
        "which no smooth curve describes",
    ),
    ("spectrum.json", b'{"uhi_schema": 1, "axes": [{"type": "regular", "bins": 1000000000}]}', "has 1e+09 bins"),
]
"""A file, what it holds, and what the error tells."""


@pytest.mark.parametrize(("name", "content", "text"), HARD, ids=[f"{name}-{text}" for name, _, text in HARD])
def test_a_text_that_asks_for_too_much_is_refused(
    kinds: dict[str, Kind], cwola: Cwola, name: str, content: bytes, text: str
) -> None:
    with replaced(Path(name), content), limited(), less_memory_than(MOST_BYTES // 2):
        outcome = cwola(*kinds[name].commands[0])
    assert outcome.code == 1
    assert_one_error(outcome.code, outcome.err)
    assert text in outcome.err


def rename(dataset: dict[str, Any]) -> None:
    dataset["Kind"] = dataset.pop("kind")


def lengthen(dataset: dict[str, Any]) -> None:
    dataset["files"][0].append("more")


def retype(dataset: dict[str, Any]) -> None:
    dataset["xsec_pb"] = "1"


@pytest.mark.parametrize(
    ("damage", "text"),
    [(rename, "/kind: field required"), (lengthen, "/files/0"), (retype, "/xsec_pb: input should be a valid number")],
)
@pytest.mark.parametrize("reader", ["report", "select"])
def test_a_damaged_dataset_of_a_search_is_named(
    kinds: dict[str, Kind], cwola: Cwola, damage: Callable[[dict[str, Any]], None], text: str, reader: str
) -> None:
    document = deepcopy(kinds["results/process.json"].document)
    damage(document["datasets"]["qcd"]["dataset"])
    with replaced(Path("results/process.json"), json.dumps(document).encode()):
        outcome = cwola(*READERS[reader])
    assert_one_error(outcome.code, outcome.err)
    assert "process.json is damaged" in outcome.err
    assert f"dataset 'qcd', at {text}" in outcome.err


def test_a_damaged_systematic_of_a_search_is_named(kinds: dict[str, Kind], cwola: Cwola) -> None:
    document = kinds["results/process.json"].document | {"systematics": [{"name": "jes"}]}
    with replaced(Path("results/process.json"), json.dumps(document).encode()):
        outcome = cwola(*READERS["report"])
    assert_one_error(outcome.code, outcome.err)
    assert "process.json is damaged" in outcome.err
    assert "/0/kind: field required" in outcome.err


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    """Never ends."""
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def unreadable(path: Path) -> None:
    """By anybody: reading fails, whatever the permissions."""
    path.symlink_to("/proc/self/mem")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def huge(path: Path) -> None:
    """10 GB of nothing."""
    path.touch()
    os.truncate(path, 10**10)


def bomb(path: Path) -> None:
    """300 MB once unpacked."""
    path.write_bytes(gzip.compress(b" " * 1_000_000, 1) * 300)


SCORES, PASSES = (f"results/windows/3300-3700/{name}.npz" for name in ("scores", "passes"))
PROCESS = ("process", "--output", "out", "--jobs", "1", "--datasets")
ABSTRACT = ("export", "hepdata", "--output", "results", "--to", "exported", "--abstract", "abstract.txt")

ODD_FILES: list[tuple[str, Callable[[Path], None], tuple[str, ...], str]] = [
    *(
        (kind.name, make, kind.commands[0], text)
        for kind in INPUTS
        for make, text in ((pipe, "a named pipe"), (device, "a device"), (huge, "larger than"))
    ),
    *(
        ("search.toml", make, (*PROCESS, "few.json", "--config", "search.toml"), text)
        for make, text in (
            (folder, "a folder"),
            (loop, "Too many levels of symbolic links"),
            (unreadable, "Input/output error"),
            (zeros, "not valid TOML"),
            (bomb, "larger than"),
        )
    ),
    ("veto.json", bomb, (*PROCESS, "few.json", "--config", "veto.toml"), "larger than 100 MB when unpacked"),
    ("golden.json", zeros, (*PROCESS, "data.json", "--config", "data.toml"), "not valid JSON"),
    ("few.root", pipe, (*PROCESS, "few.json"), "a named pipe"),
    ("few.root", device, (*PROCESS, "few.json"), "a device"),
    ("few.root", pipe, ("inspect", "few.root"), "a named pipe"),
    ("few.root", folder, READERS["score"], "few.root"),
    ("abstract.txt", pipe, ABSTRACT, "a named pipe"),
    *((name, pipe, READERS["report"], "a named pipe") for name in RESULTS[:7]),
    ("results/results.json", loop, READERS["pyhf"], "Too many levels of symbolic links"),
    ("results/results.json", unreadable, READERS["impacts"], "Input/output error"),
    ("results/manifest.json", device, READERS["score"], "a device"),
    *((name, pipe, READERS["report"], "lacks 1 of 2 windows") for name in (*RESULTS[8:11], PASSES)),
    (SCORES, pipe, READERS["select"], "a named pipe"),
]
"""A file, what is in its place, a command that reads it, and what the error tells."""


@contextmanager
def instead(path: Path, make: Callable[[Path], None]) -> Iterator[None]:
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        make(path)
        yield
    finally:
        path.rmdir() if path.is_dir() else path.unlink()
        aside.rename(path)
        remove_made(Path())


@pytest.mark.parametrize(("name", "make", "command", "text"), ODD_FILES)
def test_what_is_no_file_is_refused_at_once(
    kinds: dict[str, Kind], cwola: Cwola, name: str, make: Callable[[Path], None], command: tuple[str, ...], text: str
) -> None:
    with instead(Path(name), make), limited():
        outcome = cwola(*command)
    assert outcome.code == 1
    assert_one_error(outcome.code, outcome.err)
    assert text in outcome.err


@pytest.mark.parametrize(("name", "make", "command"), [("results/config.json", pipe, READERS["report"])])
def test_a_command_of_its_own_ends_too(
    kinds: dict[str, Kind], name: str, make: Callable[[Path], None], command: tuple[str, ...]
) -> None:
    with instead(Path(name), make), start(*command) as process:
        out, err = process.communicate(timeout=MOST_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert_one_error(process.returncode, err)


@pytest.mark.parametrize("kind", INPUTS, ids=[kind.name for kind in INPUTS])
def test_undamaged_texts_are_read(kinds: dict[str, Kind], cwola: Cwola, kind: Kind) -> None:
    """Else nothing would be learnt from damage."""
    with replaced(Path(kind.name), kind.write(kind.document)):
        assert cwola(*kind.commands[0]).code == 0


@pytest.mark.parametrize("reader", sorted({*READERS} - {"impacts"}))  # the search has no signal sample
def test_undamaged_results_are_read(kinds: dict[str, Kind], cwola: Cwola, reader: str) -> None:
    try:
        assert cwola(*READERS[reader]).code == 0
    finally:
        remove_made(Path())
