"""Files of figures: a PNG has few colours and shows the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.plots import figure_style
from analysis.plots.drawing import save_figure


def make_figure() -> Figure:
    """Text, lines, a transparent band and a map with all colours of a scale."""
    figure = Figure(figsize=(6, 4))
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], label="one")
    left.fill_between([0, 1], [0, 1], [1, 2], alpha=0.3, color="tab:red")
    left.legend()
    right.imshow(np.linspace(0, 1, 400).reshape(20, 20), cmap="viridis")
    return figure


def test_a_png_has_a_palette_and_the_pixels_of_the_figure(tmp_path: Path) -> None:
    with figure_style():
        figure = make_figure()
        (path,) = save_figure(figure, tmp_path, "f", ["png"])
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    expected = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    with Image.open(path) as saved:
        assert saved.mode == "P"
        assert saved.info["dpi"] == pytest.approx((120, 120), abs=0.5)
        found = np.asarray(saved.convert("RGB")).astype(int)
    assert found.shape == expected.shape
    assert (found[(expected == 255).all(axis=2)] == 255).all()
    assert (found[(expected == 0).all(axis=2)] == 0).all()
    difference = np.abs(found - expected).max(axis=2)
    assert difference.max() < 48
    assert np.percentile(difference, 99.5) <= 16


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    with figure_style():
        paths = [save_figure(make_figure(), tmp_path, name, ["png", "pdf", "svg"]) for name in ("a", "b")]
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
