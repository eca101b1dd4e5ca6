"""Calibration files in the schema that the JetMET group publishes, NanoAOD to calibrate, and the same in plain Python.

The files hold one formula or number per bin, as the published ones do; the plain functions below are these formulas
written again, and the loops over events and jets follow the published prescriptions without a line of the package.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import awkward as ak
import correctionlib.schemav2 as cs
import numpy as np
import uproot

from tests.builders import plain

TAG = "Toy18_V5_MC"
JETS, SUBJETS = "AK8PFPuppi", "AK4PFPuppi"
RUN_A, RUN_B = (100, 199), (200, 299)
SCALE = {"nom": 1.2, "up": 1.3, "down": 1.1}
FORWARD_SCALE = {"nom": 1.4, "up": 1.6, "down": 1.2}
ETA_EDGES = [-5.191, -1.3, 1.3, 5.191]

REAL = {"JetPt": "real", "JetEta": "real", "JetA": "real", "Rho": "real", "run": "real", "JetCharge": "real"}


def _variables(*names: str) -> list[cs.Variable]:
    return [cs.Variable(name=name, type=REAL.get(name, "string")) for name in names]


def _formula(text: str, *names: str) -> cs.Formula:
    return cs.Formula(nodetype="formula", expression=text, parser="TFormula", variables=list(names))


def _in_eta(central: Any, forward: Any) -> cs.Binning:
    content = [forward, central, forward]
    return cs.Binning(nodetype="binning", input="JetEta", edges=ETA_EDGES, content=content, flow="error")


def _correction(name: str, data: Any, *inputs: str) -> cs.Correction:
    output = cs.Variable(name="value", type="real")
    return cs.Correction(name=name, version=1, inputs=_variables(*inputs), output=output, data=data)


def _energy(tag: str, jets: str, residual: Any, *further: str) -> tuple[list[cs.Correction], cs.CompoundCorrection]:
    names = [f"{tag}_{level}_{jets}" for level in ("L1FastJet", "L2Relative", "L2L3Residual")]
    levels = [
        _correction(names[0], _formula("max(0.0001,1-x*y*0.05/z)", "Rho", "JetA", "JetPt"), "JetA", "JetPt", "Rho"),
        _correction(
            names[1],
            _in_eta(_formula("1.02+0.1/log10(x)", "JetPt"), _formula("1.1+0.00001*x", "JetPt")),
            "JetEta",
            "JetPt",
        ),
        _correction(names[2], residual, *further, "JetEta", "JetPt"),
    ]
    compound = cs.CompoundCorrection(
        name=f"{tag}_L1L2L3Res_{jets}",
        inputs=_variables("JetA", "JetEta", "JetPt", "Rho", *further),
        output=cs.Variable(name="value", type="real"),
        inputs_update=["JetPt"],
        input_op="*",
        output_op="*",
        stack=names,
    )
    return levels, compound


def _scale_factor() -> cs.Correction:
    def by_side(values: dict[str, float]) -> cs.Category:
        content = [cs.CategoryItem(key=key, value=value) for key, value in values.items()]
        return cs.Category(nodetype="category", input="systematic", content=content)

    data = _in_eta(by_side(SCALE), by_side(FORWARD_SCALE))
    return _correction(f"{TAG}_ScaleFactor_{JETS}", data, "JetEta", "systematic")


def write_corrections(path: Path, jets: str = JETS, *, central_source: float = 0.02) -> Path:
    """Energy corrections of simulation and of two periods of data, three sources, resolution and its scale factor."""
    energies = [
        _energy(TAG, jets, 1.0),
        _energy("Toy18_RunA_V5_DATA", jets, _in_eta(1.01, 1.03)),
        _energy("Toy18_RunB_V5_DATA", jets, _formula("1+0.0001*(x-200)", "run"), "run"),
    ]
    resolution = _in_eta(_formula("sqrt(0.0016+0.5*y/(x*x))", "JetPt", "Rho"), 0.08)
    others = [
        _correction(f"{TAG}_Total_{jets}", _in_eta(central_source, 0.05), "JetEta", "JetPt"),
        _correction(f"{TAG}_FlavorQCD_{jets}", _formula("0.01+1/x", "JetPt"), "JetEta", "JetPt"),
        _correction(f"{TAG}_PtResolution_{jets}", resolution, "JetEta", "JetPt", "Rho"),
        _scale_factor(),
        # As of 2024: the scale factor without a text input, its uncertainty in a correction of its own.
        _correction(f"{TAG}_NewScaleFactor_{jets}", _in_eta(1.2, 1.4), "JetEta", "JetPt"),
        _correction(f"{TAG}_SFUncertainty_{jets}", _in_eta(0.1, 0.2), "JetEta", "JetPt"),
        _correction("Odd_Charge", 1.0, "JetCharge"),
    ]
    document = cs.CorrectionSet(
        schema_version=2,
        corrections=[one for levels, _ in energies for one in levels] + others,
        compound_corrections=[compound for _, compound in energies],
    )
    path.write_bytes(gzip.compress(document.model_dump_json(exclude_unset=True).encode(), mtime=0))
    return path


def central(eta: float) -> bool:
    return -1.3 <= eta < 1.3


def energy_factor(eta: float, raw_pt: float, area: float, rho: float, run: int | None = None) -> float:
    """The levels one after the other, each at the p_T that the ones before have corrected."""
    first = max(0.0001, 1 - rho * area * 0.05 / raw_pt)
    pt = raw_pt * first
    second = 1.02 + 0.1 / math.log10(pt) if central(eta) else 1.1 + 0.00001 * pt
    third = 1.0
    if run is not None:
        third = (1.01 if central(eta) else 1.03) if run <= RUN_A[1] else 1 + 0.0001 * (run - 200)
    return first * second * third


def resolution(eta: float, pt: float, rho: float) -> float:
    return math.sqrt(0.0016 + 0.5 * rho / pt**2) if central(eta) else 0.08


def scale_factor(eta: float, side: str = "nom") -> float:
    return (SCALE if central(eta) else FORWARD_SCALE)[side]


def noise(key: int, name: str, seed: int = 0) -> float:
    bits = plain.identity(key ^ plain.identity(seed, plain.text_hash(name)))
    return NormalDist().inv_cdf(((bits >> 11) + 0.5) * 2.0**-53)


Jet = dict[str, float]


def distance(one: Jet, two: Jet) -> float:
    phi = abs(one["phi"] - two["phi"])
    return math.hypot(one["eta"] - two["eta"], min(phi, 2 * math.pi - phi))


def matched(jet: Jet, generated: list[Jet], tolerance: float = math.inf) -> Jet | None:
    near = [one for one in generated if distance(jet, one) < 0.4 and abs(jet["pt"] - one["pt"]) < tolerance]
    return min(near, key=lambda one: distance(jet, one), default=None)


def hybrid(value: float, generated: float | None, scale: float, width: float, number: float) -> float:
    if generated is not None:
        return 1 + (scale - 1) * (value - generated) / value
    return 1 + width * number * math.sqrt(max(scale**2 - 1, 0))


def pair_mass(jets: list[Jet]) -> float:
    total = [0.0] * 4
    for one in jets:
        px, py, pz = (
            one["pt"] * math.cos(one["phi"]),
            one["pt"] * math.sin(one["phi"]),
            one["pt"] * math.sinh(one["eta"]),
        )
        vector = (math.sqrt(px**2 + py**2 + pz**2 + one["mass"] ** 2), px, py, pz)
        total = [a + b for a, b in zip(total, vector, strict=True)]
    return math.sqrt(max(total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2, 0))


COLLECTIONS = {
    "FatJet": (
        *("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3", "tau4"),
        *("rawFactor", "area", "subJetIdx1", "subJetIdx2"),
    ),
    "SubJet": ("pt", "eta", "phi", "mass", "rawFactor", "area"),
    "GenJetAK8": ("pt", "eta", "phi", "mass"),
    "SubGenJetAK8": ("pt", "eta", "phi", "mass"),
}


def read(path: Path, stop: int | None = None) -> Iterator[dict[str, Any]]:
    """Events as lists of plain jets, whatever of the collections the file has."""
    with uproot.open({path: None}) as file:
        tree = file["Events"]
        columns = {
            name: {
                key: tree[f"{name}_{key}"].array(entry_stop=stop).to_list() for key in keys if f"{name}_{key}" in tree
            }
            for name, keys in COLLECTIONS.items()
        }
        rho = next(name for name in ("Rho_fixedGridRhoFastjetAll", "fixedGridRhoFastjetAll") if name in tree)
        numbers = ["run", "luminosityBlock", "event", rho, *(["genWeight"] if "genWeight" in tree else [])]
        single = {name: tree[name].array(library="np", entry_stop=stop).tolist() for name in numbers}
    for entry in range(len(single["run"])):
        event: dict[str, Any] = {
            name: [
                dict(zip(values, row, strict=True))
                for row in zip(*(one[entry] for one in values.values()), strict=True)
            ]
            for name, values in columns.items()
            if values
        }
        key = tuple(int(single[name][entry]) for name in numbers[:3])
        yield {
            **event,
            "key": key,
            "rho": single[rho][entry],
            "weight": single.get("genWeight", [1.0] * (entry + 1))[entry],
        }


def calibrated(event: dict[str, Any], config: dict[str, Any], **vary: Any) -> dict[str, Any]:
    """The event with calibrated jets, by the same keys as `[selection.calibration]`.

    `vary` moves one thing: side of the resolution, shift of `jms` or `jmr`, or (source, sign).
    """
    data = vary.get("data", False)
    run = event["key"][0] if data else None
    identity = plain.identity(*event["key"], plain.text_hash("sample"))
    jets = []
    for place, old in enumerate(event["FatJet"]):
        jet = dict(old)
        if "jec" in config or data:
            raw = 1 - old["rawFactor"]
            factor = raw * energy_factor(old["eta"], old["pt"] * raw, old["area"], event["rho"], run)
            jet |= {name: old[name] * factor for name in ("pt", "mass")}
        if "jer_resolution" in config and not data:
            width = resolution(jet["eta"], jet["pt"], event["rho"])
            partner = matched(jet, event["GenJetAK8"], 3 * width * jet["pt"])
            number = noise((identity + place) & plain.MASK, ".jer", config.get("seed", 0))
            scale = scale_factor(jet["eta"], vary.get("side", "nom"))
            factor = hybrid(jet["pt"], partner and partner["pt"], scale, width, number)
            jet |= {name: jet[name] * factor for name in ("pt", "mass")}
        if jet["msoftdrop"] > -1:
            jet["msoftdrop"] = max(softdrop(event, old, config, run, (identity + place) & plain.MASK, vary), 0.0)
        if "source" in vary:
            name, sign = vary["source"]
            size = (0.02 if central(jet["eta"]) else 0.05) if name == "Total" else 0.01 + 1 / jet["pt"]
            keys = [key for key in ("pt", "mass", "msoftdrop") if jet[key] > -1]
            jet |= {key: jet[key] * (1 + sign * size) for key in keys}
        jets.append(jet)
    return {"jets": jets, "key": event["key"], "weight": event["weight"]}


def softdrop(event: dict[str, Any], jet: Jet, config: dict[str, Any], run: int | None, key: int, vary: Any) -> float:
    mass = jet["msoftdrop"]
    if "subjet_jec" in config:
        parts = []
        for index in (int(jet["subJetIdx1"]), int(jet["subJetIdx2"])):
            if index >= 0:
                sub = event["SubJet"][index]
                raw, area = 1 - sub["rawFactor"], config.get("subjet_area") or sub["area"]
                factor = raw * energy_factor(sub["eta"], sub["pt"] * raw, area, event["rho"], run)
                parts.append({**sub, "pt": sub["pt"] * factor, "mass": sub["mass"] * factor})
        if parts:
            mass = pair_mass(parts)
    if run is not None:
        return mass
    mass *= config.get("jms", 1.0) + vary.get("jms", 0.0)
    ratio = config.get("jmr", 1.0) + vary.get("jmr", 0.0)
    if ratio == 1 or mass <= 0:
        return mass
    partner = matched(jet, event["GenJetAK8"])
    around = [one for one in event["SubGenJetAK8"] if partner and distance(partner, one) < 0.8]
    around = sorted(around, key=lambda one: -one["pt"])[:2]
    generated = pair_mass(around) if len(around) == 2 else None
    return mass * max(hybrid(mass, generated, ratio, config.get("jmr_resolution", 0.0), noise(key, ".jmr")), 1e-3)


def write_nanoaod(
    path: Path,
    n_events: int,
    seed: int,
    *,
    drop: tuple[str, ...] = (),
    data: bool = False,
    first_subjet: int | None = None,
) -> Path:
    """Events with up to four fat jets, subjets, and generator jets, some of which are missing or far away."""
    rng = np.random.default_rng(seed)
    events = [_event(rng) for _ in range(n_events)]
    if first_subjet is not None:
        for jet in (jet for event in events for jet in event["FatJet"]):
            jet["subJetIdx1"] = first_subjet
    columns: dict[str, Any] = {
        "run": rng.choice([100, 150, 200, 250], n_events).astype(np.uint32) if data else np.ones(n_events, np.uint32),
        "luminosityBlock": np.ones(n_events, np.uint32),
        "event": np.arange(n_events, dtype=np.uint64),
        "Rho_fixedGridRhoFastjetAll": rng.uniform(5, 40, n_events).astype(np.float32),
    }
    if not data:
        columns["genWeight"] = np.full(n_events, 0.5, np.float32)
    for name, keys in COLLECTIONS.items():
        if (data and "Gen" in name) or name in drop:
            continue
        kept = [key for key in keys if f"{name}_{key}" not in drop]
        columns[name] = ak.zip({key: _jagged(events, name, key) for key in kept})
    columns = {name: values for name, values in columns.items() if name not in drop}
    types = {name: v.type if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree("Events", types).extend(columns)
    return path


def _jagged(events: list[dict[str, list[Jet]]], name: str, key: str) -> ak.Array:
    kind = np.int16 if key.startswith("subJet") else np.float32
    flat = np.array([jet[key] for event in events for jet in event[name]], kind)
    return ak.unflatten(ak.Array(flat), np.array([len(event[name]) for event in events]))


def _event(rng: np.random.Generator) -> dict[str, list[Jet]]:
    event: dict[str, list[Jet]] = {name: [] for name in COLLECTIONS}
    for _ in range(int(rng.integers(0, 5))):
        pt, eta, phi = rng.uniform(300, 2000), rng.normal(0, 1), rng.uniform(-np.pi, np.pi)
        subjets = int(rng.choice([0, 1, 2], p=[0.1, 0.1, 0.8]))
        start = len(event["SubJet"])
        for k in range(subjets):
            event["SubJet"].append(_near(rng, pt * (0.6, 0.35)[k], eta, phi, 0.3) | _extra(rng))
        index = [start + k if k < subjets else -1 for k in (0, 1)]
        jet = {"pt": pt, "eta": eta, "phi": phi, "mass": rng.uniform(20, 300), **_extra(rng)}
        softdrop = pair_mass(event["SubJet"][start:]) if subjets else -1.0
        taus = {f"tau{n}": 0.5 / n for n in range(1, 5)}
        event["FatJet"].append({**jet, "msoftdrop": softdrop, **taus, "subJetIdx1": index[0], "subJetIdx2": index[1]})
        if rng.random() < 0.8:
            event["GenJetAK8"].append(_near(rng, pt * rng.normal(0.95, 0.08), eta, phi, 0.25))
            for k in range(int(rng.integers(1, 4))):
                event["SubGenJetAK8"].append(_near(rng, pt * (0.3, 0.6, 0.2)[k], eta, phi, 0.3))
    return event


def _near(rng: np.random.Generator, pt: float, eta: float, phi: float, width: float) -> Jet:
    turned = phi + rng.uniform(-width, width)
    turned = (turned + math.pi) % (2 * math.pi) - math.pi
    return {"pt": pt, "eta": eta + rng.uniform(-width, width), "phi": turned, "mass": rng.uniform(1, 20)}


def _extra(rng: np.random.Generator) -> Jet:
    return {"rawFactor": rng.uniform(0.02, 0.15), "area": rng.uniform(0.4, 2.1)}
