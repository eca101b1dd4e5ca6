"""Files of a dataset have generator weights of one kind."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.errors import InputFileError
from processors.runner.consistency import FileWeights, require_one_kind
from processors.weighting import Weights
from tests.builders import toys
from tests.builders.running import dataset, run

RNG = np.random.default_rng(3)
ONES = np.ones(60)
WIDE = RNG.lognormal(0, 3, 5000)
"""As of a sample that is generated flat in p_T."""

ODD = {
    "another unit": (1000 * ONES, ONES, ONES),
    "twice the weight": (2 * ONES, ONES),
    "tiny": (1e-6 * ONES, ONES, 1.02 * ONES),
    "all negative": (-ONES, ONES, ONES),
    "signs in one file only": (np.resize([1.0, -1.0], 60), np.ones(600)),
    "wide in one file only": (WIDE[:100], np.ones(600)),
    "wide and another unit": (1e4 * WIDE[:500], WIDE[500:]),
    "few events": (1000 * np.ones(5), ONES),
    "zeros": (np.zeros(60), ONES),
}

ALIKE = {
    "one file": (ONES,),
    "one event each": (np.array([1.0]), np.array([50.0])),
    "cross-sections of the jobs": (ONES, 1.3 * ONES, 0.95 * ONES),
    "negative weights": (RNG.choice([1.0, -1.0], 90), RNG.choice([1.0, -1.0], 300)),
    "wide": (WIDE[:40], WIDE[40:800], WIDE[800:]),
    "one large weight": (np.append(ONES, 1e9), ONES),
    "no events": (np.empty(0), ONES),
}


def files(*weights, generated=None):
    totals = generated or [None] * len(weights)
    return [
        FileWeights(f"{number}.root", weighted=True, weights=Weights.of(one), generated=total)
        for number, (one, total) in enumerate(zip(weights, totals, strict=True))
    ]


@pytest.mark.parametrize("case", ODD)
def test_file_of_another_kind_is_named(case):
    odd, *others = files(*ODD[case])
    for order in ([odd, *others], [*others, odd]):
        with pytest.raises(
            InputFileError, match=r"\.root \(dataset x\): its generator weights are of another kind"
        ) as e:
            require_one_kind("x", order)
        assert len(others) == 1 or str(e.value).startswith("0.root")


@pytest.mark.parametrize("name", ALIKE)
def test_files_of_one_kind_pass(name):
    require_one_kind("x", files(*ALIKE[name]))


@pytest.mark.parametrize(
    ("generated", "odd"),
    [
        ([60.0, 60.0, 60.0], None),
        ([600.0, 500.0, 550.0], None),
        ([60.0, 300.0, 60.0], None),
        ([60.0, 60.0, 60_000.0], "2.root"),
        ([60_000.0, 600.0, 70_000.0], "1.root"),
        ([0.0, 60.0, 60.0], None),
    ],
)
def test_files_keep_like_shares_of_the_generated_weight(generated, odd):
    """A sum that is larger than its events by far is a skim only if the others are one."""
    given = files(ONES, ONES, ONES, generated=generated)
    if odd is None:
        require_one_kind("x", given)
    else:
        with pytest.raises(InputFileError, match=rf"{odd} \(dataset x\): its events hold .* tree Runs states"):
            require_one_kind("x", given)


def test_file_of_a_skim_without_events_counts_as_one_that_lost_them():
    few = files(np.ones(600), np.empty(0), generated=[1000.0, 10.0])
    require_one_kind("x", few)
    lost = files(np.ones(600), np.empty(0), generated=[1000.0, 1000.0])
    with pytest.raises(InputFileError, match=r"1\.root \(dataset x\): its events hold 0 of the weight"):
        require_one_kind("x", lost)


@pytest.mark.parametrize("normalised", [{}, {"xsec_pb": 2.0, "lumi_ifb": 0.5}])
def test_files_with_and_without_weights_are_not_mixed(tmp_path, normalised):
    sums = [6.0]
    paths = [
        toys.write_nanoaod(tmp_path / "with.root", [toys.dijet()] * 6, gen_weight=[1.0] * 6, generator_sums=sums),
        toys.write_nanoaod(tmp_path / "without.root", [toys.dijet()] * 6, run=2, generator_sums=sums),
    ]
    with pytest.raises(InputFileError, match=r"without\.root \(dataset sample\): the file has no generator weights"):
        run(dataset(*paths, **normalised), tmp_path)


def test_processing_refuses_files_of_two_kinds(tmp_path):
    """Each file agrees with its own sum, so that nothing else would tell."""
    paths = [
        toys.write_nanoaod(
            tmp_path / f"{number}.root",
            [toys.dijet()] * 8,
            run=number,
            gen_weight=[weight] * 8,
            generator_sums=[8 * weight],
        )
        for number, weight in ((1, 1.0), (2, 1.0), (3, 5e4))
    ]
    message = r"/3\.root \(dataset sample\): its generator weights are of another kind .*5e\+04 on average, .* 1 on"
    with pytest.raises(InputFileError, match=message):
        run(dataset(*paths, xsec_pb=2.0, lumi_ifb=0.5), tmp_path)
    run(dataset(*paths[:2], xsec_pb=2.0, lumi_ifb=0.5), tmp_path)
