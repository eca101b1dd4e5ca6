"""From the records of signal-free samples to a verdict for every window, in words.

A shift is what the non-closure delta does to z at the size of the search, delta b / sqrt(b + sigma_b^2). A window is
"not valid" where its combined shift is larger than allowed and established, where one source alone establishes one and
the combination is not small either, where the background cannot be fitted, or where the chain is off on an exact null;
"not testable" where no source that keeps the drift of the features could test it; else "valid". What is neither
established nor excluded is a flag. Numbers of standard deviations hold for all selections of a window together, and for
all sources where one alone decides (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from analysis.config.validation import ValidationConfig
from analysis.statistics.averages import combine

__all__ = ["NOT_TESTABLE", "NOT_VALID", "VALID", "corrections", "window_verdict"]

VALID, NOT_VALID, NOT_TESTABLE = "valid", "not valid", "not testable"

Record = Mapping[str, Any]

_FEW = 0.5
"""A sample with a smaller share of the events of the search may fail to be fitted: that says nothing of the search."""

_LEAST_FOR_SPREAD = 3

_NULL_SIGMAS = 3.0

_FLAT = 0.01


def window_verdict(
    window: str, records: Sequence[Record], drift: Iterable[str], settings: ValidationConfig
) -> dict[str, Any]:
    """Judge one window.

    Parameters
    ----------
    window : str
    records : sequence of mapping
        Of its samples, from `analysis.validation.run_draws`.
    drift : iterable of str
        Sources whose features depend on m_jj as in real background.
    settings : ValidationConfig

    Returns
    -------
    dict
        "verdict", "reason", "flags", "combined" (non-closure and shift of each selection over the sources that keep the
        drift), "sources" (verdict, reason, flags and selections of each) and "max_shift", as it was set; JSON-ready.
    """
    drift = set(drift)
    names = dict.fromkeys(record["source"] for record in records)
    sources = [
        _source(name, [one for one in records if one["source"] == name], name in drift, settings) for name in names
    ]
    tested = [one for one in sources if one["keeps_drift"] and one["verdict"] != NOT_TESTABLE]
    combined = _combined(tested)
    wrong, flags = _judge_shifts(combined, settings)
    flags += _alone(tested, settings, of_sources=1) if not wrong else []
    # What one source alone has established decides, unless the others outweigh it.
    if not wrong and any(one["shift"] is not None and abs(one["shift"]) > settings.max_shift for one in combined):
        wrong = _alone(tested, settings, of_sources=len(tested))
    flags += [f"{one['source']}: {text}" for one in sources for text in one.pop("notable")]
    wrong += [f"{one['source']}: {text}" for one in sources for text in one.pop("broken")]
    verdict, reason = VALID, "no shift is established, and the chain works"
    if wrong:
        verdict, reason = NOT_VALID, "; ".join(wrong)
    elif not tested:
        verdict, reason = NOT_TESTABLE, "; ".join(f"{one['source']}: {one['reason']}" for one in sources)
    return {
        "window": window,
        "verdict": verdict,
        "reason": reason,
        "flags": flags,
        "combined": combined,
        "sources": sources,
        "max_shift": settings.max_shift,
    }


def corrections(documents: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Collect the measured non-closure, for what corrects with it.

    Parameters
    ----------
    documents : iterable of mapping
        From `window_verdict`, as in `validation.json`.

    Returns
    -------
    dict of window name to dict of selection name to (delta, error)
        Relative to the background, combined over sources; windows that were not tested are empty.
    """
    return {
        one["window"]: {item["name"]: (item["delta"], item["delta_error"]) for item in one["combined"]}
        for one in documents
    }


def _source(name: str, records: Sequence[Record], keeps_drift: bool, settings: ValidationConfig) -> dict[str, Any]:
    tested = [one for one in records if one["status"] == "tested"]
    document: dict[str, Any] = {
        "source": name,
        "keeps_drift": keeps_drift,
        "verdict": NOT_TESTABLE,
        "reason": next((one["reason"] for one in records if one["reason"]), None),
        "flags": [],
        "broken": [],
        "notable": [],
        "draws": len(tested),
        "notes": list(dict.fromkeys(note for one in tested[:1] for note in one["notes"])),
        "fit_range": tested[0]["fit_range"] if tested else None,
        "selections": [],
    }
    failed = [one for one in records if one["status"] == "failed"]
    if not tested:
        if failed and not _is_small(failed[0]):
            document |= {"verdict": NOT_VALID, "broken": [f"the search fails: {failed[0]['reason']}"]}
        return document
    names = dict.fromkeys(one["name"] for record in tested for one in record["selections"])
    found = [_selection(selection, tested) for selection in names]
    broken, flags = _judge_fits(found, tested[0], settings)
    flags += _flat_flags(found)
    if not keeps_drift:
        broken += _judge_null(found)
    shifted, unclear = _judge_shifts(found, settings) if keeps_drift else ([], [])
    wrong = broken + shifted
    document |= {
        "verdict": NOT_VALID if wrong else VALID,
        "reason": "; ".join(wrong) or None,
        "flags": unclear + flags,
        "broken": broken,
        "notable": flags,
        "selections": found,
    }
    return document


