"""Replay: an inner best ratio, the ratio that Eq. 8 recommends, and ratios that it was not fitted to."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import Shown, largest_of, mean, mean_of, minus
from cpt_dynamics.figures.contrasts.known import Known, Predict, Undefined, of_seed, signed
from cpt_dynamics.figures.contrasts.result import Contrast, Effect, Numbers
from cpt_dynamics.figures.fig19.analyse import EXCHANGED, PRINTED, STARTS
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import Array, Law
from cpt_dynamics.laws.replay import with_power
from cpt_dynamics.planning.recommendations import WEIGHTS, goal

GOAL = "goal"
EVEN = 0.5  # weight of the D_pt loss in a goal of equal weights
RATIOS = {  # replay in percent -> run
    0: "cpt_wsd",
    **{share: f"replay_{share}_wsd" for share in (5, 10, 20, 33, 50, 67, 80, 90)},
}
NONE, INNER, MOST = RATIOS[0], RATIOS[33], RATIOS[90]
FITTED = [RATIOS[share] for share in (0, 10, 50, 90)]
TRIED = [RATIOS[share] for share in (5, 20, 33, 67, 80)]
ENDS = (RATIOS[5], RATIOS[80])  # of what is tried: a recommendation there is shown and not counted


def final_goal(known: Known, run: str, weight: float) -> float:
    """The goal at the end of CPT (nats/token)."""
    return goal(weight, {role: known.final(run, role) for role in SETS})


def interior_replay(known: Known) -> Contrast:
    """The goal of equal weights: that of the better end of the ratios minus that inside, one a seed."""
    runs = (NONE, INNER, MOST)
    missing, seeds = known.without_seed(*runs), known.seeds_of(*runs)
    if not seeds:
        return Contrast(missing=missing)
    goals = {f"seed {seed}": {run: final_goal(known, of_seed(run, seed), EVEN) for run in runs} for seed in seeds}
    better = {seed: min(one[NONE], one[MOST]) for seed, one in goals.items()}

    def gained(run: str) -> Numbers:
        return {seed: better[seed] - one[run] for seed, one in goals.items()}

    rivals = {"no replay": gained(NONE), "the largest ratio": gained(MOST)}
    others = [share for share, run in RATIOS.items() if run not in runs and not known.missing([run])]
    first = min(final_goal(known, NONE, EVEN), final_goal(known, MOST, EVEN)) if 1 in seeds else None
    return Contrast(
        losses={GOAL: mean_of(gained(INNER))},
        rivals={name: {GOAL: mean(one)} for name, one in rivals.items()},
        beside={
            f"{share} % instead, one seed": {GOAL: first - final_goal(known, RATIOS[share], EVEN)}
            for share in others
            if first is not None
        },
        missing=missing,
    )


def recommended_replay(known: Known) -> Contrast:
    """The regret of the ratio that Eq. 8 recommends among trained ones, the mean over weights that count."""
    known.need(*FITTED, *TRIED)
    laws = {role: known.fit(_exchanged(known, role), role, FITTED) for role in SETS}
    predicted = {
        run: {role: float(laws[role].predict(known.continual(run, role).tail(1))[0]) for role in SETS} for run in TRIED
    }
    between = {run: {role: _interpolated(known, run, role) for role in SETS} for run in TRIED}
    regrets, chosen = {}, {}
    interpolated, always = {}, {}
    for weight in WEIGHTS:
        name = f"w1 = {weight:g}"
        best = min(final_goal(known, run, weight) for run in TRIED)

        def regret(run: str, weight: float = weight, best: float = best) -> float:
            return final_goal(known, run, weight) - best

        chosen[name] = lowest_goal(predicted, weight)
        regrets[name] = regret(chosen[name])
        interpolated[name] = regret(lowest_goal(between, weight))
        always[name] = regret(INNER)
    counted = [name for name, run in chosen.items() if run not in ENDS]
    if not counted:
        raise Undefined("each recommendation is an end of the ratios that are tried, so that none counts")
    units = {name: regrets[name] for name in counted}
    rivals = {
        "log-linear interpolation between the fitted ratios at the same step": interpolated,
        "always 33 %": always,
    }
    return Contrast(
        losses={GOAL: Effect(estimate=mean(units), units=units)},
        rivals={label: {GOAL: mean({name: one[name] for name in counted})} for label, one in rivals.items()},
        beside={
            f"{name}: {run} is recommended{'' if name in counted else ' (not counted)'}": {GOAL: regrets[name]}
            for name, run in chosen.items()
        },
    )


def lowest_goal(losses: Mapping[str, Mapping[Role, float]], weight: float) -> str:
    """The run with the lowest goal."""
    return min(losses, key=lambda run: goal(weight, losses[run]))


def _exchanged(known: Known, role: Role) -> Law:
    """Eq. 8 with the growths of its two shifts exchanged."""
    law = known.law(EXCHANGED[role], role)
    assert law is not None
    return law


def _interpolated(known: Known, run: str, role: Role) -> float:
    """The final loss of a ratio from those of the fitted ones, the logarithm linear in the ratio."""
    ratios = [known.run(one).share(known.data.config.roles.general) for one in FITTED]
    final = [np.log(known.final(one, role)) for one in FITTED]
    return float(np.exp(np.interp(known.run(run).share(known.data.config.roles.general), ratios, final)))


def replay_ends(known: Known) -> Contrast:
    """The error of Eq. 8 on the smallest and on the largest ratio, each left out of its fit; the larger of the two.

    Where the scale has several seeds of all ratios, each end's error is the mean over them.
    """
    seeds = known.need_seeds(*RATIOS.values())
    losses, rivals = {}, Shown()
    for role in SETS:
        forms = _forms(known, role)
        errors = {name: _over_seeds(known, law, role, (NONE, MOST), seeds) for name, law in forms.items()}
        errors["log-linear extrapolation of the two nearest ratios at the same step"] = {
            run: mean({str(seed): _extrapolated(known, of_seed(run, seed), role, seed) for seed in seeds})
            for run in (NONE, MOST)
        }
        losses[role] = largest_of(errors.pop("exchanged"))
        rivals.add(role, {name: largest_of(one).estimate for name, one in errors.items()})
    return Contrast(losses=losses, rivals=rivals.all)


def replay_growth(known: Known) -> Contrast:
    """The error of Eq. 8 minus that of the law that grows with a power of the ratio, on each ratio left out.

    Where the scale has several seeds of all ratios, they are the units, and each has its mean over ratios.
    """
    seeds = known.need_seeds(*RATIOS.values())
    losses, rivals = {}, Shown()
    for role in SETS:
        errors: dict[str, Numbers] = {}
        for name, law in _forms(known, role).items():
            by_seed = {f"seed {seed}": _left_out(known, law, role, RATIOS.values(), seed) for seed in seeds}
            several = {seed: mean(one) for seed, one in by_seed.items()}
            errors[name] = several if len(seeds) > 1 else next(iter(by_seed.values()))
        power = errors["growth r_cpt^a"]
        losses[role] = mean_of(minus(errors.pop("exchanged"), power))
        rivals.add(role, {name: mean(minus(one, power)) for name, one in errors.items()})
    return Contrast(losses=losses, rivals=rivals.all)


def _forms(known: Known, role: Role) -> dict[str, Law]:
    """Eq. 8 as it is claimed (`exchanged`) and by names of rivals."""
    printed = known.law(PRINTED[role], role)
    assert printed is not None
    power = signed(with_power(f"replay_power_{role}", complement=role == Role.STRONG), role)
    return {"exchanged": _exchanged(known, role), "Eq. 8 as printed": printed, "growth r_cpt^a": power}


def _without(run: str, seed: int) -> list[str]:
    """The other ratios of a seed."""
    return [one for one in (of_seed(name, seed) for name in RATIOS.values()) if one != run]


def _over_seeds(known: Known, law: Law, role: Role, runs: Sequence[str], seeds: Sequence[int]) -> Numbers:
    """By run the error on it when it is left out, the mean over seeds."""
    found = {seed: _left_out(known, law, role, runs, seed) for seed in seeds}
    return {run: mean({str(seed): one[of_seed(run, seed)] for seed, one in found.items()}) for run in runs}


def _left_out(known: Known, law: Law, role: Role, runs: Iterable[str], seed: int) -> Numbers:
    """Error on each of the runs, as the seed has it, of the law fitted to the other ratios of the seed."""
    found = {}
    for run in (of_seed(name, seed) for name in runs):
        fitted: Fit = known.fit(law, role, _without(run, seed), starts=STARTS)
        found[run] = known.errors(fitted.predict, [run], role, _without(run, seed))[run]
    return found


def _extrapolated(known: Known, run: str, role: Role, seed: int) -> float:
    """Error on a run of what the two nearest ratios of the seed extrapolate to."""
    return known.errors(_extrapolation(known, role, run, seed), [run], role, _without(run, seed))[run]


def _extrapolation(known: Known, role: Role, out: str, seed: int) -> Predict:
    """From the two ratios that are nearest to one, the logarithm of the loss at the same step linear in the ratio."""
    general = known.data.config.roles.general
    share = {run: known.run(run).share(general) for run in [*_without(out, seed), out]}
    near, far = sorted(_without(out, seed), key=lambda run: abs(share[run] - share[out]))[:2]

    def predict(rows: pd.DataFrame) -> Array:
        steps = np.log(rows["phase_step"])
        logs = []
        for run in (near, far):
            curve = known.continual(run, role)
            logs.append(np.interp(steps, np.log(curve["phase_step"]), np.log(curve["loss"])))
        slope = (logs[1] - logs[0]) / (share[far] - share[near])
        return np.exp(logs[0] + slope * (share[out] - share[near]))

    return predict
