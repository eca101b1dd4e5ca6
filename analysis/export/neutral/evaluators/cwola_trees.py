"""Score events with the classifiers of a search, from trees_LOW-HIGH.json; needs only the standard library.

Arithmetic is that of the search: features, thresholds of nodes, leaves and scores are float32.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Trees"]


_LARGEST = 88.69999694824219
"""Largest exponent that xgboost takes, as float32."""


def _float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


class Trees:
    """Classifiers of one window."""

    def __init__(self, path: str) -> None:
        self.document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        self.features: list[str] = self.document["features"]
        self.selections: list[str] = self.document["selections"]

    def members(self, features: Sequence[float]) -> list[list[float]]:
        """Return the score of each member of each fold; NaN is an undefined feature."""
        row = [value if math.isnan(value) else _float32(value) for value in features]
        return [[self._score(member, row) for member in fold["members"]] for fold in self.document["folds"]]

    def scores(self, features: Sequence[float]) -> list[float]:
        """Return the score of each fold: the mean over its members."""
        return [_float32(math.fsum(members) / len(members)) for members in self.members(features)]

    def passes(self, features: Sequence[float], mjj: float, tie: float = 0.5) -> list[float]:
        """Return for each selection the fraction of folds that let an event pass; mjj in GeV.

        tie, from 0 to 1, decides between equal scores; draw it at random, or take that of the reference table.
        """
        counts = [0.0] * len(self.selections)
        for fold, members in zip(self.document["folds"], self.members(features), strict=True):
            mean = [_float32(math.fsum(members) / len(members))]
            cut = mean if self.document["cut"] == "mean" else members
            for index in range(len(counts)):
                limits = [[float(bound) for bound in limit[index]] for limit in fold["thresholds"]]
                votes = [
                    score > high or (score >= low and tie > share)
                    for score, (low, high, share) in zip(cut, limits, strict=True)
                ]
                counts[index] += sum(votes) / len(votes)
        first, last = self.document["fit_range"]
        inside = first <= mjj < last
        rest = [count / self.document["n_folds"] if inside else 0.0 for count in counts[1:]]
        return [1.0, *rest]

    def _score(self, member: dict[str, Any], row: Sequence[float]) -> float:
        margin: float = member["base"]
        for tree in member["trees"]:
            node = 0
            while (feature := tree["feature"][node]) >= 0:
                value = row[feature]
                left = tree["missing_left"][node] if math.isnan(value) else value < tree["value"][node]
                node = tree["left" if left else "right"][node]
            margin = _float32(margin + tree["value"][node])
        power = math.exp(min(-margin, _LARGEST))
        return _float32(1.0 / _float32(_float32(power) + 1.0))
