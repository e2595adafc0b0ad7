"""The curve table, one row per (run, step, validation set), and the schedules that belong to it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import files
from cpt_dynamics.areas import AreaSettings, Warmup, area_columns, history
from cpt_dynamics.errors import UserError

CURVES_SCHEMA = "cpt-dynamics/curves/1"
SCHEDULES_SCHEMA = "cpt-dynamics/schedules/1"
AREA_COLUMNS = ("s1pt", "s2pt", "s1cpt", "s2cpt")
WEIGHTED_COLUMNS = ("s2pt_lr", "s2cpt_lr")
PHASES = ("pretraining", "continual")

CURVE_COLUMNS = {
    "run": "text",
    "seed": "integer",
    "model": "text",
    "params": "integer",  # non-embedding parameters
    "step": "integer",  # from 1, over all phases
    "phase": "text",  # one of PHASES
    "phase_step": "integer",  # from 1, within the phase
    "lr": "number",  # used by this step
    "tokens": "number",  # seen up to and with this step
    "validation": "text",
    "loss": "number",  # nats/token
    "bits_per_byte": "number",  # NaN where the bytes are unknown
}
BRANCH = "branch"  # text, optional: the first branch of the plan that does the steps of a run up to the row's
SCHEDULE_COLUMNS = {"run": "text", "step": "integer", "phase": "text", "lr": "number"}


def read(path: str | Path, schedules: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read and check a curve table; with `schedules`, also check that both tell the same LR and phases."""
    table = files.read_table(path, CURVES_SCHEMA)
    check_curves(table, str(path))
    if schedules is not None:
        check_pair(table, schedules, str(path))
    return table


def read_schedules(path: str | Path) -> pd.DataFrame:
    """Read and check the LR of every step of every run."""
    table = files.read_table(path, SCHEDULES_SCHEMA)
    check_schedules(table, str(path))
    return table


