"""Figures as files, drawn in parallel: all figures of a folder, or a selection."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from PIL import Image

from analysis.compute import Backend, Serial, track
from analysis.config import PlotConfig
from analysis.core.atomic import replacing_file
from analysis.errors import ConfigError, writing
from analysis.plots.figure import Sketch
from analysis.plots.formulae import FORMULAE, readable
from analysis.plots.pdf import print_pdf
from analysis.plots.style import draw_collisions, draw_experiment_label, figure_style
from analysis.plots.ticks import merge_minor_ticks
from analysis.plots.words import Words, spoken

__all__ = ["draw_all", "named", "save_figure", "save_sketch"]

S = TypeVar("S", bound=Sketch)

_COLORS = 256
"""Colours of a PNG: with a palette it takes a third of the bytes and less time, and looks the same."""

_NEARLY = 5
"""Levels by which the palette may miss black and white, which are set right."""


def _print_svg(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(path, metadata={"Date": None})


def _canvas(figure: Figure) -> Any:
    """Give a figure a canvas that reads formulae once for all figures."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.get_renderer().mathtext_parser = FORMULAE
    return canvas


def _print_png(figure: Figure, path: Path) -> None:
    canvas = _canvas(figure)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    reduced = pixels.quantize(_COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = np.array(reduced.getpalette() or (), np.uint8).reshape(-1, 3)
    palette[palette.min(axis=1) >= 255 - _NEARLY] = 255
    palette[palette.max(axis=1) <= _NEARLY] = 0
    reduced.putpalette(palette.ravel().tolist())
    dots = float(figure.get_dpi())
    reduced.save(path, "png", dpi=(dots, dots))


# Without dates, so that the same results give the same files.
_PRINTERS: dict[str, Callable[[Figure, Path], None]] = {"pdf": print_pdf, "png": _print_png, "svg": _print_svg}
"""How a figure is written, by format."""


@dataclass(frozen=True)
class _Task:
    stem: str
    draw: Callable[[], tuple[Figure, Axes]]
    folder: Path
    config: PlotConfig
    words: Words


def draw_all(
    sketches: Iterable[Sketch],
    folder: Path,
    config: PlotConfig,
    *,
    only: Sequence[str] = (),
    keep: Iterable[str] = (),
    words: Words = Words(),  # noqa: B008  # frozen
    backend: Backend | None = None,
) -> list[Path]:
    """Draw figures, and remove obsolete figures from the folder.

    Parameters
    ----------
    sketches : iterable of Sketch
        With different stems.
    folder : pathlib.Path
        Created if missing. Its subfolders are not touched.
    config : PlotConfig
    only : sequence of str
        Draw only these, by stem or kind, with `*` and `?` as in a shell. Other known figures are left unchanged.
    keep : iterable of str
        Stems of further figures to keep.
    words : Words
    backend : Backend, optional
        Draws the figures; by default they are drawn in this process.

    Returns
    -------
    list of pathlib.Path
        `<stem>` in every format of the configuration.

    Raises
    ------
    ConfigError
        If no figure matches the requested names.
    ResultsError
        If a file cannot be written.
    """
    known = list(sketches)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tasks = [_Task(one.stem, one.draw, folder, config, words) for one in _chosen(known, only)]
    results = (backend or Serial()).map(_save, tasks)
    drawn = dict(track(results, total=len(tasks), description="Drawing"))
    kept = {*keep, *(sketch.stem for sketch in known)}
    for path in folder.iterdir():
        # Stems contain dots, for example in efficiencies.
        if path.suffix[1:] in _PRINTERS and path.name.removesuffix(path.suffix) not in kept:
            path.unlink()
    return [path for index in range(len(tasks)) for path in drawn[index]]


def save_figure(figure: Figure, folder: Path, stem: str, formats: Sequence[str]) -> list[Path]:
    """Write a figure in every format, and switch its layout engine off.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : pathlib.Path
        Must exist.
    stem : str
        File name without suffix.
    formats : sequence of str
        Such as "pdf" and "png".

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ResultsError
        If a file cannot be written.
    """
    paths = [folder / f"{stem}.{suffix}" for suffix in formats]
    for path in paths:
        figure.set_dpi(rcParams["savefig.dpi"])
        with replacing_file(path) as temporary:
            # Like Figure.savefig, without its second pass over the figure, which takes a third of the time.
            _PRINTERS[path.suffix[1:]](figure, temporary)
        figure.set_layout_engine("none")  # the layout is the same in every format, and slow
    return paths


def _chosen(known: Sequence[Sketch], only: Sequence[str]) -> list[Sketch]:
    for pattern in only:
        if not any(_matches(sketch.stem, pattern) for sketch in known):
            kinds = ", ".join(dict.fromkeys(sketch.stem.split("_")[0] for sketch in known)) or "none"
            msg = f"--only {pattern}: there is no such figure of these results. Kinds of figures: {kinds}."
            raise ConfigError(msg)
    return named(known, only)


def named(sketches: Iterable[S], patterns: Sequence[str]) -> list[S]:
    """Choose by stem or kind, with `*` and `?` as in a shell; all without a pattern."""
    return [
        sketch for sketch in sketches if not patterns or any(_matches(sketch.stem, pattern) for pattern in patterns)
    ]


def _matches(stem: str, pattern: str) -> bool:
    return fnmatchcase(stem, pattern) or fnmatchcase(stem, f"{pattern}_*")


def _set_ranges(stem: str, config: PlotConfig, ax: Axes) -> None:
    """Set the ranges of the configuration; a logarithmic axis shows no values below zero, and keeps its own."""
    for one in config.ranges:
        if not _matches(stem, one.figure):
            continue
        for found, scale, change in ((one.x, ax.get_xscale(), ax.set_xlim), (one.y, ax.get_yscale(), ax.set_ylim)):
            if found is not None and (found[0] > 0 or scale != "log"):
                change(*found)


def _save(task: _Task) -> list[Path]:
    with _collecting_once():
        return _draw(task)


@contextmanager
def _collecting_once() -> Iterator[None]:
    """Collect garbage only in the end: a figure is full of cycles, and looking for them takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        gc.collect(1)


def _draw(task: _Task) -> list[Path]:
    config = task.config
    with figure_style(config.style, config.colors), spoken(task.words.renamed(config.labels)):
        figure, ax = task.draw()
        _set_ranges(task.stem, config, ax)
        _make_readable(figure)
        draw_experiment_label(config, ax=ax)
        draw_collisions(config, ax=ax)
        _lay_out(figure)
        merge_minor_ticks(figure)
        return save_figure(figure, task.folder, task.stem, config.formats)


def save_sketch(sketch: Sketch, folder: Path, config: PlotConfig) -> list[Path]:
    """Draw one figure into a folder that exists; other figures there stay. Errors as of `draw_all`."""
    return _save(_Task(sketch.stem, sketch.draw, folder, config, Words()))


def _lay_out(figure: Figure) -> None:
    """Give the axes their places for good: how many ticks they have depends on their size."""
    figure.set_dpi(rcParams["savefig.dpi"])
    engine = figure.get_layout_engine()
    if engine is not None:
        _canvas(figure)  # measures the texts
        engine.execute(figure)
        figure.set_layout_engine("none")


def _make_readable(figure: Figure) -> None:
    """Show formulae as plain text if they cannot be read."""
    for text in _texts(figure):
        text.set_text(readable(text.get_text(), text.get_fontproperties()))
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):
            where = axis.get_majorticklocs()
            labels = axis.get_major_formatter().format_ticks(where.tolist())
            if labels != (shown := [readable(label) for label in labels]):
                axis.set_ticks(where, shown)


def _texts(artist: Artist) -> Iterator[Text]:
    """Yield the texts of a figure except those at ticks, whose creation takes a tenth of a second."""
    if isinstance(artist, Axis):
        yield artist.label
    elif isinstance(artist, Text):
        yield artist
    else:
        for child in artist.get_children():
            yield from _texts(child)
