"""Figure 5: the loss potential of the checkpoint and the final D_cpt loss (arXiv 2505.07796)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import schedules as lrs
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.figures.kit.printed import lengths
from cpt_dynamics.figures.kit.statistics import mean_test, slope_test
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Scenario
from cpt_dynamics.schedules import Schedule

PANELS = {"without": "without re-warm-up", "with": "with re-warm-up"}
LENGTHS = (20 / 30, 1.0, 40 / 30, 50 / 30)  # of CPT, over that of the runs: the paper's 20, 30, 40 and 50 thousand
STEP = 0.05  # between the loss potentials of a drawn curve
SAME = 1e-6  # of the peak LR: LRs that differ by less are the same


@dataclass(frozen=True)
class Start:
    """A CPT run and what it starts from. potential: last LR of PT over the peak of PT."""

    run: Run
    potential: float
    rewarmed: bool

    @property
    def panel(self) -> str:
        """Which row of the figure the run belongs to."""
        return "with" if self.rewarmed else "without"


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measured and predicted final losses on D_cpt against the loss potential, without and with re-warm-up.

    For each of `PANELS`: `runs` (name, seed, potential, final loss, prediction of the law and its error), `trend`
    (slope of the final loss over the potential, one a seed, and the test that their mean is below zero; None where
    there is one seed), `order` (share of neighbouring potentials of which the higher ends lower, means over seeds),
    `errors` of the predictions, the `best` measured and predicted potential, and `lengths`, what the law says of
    CPT of several lengths. The law is that of Fig. 3, which is fitted to none of these CPT runs.
    """
    entry = selection.entry(experiments, "fig05")
    pair = laws_of_fig03(fits, "fig05")
    started = starts(selection.transfers(experiments, entry.runs))
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    panels = {}
    for key in PANELS:
        chosen = [start for start in started if start.panel == key]
        if len({start.potential for start in chosen}) < 2:
            raise UserError(
                f"{config.stated_in}: fig05 compares loss potentials {PANELS[key]} and has"
                f" {len({start.potential for start in chosen})}: list more runs"
            )
        panels[key] = _panel(key, chosen, features, pair, config)
    return plain(
        {
            "figure": "fig05",
            "title": entry.title,
            "validations": selection.roles(config),
            "law_of": "fig03",
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "panels": panels,
        }
    )


def laws_of_fig03(fits: Mapping[str, Any] | None, figure: str) -> Pair:
    """The laws of D_pt and D_cpt that were fitted for Fig. 3."""
    known = (fits or {}).get("fig03")
    if known is None:
        raise UserError(f"{figure} uses the fits of fig03: list fig03 in its `needs`, and analyse it first")
    return Pair(*(Fit.from_json(known["fits"][role]["chosen"]["fit"]) for role in SETS))


def starts(runs: list[Run]) -> list[Start]:
    """The CPT runs with the loss potential of their checkpoints.

    A run is without re-warm-up where its LR falls in a straight line from the last LR of PT (Figs. 5a-c). All
    others go on at a level of their own (Figs. 5d-f), which the LR may rise or drop to, or have already.
    """
    found = []
    for run in runs:
        before = selection.transfer_step(run)
        peak = float(run.lr[:before].max())
        falls = np.diff(run.lr[before - 1 :])
        straight = bool(np.ptp(falls) < SAME * peak and falls[0] < 0)
        found.append(Start(run, round(float(run.lr[before - 1]) / peak, 6), not straight))
    return found


def scenario_of(run: Run, config: Config) -> Scenario | None:
    """PT and CPT of a run as schedules; None where its LR is not that of one schedule each."""
    before = selection.transfer_step(run)
    pretraining = _schedule(run.lr[:before], config, config.lengths.warmup, None)
    continual = _schedule(run.lr[before:], config, config.lengths.rewarmup, float(run.lr[before - 1]))
    if pretraining is None or continual is None or [p.phase for p in run.phases].count("continual") != 1:
        return None
    return Scenario(
        pretraining,
        before,
        continual,
        run.steps - before,
        config.optimizer.peak_lr,
        config.lengths.warmup,
        config.lengths.rewarmup,
        dict(run.phases[-1].mixture).get(config.roles.general, 0.0),
    )


def _schedule(lr: Array, config: Config, warmup: int, last: float | None) -> Schedule | None:
    """The schedule, with the default share and shape of a decay, that gives these LRs; None if there is none."""
    unit = config.optimizer.peak_lr
    end = float(np.clip(lr[-1] / unit, 0, 1))
    for shape in ("constant", "linear", "cosine", "wsd"):
        for peak in [*(["last"] if last is not None else []), *_peaks(shape, lr / unit)]:
            made = Schedule.model_validate({"shape": shape, "peak": peak, "end": end})
            try:
                tried = lrs.lr(made, len(lr), unit, warmup, last)
            except UserError:  # a decay or a warm-up that does not fit
                continue
            if same_lr(tried, lr):
                return made
    return None


def _peaks(shape: str, lr: Array) -> list[float]:
    """What the peak of a phase may be: its highest LR, or where a decay starts whose first step is the first LR."""
    found = [float(lr.max())]
    if shape in ("linear", "cosine"):
        left = float(lrs.DECAYS[shape](np.array([1 / len(lr)]), 1.0, 0.0)[0])
        found += [float(lr[-1] + (lr[0] - lr[-1]) / left)] if left > 0 else []
    return [round(peak, 9) for peak in found if peak > 0]


