"""Figure 4: CPT as a slide between two loss surfaces of D_pt, by the law fitted for Fig. 3 (arXiv 2505.07796)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from cpt_dynamics.analysis.printed import fig04 as printed
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.files import plain
from cpt_dynamics.planning import Scenario
from cpt_dynamics.schedules import Schedule

POTENTIAL = 0.5  # of the checkpoint whose run is drawn on the surfaces
POTENTIALS = (0.1, 0.5, 1.0)  # of the annealing view
TRANSFERS = (1 / 8, 1 / 4, 1 / 2)  # of the forward view, shares of its steps, as from the printed coefficients
FORWARD = 2  # times the steps of pre-training: length of the forward view


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Both surfaces, one run across them, and the two views; no curve is read.

    The upper surface is the lower one plus B, the limit of the shift (`limit`). Where that lies far beyond any shift
    in reach (B is then not determined by the fit), it is the lower one plus the shift at `longer` times the forward
    area of the longest CPT that is drawn; `lifted` is what was added, `shifted_is_limit` says which of the two it is.

    The schedules are those of the figure from printed coefficients in the scale's lengths: CPT goes on at the LR of
    the checkpoint and decays linearly to zero, so that the annealing left to it is told by the loss potential.
    """
    general = strengths.fit(fits, "fig03", "general", "chosen")
    slide, constant = run(config), at_peak(config)
    transfers = [round(share * constant.pretraining_steps) for share in TRANSFERS]
    drawn = printed.views(general, slide, (constant, transfers), (slide, POTENTIALS))
    ends = {name: float(drawn["surface"]["run"][name]["loss"][-1]) for name in ("continual", "hidden")}
    gap, limit = ends["continual"] - ends["hidden"], general.parameters["B"]
    longest = config.optimizer.peak_lr * (constant.pretraining_steps - min(transfers))
    near = strengths.determined(general, longest)
    lifted = limit if near else strengths.shift(general, strengths.LONGER * longest)
    return plain(
        {
            "figure": "fig04",
            "title": selection.entry(experiments, "fig04").title,
            "validations": selection.roles(config),
            "lambda": general.settings["lambda"],
            "carry_over": general.settings["carry_over"],
            "law": strengths.coefficients(general),
            "limit": limit,
            "shift_at_the_end": gap,
            "share_of_limit": gap / limit if limit else None,
            "lifted": lifted,
            "longer": strengths.LONGER,
            "shifted_is_limit": near,
            **{name: lift(view, lifted) for name, view in drawn.items()},
            "checks": printed.statements(drawn),
        }
    )


def lift(view: Mapping[str, Any], by: float) -> dict[str, Any]:
    """A view with its upper surface this far above the lower one."""
    return {**view, "shifted": view["hidden"] + by}


def run(config: Config) -> Scenario:
    """PT with WSD to half its peak, and CPT that decays linearly from there to zero."""
    return replace(
        strengths.scenario(config),
        pretraining=Schedule(shape="wsd", end=POTENTIAL),
        continual=Schedule(shape="linear", peak="last"),
    )


def at_peak(config: Config) -> Scenario:
    """PT at a constant LR, over all steps of the forward view; CPT leaves it earlier and goes on to that end."""
    steps = FORWARD * config.lengths.pretraining
    return replace(
        strengths.scenario(config),
        pretraining=Schedule(shape="constant"),
        pretraining_steps=steps,
        continual=Schedule(shape="constant", peak="last"),
        continual_steps=steps // 2,
    )
