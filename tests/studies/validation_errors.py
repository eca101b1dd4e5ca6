"""Are the errors of up-down-sampling right? Its copies fluctuate together, in the window and beside it.

Toy data of 10 000 events whose features know nothing of m_jj: the non-closure is 0. Three draws each, as in
`cwola validate`, with a light search. Aimed at: non-closure over its error with a mean of 0 and a width of 1.
"""

from __future__ import annotations

import click
import numpy as np

from analysis.compute import Serial
from analysis.regions import RegionScan
from analysis.validation import Pools, find_sources, plan_draws, run_draws
from analysis.validation.verdicts import window_verdict
from tests.builders.toy_tables import toy_config, toy_table
from tests.studies.runner import Budget, Point, run, study

NAME = "validation_errors"
SOURCE = "up-down-sampling"
POINTS = [{"toy": toy} for toy in range(60)]


def measure(point: Point) -> Point:
    """Non-closure over its error, by selection, of all draws and of the first one."""
    learning = {"n_folds": 2, "efficiencies": (0.1,)}
    config = toy_config(validation={"draws": 3}, learning=learning).model_copy(update={"random_state": point["toy"]})
    scan = RegionScan.from_config(config.scan)
    draws = plan_draws(scan, config, find_sources([SOURCE]), pt_hat_min=None)
    pools = Pools(toy_table(10_000, random_state=1000 + point["toy"]))
    records = [record for _, record in run_draws(lambda: pools, draws, Serial())]
    pulls = {}
    for name, chosen in (("three draws", records), ("one draw", records[:1])):
        found = window_verdict(scan.windows[0].name, chosen, [SOURCE], config.validation)
        pulls[name] = {one.name: round(one.delta / one.delta_error, 3) for one in found.combined}
    return {"pulls": pulls}


@study(minutes=5.0)
def main(budget: Budget) -> None:
    """Run the study and print means and widths."""
    finished = run(NAME, POINTS, measure, budget)
    for draws in ("three draws", "one draw"):
        for name in finished[0]["pulls"][draws]:
            pull = np.array([point["pulls"][draws][name] for point in finished])
            error = pull.std(ddof=1) / len(pull) ** 0.5
            click.echo(
                f"{draws}, {name}: mean {pull.mean():+.2f} +- {error:.2f}, "
                f"width {pull.std(ddof=1):.2f} +- {error / 2**0.5:.2f}"
            )


if __name__ == "__main__":
    main()
