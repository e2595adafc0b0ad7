"""Anyone's loss logs as the kit's curve table.

Formats, told apart by content: the kit's own curve table ("curves"), comma-, semicolon- or tab-separated text with a
header ("csv"), a Weights & Biases export ("wandb": columns ``<run> - <metric>``) and the `trainer_state.json` of
Hugging Face Trainer ("trainer_state").

**Columns** are found by name in any case, with ``_ / . -`` and blanks alike: step, global_step, iteration ...; lr,
learning_rate; tokens, num_input_tokens_seen ...; run; phase; validation. Losses: ``eval_loss`` (``val``, ``valid``,
``validation``) is the validation set "eval"; ``eval_<set>_loss``, ``<set>/loss`` and ``loss_<set>`` are the set <set>;
``train_loss`` is a training loss, and so is ``loss`` beside validation losses; training losses are read only where
there are no others, or on demand. Losses are nats per token unless the name ends in ``_bits`` or is
``bits_per_token``, or the option `unit` says so. The option `columns` names columns outright.

**Steps** count from 1, as in the curve table: row i holds what is known after i steps. A loss at step 0 was measured
before training and is left out; only where training losses are read does a step 0 say that the log counts from 0.

**Nats or bits.** Runs of different files are refused as a likely mix-up if one's losses are ln 2 times the other's
within 3 %, at every step (three at least) where both were measured, on one validation set and with the same model and
parameters as far as stated, while the unit of at least one was stated nowhere. Runs that really differ so much from
their first to their last common evaluation are read once `unit` is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from cpt_dynamics.curves import table as tables
from cpt_dynamics.errors import UserError, is_name, short
from cpt_dynamics.logs.expressions import Expression, parse
from cpt_dynamics.logs.formats import Format, LogPart, format_of, read_csv, read_trainer_state, read_wandb
from cpt_dynamics.logs.points import LN2, MOST, NAMES, Options, points_of
from cpt_dynamics.logs.runs import Log, checked, joined, log_of, plan_of, rates_of
from cpt_dynamics.schedules import LEAST_LR

Unit = Literal["nats", "bits"]
PathLike = str | Path
SHARED = 3  # evaluations at common steps from which the losses of two runs are compared
MIX_UP = 0.03


def read_log(
    path: PathLike | Sequence[PathLike],
    *,
    format: Format | None = None,
    run: str | None = None,
    columns: Mapping[str, str] | None = None,
    validation: str | None = None,
    schedule: str | None = None,
    pretraining_steps: int | Literal["all"] | None = None,
    first_step: Literal[0, 1] | None = None,
    lr_logged: Literal["used", "next"] | None = None,
    unit: Unit | None = None,
    seed: int = 0,
    model: str = "",
    params: int = 0,
) -> Log:
    """Read one log, or several files that complement each other (such as one with the LR of the same run).

    Parameters
    ----------
    format : how to read the files; None finds it out.
    run : name of the run (else the file's own, or its stem); of a file with several runs, the only one to read.
    columns : field -> column (of W&B: metric), for fields step, lr, tokens, run, phase, validation, loss and
        loss/<validation set>. Where it names a loss, no other column is read as a loss.
    validation : name of the validation set where the log has none; where it names several, the only one to read
        ("train": the training loss).
    schedule : schedule expression (see `expressions`), instead of or checked against the logged LR (rtol 1e-3).
    pretraining_steps : steps of the log that are PT. Where neither a phase column nor this nor the schedule tells,
        all steps are continual, after an unknown PT.
    first_step : number that the log gives to the first training step (see the module's text).
    lr_logged : whether the LR logged at a step is the one it used or that of the next step. Without it: used, but
        next in states of Trainer that lack `best_global_step`. (transformers up to 4.50 logs the LR of the next step
        and writes that key from 4.50 on, so a state of 4.50 itself needs this option.)
    unit : unit of losses whose column does not state it (nats).
    seed, model, params : for the curve table; params are non-embedding parameters, 0 if unknown.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]
    expression = parse(schedule) if schedule is not None else None
    if not paths:
        raise UserError("no log is named: give the path of at least one file")
    options = Options(
        run,
        dict(columns or {}),
        validation,
        expression,
        _pretraining(pretraining_steps, expression),
        first_step,
        lr_logged,
        unit,
        {"seed": seed, "model": model, "params": params},
    )
    _check_options(options, format)
    formats = [format_of(one, format) for one in paths]
    if "curves" in formats:
        if len(paths) > 1:
            raise UserError(f"{paths[formats.index('curves')]} is a whole curve table: read it alone, not with others")
        return _read_own(paths[0], options)
    readers = {"csv": read_csv, "wandb": read_wandb, "trainer_state": read_trainer_state}
    parts = [part for one, found in zip(paths, formats, strict=True) for part in readers[found](one)]
    return _log(parts, options)


def read_logs(
    paths: Iterable[PathLike | Sequence[PathLike]],
    *,
    unit: Unit | Mapping[PathLike, Unit] | None = None,
    **options: Any,
) -> Log:
    """Read logs of different runs into one table; `unit` may be given by path, other options as in `read_log`."""
    groups = [(path,) if isinstance(path, str | Path) else tuple(path) for path in paths]
    by_path = {str(path): known for path, known in unit.items()} if isinstance(unit, Mapping) else {}
    for path in by_path.keys() - {str(path) for group in groups for path in group}:
        raise UserError(f"unit is given for {path}, which is not among the logs: correct the path")
    known = unit if isinstance(unit, str) else None
    return merge_logs(
        [
            read_log(group, unit=next((by_path[str(p)] for p in group if str(p) in by_path), known), **options)
            for group in groups
        ]
    )


def merge_logs(logs: Sequence[Log]) -> Log:
    """Put logs of different runs into one; refuse runs of one name, and likely nats beside bits."""
    if not logs:
        raise UserError("no log is named: give the path of at least one file")
    files: dict[str, str] = {}
    for run, file in (pair for log in logs for pair in log.files.items()):
        if run in files:
            raise UserError(f"{files[run]} and {file} both hold a run {run!r}: name one with the option run")
        files[run] = file
    _refuse_mixed_units(logs)
    return joined(logs)


# --- options ------------------------------------------------------------------------------------------------


def _pretraining(steps: int | str | None, schedule: Expression | None) -> int | None:
    if steps == "all":
        steps = 2**62  # more steps than any log has
    elif isinstance(steps, str) or (steps is not None and steps < 0):
        raise UserError(f"pretraining_steps is {steps}: give a number of steps from 0, or all")
    if schedule is None:
        return steps
    stated = schedule.pretraining_steps
    if steps is not None and stated != steps and stated < len(schedule.lr):
        raise UserError(f"pretraining_steps is {steps:,}, but the schedule has {stated:,} steps of pretraining")
    return stated if steps is None else steps


def _check_options(options: Options, format: str | None) -> None:
    fields = [*NAMES, "loss"]
    for name in options.columns:
        if name not in fields and not name.startswith("loss/"):
            raise UserError(f"columns: no field {name!r}, only {', '.join(fields)} and loss/<validation set>")
    for name, value, known in [
        ("format", format, get_args(Format)),
        ("unit", options.unit, get_args(Unit)),
        ("lr_logged", options.lr_logged, ("used", "next")),
        ("first_step", options.first_step, (0, 1)),
    ]:
        if value is not None and value not in known:
            raise UserError(f"{name} is {value!r}: choose {' or '.join(map(str, known))}")


def _log(parts: list[LogPart], options: Options) -> Log:
    runs, notes = points_of(parts, options)
    found = joined([log_of(options.run or run, rows, options) for run, rows in runs.items()])
    return replace(found, notes=notes + found.notes)


# --- the kit's own table --------------------------------------------------------------------------------------


def _read_own(path: Path, options: Options) -> Log:
    """A curve table; its schedules are those beside it, else the LR of its rows is interpolated."""
    table = tables.read(path).reset_index(drop=True)
    if options.unit == "bits":
        raise UserError(f"{path} is a curve table, whose losses are nats: drop the option unit")
    beside = tables.schedules_path(path)
    known = tables.read_schedules(beside) if options.schedule is None and beside.exists() else None
    _check_bounds(table, path)
    if known is not None:
        _check_bounds(known, beside)
    table = _selected(table, path, options)
    names = {str(run): options.run or str(run) for run in table["run"].unique()}
    plans, notes = [], []
    for run in names:
        if known is not None:
            plans.append(known[known["run"] == run])
            continue
        rows = table[table["run"] == run]
        lr, more = rates_of(run, _own_points(path, rows), int(rows["step"].max()), options.schedule, str(path))
        continual = rows[rows["phase"] == "continual"]
        switch = int((continual["step"] - continual["phase_step"]).max()) if len(continual) else len(lr)
        table.loc[rows.index, "lr"] = lr[rows["step"].to_numpy() - 1]
        plans.append(plan_of(run, lr, switch))
        notes += [f"{path}: no schedules beside it"] * (options.schedule is None) + more
    schedules = pd.concat(plans, ignore_index=True)
    table, schedules = (one.assign(run=one["run"].map(names)).reset_index(drop=True) for one in (table, schedules))
    return checked(table, schedules, notes, {name: str(path) for name in names.values()}, frozenset())


def _check_bounds(table: pd.DataFrame, path: Path) -> None:
    """Raise `UserError` for numbers that no run has, and for names that cannot be printed."""
    for column, most in MOST.items():
        if column in table and float(table[column].max()) > most:
            raise UserError(f"{path}: {column} is {table[column].max():g} somewhere: it must be at most {most:g}")
    if ((table["lr"] > 0) & (table["lr"] < LEAST_LR)).any():
        raise UserError(f"{path}: lr is below {LEAST_LR:g} somewhere, and not 0: mend these rows")
    for name in (name for column in ("run", "validation") if column in table for name in table[column].unique()):
        if not is_name(name):
            raise UserError(f"{path}: {short(name)} is no name: use at most 255 printable characters")


def _selected(table: pd.DataFrame, path: Path, options: Options) -> pd.DataFrame:
    runs, sets = list(table["run"].unique()), list(table["validation"].unique())
    if options.validation is not None:
        if options.validation not in sets:
            raise UserError(f"{path}: no losses of validation set {short(options.validation)}, only {', '.join(sets)}")
        table = table[table["validation"] == options.validation]
    if options.run is not None and len(runs) > 1:
        if options.run not in runs:
            raise UserError(f"{path} has no run {options.run!r}, only {', '.join(runs)}")
        table = table[table["run"] == options.run]
    return table.copy()


def _own_points(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    place = [f"{path}, run {run!r}" for run in rows["run"]]
    return pd.DataFrame({"place": place, "step": rows["step"].to_numpy(), "value": rows["lr"].to_numpy()})


# --- nats beside bits -------------------------------------------------------------------------------------------


def _refuse_mixed_units(logs: Sequence[Log]) -> None:
    """Raise `UserError` where two runs look like nats and bits (see the module's text for the rule)."""
    whole = joined(logs)
    curves = list(whole.curves.groupby(["validation", "model", "params", "run"], sort=False))
    for (*alike, run), rows in curves:
        for (*same, other), other_rows in curves:
            files = whole.files[str(run)], whole.files[str(other)]
            if run not in whole.unit_assumed or same != alike or files[0] == files[1]:
                continue
            if (side := _nats_beside_bits(rows, other_rows)) is not None:
                raise UserError(
                    f"{files[0]} and {files[1]} look like nats and bits on {alike[0]} (a factor of ln 2 between their "
                    f"losses): give unit bits for {files[side]}, or state the unit of both"
                )


def _nats_beside_bits(rows: pd.DataFrame, others: pd.DataFrame) -> int | None:
    """0 or 1 if the losses of the first or of the second rows look like the other's in bits."""
    low, high = max(rows["step"].min(), others["step"].min()), min(rows["step"].max(), others["step"].max())
    inside = rows[rows["step"].between(low, high)]
    if min(len(inside), others["step"].between(low, high).sum()) < SHARED:
        return None
    ratio = inside["loss"] / np.interp(inside["step"], others["step"], others["loss"])
    for side, bits_over_nats in enumerate((ratio, 1 / ratio)):
        if np.all(np.abs(bits_over_nats * LN2 - 1) <= MIX_UP):
            return side
    return None
