"""Losses on out-of-domain sets beside those on D_pt and D_cpt, and their linear combination (Eq. 6): Figs. 9 and 21."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, FigureEntry
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.laws import Array


def moved(experiments: Experiments, runs: list[str]) -> list[str]:
    """Those of the runs that have CPT."""
    found = [run.name for run in selection.transfers(experiments, runs)]
    if not found:
        raise UserError("no run of fig21 has losses after a transfer: list runs with a continual phase")
    return found


def losses(
    curves: pd.DataFrame, config: Config, entry: FigureEntry, experiments: Experiments, name: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """CPT losses of the fitted and of the held-out runs on the set `name`: columns as in `aligned`.

    A row is a step at which all three sets were measured. Rows of held-out runs that a fitted run has too (the same
    step and loss) are left out.
    """
    fitted = aligned(curves, config, moved(experiments, entry.runs), name)
    heldout = aligned(curves, config, moved(experiments, entry.heldout), name)
    shared = seen(heldout.rename(columns={"ood": "loss"}), fitted.rename(columns={"ood": "loss"}))
    return fitted, heldout[~shared]


def aligned(curves: pd.DataFrame, config: Config, runs: list[str], name: str) -> pd.DataFrame:
    """The CPT losses of some runs on D_pt (`general`), D_cpt (`domain`) and the set `name` (`ood`), by run and step."""
    index = ["run", "step", "phase_step"]
    wanted = {"general": config.roles.general, "domain": config.roles.strong, "ood": name}
    columns = []
    for column, validation in wanted.items():
        rows = selection.continual(curves, runs, validation)
        if not len(rows):
            raise UserError(f"curves have no CPT losses on the validation set {validation!r}: evaluate it")
        columns.append(rows.set_index(index)["loss"].rename(column))
    table = pd.concat(columns, axis=1, join="inner").reset_index()
    if not len(table):
        raise UserError(f"{', '.join(wanted.values())} are never measured at the same step: evaluate them together")
    return table.sort_values(["run", "step"], kind="stable", ignore_index=True)


def combined(weights: Mapping[str, float], rows: pd.DataFrame) -> Array:
    """The loss by Eq. 6, [n], from the columns `general` and `domain`."""
    return np.asarray(weights["general"] * rows["general"] + weights["domain"] * rows["domain"], dtype=np.float64)


def equation(weights: Mapping[str, float]) -> str:
    """Eq. 6 with its weights, as mathtext."""
    general, domain = weights["general"], weights["domain"]
    sign = "-" if domain < 0 else "+"
    return rf"${general:.3f}\,L_\mathrm{{pt}} {sign} {abs(domain):.3f}\,L_\mathrm{{cpt}}$"


def mean_or_none(values: Sequence[float]) -> float | None:
    """The mean; None without any value."""
    return float(np.mean(values)) if values else None
