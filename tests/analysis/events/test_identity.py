"""Event identities against SplitMix64 in plain Python integers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.core.documents import digest
from analysis.events.identity import event_hash, string_hash, uniform
from tests.builders import plain


def test_the_reference_is_splitmix64():
    """First outputs of the published generator for seed 1234567: state advances by the golden gamma."""
    gamma = 0x9E3779B97F4A7C15
    outputs = [plain.splitmix64((1234567 + i * gamma) & plain.MASK) for i in range(5)]
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_event_hash_is_the_reference():
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 2**64, 200, dtype=np.uint64) for _ in range(3)]
    columns[0][:3] = 0, 1, 2**64 - 1
    expected = [plain.identity(*map(int, row)) for row in zip(*columns, strict=True)]
    assert event_hash(*columns).tolist() == expected


def test_scalar_key_is_shared_by_all_events():
    events = np.arange(5, dtype=np.uint64)
    big = 2**63 + 11
    assert event_hash(events, big).tolist() == [plain.identity(i, big) for i in range(5)]


def test_integer_type_of_a_key_does_not_matter():
    values = [0, 1, 70_000]
    hashes = {tuple(event_hash(np.array(values, kind)).tolist()) for kind in ("i4", "u4", "i8", "u8")}
    assert len(hashes) == 1


def test_order_of_keys_matters():
    assert event_hash(1, 2) != event_hash(2, 1)
    assert event_hash(0, 0) != event_hash(0)


def test_no_collisions_among_neighbouring_events():
    run, block, event = np.meshgrid(*(np.arange(n) for n in (20, 50, 1000)), indexing="ij")
    assert len(np.unique(event_hash(run.ravel(), block.ravel(), event.ravel()))) == 10**6


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_folds_are_uniform(seed):
    """Consecutive event numbers, as files hold them, fall evenly into 5 folds and into 1000 bins."""
    values = uniform(event_hash(1, np.arange(200_000)), seed, "fold")
    assert values.min() >= 0
    assert values.max() < 1
    for n_bins in (5, 1000):
        counts = np.bincount((values * n_bins).astype(int), minlength=n_bins)
        assert stats.chisquare(counts).pvalue > 1e-4


def test_purposes_and_seeds_are_independent():
    events = event_hash(1, np.arange(100_000))
    columns = [uniform(events, seed, purpose) for seed, purpose in ((0, "fold"), (0, "tie"), (1, "fold"))]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        table = np.histogram2d(columns[i], columns[j], bins=(5, 5))[0]
        assert stats.chi2_contingency(table).pvalue > 1e-4


def test_uniform_depends_on_the_event_alone():
    events = event_hash(np.arange(1000))
    order = np.random.default_rng(1).permutation(1000)
    np.testing.assert_array_equal(uniform(events, 3, "fold")[order], uniform(events[order], 3, "fold"))


def test_hashes_are_the_same_in_another_process():
    """Python's own hash of strings differs from process to process."""
    imports = "from analysis.core.documents import *; from analysis.events.identity import *"
    code = f"{imports}; print(string_hash('qcd'), digest({{'b': [1, 2.5], 'a': None}}))"
    root = Path(__file__).parents[3]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert out.stdout.split() == [str(string_hash("qcd")), digest({"a": None, "b": [1, 2.5]})]
    assert string_hash("qcd") == plain.text_hash("qcd")


def test_digest_sees_values_and_refuses_nan():
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})
