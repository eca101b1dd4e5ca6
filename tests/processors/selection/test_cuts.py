"""Each cut by itself, and the cutflow."""

from __future__ import annotations

import gzip
import json
import math
import pickle
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from analysis.config import SelectionConfig
from analysis.errors import ConfigError, InputFileError
from processors.objects import Dijets
from processors.selection.cuts import (
    CUTS,
    Cut,
    apply_cuts,
    count_missing_triggers,
    prepare_selection,
    require_certified_events,
)
from tests.builders.dijets import (
    FRACTIONS,
    corrections,
    jet_id_document,
    make_dijets,
    plain_jet_id,
    veto_map_document,
    write_json,
)


def passes(name: str, dijets: Dijets, **selection) -> list[bool]:
    return CUTS[name].passes(dijets, SelectionConfig(**selection)).tolist()


ALWAYS = ["finite_kinematics", "jet_pt", "leading_pt", "abs_eta", "jet_mass", "abs_dy", "mjj_min"]


def test_a_cut_that_is_not_used_has_no_row_in_the_cutflow():
    found = apply_cuts(make_dijets(kind="data"), SelectionConfig())
    assert list(found.cutflow) == ["all", "two_jets", *ALWAYS]
    assert list(found.n_minus_one) == ALWAYS


@pytest.mark.parametrize(("kind", "first"), [("data", ["lumi_mask", "trigger"]), ("pseudodata", ["trigger"])])
def test_order_of_the_cutflow(tmp_path, kind, first):
    golden = write_json(tmp_path / "golden.json", {"0": [[1, 1]]})
    selection = SelectionConfig(
        triggers=["HLT_A"], event_filters=["Flag_A"], jet_id="tight", mjj_max=5000, lumi_mask=golden
    )
    jets = {"jetId": 6}
    dijets = make_dijets(1, jets, jets, {"HLT_A": [True], "Flag_A": [True]}, kind=kind)
    names = ["event_filters", "finite_kinematics", "jet_id", *ALWAYS[1:], "mjj_max"]
    assert list(apply_cuts(dijets, selection).cutflow) == ["all", "two_jets", *first, *names]


