"""Figure 5: the loss potential of the checkpoint and the final D_cpt loss (arXiv 2505.07796)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig05.result import Best, FinalLoss, PotentialPanel, PredictionErrors, Result, Trend
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.lengths import falls, finals, lower_when_longer
from cpt_dynamics.figures.kit.scenarios import is_of, scenario_of
from cpt_dynamics.figures.kit.statistics import mean_test, slope_test
from cpt_dynamics.planning import Pair, Scenario

PANELS = {"without": "without re-warm-up", "with": "with re-warm-up"}
LENGTHS = (20 / 30, 1.0, 40 / 30, 50 / 30)  # of CPT, over that of the runs: the paper's 20, 30, 40 and 50 thousand
STEP = 0.05  # between the loss potentials of a drawn curve


@dataclass(frozen=True)
class Start:
    """A CPT run and what it starts from. potential: last LR of PT over the peak of PT. panel: key of `PANELS`."""

    run: Run
    potential: float
    panel: str


def analyse(data: FigureData) -> Result:
    """Measured and predicted final losses on D_cpt against the loss potential, without and with re-warm-up."""
    config, entry = data.config, data.entry
    pair = strengths.pair_of_fig03(data)
    started = starts(selection.transfers(data.experiments, entry.runs))
    features = selection.with_areas(selection.of_runs(data.curves, entry.runs), data.schedules, config)
    panels = {}
    for key, title in PANELS.items():
        chosen = [start for start in started if start.panel == key]
        if (count := len({start.potential for start in chosen})) < 2:
            raise UserError(
                f"{config.stated_in}: fig05 compares loss potentials {title} and has {count}: list more runs"
            )
        panels[key] = _panel(title, chosen, features, pair, config)
    return Result(
        figure="fig05",
        title=entry.title,
        validations=selection.roles(config),
        law_of="fig03",
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        panels=panels,
    )


def starts(runs: Sequence[Run]) -> list[Start]:
    """The CPT runs with the loss potential of their checkpoints.

    A run is without re-warm-up where its LR falls in a straight line from the last LR of PT (Figs. 5a-c). All
    others go on at a level of their own (Figs. 5d-f), which the LR may rise or drop to, or have already.
    """
    found = []
    for run in runs:
        before, schedule = run.lr[: run.transfer_step], run.phases[-1].schedule
        straight = (schedule.shape, schedule.peak) == ("linear", "last")
        potential = round(float(before[-1] / before.max()), 6)
        found.append(Start(run, potential, "without" if straight else "with"))
    return found


def _panel(title: str, chosen: Sequence[Start], features: pd.DataFrame, pair: Pair, config: Config) -> PotentialPanel:
    """One row of the figure."""
    scenario = _scenario(chosen, config)
    table = _finals(chosen, features, pair, config)
    means = table.groupby("potential")[["loss", "predicted"]].mean()
    potentials = np.union1d(np.arange(means.index[0], 1 + STEP / 2, STEP).round(6).clip(max=1), means.index)
    counts = [round(scenario.continual_steps * share) for share in LENGTHS]
    lengths = finals(pair, scenario, "potential", counts, potentials.tolist())
    measured, predicted = means["loss"].tolist(), means["predicted"].tolist()
    peak = scenario.continual.peak
    return PotentialPanel(
        title=title if peak == "last" else f"re-warm-up to {100 * float(peak):.3g} %",
        role=Role.STRONG,
        runs=[FinalLoss.model_validate(row) for row in table.to_dict("records")],
        steps=scenario.continual_steps,
        potentials=means.index.tolist(),
        measured=measured,
        predicted=predicted,
        trend=_trend(table),
        order=_order(measured),
        predicted_order=_order(predicted),
        errors=_errors(table),
        best=_best(table, means),
        lengths=lengths,
        falls_at_every_length=falls(lengths, Role.STRONG),
        lower_when_longer=lower_when_longer(lengths, Role.STRONG),
    )


def _scenario(chosen: Sequence[Start], config: Config) -> Scenario:
    """The one scenario whose potential, changed, gives the LR of every run of a panel."""
    for start in chosen:
        found = scenario_of(start.run, config)
        if found is not None and all(is_of(s.run, found.with_knob("potential", s.potential)) for s in chosen):
            return found
    raise UserError(
        f"{config.stated_in}: the LRs of {', '.join(start.run.name for start in chosen)} differ by more than the loss"
        " potential: let PT and CPT of these runs of fig05 agree in all else"
    )


def _finals(chosen: Sequence[Start], features: pd.DataFrame, pair: Pair, config: Config) -> pd.DataFrame:
    """A row for each run, see `FinalLoss`."""
    potentials = {start.run.name: start.potential for start in chosen}
    rows = selection.continual(features, list(potentials), config.roles.strong)
    if missing := sorted(set(potentials) - set(rows["run"])):
        raise UserError(f"run {missing[0]!r} has no losses on {config.roles.strong!r} after its transfer: evaluate it")
    last = rows.loc[rows.groupby("run", sort=False)["step"].idxmax()]
    table = pd.DataFrame(
        {
            "run": last["run"],
            "group": last["run"].map({start.run.name: start.run.group for start in chosen}),
            "seed": last["seed"],
            "potential": last["run"].map(potentials),
            "step": last["phase_step"],
            "loss": last["loss"],
            "predicted": pair.domain.predict(last),
        }
    )
    return table.assign(error=table["predicted"] - table["loss"])


def _by_seed(table: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """The runs of each seed that has at least two potentials."""
    for seed, part in table.groupby("seed"):
        if part["potential"].nunique() > 1:
            yield int(str(seed)), part


def _trend(table: pd.DataFrame) -> Trend:
    slopes = {}
    for seed, part in _by_seed(table):
        slope = slope_test(part["potential"].tolist(), part["loss"].tolist(), "run").slope
        assert slope is not None  # there are two potentials
        slopes[seed] = slope
    return Trend(**dict(mean_test(list(slopes.values()), "seed")), slopes=slopes)


def _order(losses: Sequence[float]) -> float:
    return float(np.mean(np.diff(losses) < 0))


def _errors(table: pd.DataFrame) -> PredictionErrors:
    size = table["error"].abs()
    return PredictionErrors(
        n=len(table),
        bias=table["error"].mean(),
        mean=size.mean(),
        worst=size.max(),
        mean_relative=(size / table["loss"]).mean(),
    )


def _best(table: pd.DataFrame, means: pd.DataFrame) -> Best:
    measured, predicted = (float(means.index[int(means[name].argmin())]) for name in ("loss", "predicted"))
    each = [part["potential"].tolist()[part["loss"].argmin()] == predicted for _, part in _by_seed(table)]
    return Best(
        measured=measured,
        predicted=predicted,
        agree=measured == predicted,
        seeds_agreeing=float(np.mean(each)) if each else None,
    )
