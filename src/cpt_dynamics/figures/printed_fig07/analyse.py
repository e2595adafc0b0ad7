"""Figure 7 from printed coefficients: final losses against the peak LR of CPT, and the critical point."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.printed import lengths, sources
from cpt_dynamics.figures.kit.printed.sources import ROLES, PrintedFigure
from cpt_dynamics.files import plain
from cpt_dynamics.planning import Predictor, Scenario, critical_point, turning_length

POINTS = 150  # of a drawn curve


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Final losses, their ranges beside the printed ones, and CPT before and after the critical point.

    The arguments are those of every figure's analysis and are not read.
    """
    return peaks("printed_fig07", sources.load().figures["fig07"])


def peaks(name: str, figure: PrintedFigure) -> dict[str, Any]:
    """The result of the figure for the given settings; `plots.peak_lr` draws `lengths` and `turning`."""
    (source,) = figure.coefficients.values()
    pair = sources.pair(source, figure.settings)
    losses, turning = figure.panels["a"], figure.panels["c"]
    found = lengths.finals(pair, losses.setting(), "peak_lr", losses.steps, losses.values)
    printed: dict[str, sources.Range] = {
        panel.role: panel.printed for panel in figure.panels.values() if panel.role and panel.printed
    }
    back = around_critical_point(
        pair.general, turning.setting(), [round(step) for step in turning.values], max(turning.steps)
    )
    return plain(
        {
            **sources.head(name, figure),
            "lengths": found,
            "ranges": {
                role: sources.compare(limits, lengths.span(found, role), sources.load().rule)
                for role, limits in printed.items()
            },
            "alternatives": lengths.alternatives(figure, losses, "peak_lr", printed),
            "turning": back,
            "checks": [*statements(found), *turning_statements(back)],
        }
    )


def around_critical_point(
    general: Predictor, scenario: Scenario, pretrainings: Sequence[int], max_steps: int
) -> dict[str, Any]:
    """D_pt loss during CPT from pre-trainings of several lengths, the critical point and the turning lengths.

    max_steps: the longest CPT that turning lengths are looked for in. For each run: `loss` at `steps` of CPT, each
    [points], from step 0, the end of pre-training, on; `turning` is None where the loss is not back.
    """
    critical = critical_point(general)
    runs = []
    for count in pretrainings:
        run = replace(scenario, pretraining_steps=count)
        found = turning_length(general, run, max_steps)
        steps = np.unique(np.append(0, np.geomspace(1, run.continual_steps, POINTS)).round().astype(int))
        loss = run.curve(general, count + steps)
        runs.append(
            {
                "pretraining_steps": count,
                "start": loss[0],
                "above_critical": bool(loss[0] > critical),
                "turning": found.steps,
                "infinite": found.infinite,
                "reason": found.reason,
                "steps": steps,
                "loss": loss,
            }
        )
    return {"critical_point": critical, "runs": runs}


def statements(found: lengths.Lengths) -> list[dict[str, Any]]:
    """What panels (a) and (b) show, as statements about the computed curves."""
    ends = [(length["loss"]["general"][0], length["loss"]["general"][-1]) for length in found]
    rises = [bool(np.all(np.diff(length["loss"]["general"]) > 0)) for length in found]
    best = {role: [length["best"][role]["value"] for length in found] for role in ROLES}
    values = found[0]["values"]
    return [
        sources.check(
            "(a) the lowest peak LR ends lowest on D_pt at every length", set(best["general"]) == {values[0]}
        ),
        sources.check("(a) D_pt ends higher at the highest peak LR than at the lowest", all(b > a for a, b in ends)),
        sources.check("(a) the D_pt loss rises with the peak LR at every length", all(rises)),
        sources.check("(b) the D_cpt loss falls with the peak LR at every length", lengths.falls(found, "strong")),
        sources.check("(b) the highest peak LR ends lowest on D_cpt", set(best["strong"]) == {values[-1]}),
        sources.check("(b) a longer CPT ends lower on D_cpt", lengths.lower_when_longer(found, "strong")),
    ]


def turning_statements(back: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What panel (c) shows."""
    before = [run for run in back["runs"] if run["above_critical"]]
    after = [run for run in back["runs"] if not run["above_critical"]]
    return [
        sources.check(
            "(c) a PT above the critical point gets back to its D_pt loss",
            bool(before) and all(run["turning"] is not None for run in before),
        ),
        sources.check(
            "(c) a PT below the critical point never does", bool(after) and all(run["infinite"] for run in after)
        ),
    ]