def _is_small(record: Record) -> bool:
    events, needed = record["events"], record["search_events"]
    return events is not None and needed is not None and events < _FEW * needed


def _selection(name: str, records: Sequence[Record]) -> dict[str, Any]:
    """Average one selection over the draws."""
    all_draws = [one for record in records for one in record["selections"] if one["name"] == name]
    found = [one for one in all_draws if one["delta"] is not None]
    document: dict[str, Any] = {
        "name": name,
        "draws": len(found),
        "failures": [one["reason"] for one in all_draws if one["delta"] is None],
        "calibrated": all(one["calibrated"] for one in found),
        **dict.fromkeys(("z", "z_error", "z_width", "delta", "delta_error", "shift", "shift_error")),
        **dict.fromkeys(
            ("search_background", "search_error", "search_spread", "background", "fit_p", "flatness", "non_closure")
        ),
    }
    if not found:
        return document
    overlap = float(records[0]["overlap"])
    own, shared = _mean(found, "own_variance"), _mean(found, "shared_variance")
    _, delta_error = _averaged([one["delta"] for one in found], own, shared, overlap)
    # Not the mean of the ratios, which is biased where backgrounds are small.
    delta = _mean(found, "n") / _mean(found, "background") - 1
    document |= {"delta": delta, "delta_error": delta_error, "background": _mean(found, "background")}
    z = [one["z"] for one in found if one["z"] is not None]
    if z:
        document["z"], document["z_error"] = _averaged(z, 1.0, shared / own, overlap)
        document["z_width"] = float(np.std(z, ddof=1)) if len(z) > 1 else None
    fits = [one["fit_p"] for one in found if one["fit_p"] is not None]
    document["fit_p"] = _combined_p(fits)
    document |= _searched(found, delta, delta_error) | _flatness(found)
    return document


def _mean(found: Sequence[Record], key: str) -> float:
    return float(np.mean([one[key] for one in found]))


def _averaged(values: Sequence[float], own: float, shared: float, overlap: float) -> tuple[float, float]:
    """Mean and its error: the shared part of the variance does not average out as far as draws share parents."""
    n = len(values)
    variance = own / n + shared * (1 / n + (1 - 1 / n) * overlap)
    if n >= _LEAST_FOR_SPREAD:
        variance = max(variance, float(np.var(values, ddof=1)) / n)
    return float(np.mean(values)), float(variance**0.5)


def _combined_p(values: Sequence[float]) -> float | None:
    """Twice the median of several p-values, which holds however they depend on each other."""
    if not values:
        return None
    return float(values[0]) if len(values) == 1 else min(1.0, 2 * float(np.median(values)))


def _searched(found: Sequence[Record], delta: float, delta_error: float) -> dict[str, Any]:
    known = [one for one in found if one["search_background"] is not None]
    if not known:
        return {}
    b, spread = _mean(known, "search_background"), _mean(known, "search_spread")
    scale = b / spread
    return {
        "search_background": b,
        "search_error": _mean(known, "search_error"),
        "search_spread": spread,
        "shift": delta * scale,
        "shift_error": delta_error * scale,
    }


def _flatness(found: Sequence[Record]) -> dict[str, Any]:
    flat = [one["flatness"] for one in found if one["flatness"] is not None]
    closures = [one["efficiency_non_closure"] for one in found if one["efficiency_non_closure"] is not None]
    document: dict[str, Any] = {}
    if flat:
        chi2, ndof = (float(np.mean([one[key] for one in flat])) for key in ("chi2", "ndof"))
        p = _combined_p([float(stats.chi2.sf(one["chi2"], one["ndof"])) if one["ndof"] else 1.0 for one in flat])
        document["flatness"] = {"chi2": chi2, "ndof": ndof, "p": p}
    if closures:
        document["non_closure"] = [float(value) for value in np.mean(closures, axis=0)]
    return document


