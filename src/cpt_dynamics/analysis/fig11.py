"""Figure 11: Eq. 4 fitted to CPT on a second domain, of weaker shift (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import joint
from cpt_dynamics.files import plain
from cpt_dynamics.laws import get

ROLES = ("general", "weak")


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of Eq. 4 to all runs of the figure for D_pt (`general`) and for the domain of weak shift (`weak`).

    Each has `end`: the fitted shift term at the largest forward area of CPT among the rows (`s1cpt`), nats/token.
    """
    entry = selection.entry(experiments, "fig11")
    if not selection.transfers(experiments, entry.runs):
        raise UserError(f"{config.stated_in}: fig11 has no run with a continual phase: list one")
    result = {}
    for role in ROLES:
        found = joint(curves, schedules, config, list(entry.runs), role)
        last = float(found.rows.table["s1cpt"].max())
        shift = get("shift_power").predict(found.fit.parameters, {"s1cpt": [last]})
        result[role] = {**found.summary(), "end": {"s1cpt": last, "shift": float(shift[0])}}
    return plain(
        {
            "figure": "fig11",
            "title": entry.title,
            "runs": list(entry.runs),
            "validations": {role: config.corpus_of(role) for role in ROLES},
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "fits": result,
        }
    )
