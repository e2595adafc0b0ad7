"""The analysis behind every figure. A new figure is one module with `analyse` and one line here."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import pandas as pd

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


# Figure -> its module in this package. Imported when needed, so that an edit of one leaves the others' results current.
FIGURES: dict[str, str] = {
    **{f"fig{number:02d}": f"fig{number:02d}" for number in range(1, 23)},
    "lambda": "sensitivity",
    "control": "control",
    "seeds": "seeds",
    "comparison": "all_laws",
    "recommendations": "recommendations",
    "printed_fig04": "printed.fig04",
    "printed_fig05": "printed.fig05",
    "printed_fig07": "printed.fig07",
    "printed_fig08": "printed.fig08",
    "printed_fig13": "printed.fig13",
    "public_curves": "public_curves",
}


def module(figure: str) -> str:
    """The module of a figure, within the package; an unknown one raises `UserError`."""
    if figure not in FIGURES:
        raise UserError(f"there is no analysis of figure {figure!r}: choose one of {', '.join(FIGURES)}")
    return f"analysis.{FIGURES[figure]}"


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
    found = cast(Analysis, importlib.import_module(f"cpt_dynamics.{module(figure)}"))
    return found.analyse(curves, schedules, config, experiments, fits)