def _scenario(chosen: list[Start], config: Config) -> Scenario:
    """The one scenario whose potential, changed, gives the LR of every run of a panel."""
    for start in chosen:
        found = scenario_of(start.run, config)
        if found is not None and all(_is(found.with_knob("potential", s.potential), s.run) for s in chosen):
            return found
    raise UserError(
        f"{config.stated_in}: the LRs of {', '.join(start.run.name for start in chosen)} differ by more than the loss"
        " potential: let PT and CPT of these runs of fig05 agree in all else"
    )


def _is(scenario: Scenario, run: Run) -> bool:
    """Whether a run has the LRs of a scenario."""
    return not scenario.misfit and same_lr(scenario.lr, run.lr)


def same_lr(one: Array, other: Array) -> bool:
    """Whether two sequences of LRs are the same but for rounding."""
    return len(one) == len(other) and np.allclose(one, other, rtol=0, atol=SAME * float(np.max(other)))


def _panel(key: str, chosen: list[Start], features: pd.DataFrame, pair: Pair, config: Config) -> dict[str, Any]:
    """One row of the figure."""
    scenario = _scenario(chosen, config)
    table = _finals(chosen, features, pair, config)
    means = table.groupby("potential")[["loss", "predicted"]].mean()
    potentials = np.union1d(np.arange(means.index[0], 1 + STEP / 2, STEP).round(6).clip(max=1), means.index)
    counts = [round(scenario.continual_steps * share) for share in LENGTHS]
    found = lengths.finals(pair, scenario, "potential", counts, potentials.tolist())
    peak = scenario.continual.peak
    return {
        "title": PANELS[key] if peak == "last" else f"re-warm-up to {100 * float(peak):.3g} %",
        "role": "strong",
        "runs": table.to_dict("records"),
        "steps": scenario.continual_steps,
        "potentials": means.index.to_numpy(),
        "measured": means["loss"].to_numpy(),
        "predicted": means["predicted"].to_numpy(),
        "trend": _trend(table),
        "order": _order(means["loss"].to_numpy()),
        "predicted_order": _order(means["predicted"].to_numpy()),
        "errors": _errors(table),
        "best": _best(table, means),
        "lengths": found,
        "falls_at_every_length": lengths.falls(found, "strong"),
        "lower_when_longer": lengths.lower_when_longer(found, "strong"),
    }


def _finals(chosen: list[Start], features: pd.DataFrame, pair: Pair, config: Config) -> pd.DataFrame:
    """A row for each run: its last loss on D_cpt and what the law says of it (nats/token)."""
    names = {start.run.name: start for start in chosen}
    rows = selection.continual(features, list(names), config.roles.strong)
    if set(rows["run"]) != set(names):
        missing = sorted(set(names) - set(rows["run"]))[0]
        raise UserError(f"run {missing!r} has no losses on {config.roles.strong!r} after its transfer: evaluate it")
    last = rows.loc[rows.groupby("run", sort=False)["step"].idxmax()]
    last.attrs = features.attrs
    predicted = pair.domain.predict(last)
    return pd.DataFrame(
        {
            "run": last["run"].to_numpy(),
            "group": [selection.group(run) for run in last["run"]],
            "seed": last["seed"].to_numpy(),
            "potential": [names[run].potential for run in last["run"]],
            "step": last["phase_step"].to_numpy(),
            "loss": last["loss"].to_numpy(),
            "predicted": predicted,
            "error": predicted - last["loss"].to_numpy(),
        }
    )


def _by_seed(table: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """The runs of each seed that has at least two potentials."""
    for seed, part in table.groupby("seed"):
        if part["potential"].nunique() > 1:
            yield int(str(seed)), part


def _trend(table: pd.DataFrame) -> dict[str, Any]:
    """Slope of the final loss over the potential (nats from 0 to 1) for each seed, and the test over seeds."""
    slopes = {
        seed: slope_test(part["potential"].tolist(), part["loss"].tolist(), "run").slope
        for seed, part in _by_seed(table)
    }
    return {**mean_test(list(slopes.values()), "seed").model_dump(), "slopes": slopes}


def _order(losses: Array) -> float:
    """Share of neighbouring potentials (ascending) of which the higher has the lower loss."""
    return float(np.mean(np.diff(losses) < 0))


def _errors(table: pd.DataFrame) -> dict[str, float]:
    """Prediction minus measurement of the final losses: mean, mean size and largest size (nats), mean relative size."""
    size = table["error"].abs()
    return {
        "n": len(table),
        "bias": float(table["error"].mean()),
        "mean": float(size.mean()),
        "worst": float(size.max()),
        "mean_relative": float((size / table["loss"]).mean()),
    }


def _best(table: pd.DataFrame, means: pd.DataFrame) -> dict[str, Any]:
    """The potential of the lowest final loss, measured (mean over seeds) and predicted, among the trained ones.

    seeds_agreeing: share of the seeds whose lowest final loss is at the predicted potential.
    """
    values = means.index.to_numpy(dtype=np.float64)
    measured, predicted = (float(values[means[name].argmin()]) for name in ("loss", "predicted"))
    each = [part["potential"].tolist()[part["loss"].argmin()] == predicted for _, part in _by_seed(table)]
    return {
        "measured": measured,
        "predicted": predicted,
        "agree": measured == predicted,
        "seeds_agreeing": float(np.mean(each)) if each else None,
    }