@pytest.mark.parametrize("column", ["pt", "eta", "phi", "mass"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_finite_kinematics(column, bad):
    assert passes("finite_kinematics", make_dijets(2, first={column: [1, bad]})) == [True, False]
    assert passes("finite_kinematics", make_dijets(2, second={column: [1, bad]})) == [True, False]


def test_missing_groomed_mass_is_not_a_matter_of_kinematics():
    assert passes("finite_kinematics", make_dijets(first={"jet_mass": np.nan})) == [True]


def test_thresholds_are_part_of_what_is_kept():
    assert passes("jet_pt", make_dijets(3, second={"pt": [199.9, 200, 201]})) == [False, True, True]
    assert passes("leading_pt", make_dijets(2, first={"pt": [499, 500]})) == [False, True]
    assert passes("abs_eta", make_dijets(4, first={"eta": [-2.6, -2.5, 2.5, 2.6]})) == [False, True, True, False]
    assert passes("mjj_min", make_dijets(2, mjj=[999, 1000])) == [False, True]


def test_rapidity_difference_is_below_the_limit():
    assert passes("abs_dy", make_dijets(3, abs_dy=[1.9, 2.0, 2.1])) == [True, False, False]


@pytest.mark.parametrize("which", ["first", "second"])
def test_mass_window_is_half_open(which):
    dijets = make_dijets(4, **{which: {"jet_mass": [29, 30, 499, 500]}})
    assert passes("jet_mass", dijets, jet_mass_min=30, jet_mass_max=500) == [False, True, True, False]


@pytest.mark.parametrize(("minimum", "kept"), [(0, True), (1, False)])
def test_missing_mass_counts_as_the_lightest(minimum, kept):
    """The default window must not cut; any lower limit must."""
    dijets = make_dijets(first={"jet_mass": np.nan})
    assert passes("jet_mass", dijets, jet_mass_min=minimum, jet_mass_max=13000) == [kept]
    assert passes("jet_mass", dijets, jet_mass_min=minimum, jet_mass_max=500) == [kept]


def test_upper_end_of_mjj_is_open():
    assert passes("mjj_max", make_dijets(2, mjj=[4999, 5000]), mjj_max=5000) == [True, False]


def test_cutflow_counts_what_is_left_after_each_cut():
    weights = np.array([1.25, -2.5, 4.0, 8.0, 16.5])
    dijets = make_dijets(5, first={"pt": [100, 800, 800, 800, 800]}, mjj=[2e3, 2e3, 900, 2e3, 2e3], weight=weights)
    dijets = replace(dijets, abs_dy=np.array([0, 0, 0, 3.0, 0]))
    found = apply_cuts(dijets, SelectionConfig())
    assert found.mask.tolist() == [False, True, False, False, True]
    assert {name: (tally.events, tally.weight) for name, tally in found.cutflow.items()} == {
        "all": (10, 100.0),
        "two_jets": (5, 27.25),
        "finite_kinematics": (5, 27.25),
        "jet_pt": (4, 26.0),
        "leading_pt": (4, 26.0),
        "abs_eta": (4, 26.0),
        "jet_mass": (4, 26.0),
        "abs_dy": (3, 18.0),
        "mjj_min": (2, 14.0),
    }


def random_cuts(decisions):
    """One cut per row of (n_cuts, n_events) bool."""
    return [Cut(f"cut{i}", "", lambda dijets, _, row=row: row[dijets.entry]) for i, row in enumerate(decisions)]


@pytest.mark.parametrize("n_cuts", [1, 2, 6])
def test_n_minus_one_against_a_plain_loop(n_cuts):
    rng = np.random.default_rng(n_cuts)
    decisions = rng.random((n_cuts, 500)) < 0.8
    weights = rng.normal(0.3, 1, 500) * 10.0 ** rng.integers(-6, 6, 500)
    found = apply_cuts(make_dijets(500, weight=weights), SelectionConfig(), random_cuts(decisions))
    for i in range(n_cuts):
        kept = [j for j in range(500) if all(decisions[k, j] for k in range(n_cuts) if k != i)]
        assert found.n_minus_one[f"cut{i}"].events == len(kept)
        assert found.n_minus_one[f"cut{i}"].weight == math.fsum(weights[kept])


def test_without_cuts_all_events_pass():
    found = apply_cuts(make_dijets(3), SelectionConfig(), [])
    assert found.mask.all()
    assert list(found.cutflow) == ["all", "two_jets"]
    assert found.n_minus_one == {}


def test_n_minus_one_does_not_depend_on_chunks():
    rng = np.random.default_rng(3)
    decisions = rng.random((4, 300)) < 0.8
    weights = rng.normal(0.3, 1, 300) * 10.0 ** rng.integers(-6, 6, 300)
    dijets, cuts = make_dijets(300, weight=weights), random_cuts(decisions)
    whole = apply_cuts(dijets, SelectionConfig(), cuts).n_minus_one
    chunks = [dijets.take(np.arange(start, min(start + 37, 300))) for start in range(0, 300, 37)]
    parts = [apply_cuts(chunk, SelectionConfig(), cuts).n_minus_one for chunk in chunks]
    for name, tally in whole.items():
        added = reduce(add, (part[name] for part in parts))
        assert (added.events, added.weight) == (tally.events, tally.weight)


class TestLumiMask:
    def test_against_a_plain_loop(self, tmp_path):
        golden = {"5": [[3, 7], [1, 2], [6, 9]], "7": [[4, 4]], "9": []}
        path = write_json(tmp_path / "golden.json", golden)
        rng = np.random.default_rng(0)
        run, section = rng.integers(4, 11, 2000).astype(np.uint64), rng.integers(0, 12, 2000).astype(np.uint64)
        dijets = replace(make_dijets(2000, kind="data"), run=run, luminosity_block=section)
        expected = [
            any(first <= s <= last for first, last in golden.get(str(r), []))
            for r, s in zip(run.tolist(), section.tolist(), strict=True)
        ]
        assert 0 < sum(expected) < 2000
        assert passes("lumi_mask", dijets, lumi_mask=path) == expected

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("{", "not valid JSON"),
            ("[]", "lists no runs"),
            ("{}", "lists no runs"),
            ('{"run": [[1, 2]]}', "for run 'run'"),
            ('{"5": [1, 2]}', r"has \[1, 2\] for run '5'"),
            ('{"5": [[2, 1]]}', r"has \[\[2, 1\]\] for run '5'"),
            ('{"5": [[1, true]]}', "for run '5'"),
            ('{"5": [[0, 3]]}', "for run '5'"),
        ],
    )
    def test_what_is_no_golden_json_is_refused(self, tmp_path, content, reason):
        (tmp_path / "golden.json").write_text(content)
        with pytest.raises(
            ConfigError, match=rf"selection\.lumi_mask: .*golden\.json.*{reason}.*Expected a golden JSON"
        ):
            prepare_selection(SelectionConfig(lumi_mask=tmp_path / "golden.json"))

    def test_one_of_another_period_is_refused(self, tmp_path):
        selection = SelectionConfig(lumi_mask=write_json(tmp_path / "golden.json", {"315257": [[1, 9]], "9": [[1, 1]]}))
        found = apply_cuts(make_dijets(4, kind="data"), selection)
        with pytest.raises(ConfigError, match=r"dataset d: none of its 4 events .*golden\.json.*runs 9 to 315257"):
            require_certified_events("d", selection, found.cutflow)
        require_certified_events("d", selection, apply_cuts(make_dijets(4), selection).cutflow)
        require_certified_events("d", selection, apply_cuts(make_dijets(0, kind="data"), selection).cutflow)


