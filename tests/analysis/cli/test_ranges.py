"""Numbers of searches, events and trainings that no machine can work off are refused at once."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from analysis.cli import cli


@pytest.mark.parametrize(
    "arguments",
    [
        ("calibrate", "--searches"),
        ("twosample", "--permutations"),
        ("twosample", "--trainings"),
        ("performance", "--trainings"),
        ("compare", "--trainings"),
        ("simulate", "--events"),
        ("grid", "--events"),
    ],
)
def test_a_number_without_an_end_is_refused(arguments: tuple[str, str]) -> None:
    command, option = arguments
    found = CliRunner().invoke(cli, [command, option, "99999999999999999999"])
    assert found.exit_code == 2
    assert f"Invalid value for '{option}': 99999999999999999999 is not in the range" in found.output
