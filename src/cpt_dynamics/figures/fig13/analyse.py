"""Figure 13: the turning length of the weighted goal against w1, by fitted laws (arXiv 2505.07796)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from cpt_dynamics.analysis.printed import fig13 as printed
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.files import plain
from cpt_dynamics.planning import critical_point


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Turning lengths for three strengths of the shift; no curve is read.

    CPT goes back to the peak of PT at once, and its cosine is stretched to every length tried, up to the paper's
    longest one in its ratio to PT. `curves` is what `plots.turning` draws (see `printed.fig13.against_weight`), with
    the critical point and the D_pt loss at the start of CPT; `infinite` says, at every w1, whether the law excludes a
    return at any length, and in words under `says`.
    """
    (panel,) = sources.load().figures["fig13"].panels.values()
    longest = strengths.scaled(max(panel.steps), config)
    scenario = replace(strengths.scenario(config), rewarmup=0)
    known = strengths.by_strength(fits, config)
    found = {
        name: {
            **printed.against_weight(one.pair, scenario, longest, printed.WEIGHTS),
            "critical_point": critical_point(one.pair.general),
            "critical_point_determined": one.determined,
            "start": scenario.ends(one.pair.general)[0],
        }
        for name, one in known.items()
    }
    return plain(
        {
            "figure": "fig13",
            "title": selection.entry(experiments, "fig13").title,
            "validations": {**selection.roles(config), "weak": config.roles.weak},
            "pretraining_steps": scenario.pretraining_steps,
            "max_steps": longest,
            "laws": strengths.described(known),
            "curves": found,
            "infinite": {name: says(curve) for name, curve in found.items()},
            "checks": printed.statements(found),
        }
    )


def says(curve: Mapping[str, Any]) -> str:
    """In words, from which w1 on there is no turning length."""
    never = curve["never"]
    if never > 1:
        return "no weight has an infinite turning length"
    return f"infinite from w1 = {never:.3f} on" if never > 0 else "infinite at every weight"
