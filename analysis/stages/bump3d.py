"""Bump hunt in cells of features inside each window, for events selected by `process`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.compute import Backend
from analysis.results.processed_events import unblinding_setting
from analysis.search.bump3d import hunt
from analysis.search.cells import Binning, BumpHunt3D, cell_axes, require_cell_features
from analysis.stages.inputs import SearchInputs, stage

__all__ = ["bump3d"]


def bump3d(inputs: SearchInputs, binnings: Sequence[Binning], backend: Backend) -> BumpHunt3D:
    """Search all cells of all windows and write `bump3d.json`.

    Parameters
    ----------
    inputs : SearchInputs
    binnings : sequence of Binning
        One for each feature of the cells.
    backend : Backend

    Returns
    -------
    BumpHunt3D
        Blinded as a scan would be.

    Raises
    ------
    ConfigError
        If the events were selected with another selection, the features or their bins make no cells, or no event is in
        one.
    DatasetError
        If no dataset is to be searched.
    TableError
        If a feature is not in the event table.
    WindowError
        If the spectrum is not smooth in a window.
    """
    events, config, folder, regions = inputs.events, inputs.config, inputs.folder, inputs.regions
    events.require_selection(config, folder)
    regions.require_smooth(inputs.threshold, edge=config.scan.smooth_edge)
    with stage("bump3d"):
        names = [one.feature for one in binnings]
        require_cell_features(inputs.stored, names)
        data = inputs.read_fitted(names, simulation=False)
        axes = cell_axes(data.table, binnings, regions)
        if not inputs.blinded:
            # Recorded before the first count is written, as by a scan.
            folder.record_unblinding(
                [window.name for window in regions.windows],
                config_digest=config.digest(),
                setting=unblinding_setting(events),
            )
        found = hunt(data, regions, axes, config, backend)
        found = replace(found, config_digest=config.digest(), inputs=inputs.searched)
        folder.save_bump3d(found)
    return found