def _combined(sources: Sequence[Record]) -> list[dict[str, Any]]:
    """Average the non-closure of each selection over sources."""
    names = dict.fromkeys(one["name"] for source in sources for one in source["selections"])
    combined = []
    for name in names:
        found = [
            one
            for source in sources
            for one in source["selections"]
            if one["name"] == name and one["delta"] is not None and one["delta_error"] > 0
        ]
        if not found:
            continue
        mean = combine([one["delta"] for one in found], [one["delta_error"] for one in found])
        document: dict[str, Any] = {
            "name": name,
            "delta": mean.value,
            "delta_error": mean.error,
            "chi2": mean.chi2,
            "n_sources": len(found),
            **dict.fromkeys(("search_background", "search_error", "search_spread", "shift", "shift_error")),
        }
        combined.append(document | _searched(found, mean.value, mean.error))
    return combined


def _alone(sources: Sequence[Record], settings: ValidationConfig, *, of_sources: int) -> list[str]:
    """Say which shifts single sources establish, if so many are looked at."""
    found = {one["source"]: _judge_shifts(one["selections"], settings, of_sources)[0] for one in sources}
    return [f"{source}: {text}" for source, texts in found.items() for text in texts]


def _judge_shifts(
    found: Sequence[Record], settings: ValidationConfig, of_sources: int = 1
) -> tuple[list[str], list[str]]:
    """Say which shifts are too large: those that are established, and those that are not."""
    known = [one for one in found if one["shift"] is not None]
    limit = _sigmas(settings.established, len(known) * of_sources)
    large = [one for one in known if abs(one["shift"]) > settings.max_shift]
    texts = [f"{one['name']} {one['shift']:+.1f} ± {one['shift_error']:.1f}" for one in large]
    is_sure = [abs(one["shift"]) > limit * one["shift_error"] for one in large]
    sure = ", ".join(text for text, established in zip(texts, is_sure, strict=True) if established)
    unsure = ", ".join(text for text, established in zip(texts, is_sure, strict=True) if not established)
    wrong = [f"shift of z larger than {settings.max_shift:g}: {sure}"] if sure else []
    unclear = [f"shift of z neither established nor excluded: {unsure}"] if unsure else []
    return wrong, unclear


def _sigmas(one: float, looks: int) -> float:
    """Return the standard deviations in one of several looks that are as rare as so many in a single one."""
    return float(stats.norm.isf(stats.norm.sf(one) / max(looks, 1)))


def _judge_fits(found: Sequence[Record], record: Record, settings: ValidationConfig) -> tuple[list[str], list[str]]:
    broken: list[str] = []
    flags: list[str] = []
    for one in found:
        if one["failures"]:
            text = f"{one['name']}: {len(one['failures'])} fits fail: {one['failures'][0]}"
            (flags if one["draws"] or _is_small(record) else broken).append(text)
    known = {one["name"]: one["fit_p"] for one in found if one["fit_p"] is not None}
    if known:
        worst = min(known, key=lambda name: known[name])
        p = min(1.0, known[worst] * len(known))
        if p < settings.min_fit_p:
            broken.append(f"{worst}: the background fit has p = {p:.2g} for {len(known)} selections")
    return broken, flags


def _judge_null(found: Sequence[Record]) -> list[str]:
    """Say where z is no unit Gaussian, at three standard deviations for all selections together."""
    usable = [one for one in found if one["z"] is not None and one["calibrated"]]
    if not usable:
        return []
    limit = _sigmas(_NULL_SIGMAS, len(usable))
    p = stats.norm.sf(limit)
    wrong = []
    for one in usable:
        n = one["draws"]
        if abs(one["z"]) > limit / n**0.5:
            wrong.append(f"{one['name']}: mean z {one['z']:+.2f} ± {n**-0.5:.2f} where it must be 0")
        if n > 1 and not stats.chi2.isf(1 - p, n - 1) <= one["z_width"] ** 2 * (n - 1) <= stats.chi2.isf(p, n - 1):
            wrong.append(f"{one['name']}: width of z {one['z_width']:.2f} ± {(2 * (n - 1)) ** -0.5:.2f}, not 1")
    return wrong


def _flat_flags(found: Sequence[Record]) -> list[str]:
    names = [one["name"] for one in found if one["flatness"] is not None and one["flatness"]["p"] < _FLAT]
    return [f"the efficiency depends on m_jj: {', '.join(names)}"] if names else []
