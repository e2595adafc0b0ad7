"""The shift term: its form, where it starts, its strength, other batches, and CPT that turns back."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import Shown, largest_of, mean, mean_of, minus, single, slope_of
from cpt_dynamics.figures.contrasts.known import Known, Undefined, of_seed
from cpt_dynamics.figures.contrasts.noise import defined, seed_noise
from cpt_dynamics.figures.contrasts.result import Contrast, Numbers
from cpt_dynamics.figures.fig01.analyse import analyse as fig01
from cpt_dynamics.figures.kit import shifts
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import Law

HIDDEN = "hidden_constant"
STRONG, WEAK, MIDDLE = "cpt_constant", "weak_constant", "middle_constant"
TRANSFERS = ("transfer_1", "transfer_2", "transfer_3", STRONG)
FORMS = {  # form of the shift -> the law of losses that has it
    "power": "cpt",
    "exponential": "cpt_exponential",
    "logarithmic": "cpt_log",
    "Hill": "cpt_hill",
}
SCHEDULES = (STRONG, "cpt_wsd")
LAST = 0.75  # of CPT; what comes after is its last quarter
NEIGHBOURS = 5  # evaluations whose mean counts as one
HALF, DOUBLE = "batch_half", "batch_double"
OF_BATCHES = {STRONG: HIDDEN, HALF: "hidden_batch_half", DOUBLE: "hidden_batch_double"}


def power_form(known: Known) -> Contrast:
    """Squared error of the power form minus that of the exponential on each transfer that is left out."""
    return _forms(known, "exponential")


def power_not_logarithm(known: Known) -> Contrast:
    """The same against the logarithm, the limit of the power form for a small exponent."""
    return _forms(known, "logarithmic")


def _forms(known: Known, other: str) -> Contrast:
    """Where the scale has several seeds of the transfers, they are the units: runs of one share much."""
    seeds = known.need_seeds(*TRANSFERS, HIDDEN)
    losses, rivals = {}, Shown()
    for role in SETS:
        forms = {name: of_shift(known, law, role) for name, law in FORMS.items()}
        errors: dict[str, Numbers] = {name: {} for name, form in forms.items() if form is not None}
        for seed in seeds:
            table = measured(known, transfers(seed), role)
            for name in errors:
                form = forms[name]
                assert form is not None
                left_out = _left_out(table, form)
                errors[name] |= left_out if len(seeds) == 1 else {f"seed {seed}": mean(left_out)}
        reference, power = errors[other], errors.pop("power")
        losses[role] = mean_of(minus(power, reference))
        rivals.add(role, {name: mean(minus(one, reference)) for name, one in errors.items()})
    return Contrast(losses=losses, rivals=rivals.all)


def transfers(seed: int) -> dict[str, str]:
    """The transfers of a seed, with the hidden curve of each."""
    return {of_seed(run, seed): of_seed(HIDDEN, seed) for run in TRANSFERS}


def of_shift(known: Known, name: str, role: Role) -> Law | None:
    """The shift of a law of losses as a law by itself; None for a law that is not there."""
    law = known.law(name, role)
    if law is None:
        return None
    terms = tuple(term for term in law.terms if term.inputs == ("s1cpt",))
    return Law(f"shift of {name}", law.source, terms, residual="linear")


def _left_out(table: pd.DataFrame, form: Law) -> Numbers:
    """Mean squared error (nats^2) on each run of a form fitted to the other runs."""
    found = {}
    for run in dict.fromkeys(table["run"]):
        out = table[table["run"] == run]
        rest = table[table["run"] != run]
        found[run] = float(np.mean((fit(form, rest, rest["shift"]).predict(out) - out["shift"]) ** 2))
    return found


def measured(known: Known, hidden: Mapping[str, str], role: Role) -> pd.DataFrame:
    """Shifts of CPT runs from their hidden curves (see `shifts.measured`)."""
    known.need(*hidden, *hidden.values())
    return shifts.measured(known.features, hidden, known.validation(role))


def mean_shifts(table: pd.DataFrame) -> Numbers:
    """Mean shift of each run over common steps of CPT, over the mean of all runs."""
    means = {run: float(np.mean(values)) for run, values in shifts.on_common_steps(table).items()}
    return {run: value / mean(means) for run, value in means.items()}


def transfer_point(known: Known) -> Contrast:
    """Slope of the relative mean shift from a transfer at the start to one at the end, one a seed where there are."""
    seeds, lengths = known.need_seeds(*TRANSFERS, HIDDEN), known.data.config.lengths
    losses, rivals = {}, Shown()
    for role in SETS:
        slopes, grown = {}, {}
        for seed in seeds:
            runs = transfers(seed)
            places = {run: known.run(run).transfer_step / (lengths.pretraining + lengths.continual) for run in runs}
            slopes[f"seed {seed}"] = slope_of(places, mean_shifts(measured(known, runs, role)))
            before = {run: float(known.continual(run, role)["s1pt"].iloc[0]) for run in runs}
            relative = {run: area / mean(before) for run, area in before.items()}
            grown[f"seed {seed}"] = slope_of(places, relative).estimate
        units = {name: one.estimate for name, one in slopes.items()}
        losses[role] = mean_of(units) if len(seeds) > 1 else slopes[f"seed {seeds[0]}"]
        rivals.add(role, {"a shift that grows with the S1 of PT": mean(grown)})
    return Contrast(losses=losses, rivals=rivals.all)


def moves_between(known: Known) -> Contrast:
    """The share of the way from the hidden curve to that from scratch that is left over at the end of CPT.

    Of two schedules the larger counts; `contradicted_below` is about either.
    """
    columns = {column.cpt: column for column in fig01(known.of_figure("fig01")).columns}
    known.need(*SCHEDULES)
    losses = {}
    for role in SETS:
        moved = {run: columns[run].sets[role].moved for run in SCHEDULES}
        left = {run: 1 - share for run, share in moved.items() if share is not None}
        if len(left) < len(moved):
            raise Undefined("the curves of hidden pre-training and from scratch end at one loss")
        losses[role] = largest_of(left)
    return Contrast(losses=losses, rivals={"CPT stays half way": dict.fromkeys(losses, 0.5)})


def weak_shift(known: Known) -> Contrast:
    """The mean shift on D_pt over the last quarter of CPT, weak over strong."""
    role = Role.GENERAL
    known.need(WEAK, STRONG, HIDDEN)
    middle = [] if known.missing([MIDDLE]) else [MIDDLE]
    table = measured(known, dict.fromkeys([WEAK, STRONG, *middle], HIDDEN), role)
    late = table[table["phase_step"] > LAST * table.groupby("run")["phase_step"].transform("max")]
    means = late.groupby("run")["shift"].mean().to_dict()
    return Contrast(
        losses={role: single(means[WEAK] / means[STRONG], WEAK)},
        rivals={"equal shifts": {role: 1.0}},
        beside={f"{run} over {STRONG}": {role: means[run] / means[STRONG]} for run in middle},
    )


def batch(known: Known) -> Contrast:
    """The error of the shift with the double batch, predicted from the half and the usual one, over its mean size."""
    losses, rivals = {}, Shown()
    for role in SETS:
        table = measured(known, OF_BATCHES, role)
        batches = {run: known.run(run).phases[-1].batch for run in OF_BATCHES}
        size = {run: one.sequences * one.length for run, one in batches.items()}
        over_tokens = table.assign(s1cpt=table["phase_step"] * table["run"].map(size))
        nearest = min((run for run in OF_BATCHES if run != DOUBLE), key=lambda run: abs(size[run] - size[DOUBLE]))
        out, near = (table[table["run"] == run] for run in (DOUBLE, nearest))
        same_step = np.interp(np.log(out["phase_step"]), np.log(near["phase_step"]), near["shift"])
        losses[role] = single(_without(table, role), DOUBLE)
        rivals.add(
            role,
            {
                "the power form over tokens": _without(over_tokens, role),
                "the nearest batch at the same step": _relative(same_step, out),
            },
        )
    return Contrast(losses=losses, rivals=rivals.all)


def _without(table: pd.DataFrame, role: Role) -> float:
    """The error on the double batch of the power form fitted to the others."""
    out = table[table["run"] == DOUBLE]
    return _relative(shifts.fit_form(table[table["run"] != DOUBLE], role).predict(out), out)


def _relative(predicted: np.ndarray, rows: pd.DataFrame) -> float:
    """Mean absolute error over the mean size of the shift."""
    return float(np.mean(np.abs(predicted - rows["shift"])) / np.mean(np.abs(rows["shift"])))


def turning_too_little(known: Known) -> Contrast:
    """The D_pt loss at the end of CPT minus that at an early transfer, in seed noise."""
    (run,), role = known.need("precritical"), Role.GENERAL
    noise = defined(seed_noise(known, role).noise)
    rows = known.curve(run, role)
    start = float(rows.loc[rows["phase"] == "pretraining", "loss"].iloc[-1])
    return Contrast(
        losses={role: single((known.final(run, role) - start) / noise, run)},
        rivals={"no turning back": {role: 0.0}},
    )


def turning_weak(known: Known) -> Contrast:
    """The D_pt loss at the end of CPT of weak shift minus the highest it was, in seed noise; the larger of two runs."""
    runs, role = known.need("weak_long", "weak_early"), Role.GENERAL
    noise = defined(seed_noise(known, role).noise)
    apart = {}
    for run in runs:
        loss = known.continual(run, role)["loss"]
        apart[run] = (float(loss.iloc[-1]) - float(loss.rolling(NEIGHBOURS).mean().max())) / noise
    return Contrast(losses={role: largest_of(apart)}, rivals={"a loss that only rises": {role: 0.0}})