class TestTriggers:
    events: ClassVar = {"HLT_A": [True, False, True, False], "HLT_B": [True, True, False, False], "HLT_N": [1, 0, 1, 0]}

    def test_any_of(self):
        dijets = make_dijets(4, events=self.events)
        assert passes("trigger", dijets, triggers=["HLT_A", "HLT_B"]) == [True, True, True, False]
        assert passes("trigger", dijets, triggers=["HLT_B"]) == [True, True, False, False]

    def test_one_that_the_file_lacks_has_not_fired_and_is_counted(self):
        dijets = make_dijets(4, events=self.events)
        assert passes("trigger", dijets, triggers=["HLT_OLD", "HLT_B"]) == [True, True, False, False]
        selection = SelectionConfig(triggers=["HLT_OLD", "HLT_B"])
        assert count_missing_triggers(dijets, selection) == {"without_HLT_OLD": 9}

    def test_a_file_without_any_is_refused(self):
        with pytest.raises(InputFileError, match=r"a\.root \(dataset sample\): none of selection\.triggers"):
            passes("trigger", make_dijets(4, events=self.events), triggers=["HLT_OLD", "HLT_OLDER"])

    def test_what_is_not_true_or_false_is_refused(self):
        for key, name in (("triggers", "trigger"), ("event_filters", "event_filters")):
            with pytest.raises(InputFileError, match=rf"selection\.{key} names HLT_N, which holds int64"):
                passes(name, make_dijets(4, events=self.events), **{key: ["HLT_A", "HLT_N"]})

    def test_all_filters(self):
        dijets = make_dijets(4, events=self.events)
        assert passes("event_filters", dijets, event_filters=["HLT_A", "HLT_B"]) == [True, False, False, False]

    def test_a_filter_that_the_file_lacks_is_an_error(self):
        with pytest.raises(InputFileError, match="Flag_C is missing"):
            passes("event_filters", make_dijets(4, events=self.events), event_filters=["HLT_A", "Flag_C"])


