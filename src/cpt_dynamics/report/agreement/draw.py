"""Coefficients, errors and verdicts of several scales side by side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cpt_dynamics.claims import Word
from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.text import SETS
from cpt_dynamics.report.agreement.compare import Agreement
from cpt_dynamics.report.agreement.results import ComparedFit

COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
MARKERS = "osD^vP"
SPREAD = 0.22  # of a row, between the marks of two scales
TERMS = {"A": r"$A$", "C1": r"$C_1$", "C2": r"$C_2$", "B": r"$B$"}
EXPONENTS = {"alpha": r"$\alpha$", "beta": r"$\beta$"}
LAWS = {"eq4": "schedules", "eq7": "sizes", "eq8": "replay"}
VERDICTS: dict[Word, tuple[str, str]] = {  # as in the report's page of verdicts
    "supported": ("o", "#0D6B38"),
    "inconclusive": ("h", "#9E6100"),
    "contradicted": ("X", "#AD1A1A"),
    "not testable": ("_", style.GREY),
}
Row = tuple[str, str, float, float | None, float | None]  # label, scale, value, low, high


def draw(found: Agreement) -> tuple[Figure, pd.DataFrame]:
    """The figure of an agreement (`compare.agreement`), and the table of everything that is drawn."""
    scales = list(found.scales)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 1.9 + 0.235 * len(found.verdicts)), layout="constrained")
        style.pads(figure)
        grid = figure.add_gridspec(3, 2, width_ratios=[1.25, 1], height_ratios=[8, 4, 6])
        left = [figure.add_subplot(grid[row, 0]) for row in range(3)]
        right = figure.add_subplot(grid[:, 1])
        panels = [list(_terms(found)), list(_exponents(found)), list(_errors(found))]
        for ax, rows in zip(left, panels, strict=True):
            _marks(ax, rows, scales)
        titles = ("largest part in a fitted loss (nats/token)", "exponent", "mean relative error, not fitted (%)")
        for ax, title in zip(left, titles, strict=True):
            ax.set_xlabel(title)
        for ax in (left[0], left[2]):
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        handles = _verdicts(right, found, scales)
        style.panel_letters(np.array([*left, right]))
        handles = {scale: _dot(left[0], scales, scale) for scale in scales} | handles
        style.legend_below(figure, handles, columns=4)
    tables = [_table(letter, rows) for letter, rows in zip("abc", panels, strict=True)]
    return figure, pd.concat([*tables, _words("d", found)], ignore_index=True)


def _terms(found: Agreement) -> Iterator[Row]:
    """The terms of Eq. 4."""
    for role, label in SETS.items():
        for term, symbol in TERMS.items():
            for scale, fit in _of(found, "eq4", role).items():
                if value := fit.terms.get(term):
                    yield f"{symbol}, {label}", scale, value, None, None


def _exponents(found: Agreement) -> Iterator[Row]:
    for role, label in SETS.items():
        for name, symbol in EXPONENTS.items():
            for scale, fit in _of(found, "eq4", role).items():
                ends = fit.intervals.get(name)
                low, high = (ends.low, ends.high) if ends else (None, None)
                yield f"{symbol}, {label}", scale, fit.parameters[name] or 0.0, low, high


def _errors(found: Agreement) -> Iterator[Row]:
    for law, left_out in LAWS.items():
        for role, label in SETS.items():
            for scale, fit in _of(found, law, role).items():
                if fit.heldout:
                    yield f"{left_out}, {label}", scale, 100 * fit.heldout.mean_relative_error, None, None


def _of(found: Agreement, law: str, role: Role) -> dict[str, ComparedFit]:
    """Scale -> its fit of a law on a validation set."""
    return found.fits.get(law, {}).get(role, {})


def _marks(ax: Axes, rows: list[Row], scales: list[str]) -> None:
    """One line a label from the top down, on it one mark a scale, with its interval where there is one."""
    labels = list(dict.fromkeys(row[0] for row in rows))
    for label, scale, value, low, high in rows:
        place = scales.index(scale)
        y = labels.index(label) + SPREAD * (place - (len(scales) - 1) / 2)
        if low is not None and high is not None:
            ax.plot([low, high], [y, y], color=_colour(place), lw=1.0)
        ax.plot([value], [y], **_look(place))
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _look(place: int) -> style.Look:
    return {"color": _colour(place), "marker": MARKERS[place % len(MARKERS)], "ms": 4, "mew": 0, "ls": ""}


def _dot(ax: Axes, scales: list[str], scale: str) -> Any:
    """The handle of a scale in the legend."""
    return ax.plot([], [], **_look(scales.index(scale)))[0]


def _verdicts(ax: Axes, found: Agreement, scales: list[str]) -> style.Handles:
    """Claims by scale; returns the handles of the verdicts that occur."""
    handles: style.Handles = {}
    for row, one in enumerate(found.verdicts.values()):
        for scale, verdict in one.verdicts.items():
            marker, colour = VERDICTS[verdict]
            look: style.Look = {"marker": marker, "color": colour, "ms": 5.5, "mew": 1.2 if marker == "_" else 0}
            (handles[verdict],) = ax.plot([scales.index(scale)], [row], ls="", **look)
    names = [name.replace("_", " ") + ("" if one.finding else " (open)") for name, one in found.verdicts.items()]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xticks(range(len(scales)), scales)
    ax.set_xlim(-0.5, len(scales) - 0.5)
    ax.tick_params(length=0)
    return {word: handles[word] for word in VERDICTS if word in handles}


def _table(panel: str, rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["name", "scale", "value", "low", "high"])
    return table.assign(panel=panel, verdict="")[["panel", "name", "scale", "value", "low", "high", "verdict"]]


def _words(panel: str, found: Agreement) -> pd.DataFrame:
    rows = [
        {"panel": panel, "name": claim, "scale": scale, "verdict": verdict}
        for claim, one in found.verdicts.items()
        for scale, verdict in one.verdicts.items()
    ]
    return pd.DataFrame(rows, columns=["panel", "name", "scale", "value", "low", "high", "verdict"])
