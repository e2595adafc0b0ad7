"""The curve and the schedule of a run from the points that its log holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cpt_dynamics.curves import table as tables
from cpt_dynamics.errors import UserError
from cpt_dynamics.logs.expressions import Expression
from cpt_dynamics.logs.points import MOST, Options
from cpt_dynamics.schedules import Array


@dataclass(frozen=True, eq=False)
class Log:
    """What logs say: the kit's curve table, the LR of every step, and what was assumed, one plain line each.

    files: where each run comes from. unit_assumed: runs whose losses are nats because nothing says otherwise.
    """

    curves: pd.DataFrame
    schedules: pd.DataFrame
    notes: list[str]
    files: dict[str, str] = field(default_factory=dict)
    unit_assumed: frozenset[str] = frozenset()


def joined(logs: Sequence[Log]) -> Log:
    """The logs one after the other, unchecked."""
    return Log(
        pd.concat([log.curves for log in logs], ignore_index=True),
        pd.concat([log.schedules for log in logs], ignore_index=True),
        [note for log in logs for note in log.notes],
        {run: file for log in logs for run, file in log.files.items()},
        frozenset().union(*(log.unit_assumed for log in logs)),
    )


def log_of(name: str, points: pd.DataFrame, options: Options) -> Log:
    """What the points of one run say (see `points.points_of`)."""
    losses, notes = _chosen(name, points[points["quantity"] == "loss"], options.validation)
    shift, more = _shift(name, points, losses, options.first_step)
    notes += more
    file = ", ".join(points["file"].unique())
    points = points.assign(step=points["step"] + shift)
    losses = losses.assign(step=losses["step"] + shift)
    points, losses = points[points["step"] > 0], losses[losses["step"] > 0]
    if not len(losses):
        raise UserError(f"{file}: run {name!r} has no loss after step 0")
    _check_values(losses)
    last = int(losses["step"].max())
    lr, more = rates_of(name, points[points["quantity"] == "lr"], last, options.schedule, file)
    notes += more
    switch, more = _switch(name, points[points["quantity"] == "phase"], len(lr), options)
    notes += more
    tokens, more = _tokens(name, points[points["quantity"] == "tokens"], losses["step"].to_numpy())
    notes += more
    step = losses["step"].to_numpy()
    curve = pd.DataFrame(
        {
            "run": name,
            **options.run_columns,
            "step": step,
            "phase": np.where(step > switch, "continual", "pretraining").astype(object),
            "phase_step": np.where(step > switch, step - switch, step),
            "lr": lr[step - 1],
            "tokens": tokens,
            "validation": losses["validation"].to_numpy(),
            "loss": losses["value"].to_numpy(),
            "bits_per_byte": np.nan,
        }
    )
    assumed = not losses["stated"].all()
    if assumed:
        notes.append(f"{name}: losses taken as nats per token; the option unit says otherwise")
    curve = curve[list(tables.CURVE_COLUMNS)].sort_values(["validation", "step"], ignore_index=True)
    return checked(curve, plan_of(name, lr, switch), notes, {name: file}, frozenset([name] if assumed else []))


def checked(
    curves: pd.DataFrame, schedules: pd.DataFrame, notes: list[str], files: dict[str, str], assumed: frozenset[str]
) -> Log:
    """A log, or `UserError` if its tables are not those of `curves.table`."""
    source = ", ".join(dict.fromkeys(files.values()))
    tables.check_curves(curves, source)
    tables.check_schedules(schedules, source)
    tables.check_pair(curves, schedules, source)
    return Log(curves, schedules, notes, files, assumed)


def plan_of(name: str, lr: Array, switch: int) -> pd.DataFrame:
    """The schedule of a run whose steps after the first `switch` are continual."""
    step = np.arange(1, len(lr) + 1)
    phase = np.where(step > switch, "continual", "pretraining").astype(object)
    return pd.DataFrame({"run": name, "step": step, "phase": phase, "lr": lr})


def _chosen(name: str, losses: pd.DataFrame, validation: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The losses to read, each with the name of its validation set, and notes."""
    role = losses["role"].where(losses["role"] != "plain", "train" if (losses["role"] == "eval").any() else "eval")
    evals, trained = losses[role == "eval"], losses[role == "train"]
    sets = [str(one) for one in evals["validation"].dropna().unique()]
    if validation in sets:
        return evals[evals["validation"] == validation], []
    if validation == "train" and len(trained):
        return trained.assign(validation="train"), []
    if not len(evals):
        mark = f"{name}: no validation loss is logged, so these are training losses"
        return trained.assign(validation=validation or "train"), [mark]
    if validation and not evals["validation"].isna().any():
        known = sets + ["train"] * bool(len(trained))
        raise UserError(f"{evals['file'].iloc[0]}: no losses of validation set {validation!r}, only {', '.join(known)}")
    notes = []
    if (evals["role"] == "plain").any() and not validation:
        notes.append(f"{name}: the column of losses is taken as those of a validation set, called eval")
    if len(trained):
        notes.append(f"{name}: training losses are left out")
    return evals.assign(validation=evals["validation"].fillna(validation or "eval")), notes


