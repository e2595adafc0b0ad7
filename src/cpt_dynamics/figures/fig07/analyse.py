"""Figure 7: the peak LR of CPT, the critical point and the turning length (arXiv 2505.07796)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.analysis.fig05 import laws_of_fig03, same_lr, scenario_of
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, joint
from cpt_dynamics.figures.kit.printed import lengths
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Predictor, Scenario, critical_point, turning_length
from cpt_dynamics.schedules import Schedule

PEAKS = (0.1, 0.125, *(i / 16 for i in range(3, 17)))  # of CPT, over that of PT: as far as LRs were trained
LENGTHS = (1, 2, 3, 4)  # of CPT, in units of the scale's: the paper's 20, 40, 60 and 80 thousand steps
ENDLESS = 10  # times the length of a run: how far a predicted turning length is looked for
WINDOW = 5  # evaluations that the measured turning length averages over
LAW = "annealing"  # of training on D_cpt from scratch; its L0 is the critical point


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Final losses that the law of Fig. 3 gives over the peak LR, and measured CPT around the critical point.

    `lengths`: panels (a) and (b), PT with WSD to 10 % of the peak and CPT with a cosine to zero. `measured`: final
    losses of those runs of the figure that have exactly this LR at some peak. `runs`: each other CPT run, panel (c).
    `critical`: the loss on D_pt that training on the strong domain from scratch converges to. `noise`: standard
    deviation over seeds of a final D_pt loss, from the analysis of the seeds; None where there is none.
    """
    entry = selection.entry(experiments, "fig07")
    pair = laws_of_fig03(fits, "fig07")
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    scenario = _scenario(config)
    moved = selection.transfers(experiments, entry.runs)
    peaks = {run.name: peak for run in moved if (peak := _peak_of(run, scenario, config)) is not None}
    shown = [run for run in moved if run.name not in peaks]
    if not shown:
        raise UserError(f"{config.stated_in}: fig07 has no CPT run before or after the critical point: list one")
    critical = _critical(curves, schedules, config, experiments, entry.runs, pair.general)
    noise = _noise(fits)
    counts = [length * config.lengths.continual for length in LENGTHS]
    values = [peak * config.optimizer.peak_lr for peak in PEAKS]
    return plain(
        {
            "figure": "fig07",
            "title": entry.title,
            "validations": selection.roles(config),
            "law_of": "fig03",
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "lengths": lengths.finals(pair, scenario, "peak_lr", counts, values),
            "measured": [_final(features, name, peak, pair, config) for name, peak in peaks.items()],
            "critical": critical,
            "noise": noise,
            "window": WINDOW,
            "runs": {
                run.name: _around(run, features, schedules, config, pair.general, critical["point"], noise)
                for run in shown
            },
        }
    )


def _scenario(config: Config) -> Scenario:
    """PT with WSD to 10 % of the peak, then CPT with a cosine to zero, at the lengths of the scale."""
    return Scenario(
        Schedule(shape="wsd", end=0.1),
        config.lengths.pretraining,
        Schedule(shape="cosine"),
        config.lengths.continual,
        config.optimizer.peak_lr,
        config.lengths.warmup,
        config.lengths.rewarmup,
    )


def _peak_of(run: Run, scenario: Scenario, config: Config) -> float | None:
    """The peak LR at which the scenario is this run of CPT on the strong domain alone, None if it is at none."""
    if dict(run.phases[-1].mixture) != {config.roles.strong: 1.0} or run.steps != len(scenario.lr):
        return None
    made = scenario_of(run, config)
    if made is None:
        return None
    peak = made.continual.peak
    lr = float(run.lr[selection.transfer_step(run) - 1]) if peak == "last" else float(peak) * made.peak_lr
    tried = scenario.with_knob("peak_lr", lr)
    return lr if not tried.misfit and same_lr(tried.lr, run.lr) else None


def _final(features: pd.DataFrame, run: str, peak: float, pair: Pair, config: Config) -> dict[str, Any]:
    """Measured and predicted final losses of a run on both validation sets (nats/token)."""
    laws = dict(zip(SETS, (pair.general, pair.domain), strict=True))
    result: dict[str, Any] = {"run": run, "peak_lr": peak, "loss": {}, "predicted": {}}
    for role, law in laws.items():
        rows = selection.continual(features, [run], config.corpus_of(role))
        last = rows[rows["step"] == rows["step"].max()]
        last.attrs = features.attrs
        result["loss"][role] = float(last["loss"].iloc[0])
        result["predicted"][role] = float(law.predict(last)[0])
    return result


def _noise(fits: Mapping[str, Any] | None) -> float | None:
    """Standard deviation over seeds of a final D_pt loss (nats/token)."""
    found = (fits or {}).get("seeds", {}).get("noise", {}).get("general")
    return None if found is None else float(found)


