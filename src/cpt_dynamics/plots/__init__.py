"""Figures: one module each, with `draw`; a new figure is one module and one line in `FIGURES`."""

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.plots import (
    fig01,
    fig02,
    fig03,
    fig10,
    loss_potential,
    loss_surface,
    optima,
    peak_lr,
    public_curves,
    sensitivity,
    turning,
)
from cpt_dynamics.plots.saving import save

__all__ = ["FIGURES", "draw", "save"]


class Plot(Protocol):
    """What a module of a figure offers."""

    def draw(
        self, curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
    ) -> tuple[Figure, pd.DataFrame]: ...


FIGURES: dict[str, Plot] = {
    "fig01": fig01,
    "fig02": fig02,
    "fig03": fig03,
    "fig10": fig10,
    "lambda": sensitivity,
    "printed_fig04": loss_surface,
    "printed_fig05": loss_potential,
    "printed_fig07": peak_lr,
    "printed_fig08": optima,
    "printed_fig13": turning,
    "public_curves": public_curves,
}


def draw(
    figure: str, curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure from its analysis (`analysis.analyse`); also the table of everything that is drawn."""
    if figure not in FIGURES:
        raise UserError(f"there is no plot of figure {figure!r}: choose one of {', '.join(FIGURES)}")
    if analysis.get("figure") != figure:
        raise UserError(f"the analysis is of figure {analysis.get('figure')!r}, not of {figure!r}: analyse it")
    drawn, table = FIGURES[figure].draw(curves, schedules, analysis, config)
    drawn.set_label(figure)
    return drawn, table
