"""The configuration reference against the models: the truth is what `SearchConfig` accepts."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from pydantic import Field, ValidationError

from analysis.config import SearchConfig, SelectionConfig
from analysis.config.model import Model
from docs._ext.configuration import described, reference, toml

Row = tuple[str, str, str]

ENTRY = {"name": "one", "kind": "rate", "value": 0.1, "bins": {"pt": [0, 1], "abs_eta": [0, 1], "sizes": [[0.1]]}}
"""What keys of `[[systematics]]` that are required are set to."""

VARIANT: dict[str, Any] = {"name": "one", "learning": {"n_folds": 3}}
RANGE: dict[str, Any] = {"figure": "scan", "x": [1, 2]}
RUN: dict[str, Any] = {"jec": "TAG_L1L2L3Res_AK8PFPuppi"}
CALIBRATION: dict[str, Any] = {"file": "jerc.json.gz", "data": [RUN]}
LISTED = {"systematics": ENTRY, "variants": VARIANT, "data": RUN, "ranges": RANGE}
REQUIRED = {
    "bins": ENTRY["bins"],
    "data": RUN,
    "calibration": CALIBRATION,
    "systematics": ENTRY,
    "ranges": {"figure": "scan"},
}
"""Values of keys that are required, by the last part of the title of their section."""


def example(**entry: Any) -> SearchConfig:
    """Configuration with every table that is absent by default."""
    return SearchConfig.model_validate(
        {
            "selection": {"calibration": CALIBRATION},
            "plots": {"ranges": [{"figure": "scan"}]},
            "systematics": [entry],
            "variants": [VARIANT],
        }
    )


def printed() -> dict[str, dict[str, Row]]:
    """Rows of the reference: by title of the section and key, the key, its type and its default."""
    found: dict[str, dict[str, Row]] = {}
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", reference(), re.MULTILINE | re.DOTALL):
        rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in body.splitlines() if line.startswith("| `")]
        assert len({row[0] for row in rows}) == len(rows)
        found[title.strip("`")] = {row[0].strip("`"): (row[0].strip("`"), row[1], row[2].strip("`")) for row in rows}
    return found


def leaves(document: dict[str, Any], path: str = "") -> set[str]:
    """Paths of all values of a configuration; a list of tables is one table."""
    found = set()
    for key, value in document.items():
        below = value[0] if isinstance(value, list | tuple) and value and isinstance(value[0], dict) else value
        own = f"{path}.{key}".removeprefix(".")
        # The grid of the tuning, settings of learners, directions of features, labels, inputs of corrections and
        # sections of variants are tables with free keys: one value.
        is_section = isinstance(below, dict) and own not in (
            "learning.tuning.grid",
            "learning.learner_settings",
            "learning.monotone",
            "plots.labels",
            "systematics.inputs",
            "variants.learning",
            "variants.background",
            "variants.statistics",
        )
        found |= leaves(below, own) if is_section else {own}
    return found


def test_every_key_has_one_row_and_nothing_else_has() -> None:
    complete = example(**ENTRY, source="Total").model_dump(mode="json")
    complete["selection"] |= SelectionConfig(optional_features=("tau43_j1",)).model_dump(mode="json")
    rows = [
        f"{title.strip('[]')}.{key}".removeprefix("The whole file.")
        for title, keys in printed().items()
        for key in keys
    ]
    assert len(set(rows)) == len(rows)
    assert set(rows) == leaves(complete)


def test_the_printed_defaults_are_a_configuration_and_change_nothing() -> None:
    lines = []
    for title, rows in printed().items():
        lines += [] if title == "The whole file" else [title]
        for key, _, default in rows.values():
            if "variants" in title and key in VARIANT:
                lines.append(f"{key} = {toml(VARIANT[key])}")
            elif default == "required":
                lines.append(f"{key} = {REQUIRED[title.strip('[]').rpartition('.')[2]][key]!r}")
            elif default != "absent":
                lines.append(f"{key} = {default}")
    found = SearchConfig.model_validate(tomllib.loads("\n".join(lines)))
    entry = {key: value for key, value in ENTRY.items() if key != "value"}
    assert found == example(**entry)


def accepts(title: str, key: str, value: Any) -> bool:
    """Whether a model takes a value for itself, whatever it says of other keys."""
    document: dict[str, Any] = {key: value}
    for name in reversed(title.strip("[]").split(".")):
        document = {name: [LISTED[name] | document] if name in LISTED else document}
    document = {key: value} if title == "The whole file" else document
    try:
        SearchConfig.model_validate(document)
    except ValidationError as error:
        return not any(key in one["loc"] for one in error.errors())
    return True


BOUNDED = [
    (title, key, *bound)
    for title, rows in printed().items()
    for key, kind, _ in rows.values()
    if kind.startswith(("number ", "integer "))
    for bound in re.findall(r"([<>≤≥]) ([\d.]+)(?=,|$)", kind)
]


@pytest.mark.parametrize(("title", "key", "sign", "bound"), BOUNDED)
def test_values_beyond_a_printed_bound_are_refused(title: str, key: str, sign: str, bound: str) -> None:
    at, beyond = float(bound), float(bound) + (1 if sign in "<≤" else -1)
    whole = [int(value) if value == int(value) else value for value in (at, beyond)]
    assert accepts(title, key, whole[0]) == (sign in "≤≥")
    assert not accepts(title, key, whole[1])


CHOICES = [
    (title, key, kind) for title, rows in printed().items() for key, kind, _ in rows.values() if kind.startswith("one")
]


@pytest.mark.parametrize(("title", "key", "kind"), CHOICES)
def test_the_printed_choices_are_those_that_are_accepted(title: str, key: str, kind: str) -> None:
    assert all(accepts(title, key, value) for value in re.findall(r'"([^"]+)"', kind))
    assert not accepts(title, key, "something else")


def test_a_key_that_its_docstring_forgets_is_an_error() -> None:
    class Forgetful(Model):
        """A section.

        Attributes
        ----------
        here : int
            Said.
        """

        here: int = 1
        forgotten: int = Field(default=2)

    with pytest.raises(ValueError, match=r"Forgetful.*forgotten"):
        described(Forgetful)
