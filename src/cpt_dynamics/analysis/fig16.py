"""Figure 16: Eq. 4 fitted to each of the larger model sizes separately (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, joint
from cpt_dynamics.files import plain


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of Eq. 4 for each model size of the figure (`fits`, by model) and each validation set."""
    entry = selection.entry(experiments, "fig16")
    moved = selection.transfers(experiments, entry.runs)
    if not moved:
        raise UserError(f"{config.stated_in}: fig16 has no run with a continual phase: list one for each size")
    models = list(dict.fromkeys(run.model for run in moved))
    runs = {model: [run for run in entry.runs if experiments.runs[run].model == model] for model in models}
    found = {
        model: {role: joint(curves, schedules, config, names, role).summary() for role in SETS}
        for model, names in runs.items()
    }
    return plain(
        {
            "figure": "fig16",
            "title": entry.title,
            "runs": list(entry.runs),
            "models": {model: [run.name for run in moved if run.model == model] for model in models},
            "params": {
                model: int(curves.loc[curves["run"] == names[0], "params"].iloc[0]) for model, names in runs.items()
            },
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "fits": found,
        }
    )
