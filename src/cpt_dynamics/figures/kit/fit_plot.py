"""Figures of the commands fit, predict and compare: laws beside anyone's losses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from cpt_dynamics import files
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import style

COLUMNS = 3  # panels side by side
MOST = 24  # panels of a figure
MAXIMUM = 40  # characters of a run's name in a title
METADATA: dict[str, style.Look] = {
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
}


@dataclass(frozen=True, eq=False)
class Panel:
    """One run: `law` has columns step, phase, lr and predicted, `measured` has step, phase and loss (or no rows)."""

    run: str
    law: pd.DataFrame
    measured: pd.DataFrame
    held_out: bool = False


@dataclass(frozen=True)
class Score:
    """Mean relative errors (fractions) of a law by test run, over all rows and over those not seen in fitting."""

    law: str
    all: Mapping[str, float]
    unseen: Mapping[str, float]


def draw_fit(panels: Sequence[Panel], title: str = "") -> Figure:
    """A panel for each run: its losses and the law; below, the relative errors of all runs in %."""
    panels = _some(panels)
    columns = 2 if len(panels) == 4 else min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 1.75 * rows + 2.3), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(rows + 1, columns, height_ratios=[1.0] * rows + [0.9])
        handles: style.Handles = {}
        axes: list[Axes] = []
        for i, panel in enumerate(panels):
            shared: style.Look = {"sharex": axes[0], "sharey": axes[0]} if axes else {}
            ax = figure.add_subplot(spec[divmod(i, columns)], **shared)
            _losses(ax, panel, handles)
            ax.set_title(_title(panel))
            lowest = i + columns >= len(panels)
            ax.tick_params(labelleft=i % columns == 0, labelbottom=lowest)
            ax.set_xlabel("step" if lowest else "")
            axes.append(ax)
        for ax in axes[::columns]:
            ax.set_ylabel("loss")
        _limits(axes[0], panels)
        axes[0].set_xlim(0, 1.02 * max(panel.law["step"].max() for panel in panels))
        _errors(figure.add_subplot(spec[rows, :]), panels)
        figure.suptitle(title, fontsize=9)
        style.legend_below(figure, handles, columns=len(handles))
    return figure


def draw_prediction(panels: Sequence[Panel], title: str = "", band: float | None = None, level: float = 0.9) -> Figure:
    """LR and predicted loss of each run, with logged losses where there are any.

    band: half-width around the prediction, a fraction of it, that the mean error of unseen curves should stay within.
    """
    panels = _some(panels)
    columns = 2 if len(panels) == 4 else min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9 * rows + 0.5), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(2 * rows, columns, height_ratios=[0.45, 1.0] * rows)
        handles: style.Handles = {}
        for i, panel in enumerate(panels):
            row, column = divmod(i, columns)
            above = figure.add_subplot(spec[2 * row, column])
            below = figure.add_subplot(spec[2 * row + 1, column], sharex=above)
            style.lr_panel(above, panel.law, color=style.BLACK)
            above.set_title(_title(panel))
            above.tick_params(labelbottom=False)
            _transfer(above, panel)
            if band is not None:
                low, high = (panel.law["predicted"] * (1 + sign * band) for sign in (-1, 1))
                handles[f"held-out curves, {level:.0%}: mean error within {100 * band:.2g}%"] = below.fill_between(
                    panel.law["step"], low, high, color=style.BLUE, alpha=0.15, lw=0
                )
            _losses(below, panel, handles)
            _limits(below, [panel])
            style.steps_axis(below, int(panel.law["step"].max()))
            if column == 0:
                above.set_ylabel(r"LR ($10^{-3}$)")
                below.set_ylabel("loss")
        figure.suptitle(title, fontsize=9)
        style.legend_below(figure, handles, columns=min(len(handles), 4))
    return figure


def draw_comparison(scores: Sequence[Score], title: str = "") -> Figure:
    """Mean relative error of each law in %: over the test runs (large) and on each of them (small)."""
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 0.32 * len(scores) + 1.5), layout="constrained")
        style.pads(figure)
        ax = figure.subplots()
        handles: style.Handles = {}
        kinds = {"all rows": (style.BLACK, 0.13), "rows not seen in fitting": (style.VERMILION, -0.13)}
        for i, score in enumerate(scores):
            place = len(scores) - 1 - i
            for (kind, (colour, offset)), errors in zip(kinds.items(), (score.all, score.unseen), strict=True):
                percent = 100 * np.array(list(errors.values()))
                if not len(percent):
                    continue
                dots: style.Look = {"ls": "", "marker": "o", "mew": 0, "color": colour}
                (handles[f"{kind}, one run"],) = ax.plot(
                    percent, [place + offset] * len(percent), **dots, ms=3, alpha=0.45
                )
                (handles[f"{kind}, mean"],) = ax.plot(percent.mean(), place + offset, **{**dots, "marker": "D"}, ms=5)
        ax.set_yticks(range(len(scores)), [score.law for score in reversed(scores)])
        ax.set_ylim(-0.5, len(scores) - 0.5)
        _percent_axis(ax)
        ax.set_title(title)
        style.legend_below(figure, handles, columns=2)
    return figure


def write(figure: Figure, path: str | Path) -> None:
    """Write the figure as pdf, png (150 dpi) or svg, by the name's ending, whole or not at all."""
    path = Path(path)
    if path.suffix not in METADATA:
        raise UserError(f"{path}: a figure's name must end in {', '.join(METADATA)}")
    with style.context(), files.atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=METADATA[path.suffix])


