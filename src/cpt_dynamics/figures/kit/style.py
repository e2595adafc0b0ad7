"""One look for all figures: sizes, fonts, and a colour for each role (Okabe and Ito's palette)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.experiments.runs import Run

WIDTH = 6.5  # inches, \textwidth of the report: nothing is scaled in print
SMALL = 7  # points, the smallest text

BLACK, GREY = "#000000", "#767676"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# Lines by role, the same in every figure.
Look = dict[str, Any]  # keyword arguments of a line or marker of matplotlib
Handles = dict[str, Any]  # label -> what stands for it in a legend

PRETRAINING: Look = {"color": BLACK, "ls": "-"}
HIDDEN: Look = {"color": BLUE, "ls": "--"}
SCRATCH: Look = {"color": GREEN, "ls": "-."}
CONTINUAL: Look = {"color": VERMILION, "ls": "-"}
LAW: Look = {"color": BLUE, "ls": "-", "lw": 1.4}
RIVAL: Look = {"color": PURPLE, "ls": (0, (4, 1.5)), "lw": 1.2}
TRANSFERS = (  # the points of transfer of Fig. 2
    {"color": VERMILION, "marker": "o"},
    {"color": ORANGE, "marker": "s"},
    {"color": GREEN, "marker": "^"},
    {"color": PURPLE, "marker": "D"},
)
DOTS: Look = {"ls": "", "marker": "o", "ms": 2.6, "mew": 0}

LETTER: Look = {"fontsize": SMALL, "color": "#444444"}  # of a panel

RC: Any = {
    # of the style "ticks" of seaborn, whose import takes a second
    "axes.labelcolor": ".15",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": ".15",
    "xtick.color": ".15",
    "ytick.color": ".15",
    "figure.dpi": 150,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8.5,
    "legend.fontsize": 7.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "savefig.bbox": None,
}

SHAPES = {"constant": "constant", "wsd": "WSD", "cosine": "cosine"}
PEAKS = {1.0: "", 0.5: ", half the peak"}
SET_LABELS = {"general": r"$D_\mathrm{pt}$", "strong": r"$D_\mathrm{cpt}$"}


@contextmanager
def context() -> Iterator[None]:
    """Draw and save within this context; nothing outside it changes."""
    with matplotlib.rc_context(RC):
        yield


def schedule_label(run: Run) -> str:
    """What a run's schedule is called in a title: the shape of CPT from a usual peak, or its LR in % of the peak."""
    last, transfer = run.phases[-1], run.transfer_step
    if not run.continual or not transfer:
        return run.group.replace("_", " ")
    if last.schedule.shape in SHAPES and last.peak in PEAKS:
        return SHAPES[last.schedule.shape] + PEAKS[last.peak]
    before, lr = run.lr[:transfer], run.lr[transfer:]
    start, top, end = (f"{100 * value / before.max():.0f}" for value in (before[-1], lr.max(), lr[-1]))
    if lr.max() > before[-1] * (1 + 1e-9):
        return f"re-warm-up, {start} % to {top} %"
    return f"no re-warm-up, {start} % to {end} %"


def loss_label(role: str, validation: str) -> str:
    """Label of a loss axis."""
    return f"{SET_LABELS[role]} loss ({validation})"


def grid(columns: int, height: float, ratios: list[float], share_rows: bool = True) -> tuple[Figure, np.ndarray]:
    """A figure of full width with rows of the given relative heights; axes [rows, columns], x shared."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    pads(figure)
    axes = figure.subplots(
        len(ratios),
        columns,
        squeeze=False,
        sharex="col",
        sharey="row" if share_rows else False,
        gridspec_kw={"height_ratios": ratios},
    )
    return figure, axes


def pads(figure: Figure, hspace: float = 0.02) -> None:
    """Small gaps between the panels."""
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(w_pad=0.03, h_pad=0.02, wspace=0.02, hspace=hspace)


def panel_letters(axes: np.ndarray) -> None:
    """(a), (b), ... above the upper left corner of each panel, row by row."""
    for letter, ax in zip("abcdefghijklmnopqrstuvwxyz", axes.flat, strict=False):
        ax.set_title(f"({letter})", loc="left", pad=3, **LETTER)


def steps_axis(ax: Axes, last: int) -> None:
    """An x axis of training steps."""
    ax.set_xlim(0, last * 1.02)
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def lr_panel(ax: Axes, plan: pd.DataFrame, **line: Any) -> None:
    """The LR of a run against the step, in thousandths."""
    ax.plot(plan["step"], plan["lr"] * 1e3, **line)
    ax.set_ylim(bottom=0)


def transfer_line(ax: Axes, step: float) -> None:
    """A dotted line where CPT starts."""
    ax.axvline(step + 0.5, color=GREY, lw=0.8, ls=":", zorder=0.5)


def loss_limits(ax: Axes, losses: list[pd.Series], room: float = 0.08) -> None:
    """y limits that hold the given losses (the steep start of training may leave the panel)."""
    low, high = min(part.min() for part in losses), max(part.max() for part in losses)
    pad = room * (high - low)
    ax.set_ylim(low - pad, high + pad)


def shown(rows: pd.DataFrame, last: int, share: float = 0.18) -> pd.Series:
    """Losses after the first `share` of the steps, by which a loss axis is scaled."""
    return rows.loc[rows["step"] >= share * last, "loss"]


def legend_below(figure: Figure, entries: Handles, columns: int) -> None:
    """One legend under all panels: label -> handle."""
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)


def long(panel: str, series: str, run: str, x: Any, y: Any) -> pd.DataFrame:
    """Rows of the table beside a figure."""
    return pd.DataFrame({"panel": panel, "series": series, "run": run, "x": np.asarray(x), "y": np.asarray(y)})


def nothing(ax: Axes, text: str) -> None:
    """An empty panel that says why it is empty."""
    ax.axis("off")
    ax.set_title(text, fontsize=SMALL)