def _shift(name: str, points: pd.DataFrame, losses: pd.DataFrame, first_step: int | None) -> tuple[int, list[str]]:
    """By how much the steps are to be raised, and notes (see the text of `logs`)."""
    if first_step == 0:
        return 1, [f"{name}: steps counted from 0 in the log are counted from 1"]
    if not (points["step"] == 0).any():
        return 0, []
    if first_step is None and (losses["role"] == "train").all() and (losses["step"] == 0).any():
        return 1, [f"{name}: training losses begin at step 0, so steps are counted from 1 instead"]
    return 0, [
        f"{name}: what is logged at step 0, before training, is left out; if the log calls its first training step 0, "
        "set the option first_step to 0"
    ]


def _check_values(losses: pd.DataFrame) -> None:
    """Raise `UserError` unless losses are positive and each set's steps rise in a file and differ between files."""
    values = losses["value"]
    wrong = losses[~(np.isfinite(values) & (values > 0) & (values <= MOST["loss"]))]
    if len(wrong):
        row = wrong.iloc[0]
        limit = f", and at most {MOST['loss']:g}" if row["value"] > MOST["loss"] else ""
        raise UserError(
            f"{row['place']}: {row['said']}: it must be finite and positive{limit}, so mend or remove the row"
        )
    for name, rows in losses.groupby("validation", sort=False):
        steps = rows["step"].to_numpy()
        back = (np.diff(steps) < 0) & (rows["file"].to_numpy()[1:] == rows["file"].to_numpy()[:-1])
        if back.any():
            at = int(np.argmax(back)) + 1
            raise UserError(
                f"{rows['place'].iloc[at]}: step {steps[at]} of {name} after step {steps[at - 1]}: sort the rows by "
                "step, or remove those of an attempt that was given up"
            )
        twice = rows[rows["step"].duplicated()]
        if len(twice):
            again = twice.iloc[0]
            raise UserError(f"{again['place']}: a second loss of {name} at step {again['step']}: keep one")


