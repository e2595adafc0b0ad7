"""Figure 7 from printed coefficients: final losses against the peak LR of CPT, and the critical point."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.lengths import Length, best_at, falls, finals, lower_when_longer, span
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.ranges import alternatives, compare
from cpt_dynamics.figures.kit.printed.sources import Panel
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.figures.printed_fig07.result import Result, TurningRun, TurningRuns
from cpt_dynamics.planning import Predictor, Scenario, critical_point, turning_length

POINTS = 150  # of a drawn curve


def analyse(data: FigureData) -> Result:
    """Final losses and CPT around the critical point; nothing of `data` is read."""
    figure = sources.load().figures["fig07"]
    (source,) = figure.coefficients.values()
    pair = sources.pair(source, figure.settings)
    panel = figure.panels["a"]
    found = finals(pair, panel.setting(), "peak_lr", panel.steps, panel.values)
    printed = {Role(one.role): one.printed for one in figure.panels.values() if one.role and one.printed}
    turning = _around_critical_point(pair.general, figure.panels["c"])
    return Result(
        **dict(sources.head(Result.FIGURE, figure, [*_peak_statements(found), *_turning_statements(turning.runs)])),
        lengths=found,
        ranges={role: compare(limits, span(found, role)) for role, limits in printed.items()},
        alternatives=alternatives(figure, panel, "peak_lr", printed),
        turning=turning,
    )


def _around_critical_point(general: Predictor, panel: Panel) -> TurningRuns:
    """D_pt loss during CPT from pre-trainings of several lengths (the panel's values).

    Turning lengths are looked for in up to the largest of the panel's steps.
    """
    critical, scenario = critical_point(general), panel.setting()
    runs = [_run(general, replace(scenario, pretraining_steps=round(v)), critical, panel) for v in panel.values]
    return TurningRuns(critical_point=critical, runs=runs)


def _run(general: Predictor, scenario: Scenario, critical: float, panel: Panel) -> TurningRun:
    found = turning_length(general, scenario, max(panel.steps))
    steps = np.unique(np.append(0, np.geomspace(1, scenario.continual_steps, POINTS)).round().astype(int))
    loss = scenario.curve(general, scenario.pretraining_steps + steps).tolist()
    return TurningRun(
        pretraining_steps=scenario.pretraining_steps,
        start=loss[0],
        above_critical=loss[0] > critical,
        turning=found.steps,
        infinite=found.infinite,
        reason=found.reason,
        steps=steps.tolist(),
        loss=loss,
    )


def _peak_statements(found: Sequence[Length]) -> list[Statement]:
    """What panels (a) and (b) show, as statements about the computed curves."""
    values, general = found[0].values, [length.loss[Role.GENERAL] for length in found]
    return [
        statement(
            "(a) the lowest peak LR ends lowest on D_pt at every length", best_at(found, Role.GENERAL, values[0])
        ),
        statement(
            "(a) D_pt ends higher at the highest peak LR than at the lowest",
            all(loss[-1] > loss[0] for loss in general),
        ),
        statement(
            "(a) the D_pt loss rises with the peak LR at every length",
            all(np.all(np.diff(loss) > 0) for loss in general),
        ),
        statement("(b) the D_cpt loss falls with the peak LR at every length", falls(found, Role.STRONG)),
        statement("(b) the highest peak LR ends lowest on D_cpt", best_at(found, Role.STRONG, values[-1])),
        statement("(b) a longer CPT ends lower on D_cpt", lower_when_longer(found, Role.STRONG)),
    ]


def _turning_statements(runs: Sequence[TurningRun]) -> list[Statement]:
    """What panel (c) shows."""
    before = [run for run in runs if run.above_critical]
    after = [run for run in runs if not run.above_critical]
    return [
        statement(
            "(c) a PT above the critical point gets back to its D_pt loss",
            before and all(run.turning is not None for run in before),
        ),
        statement("(c) a PT below the critical point never does", after and all(run.infinite for run in after)),
    ]