@pytest.fixture
def jet_id_file(tmp_path) -> Path:
    document = corrections(jet_id_document(veto=False), jet_id_document(veto=True))
    path = tmp_path / "jetid.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return path


def random_composition(rng, n: int) -> dict[str, Any]:
    columns = {name: rng.choice([0.0, 0.005, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0], n) for name in [*FRACTIONS, "chHEF"]}
    return {**columns, "chMultiplicity": rng.integers(0, 3, n), "neMultiplicity": rng.integers(0, 3, n)}


class TestJetID:
    @pytest.mark.parametrize(("jet_id", "bit"), [("tight", 1), ("tight_lepton_veto", 2)])
    def test_flag(self, jet_id, bit):
        flags = list(range(8))
        expected = [bool(flag >> bit & 1) for flag in flags]
        for one, two in (({"jetId": flags}, {"jetId": 7}), ({"jetId": 7}, {"jetId": flags})):
            assert passes("jet_id", make_dijets(8, one, two), jet_id=jet_id) == expected

    @pytest.mark.parametrize("jet_id", ["tight", "tight_lepton_veto"])
    def test_computed_against_plain_criteria(self, jet_id_file, jet_id):
        rng = np.random.default_rng(1)
        jets = [random_composition(rng, 4000) for _ in range(2)]
        veto = jet_id == "tight_lepton_veto"
        expected = [
            all(plain_jet_id({name: column[i] for name, column in one.items()}, veto=veto) for one in jets)
            for i in range(4000)
        ]
        assert 10 < sum(expected) < 3990
        found = passes("jet_id", make_dijets(4000, *jets), jet_id=jet_id, jet_id_file=jet_id_file)
        assert found == expected

    def test_flag_comes_before_the_file(self, jet_id_file):
        jets = {"jetId": 2, **random_composition(np.random.default_rng(1), 1)}
        assert passes("jet_id", make_dijets(1, jets, jets), jet_id="tight", jet_id_file=jet_id_file) == [True]

    def test_a_jet_that_is_not_finite_fails(self, jet_id_file):
        good = {"eta": [0.0, np.nan], **dict.fromkeys(FRACTIONS, 0.2), "chHEF": 0.4}
        good |= {"chMultiplicity": 5, "neMultiplicity": 5}
        dijets = make_dijets(2, good, {**good, "eta": 0.0})
        assert passes("jet_id", dijets, jet_id="tight", jet_id_file=jet_id_file) == [True, False]

    def test_without_flag_and_file_the_message_says_what_to_set(self):
        with pytest.raises(InputFileError, match=r"a\.root.*jetId.*Set selection\.jet_id_file.*jet_id = 'off'"):
            passes("jet_id", make_dijets(), jet_id="tight")

    def test_without_the_composition_the_missing_branch_is_named(self, jet_id_file):
        with pytest.raises(InputFileError, match=r"FatJet_chHEF is missing.*jet_id = 'off'"):
            passes("jet_id", make_dijets(), jet_id="tight", jet_id_file=jet_id_file)

    def test_a_correction_that_is_not_there_is_named_with_those_that_are(self, jet_id_file):
        with pytest.raises(ConfigError, match=r"no correction 'AK4'.*jet_id_correction to one of AK8PUPPI_Tight, AK8"):
            prepare_selection(SelectionConfig(jet_id="tight", jet_id_file=jet_id_file, jet_id_correction="AK4"))

    @pytest.mark.parametrize("content", [b"{}", b"\x1f\x8bgarbage", b"not json", b"\xff\xfe"])
    def test_another_file_is_refused(self, tmp_path, content):
        (tmp_path / "jetid.json").write_bytes(content)
        with pytest.raises(
            ConfigError, match=r"selection\.jet_id_file: .*jetid\.json is not a correctionlib JSON file"
        ):
            prepare_selection(SelectionConfig(jet_id="tight", jet_id_file=tmp_path / "jetid.json"))


