"""Figures: one module each, with `draw`; a new figure is one module and one line in `FIGURES`."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.saving import save

__all__ = ["FIGURES", "draw", "module", "save"]


class Plot(Protocol):
    """What a module of a figure offers."""

    def draw(
        self, curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
    ) -> tuple[Figure, pd.DataFrame]: ...


# Figure -> its module in this package. Imported when needed, so that an edit of one redraws its figure alone.
FIGURES: dict[str, str] = {
    **{f"fig{number:02d}": f"fig{number:02d}" for number in range(1, 23)},
    "fig04": "loss_surface",
    "fig08": "optima",
    "fig13": "turning",
    "lambda": "sensitivity",
    "control": "control",
    "seeds": "seeds",
    "comparison": "all_laws",
    "recommendations": "regret",
    "printed_fig04": "loss_surface",
    "printed_fig05": "loss_potential",
    "printed_fig07": "peak_lr",
    "printed_fig08": "optima",
    "printed_fig13": "turning",
    "public_curves": "public_curves",
}


def module(figure: str) -> str:
    """The module of a figure, within the package; an unknown one raises `UserError`."""
    if figure not in FIGURES:
        raise UserError(f"there is no plot of figure {figure!r}: choose one of {', '.join(FIGURES)}")
    return f"plots.{FIGURES[figure]}"


def draw(
    figure: str, curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure from its analysis (`analysis.analyse`); also the table of everything that is drawn."""
    found = cast(Plot, importlib.import_module(f"cpt_dynamics.{module(figure)}"))
    if analysis.get("figure") != figure:
        raise UserError(f"the analysis is of figure {analysis.get('figure')!r}, not of {figure!r}: analyse it")
    drawn, table = found.draw(curves, schedules, analysis, config)
    drawn.set_label(figure)
    return drawn, table
