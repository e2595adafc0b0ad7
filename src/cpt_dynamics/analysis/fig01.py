"""Figure 1: CPT moves the loss from one hidden pre-training curve to the other (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.files import plain


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """For each CPT run of the figure, its two hidden curves and how far CPT moved from one to the other.

    `moved` is, at the end of CPT, (hidden - CPT) / (hidden - scratch): 0 on the hidden curve of the general
    corpus, 1 on the curve of the domain corpus trained from scratch. All losses in nats/token. `moved` of the
    whole figure holds the `least` and the `most` over columns and sets (null where one is not defined).
    """
    entry = selection.entry(experiments, "fig01")
    columns: list[dict[str, Any]] = []
    every: list[dict[str, float]] = []
    for run in selection.transfers(experiments, entry.runs):
        found = selection.twins(run, experiments, entry.runs)
        if found.scratch is None:
            raise UserError(
                f"{config.stated_in}: fig01 needs a run from scratch on the domain corpus with the LR of {run.name!r}"
            )
        names = {"cpt": found.run, "hidden": found.hidden, "scratch": found.scratch}
        sets = {
            role: _moved(curves, names, validation, selection.transfer_step(run))
            for role, validation in selection.roles(config).items()
        }
        columns.append({**names, "transfer": selection.transfer_step(run), "steps": run.steps, "sets": sets})
        every.extend(sets.values())
    if not columns:
        raise UserError(f"{config.stated_in}: fig01 lists no run with a continual phase")
    moved = [found["moved"] for found in every]
    return plain(
        {
            "figure": "fig01",
            "title": entry.title,
            "validations": selection.roles(config),
            "columns": columns,
            "moved": {"least": np.min(moved), "most": np.max(moved)},
        }
    )


def _moved(curves: pd.DataFrame, names: dict[str, str], validation: str, transfer: int) -> dict[str, float]:
    """Losses at the transfer and at the end of CPT."""
    rows = selection.of_runs(curves, list(names.values()))
    rows = rows[rows["validation"] == validation]
    by_role = {role: rows[rows["run"] == run].sort_values("step") for role, run in names.items()}
    end = int(by_role["cpt"]["step"].max())
    at_end = {role: _at(part, end) for role, part in by_role.items()}
    gap = at_end["hidden"] - at_end["scratch"]
    return {
        "at_transfer": _at(by_role["hidden"], transfer),
        **{f"{role}_at_end": loss for role, loss in at_end.items()},
        "moved": (at_end["hidden"] - at_end["cpt"]) / gap if gap else float("nan"),
    }


def _at(curve: pd.DataFrame, step: int) -> float:
    """Loss of a curve at a step, interpolated linearly in log(step) between evaluations."""
    return float(np.interp(np.log(step), np.log(curve["step"]), curve["loss"]))
