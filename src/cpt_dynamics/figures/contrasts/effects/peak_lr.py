"""The best peak LR of CPT after annealed PT, among trained ones."""

from collections.abc import Mapping

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.effects.replay import GOAL, final_goal, lowest_goal
from cpt_dynamics.figures.contrasts.estimates import mean, mean_of
from cpt_dynamics.figures.contrasts.known import Known, Undefined, of_seed
from cpt_dynamics.figures.contrasts.predictors import Lawless
from cpt_dynamics.figures.contrasts.result import Contrast, Effect, Numbers
from cpt_dynamics.figures.kit.joint import SETS

PEAKS = {  # peak of CPT in percent -> run
    10: "rewarm_potential_10",
    25: "peak_25",
    50: "peak_50_potential_10",
    70: "peak_70",
    100: "peak_100_potential_10",
}
LOW, INNER, HIGH = PEAKS[10], PEAKS[50], PEAKS[100]
WEIGHT = 0.38  # of the D_pt loss: where neither end of the peaks is far better than the other
WEIGHTS = (0.36, 0.38, 0.40)


def interior_peak(known: Known) -> Contrast:
    """The goal of the better end of the peaks minus that inside, one a seed."""
    _stated(known)
    runs = (LOW, INNER, HIGH)
    missing, seeds = known.without_seed(*runs), known.seeds_of(*runs)
    if not seeds:
        return Contrast(missing=missing)
    goals = {f"seed {seed}": {run: final_goal(known, of_seed(run, seed), WEIGHT) for run in runs} for seed in seeds}
    better = {seed: min(one[LOW], one[HIGH]) for seed, one in goals.items()}

    def gained(run: str) -> Numbers:
        return {seed: better[seed] - one[run] for seed, one in goals.items()}

    others = [percent for percent, run in PEAKS.items() if run not in runs and not known.missing([run])]
    first = better.get("seed 1")
    return Contrast(
        losses={GOAL: mean_of(gained(INNER))},
        rivals={f"always {percent} %": {GOAL: mean(gained(PEAKS[percent]))} for percent in (10, 100)},
        beside={
            f"{percent} % instead, one seed": {GOAL: first - final_goal(known, PEAKS[percent], WEIGHT)}
            for percent in others
            if first is not None
        },
        missing=missing,
    )


def recommended_peak(known: Known) -> Contrast:
    """The regret of the peak that the law fitted for Fig. 3 recommends among trained ones, the mean over weights."""
    _stated(known)
    fitted = known.entry("fig03").runs
    known.need(*fitted, *PEAKS.values())
    laws = {role: known.law("cpt", role) for role in SETS}
    predicted: dict[str, dict[Role, float]] = {run: {} for run in PEAKS.values()}
    between: dict[str, dict[Role, float]] = {run: {} for run in PEAKS.values()}
    for role in SETS:
        law = laws[role]
        assert law is not None
        found, lawless = known.fit(law, role, fitted), Lawless(known, fitted, role)
        for run in PEAKS.values():
            end = known.continual(run, role).tail(1)
            predicted[run][role] = float(found.predict(end)[0])
            between[run][role] = float(lawless.interpolated(end)[0])
    chosen = {weight: lowest_goal(predicted, weight) for weight in WEIGHTS}

    def regret(runs: Mapping[float, str]) -> Numbers:
        best = {weight: min(final_goal(known, run, weight) for run in PEAKS.values()) for weight in WEIGHTS}
        return {f"w1 = {weight:g}": final_goal(known, run, weight) - best[weight] for weight, run in runs.items()}

    units = regret(chosen)
    rivals = {
        "interpolation between fitted runs in the LR": {weight: lowest_goal(between, weight) for weight in WEIGHTS},
        **{f"always {percent} %": dict.fromkeys(WEIGHTS, PEAKS[percent]) for percent in (10, 50, 100)},
    }
    return Contrast(
        losses={GOAL: Effect(estimate=mean(units), units=units)},
        rivals={name: {GOAL: mean(regret(runs))} for name, runs in rivals.items()},
        beside={
            f"w1 = {weight:g}: {run} is recommended": {GOAL: units[f"w1 = {weight:g}"]}
            for weight, run in chosen.items()
        },
    )


def _stated(known: Known) -> None:
    if lacking := [run for run in PEAKS.values() if not known.seeds_stated(run)]:
        raise Undefined(f"the scale has no run {lacking[0]}")