def read_runs(folder: str | Path, runs: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curve table and schedules of runs that `folder` has as `<run>.parquet` and `<run>.schedules.parquet`, sorted."""
    names = sorted(set(runs))
    curves, schedules = (
        pd.concat([files.read_table(Path(folder) / f"{name}{suffix}", schema) for name in names], ignore_index=True)
        for suffix, schema in ((".parquet", CURVES_SCHEMA), (".schedules.parquet", SCHEDULES_SCHEMA))
    )
    check_schedules(schedules, str(folder))
    check_curves(curves, str(folder))
    check_pair(curves, schedules, str(folder))
    return curves, schedules


def schedules_path(curves: str | Path) -> Path:
    """Where the schedules of a curve table lie: beside it, as `<stem>.schedules.parquet`."""
    path = Path(curves)
    return path.with_name(f"{path.stem}.schedules.parquet")


def write(path: str | Path, curves: pd.DataFrame) -> None:
    """Check a curve table and write it, sorted by run, validation set and step."""
    columns = {**CURVE_COLUMNS, BRANCH: "text"} if BRANCH in curves else CURVE_COLUMNS
    table = _chosen(curves, columns, str(path)).sort_values(["run", "validation", "step"])
    check_curves(table, str(path))
    files.write_table(path, table, CURVES_SCHEMA)


def write_schedules(path: str | Path, schedules: pd.DataFrame) -> None:
    """Check the schedules and write them, sorted by run and step."""
    table = _chosen(schedules, SCHEDULE_COLUMNS, str(path)).sort_values(["run", "step"])
    check_schedules(table, str(path))
    files.write_table(path, table, SCHEDULES_SCHEMA)


def check_columns(table: pd.DataFrame, columns: dict[str, str], name: str) -> None:
    """Raise `UserError` unless a table has these columns (name -> kind), each without gaps unless it is a `number`."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(f"{name} lacks the column {missing[0]!r}: it needs {', '.join(columns)}")
    tests: dict[str, Any] = {
        "integer": pd.api.types.is_integer_dtype,
        "number": pd.api.types.is_numeric_dtype,
        "text": pd.api.types.is_string_dtype,
    }
    for column, kind in columns.items():
        odd = pd.api.types.is_bool_dtype(table[column]) or isinstance(table[column].dtype, pd.CategoricalDtype)
        wrong = odd or not tests[kind](table[column])
        if len(table) and (wrong or (kind != "number" and table[column].isna().any())):
            raise UserError(f"{name}: column {column!r} must hold one {kind} a row, not {table[column].dtype}")


def check_curves(table: pd.DataFrame, name: str) -> None:
    """Raise `UserError` naming `name` and the run at fault unless `table` is a curve table."""
    check_columns(table, CURVE_COLUMNS, name)
    if not len(table):
        raise UserError(f"{name} holds no rows: add the losses of at least one run")
    loss, bits, tokens = table["loss"], table["bits_per_byte"], table["tokens"]
    _rows(table, np.isfinite(loss) & (loss > 0), name, "a loss that is not finite and positive")
    _rows(table, bits.isna() | (np.isfinite(bits) & (bits > 0)), name, "bits_per_byte that are not positive")
    _rows(table, np.isfinite(tokens) & (tokens >= 0), name, "a negative or missing token count")
    _rows(table, table["params"] >= 0, name, "a negative number of parameters")
    _common(table, name)
    steps = table.groupby(["run", "validation"], sort=False)["step"].diff()
    _rows(table, steps.isna() | (steps > 0), name, "a step of a validation set twice or out of order")
    _phase_order(table.sort_values(["run", "step"], kind="stable"), name)
    offset = table["step"] - table["phase_step"]  # 0 in PT, one number not below the last PT step in CPT
    continual = table["phase"] == "continual"
    grouped = offset.groupby([table["run"], table["phase"]])
    same = grouped.transform("min") == grouped.transform("max")
    before = table["step"].where(~continual, 0).groupby(table["run"]).transform("max")
    place = (offset >= before).where(continual, offset == 0)
    right = same & place & (table["phase_step"] >= 1)
    _rows(table, right, name, "phase_step that does not count its phase's steps")


def check_schedules(table: pd.DataFrame, name: str) -> None:
    """Raise `UserError` unless every run has an LR and a phase for each step from 1 on, in order."""
    check_columns(table, SCHEDULE_COLUMNS, name)
    if not len(table):
        raise UserError(f"{name} holds no rows: add the LR of every step")
    _common(table, name)
    expected = table.groupby("run", sort=False).cumcount() + 1
    _rows(table, table["step"] == expected, name, "steps that are not 1, 2, 3 ... without a gap")
    _phase_order(table, name)


def check_pair(curves: pd.DataFrame, schedules: pd.DataFrame, name: str = "curves") -> None:
    """Raise `UserError` unless every row of `curves` has the LR and the phase of its step in `schedules`."""
    keys = curves[["run", "step", "phase", "lr"]]
    joined = keys.merge(schedules, on=["run", "step"], how="left", suffixes=("", "_schedule"), validate="m:1")
    joined.index = curves.index
    _rows(curves, joined["lr_schedule"].notna(), name, "a step that the schedules do not have")
    close = np.isclose(joined["lr"], joined["lr_schedule"], rtol=1e-6, atol=0)
    _rows(curves, pd.Series(close, curves.index), name, "an lr other than the schedule's")
    _rows(curves, joined["phase"] == joined["phase_schedule"], name, "a phase other than the schedule's")
    if "phase_step" in curves:
        before = (schedules["phase"] == "pretraining").groupby(schedules["run"]).sum()
        switch = curves["run"].map(before).where(curves["phase"] == "continual", 0)
        right = curves["step"] - curves["phase_step"] == switch
        _rows(curves, right, name, "phase_step that does not count from the schedule's transfer")


def features(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    lambda_: float = 0.999,
    warmup: Warmup = "peak",
    carry_over: bool = True,
    warmup_steps: dict[str, int] | None = None,
    lr_power: float = 0.1,
    merge: int = 1,
    initial_lr: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """The rows of `curves` with what the laws read added.

    s1pt, s2pt, s1cpt, s2cpt: see `areas.areas`. s2pt_lr, s2cpt_lr: the annealing areas weighted by
    LR^lr_power (arXiv 2505.07796, Eq. 9). history: the run's `areas.History`, for laws that sum over the
    changes of the LR; `merge` is its parameter. settings: the choices, as `areas.AreaSettings`, which a fit keeps.

    A run whose pre-training is unknown has continual steps only; its LR before them is taken as zero
    (arXiv 2505.07796, section on open-source models), unless `initial_lr` states, by run, the LR of its checkpoint,
    such as that of the stable phase of WSD. `warmup_steps` states, by run, where the warm-up ends if the schedule
    does not show it. `UserError` for an `initial_lr` of a run whose pre-training is known, or below 0.
    """
    schedules = schedules[schedules["run"].isin(curves["run"].unique())]
    check_pair(curves, schedules)
    values = {column: np.zeros(len(curves)) for column in (*AREA_COLUMNS, *WEIGHTED_COLUMNS)}
    histories = np.empty(len(curves), dtype=object)
    plans = {str(run): plan for run, plan in schedules.groupby("run", sort=False)}
    for run, rows in curves.groupby("run", sort=False).indices.items():
        plan = plans[str(run)]
        pretraining = int((plan["phase"] == "pretraining").sum())
        initial = _initial_lr(str(run), pretraining, initial_lr or {})
        given = (warmup_steps or {}).get(str(run))
        past = history(plan["lr"].to_numpy(dtype=np.float64), pretraining, warmup, given, initial, merge)
        at = curves["step"].to_numpy()[rows]
        for column, area in area_columns(past, at, lambda_, carry_over, lr_power).items():
            values[column][rows] = area
        histories[rows] = past
    settings = np.full(len(curves), AreaSettings(lambda_, warmup, carry_over, lr_power), dtype=object)
    return curves.assign(**values, history=histories, settings=settings)


def _initial_lr(run: str, pretraining: int, stated: Mapping[str, float]) -> float | None:
    """The LR before the first step; None takes that of the first step."""
    if run not in stated:
        return None if pretraining else 0.0
    if pretraining:
        raise UserError(f"run {run!r} has {pretraining} steps of pre-training, which tell its LR: state none")
    if not 0 <= stated[run] < np.inf:
        raise UserError(f"the LR of run {run!r} before its first step is {stated[run]}: it is finite and at least 0")
    return stated[run]


def _chosen(table: pd.DataFrame, columns: dict[str, str], name: str) -> pd.DataFrame:
    check_columns(table, columns, name)
    return table[list(columns)]


def _common(table: pd.DataFrame, name: str) -> None:
    _rows(table, table["step"] >= 1, name, "a step below 1: steps count from 1")
    _rows(table, np.isfinite(table["lr"]) & (table["lr"] >= 0), name, "a negative or missing lr")
    _rows(table, table["phase"].isin(PHASES), name, f"a phase that is not one of {', '.join(PHASES)}")


def _phase_order(table: pd.DataFrame, name: str) -> None:
    """Within a run no pre-training row may follow a continual one; rows are sorted by step."""
    continual = (table["phase"] == "continual").astype(int)
    right = continual == continual.groupby(table["run"]).cummax()
    _rows(table, right, name, "pre-training after continual steps")


def _rows(table: pd.DataFrame, right: pd.Series, name: str, what: str) -> None:
    """Raise `UserError` about the first row that is not right."""
    if not right.all():
        row = table.loc[~right.to_numpy()].iloc[0]
        raise UserError(f"{name}: run {row['run']!r}, step {row['step']} has {what}")
