"""Figure 7: the peak LR of CPT, the critical point and the turning length (arXiv 2505.07796)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig07.result import (
    ByLaw,
    CriticalPoint,
    FinalLosses,
    MeasuredCurve,
    PredictedCurve,
    Result,
    Turned,
)
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.fitted import law_curve
from cpt_dynamics.figures.kit.joint import joint
from cpt_dynamics.figures.kit.lengths import Length, best_at, finals
from cpt_dynamics.figures.kit.scenarios import is_of, scenario_of
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Scenario, critical_point, turning_length

PEAKS = (0.1, 0.125, *(i / 16 for i in range(3, 17)))  # of CPT, over that of PT: as far as LRs were trained
LENGTHS = (1, 2, 3, 4)  # of CPT, in units of the scale's: the paper's 20, 40, 60 and 80 thousand steps
ENDLESS = 10  # times the length of a run: how far a predicted turning length is looked for
WINDOW = 5  # evaluations that the measured turning length averages over
LAW = "annealing"  # of training on D_cpt from scratch; its L0 is the critical point


def analyse(data: FigureData) -> Result:
    """Final losses that the law of Fig. 3 gives over the peak LR, and measured CPT around the critical point."""
    config, entry = data.config, data.entry
    laws = strengths.fits_of_fig03(data)
    features = selection.with_areas(selection.of_runs(data.curves, entry.runs), data.schedules, config)
    scenario = strengths.scenario(config)
    moved = selection.transfers(data.experiments, entry.runs)
    peaks = {run.name: peak for run in moved if (peak := _peak_of(run, scenario, config)) is not None}
    if len(peaks) == len(moved):
        raise UserError(f"{config.stated_in}: fig07 has no CPT run before or after the critical point: list one")
    critical = _critical(data, laws[Role.GENERAL])
    seeds = data.optional(Seeds)
    noise = seeds.noise[Role.GENERAL] if seeds else None
    lengths = finals(
        strengths.pair_of_fig03(data),
        scenario,
        "peak_lr",
        [length * config.lengths.continual for length in LENGTHS],
        [peak * config.optimizer.peak_lr for peak in PEAKS],
    )
    runs = {
        run.name: _turned(data, run, features, laws[Role.GENERAL], critical.point, noise)
        for run in moved
        if run.name not in peaks
    }
    return Result(
        figure="fig07",
        title=entry.title,
        validations=selection.roles(config),
        law_of="fig03",
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        lengths=lengths,
        measured=[_final(features, name, peak, laws, config) for name, peak in peaks.items()],
        critical=critical,
        noise=noise,
        window=WINDOW,
        runs=runs,
        checks=_statements(lengths, runs),
    )


def _statements(lengths: Sequence[Length], runs: Mapping[str, Turned]) -> list[Statement]:
    values = lengths[0].values
    return [
        statement(
            "the lowest peak LR ends lowest on D_pt at every length, by the law",
            best_at(lengths, Role.GENERAL, values[0]),
        ),
        statement(
            "the highest peak LR ends lowest on D_cpt at every length, by the law",
            best_at(lengths, Role.STRONG, values[-1]),
        ),
        *(
            statement(f"{name} gets back to its start if and only if it starts above the critical point", holds)
            for name, run in runs.items()
            if (holds := run.as_expected) is not None
        ),
    ]


def _peak_of(run: Run, scenario: Scenario, config: Config) -> float | None:
    """The peak LR at which the scenario is this run of CPT on the strong domain alone, None if it is at none."""
    if dict(run.phases[-1].mixture) != {config.roles.strong: 1.0} or run.steps != len(scenario.lr):
        return None
    lr = run.phases[-1].peak * config.optimizer.peak_lr
    return lr if is_of(run, scenario.with_knob("peak_lr", lr)) else None


def _final(features: pd.DataFrame, run: str, peak: float, laws: Mapping[Role, Fit], config: Config) -> FinalLosses:
    losses, predicted = {}, {}
    for role, law in laws.items():
        rows = selection.continual(features, [run], config.corpus_of(role))
        last = rows[rows["step"] == rows["step"].max()]
        losses[role] = float(last["loss"].iloc[0])
        predicted[role] = float(law.predict(last)[0])
    return FinalLosses(run=run, peak_lr=peak, loss=losses, predicted=predicted)


def _critical(data: FigureData, law: Fit) -> CriticalPoint:
    """The critical point by the runs from scratch. law: of Fig. 3 on D_pt."""
    config, curves = data.config, data.curves
    strong = ((config.roles.strong, 1.0),)
    runs = [
        name for name in data.entry.runs if all(phase.mixture == strong for phase in data.experiments.runs[name].phases)
    ]
    if not runs:
        raise UserError(
            f"{config.stated_in}: fig07 has no run that trains on the strong domain from scratch, which gives the"
            " critical point: list one"
        )
    together, *each = (
        joint(curves, data.schedules, config, some, Role.GENERAL, law=LAW) for some in (runs, *([run] for run in runs))
    )
    alone = {run: found.fit.parameters["L0"] for run, found in zip(runs, each, strict=True)}
    points = [together.fit.parameters["L0"], *alone.values()]
    rows = curves[curves["run"].isin(runs) & (curves["validation"] == config.roles.general)]
    lowest = rows.groupby("run")["loss"].min()
    area = config.lengths.continual * config.optimizer.peak_lr
    return CriticalPoint(
        point=points[0],
        alone=alone,
        range=(min(points), max(points)),
        lowest_measured={run: float(lowest[run]) for run in runs},
        by_law=critical_point(law),
        reached=1 - (1 + law.parameters["E"] * area) ** -law.parameters["beta"],
        runs=runs,
        fit=together.result(),
    )


def _turned(
    data: FigureData, run: Run, features: pd.DataFrame, law: Fit, critical: float, noise: float | None
) -> Turned:
    """Whether one run gets back to its start."""
    roles, before = data.config.roles, run.transfer_step
    rows = selection.of_runs(features, [run.name])
    rows = rows[rows["validation"] == roles.general].sort_values("step")
    first, after = rows[rows["step"] <= before], rows[rows["step"] > before]
    if not len(first) or not len(after):
        raise UserError(f"run {run.name!r} lacks losses on {roles.general!r} before or after its transfer")
    start, final = float(first["loss"].iloc[-1]), float(after["loss"].iloc[-1])
    step, loss = after["phase_step"].to_numpy(), after["loss"]
    smooth = loss.rolling(WINDOW, center=True, min_periods=1).mean().to_numpy()
    turning = turned(step, smooth, start)
    mixture = dict(run.phases[-1].mixture)
    strong = mixture == {roles.strong: 1.0}
    above = start > critical if strong else None
    return Turned(
        domain=" and ".join(mixture),
        strong=strong,
        transfer=before,
        steps=run.steps - before,
        start=start,
        start_step=int(first["step"].iloc[-1]),
        final=final,
        change=final - start,
        change_over_noise=(final - start) / noise if noise else None,
        highest=smooth.max(),
        above_critical=above,
        turned_back=turning is not None,
        turning=turning,
        as_expected=None if above is None else above == (turning is not None),
        law=_by_law(data, run, law) if strong else None,
        curve=MeasuredCurve(step=step.tolist(), loss=loss.tolist(), smoothed=smooth.tolist()),
    )


def turned(step: Array, loss: Array, start: float) -> int | None:
    """The first of `step` (ascending) from which on the loss is at most `start`; 0 where it never is above."""
    above = np.flatnonzero(loss > start)
    if not len(above):
        return 0
    return int(step[above[-1] + 1]) if above[-1] + 1 < len(step) else None


def _by_law(data: FigureData, run: Run, law: Fit) -> ByLaw:
    """What the law of Fig. 3 says of a run."""
    loss = law_curve(law, data.schedules, run.name)["loss"].to_numpy()
    before = run.transfer_step
    start, after = float(loss[before - 1]), loss[before:]
    scenario = scenario_of(run, data.config)
    found = turning_length(law, scenario, ENDLESS * len(after)) if scenario is not None else None
    kept = np.unique(np.geomspace(1, len(after), 120).round().astype(int))
    return ByLaw(
        start=start,
        change=float(after[-1]) - start,
        turning=turned(np.arange(1.0, len(after) + 1), after, start),
        turning_length=found.steps if found else None,
        never=found.infinite if found else None,
        reason=found.reason if found else "the LR is not that of one schedule",
        curve=PredictedCurve(step=kept.tolist(), loss=after[kept - 1].tolist()),
    )