def _some(panels: Sequence[Panel]) -> Sequence[Panel]:
    if not panels:
        raise UserError("there is no run to draw")
    return panels[:MOST]


def _title(panel: Panel) -> str:
    run = panel.run if len(panel.run) <= MAXIMUM else f"{panel.run[: MAXIMUM - 1]}…"
    return run.replace("$", r"\$") + (" (held out)" if panel.held_out else "")


def _losses(ax: Axes, panel: Panel, handles: style.Handles) -> None:
    """The losses of a run and the law."""
    after = panel.measured["phase"] == "continual"
    for name, rows, colour in (
        ("PT, measured", panel.measured[~after], style.BLACK),
        ("CPT, measured", panel.measured[after], style.VERMILION),
    ):
        if len(rows):
            (handles[name],) = ax.plot(rows["step"], rows["loss"], **{**style.DOTS, "color": colour, "alpha": 0.75})
    (handles["law"],) = ax.plot(panel.law["step"], panel.law["predicted"], **style.LAW)
    _transfer(ax, panel)
    style.steps_axis(ax, int(panel.law["step"].max()))


def _transfer(ax: Axes, panel: Panel) -> None:
    before = panel.law.loc[panel.law["phase"] == "pretraining", "step"]
    if len(before) and len(before) < len(panel.law):
        style.transfer_line(ax, float(before.max()))


def _limits(ax: Axes, panels: Sequence[Panel]) -> None:
    """Limits by the losses after the steep start."""
    shown = []
    for panel in panels:
        last = int(panel.law["step"].max())
        law = pd.DataFrame({"step": panel.law["step"], "loss": panel.law["predicted"]})
        rows = [style.shown(part, last, 0.1) for part in (law, panel.measured)]
        shown += [part for part in rows if len(part)] or [law["loss"]]
    style.loss_limits(ax, shown)


def _errors(ax: Axes, panels: Sequence[Panel]) -> None:
    """(Law - loss) / loss in % against the step, a colour for each run."""
    colours = [style.VERMILION, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.BLACK, style.GREY]
    ax.axhline(0, color=style.GREY, lw=0.6)
    last = 1
    for i, panel in enumerate(panels):
        if not len(panel.measured):
            continue
        rows = panel.measured.sort_values("step")
        law = np.interp(rows["step"], panel.law["step"], panel.law["predicted"])
        line: style.Look = {"ls": "--" if panel.held_out else "-", "lw": 0.8, "color": colours[i % len(colours)]}
        ax.plot(rows["step"], 100 * (law / rows["loss"] - 1), label=_title(panel), **line)
        last = max(last, int(rows["step"].max()))
    style.steps_axis(ax, last)
    ax.set_ylabel("error of the law (%)")
    if len(panels) <= len(colours):
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.15 * (high - low) * math.ceil(len(panels) / 4))  # room for the legend
        ax.legend(loc="upper right", ncols=4, fontsize=style.SMALL)


def _percent_axis(ax: Axes) -> None:
    ax.set_xlabel("mean relative error (%)")
    high = ax.get_xlim()[1]
    lowest = min((float(np.min(np.asarray(line.get_xdata()))) for line in ax.lines), default=0.0)
    if lowest > 0 and high / lowest > 8:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.set_xlim(0, high)