class TestVetoMap:
    cells: ClassVar = {(5, 3), (4, 9), (0, 0), (9, 9)}

    def cell(self, eta: float, phi: float) -> tuple[int, int]:
        edges = [-4, -3, -2, -1, 0, 1, 2, 3, 4]
        return sum(eta >= edge for edge in edges), min(int((phi + math.pi) / (2 * math.pi / 10)), 9)

    def test_against_a_plain_loop(self, tmp_path):
        path = write_json(tmp_path / "map.json", corrections(veto_map_document(self.cells)))
        rng = np.random.default_rng(2)
        jets = [{"eta": rng.uniform(-5, 5, 3000), "phi": rng.uniform(-3.14, 3.14, 3000)} for _ in range(2)]
        expected = [all(self.cell(one["eta"][i], one["phi"][i]) not in self.cells for one in jets) for i in range(3000)]
        assert 0 < sum(expected) < 3000
        assert passes("veto_map", make_dijets(3000, *jets), veto_map=path) == expected

    def test_edges_of_the_detector_belong_to_the_map(self, tmp_path):
        """A float32 φ of π lies above π; |η| above 5.191 does occur."""
        path = write_json(tmp_path / "map.json", corrections(veto_map_document(self.cells)))
        above = float(np.float32(np.pi))
        assert above > math.pi
        first = {"eta": [-0.5, -0.5, 6.0, -6.0, np.nan, 0.5], "phi": [above, -above, above, -above, 0.0, np.inf]}
        dijets = make_dijets(6, first, {"eta": 2.5, "phi": 0.0})
        assert passes("veto_map", dijets, veto_map=path) == [False, True, False, False, True, True]

    def test_one_of_several_maps_has_to_be_named(self, tmp_path):
        documents = [veto_map_document(self.cells, "V1"), veto_map_document(set(), "V2")]
        path = write_json(tmp_path / "map.json", corrections(*documents))
        with pytest.raises(ConfigError, match=r"several corrections\. Set selection\.veto_map_name to one of V1, V2"):
            prepare_selection(SelectionConfig(veto_map=path))
        dijets = make_dijets(1, {"eta": -0.5, "phi": 3.0})
        assert passes("veto_map", dijets, veto_map=path, veto_map_name="V1") == [False]
        assert passes("veto_map", dijets, veto_map=path, veto_map_name="V2") == [True]

    def test_another_kind_of_map_or_of_correction_is_refused(self, tmp_path, jet_id_file):
        path = write_json(tmp_path / "map.json", corrections(veto_map_document(self.cells)))
        with pytest.raises(ConfigError, match="'V1' cannot be evaluated"):
            passes("veto_map", make_dijets(), veto_map=path, veto_map_type="hotandcold")
        with pytest.raises(ConfigError, match=r"takes eta, chHEF.*a veto map takes type, eta, phi"):
            prepare_selection(SelectionConfig(veto_map=jet_id_file, veto_map_name="AK8PUPPI_Tight"))


def test_workers_need_not_see_the_files(tmp_path, jet_id_file):
    """What is sent to them holds all that the cuts need."""
    golden = write_json(tmp_path / "golden.json", {"0": [[1, 2]]})
    path = write_json(tmp_path / "map.json", corrections(veto_map_document({(5, 3)})))
    selection = SelectionConfig(lumi_mask=golden, veto_map=path, jet_id="tight", jet_id_file=jet_id_file)
    sent = pickle.dumps(prepare_selection(selection))
    for file in (golden, path, jet_id_file):
        file.unlink()
    received = pickle.loads(sent)
    good = {"eta": 0.1, **dict.fromkeys(FRACTIONS, 0.2), "chHEF": 0.4, "chMultiplicity": 5, "neMultiplicity": 5}
    dijets = replace(make_dijets(3, good, good, kind="data"), run=np.zeros(3, np.uint64))
    assert apply_cuts(dijets, received).mask.tolist() == [False, True, True]
