"""Figure 3: Eq. 4 fitted jointly to PT and CPT under several LR schedules (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.analysis import selection
from cpt_dynamics.analysis.joint import PAPER_LAMBDA, SETS, joint, skill
from cpt_dynamics.analysis.results import plain
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of Eq. 4 to all runs of the figure for each validation set, and what it rests on.

    `fits` holds, by role, the fit with the configuration's choices under `chosen` and beside it the same fit
    with the paper's lambda (`paper_lambda`), with the other handling of the momentum at the transfer
    (`other_carry_over`), and the coefficient B where its sign is left free. Held-out runs have no part in it.
    `better_carry_over` says which handling has the lower Huber sum on the fitted rows.
    """
    entry = selection.entry(experiments, "fig03")
    result: dict[str, Any] = {}
    for role in SETS:
        chosen = joint(curves, schedules, config, entry.runs, role)
        other = joint(curves, schedules, config, entry.runs, role, carry_over=not config.law.carry_over)
        paper = joint(curves, schedules, config, entry.runs, role, lambda_=PAPER_LAMBDA)
        free = joint(curves, schedules, config, entry.runs, role, shift="free")
        better = chosen if chosen.fit.objective <= other.fit.objective else other
        result[role] = {
            "chosen": {**chosen.summary(), "skill": skill(chosen)},
            "paper_lambda": {**paper.summary(), "skill": skill(paper)},
            "other_carry_over": {**other.summary(), "skill": skill(other)},
            "free_sign_B": free.fit.parameters["B"],
            "better_carry_over": bool(better.fit.settings["carry_over"]),
        }
    return plain(
        {
            "figure": "fig03",
            "title": entry.title,
            "runs": list(entry.runs),
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "paper_lambda": PAPER_LAMBDA,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "rows_used": "each measurement once, from step first_step of pre-training on",
            "fits": result,
        }
    )
