"""The analysis behind every figure. A new figure is one module with `analyse` and one line here."""

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd

from cpt_dynamics.analysis import fig01, fig02, fig03, fig10, public_curves, sensitivity
from cpt_dynamics.analysis.printed import fig04 as printed_fig04
from cpt_dynamics.analysis.printed import fig05 as printed_fig05
from cpt_dynamics.analysis.printed import fig07 as printed_fig07
from cpt_dynamics.analysis.printed import fig08 as printed_fig08
from cpt_dynamics.analysis.printed import fig13 as printed_fig13
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments

Results = Mapping[str, Mapping[str, Any]]


class Analysis(Protocol):
    """What a module of a figure offers."""

    def analyse(
        self,
        curves: pd.DataFrame,
        schedules: pd.DataFrame,
        config: Config,
        experiments: Experiments,
        fits: Results | None = None,
    ) -> dict[str, Any]: ...


FIGURES: dict[str, Analysis] = {
    "fig01": fig01,
    "fig02": fig02,
    "fig03": fig03,
    "fig10": fig10,
    "lambda": sensitivity,
    "printed_fig04": printed_fig04,
    "printed_fig05": printed_fig05,
    "printed_fig07": printed_fig07,
    "printed_fig08": printed_fig08,
    "printed_fig13": printed_fig13,
    "public_curves": public_curves,
}


def analyse(
    figure: str,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Results | None = None,
) -> dict[str, Any]:
    """What figure `figure` shows, in numbers: a mapping that `files.write_json` accepts (no NaN).

    curves, schedules: tables of `curves.table`; runs that the figure does not need are ignored.
    fits: results of figures analysed before, by figure, whose fits are used again instead of being repeated
    (`fig10` uses those of `fig03`). Raises `UserError` for an unknown figure and where a run is missing.
    """
    if figure not in FIGURES:
        raise UserError(f"there is no analysis of figure {figure!r}: choose one of {', '.join(FIGURES)}")
    return FIGURES[figure].analyse(curves, schedules, config, experiments, fits)