def _critical(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    runs: Sequence[str],
    law: Predictor,
) -> dict[str, Any]:
    """L0 of the annealing law on D_pt of training on the strong domain from scratch (arXiv 2505.07796, Section 5).

    `range`: smallest and largest L0 of the fit to all of these runs and to each of them alone (`alone`). `by_law`:
    L0 + B of the CPT law, which converges to the same loss if both are right; `reached`: the share of B that its
    shift has at the end of a CPT at the peak LR, of the scale's length (far below 1: B is an extrapolation).
    """
    strong = ((config.roles.strong, 1.0),)
    scratch = [name for name in runs if all(phase.mixture == strong for phase in experiments.runs[name].phases)]
    if not scratch:
        raise UserError(
            f"{config.stated_in}: fig07 has no run that trains on the strong domain from scratch, which gives the"
            " critical point: list one"
        )
    whole = joint(curves, schedules, config, scratch, "general", law=LAW)
    alone = {
        name: joint(curves, schedules, config, [name], "general", law=LAW).fit.parameters["L0"] for name in scratch
    }
    points = [whole.fit.parameters["L0"], *alone.values()]
    lowest = {name: _lowest(curves, name, config) for name in scratch}
    return {
        "point": points[0],
        "alone": alone,
        "range": [min(points), max(points)],
        "lowest_measured": lowest,
        "by_law": critical_point(law),
        "reached": _reached(law, config),
        "runs": scratch,
        "fit": whole.summary(),
    }


def _reached(law: Predictor, config: Config) -> float:
    """The shift after CPT at a constant LR, over its limit B."""
    area = config.lengths.continual * config.optimizer.peak_lr
    return float(1 - (1 + law.parameters["E"] * area) ** -law.parameters["beta"])


def _lowest(curves: pd.DataFrame, run: str, config: Config) -> float:
    rows = curves[(curves["run"] == run) & (curves["validation"] == config.roles.general)]
    return float(rows["loss"].min())


def _around(
    run: Run,
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    law: Predictor,
    critical: float,
    noise: float | None,
) -> dict[str, Any]:
    """D_pt loss of one run from its transfer on, and whether it gets back to where it started.

    `start`: the loss at the transfer; `change`: the last loss minus it. `above_critical` is None for CPT on another
    domain than the one that the critical point is of. `turning`: the first step of CPT from which on the smoothed
    loss stays at or below the start, 0 where it never rises, None where it is not back by the end. `as_expected`:
    whether it turns back if and only if it starts above the critical point.
    """
    before = selection.transfer_step(run)
    rows = selection.of_runs(features, [run.name])
    rows = rows[rows["validation"] == config.roles.general].sort_values("step")
    first, after = rows[rows["step"] <= before], rows[rows["step"] > before]
    if not len(first) or not len(after):
        raise UserError(f"run {run.name!r} lacks losses on {config.roles.general!r} before or after its transfer")
    start, final = float(first["loss"].iloc[-1]), float(after["loss"].iloc[-1])
    step, loss = after["phase_step"].to_numpy(), after["loss"].to_numpy()
    smooth = smoothed(loss)
    turning = turned(step, smooth, start)
    mixture = dict(run.phases[-1].mixture)
    strong = mixture == {config.roles.strong: 1.0}
    above = bool(start > critical) if strong else None
    return {
        "domain": " and ".join(mixture),
        "strong": strong,
        "transfer": before,
        "steps": run.steps - before,
        "start": start,
        "start_step": int(first["step"].iloc[-1]),
        "final": final,
        "change": final - start,
        "change_over_noise": (final - start) / noise if noise else None,
        "highest": float(smooth.max()),
        "above_critical": above,
        "turned_back": turning is not None,
        "turning": turning,
        "as_expected": None if above is None else above == (turning is not None),
        "law": _by_law(run, schedules, config, law) if strong else None,
        "curve": {"step": step, "loss": loss, "smoothed": smooth},
    }


def smoothed(loss: Array) -> Array:
    """Mean over `WINDOW` neighbouring evaluations, [n]; fewer at the ends."""
    return np.asarray(pd.Series(loss).rolling(WINDOW, center=True, min_periods=1).mean(), dtype=np.float64)


def turned(step: Array, loss: Array, start: float) -> int | None:
    """The first of `step` (ascending) from which on the loss is at most `start`; 0 where it never is above."""
    above = np.flatnonzero(loss > start)
    if not len(above):
        return 0
    return int(step[above[-1] + 1]) if above[-1] + 1 < len(step) else None


def _by_law(run: Run, schedules: pd.DataFrame, config: Config, law: Predictor) -> dict[str, Any]:
    """What the law of Fig. 3 says of a run.

    `turning`: as measured, along this run's own schedule. `turning_length`: the length of a CPT whose schedule is
    stretched to it, at the end of which the loss is back at its start (the paper's), looked for in up to `ENDLESS`
    times the run's length; None where there is none, or where the LR is not that of a known schedule. `curve`:
    predicted D_pt loss at every step of CPT.
    """
    settings = law.settings
    table = selection.every_step(schedules, run.name)
    table = selection.with_areas(table, schedules, config, settings["lambda"], settings["carry_over"])
    table.attrs = {str(key): value for key, value in settings.items()}
    loss = law.predict(table)
    before = selection.transfer_step(run)
    start, after = float(loss[before - 1]), loss[before:]
    scenario = scenario_of(run, config)
    found = turning_length(law, scenario, ENDLESS * (run.steps - before)) if scenario is not None else None
    kept = np.unique(np.geomspace(1, len(after), 120).round().astype(int))
    return {
        "start": start,
        "change": float(after[-1]) - start,
        "turning": turned(np.arange(1.0, len(after) + 1), after, start),
        "turning_length": found.steps if found else None,
        "never": found.infinite if found else None,
        "reason": found.reason if found else "the LR is not that of one schedule",
        "curve": {"step": kept, "loss": after[kept - 1]},
    }
