"""Input files and selected events in S3, on a server of moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

moto = pytest.importorskip("moto.server", reason="needs moto[server]: pip install --group s3")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install --group s3")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, toy: ToySearch) -> Iterator[Any]:
    """File system with the files of a search in the folder `bucket/in`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    if not system.exists("bucket"):  # moto keeps them while the process lives
        system.mkdir("bucket")
    system.put(f"{toy.folder}/*.root", "bucket/in/")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def in_s3(toy: ToySearch, folder: Path) -> Path:
    """Datasets file of a search with its files in S3."""
    document = json.loads(Path(toy.datasets).read_text())
    for entry in document.values():
        entry["files"] = {f"s3://bucket/in/{Path(path).name}": tree for path, tree in entry["files"].items()}
    path = folder / "datasets.json"
    path.write_text(json.dumps(document))
    return path


def processed(cwola: Cwola, datasets: Path, toy: ToySearch, output: Path, *more: object) -> dict[str, Any]:
    outcome = cwola(
        *("process", "--datasets", datasets, "--config", toy.config, "--output", output, "--timeout", 20, *more)
    )
    assert outcome.code == 0, outcome.err
    record: dict[str, Any] = json.loads((output / "process.json").read_text())
    return record


def test_events_in_s3_are_those_of_the_files(cwola: Cwola, bucket: Any, toy: ToySearch, tmp_path: Path) -> None:
    expected = processed(cwola, Path(toy.datasets), toy, tmp_path / "local")
    found = processed(
        cwola, in_s3(toy, tmp_path), toy, tmp_path / "results", "--jobs", 2, "--parts", "s3://bucket/parts"
    )
    for name, record in expected["datasets"].items():
        for key in ("cutflow", "n_minus_one", "n_entries", "sum_of_weights"):
            assert found["datasets"][name][key] == record[key]
    assert bucket.glob("bucket/parts/**/*.parquet")


def test_wildcards_are_expanded_in_s3(cwola: Cwola, bucket: Any, toy: ToySearch, tmp_path: Path) -> None:
    path = tmp_path / "datasets.json"
    metadata = {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 1200}
    path.write_text(json.dumps({"qcd": {"files": {"s3://bucket/in/qcd_*.root": "Events"}, "metadata": metadata}}))
    record = processed(cwola, path, toy, tmp_path / "results")
    names = sorted(Path(one).name for one in bucket.glob("bucket/in/qcd_*.root"))
    assert [Path(file["filename"]).name for file in record["datasets"]["qcd"]["files"]] == names
    assert names


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("s3://bucket/out/qcd_1.root", "there is no such file"),
        ("s3://nosuch/in/qcd_1.root", "there is no such file"),
        ("s3://bucket/out/*.root", "no file matches s3://bucket/out/*.root"),
    ],
)
def test_missing_in_s3_is_explained(
    cwola: Cwola, bucket: Any, toy: ToySearch, tmp_path: Path, address: str, text: str
) -> None:
    path = tmp_path / "datasets.json"
    path.write_text(json.dumps({"x": {"files": [address], "metadata": {"kind": "pseudodata"}}}))
    outcome = cwola("process", "--datasets", path, "--config", toy.config, "--output", tmp_path / "results")
    assert outcome.code == 1
    assert text in outcome.err