def rates_of(
    name: str, points: pd.DataFrame, last: int, schedule: Expression | None, file: str
) -> tuple[Array, list[str]]:
    """LR of the steps 1 to `last` (to its end, where a schedule is stated), and notes."""
    points = points.sort_values("step", kind="stable")
    first = points.drop_duplicates("step")
    merged = points.merge(first[["step", "value"]], on="step", suffixes=("", "_first"))
    other = merged[~np.isclose(merged["value"], merged["value_first"], rtol=1e-6, atol=0)]
    if len(other):
        row = other.iloc[0]
        raise UserError(
            f"{row['place']}: the lr of step {row['step']} is {row['value']:g} and {row['value_first']:g}: keep one"
        )
    if schedule is not None:
        return _stated_rates(name, first, last, schedule, file)
    if not len(first):
        raise UserError(f"{file}: run {name!r} has no logged lr: state the LR with the option schedule")
    steps, values = first["step"].to_numpy(), first["value"].to_numpy(dtype=np.float64)
    notes = []
    begin, end = int(steps[0]), int(min(steps[-1], last))
    between = end - begin + 1 - int(np.sum(steps <= last)) if begin <= last else 0
    if between > 0:
        notes.append(f"{name}: lr of {between:,} of {last:,} steps interpolated between logged steps")
    if begin > 1:
        notes.append(f"{name}: lr of the steps before {begin:,}, the first logged, taken as that of step {begin:,}")
    if end < last:
        notes.append(f"{name}: lr of the steps after {end:,}, the last logged, taken as that of step {end:,}")
    return np.interp(np.arange(1, last + 1), steps, values), notes


def _stated_rates(
    name: str, logged: pd.DataFrame, last: int, schedule: Expression, file: str
) -> tuple[Array, list[str]]:
    lr = schedule.lr
    if len(lr) < last:
        raise UserError(
            f"{file}: run {name!r} goes to step {last:,}, but the schedule {schedule.text!r} ends at step {len(lr):,}"
        )
    inside = logged[logged["step"] <= len(lr)]
    expected = lr[inside["step"].to_numpy() - 1]
    right = np.isclose(inside["value"].to_numpy(dtype=np.float64), expected, rtol=1e-3, atol=1e-9 * lr.max())
    if not right.all():
        at = int(np.argmin(right))
        row = inside.iloc[at]
        raise UserError(
            f"{row['place']}: the logged lr of step {row['step']} is {row['value']:g}, that of the schedule "
            f"{expected[at]:g}: correct the schedule (transformers' own need `delayed`), or leave it out"
        )
    against = f", which agrees with the lr logged at {len(inside):,} steps" if len(inside) else ""
    return lr, [f"{name}: lr from the stated schedule{against}"]


def _switch(name: str, points: pd.DataFrame, steps: int, options: Options) -> tuple[int, list[str]]:
    """How many steps are pre-training, and notes."""
    stated, points = options.pretraining_steps, points[points["step"] <= steps]
    if not len(points):
        if stated is None:
            return 0, [f"{name}: no phase is stated: all steps are continual, after an unknown pre-training"]
        return min(stated, steps), []
    before = int(points.loc[points["value"] == 0, "step"].max()) if (points["value"] == 0).any() else 0
    after = int(points.loc[points["value"] == 1, "step"].min()) if (points["value"] == 1).any() else steps + 1
    if after <= before:
        row = points[(points["value"] == 0) & (points["step"] > after)]
        place = row["place"].iloc[0] if len(row) else points["place"].iloc[0]
        raise UserError(f"{place}: pre-training at step {before}, after continual steps: correct the phases")
    if stated is not None and before <= min(stated, steps) < after:
        return min(stated, steps), []
    notes = []
    if stated is not None:
        notes.append(f"{name}: phases as logged, not as pretraining_steps or the schedule say")
    if after > steps:
        return steps, notes
    if after > before + 1:
        switch = before or after - 1
        notes.append(
            f"{name}: the transfer is somewhere after step {before:,} and up to {after:,}, taken as after {switch:,}"
        )
        return switch, notes
    return before, notes


def _tokens(name: str, points: pd.DataFrame, steps: np.ndarray) -> tuple[Array, list[str]]:
    """Tokens seen up to the steps, and notes."""
    if not len(points):
        return np.zeros(len(steps)), [f"{name}: the tokens seen are unknown and set to 0"]
    known = points.sort_values("step", kind="stable").drop_duplicates("step", keep="last")
    tokens = np.interp(steps, known["step"], known["value"])
    missing = int((~np.isin(steps, known["step"])).sum())
    notes = [f"{name}: tokens at {missing:,} evaluations interpolated between logged steps"] if missing else []
    return tokens, notes
