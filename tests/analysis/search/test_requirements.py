"""Settings that exclude each other are refused before any work."""

from __future__ import annotations

import pytest

from analysis.config import load_config
from analysis.errors import ConfigError
from analysis.search.requirements import require_known


@pytest.mark.parametrize("energy", [100.0, 6500.0])
def test_a_fit_range_must_end_below_the_collision_energy(energy: float) -> None:
    require_known(load_config(overrides={"background": {"sqrt_s_gev": 6501.0}}))
    with pytest.raises(ConfigError, match=rf"scan.fit_range = \[3000, 6500\] GeV .* now {energy:g}, or narrow"):
        require_known(load_config(overrides={"background": {"sqrt_s_gev": energy}}))


@pytest.mark.parametrize(
    "settings",
    [
        {"learning": {"n_members": 2**31}},
        {"learning": {"classifier": {"n_estimators": 2**31}}},
        {"limits": {"samplings": 2**31}},
        {"statistics": {"pseudo_experiments": 2**40}},
    ],
)
def test_numbers_that_no_machine_can_work_off_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="less than or equal to"):
        load_config(overrides=settings)
