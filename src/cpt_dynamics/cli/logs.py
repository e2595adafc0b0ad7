"""What the commands on anyone's loss logs share: options, reading, features, and where results go."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.areas import Warmup, warmup_length
from cpt_dynamics.curves.logs import Format, Log, Unit, merge_logs, read_log
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.uncertainty import measurements
from cpt_dynamics.laws import Law

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = (".pdf", ".png", ".svg")
# Columns that laws read and logs may lack, and the option that gives them.
GIVEN_BY = {
    "replay": "the replay ratio of every run: give --replay RUN=SHARE",
    "params": "the number of non-embedding parameters of every run: give --params RUN=N",
    "tokens": "the tokens seen: name their column with --columns tokens=COLUMN",
}


@dataclass(frozen=True, eq=False)
class Data:
    """The curves of one validation set, with their schedules; `notes` say what was assumed in reading them."""

    curves: pd.DataFrame
    schedules: pd.DataFrame
    validation: str
    notes: list[str]
    files: Mapping[str, str]  # run -> where it is from

    @property
    def runs(self) -> list[str]:
        return [str(run) for run in self.schedules["run"].unique()]


@dataclass(frozen=True)
class Settings:
    """How areas are made (see `curves.features`)."""

    lambda_: float
    warmup: Warmup
    carry_over: bool
    lr_power: float


# --- options ------------------------------------------------------------------------------------------------


def add_logs(parser: argparse.ArgumentParser, nargs: str = "+") -> None:
    """LOG... and how to read them."""
    parser.add_argument(
        "logs",
        nargs=nargs,
        metavar="LOG",
        help="CSV, W&B export, trainer_state.json or curve table (parquet); LOSSES.csv,LR.csv is one log in two files",
    )
    group = parser.add_argument_group("reading logs ([LOG=] before a value: for that log alone)")
    group.add_argument("--validation", metavar="SET", help="the validation set, where the logs have several")
    group.add_argument("--run", action="append", metavar="[LOG=]NAME", help="name of the run, or which one to read")
    group.add_argument("--only", action="append", metavar="RUN,...", help="use these runs alone")
    group.add_argument("--schedule", action="append", metavar="[LOG=]EXPR", help="LR, as 'warmup 500 to 2e-4; ...'")
    group.add_argument("--pretraining-steps", action="append", metavar="[LOG=]N", help="steps that are PT, or all")
    group.add_argument("--first-step", type=int, default=1, metavar="N", help="leave out rows of PT before step N")
    group.add_argument(
        "--columns", nargs="+", action="extend", metavar="FIELD=COLUMN", help="name columns, e.g. lr=eta loss/law=l2"
    )
    group.add_argument("--format", choices=get_args(Format), help="format of the logs (default: found out)")
    group.add_argument("--unit", action="append", metavar="[LOG=]UNIT", help="nats or bits per token (default: nats)")
    group.add_argument("--lr-logged", choices=("used", "next"), help="whose LR a step's row has: its own or the next's")
    group.add_argument("--steps-from", type=int, choices=(0, 1), help="what the log calls its first training step")


def add_features(parser: argparse.ArgumentParser) -> None:
    """How areas are made, and columns that only some laws read."""
    group = parser.add_argument_group("areas")
    group.add_argument("--lambda", dest="lambda_", type=float, default=0.999, metavar="L", help="memory of S2: 0.999")
    group.add_argument("--warmup", choices=get_args(Warmup), default="peak", help="how PT's warm-up counts: peak")
    group.add_argument("--restart-momentum", action="store_true", help="S2 starts anew at the transfer")
    group.add_argument("--lr-power", type=float, default=0.1, metavar="P", help="of the law cpt_lr_weighted: 0.1")
    add_columns(parser)


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Columns that only some laws read."""
    group = parser.add_argument_group("columns of some laws (a value alone: of every run)")
    group.add_argument("--replay", nargs="+", action="extend", metavar="RUN=SHARE", help="share of PT text in CPT")
    group.add_argument("--params", nargs="+", action="extend", metavar="RUN=N", help="non-embedding parameters")


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(options.lambda_, options.warmup, not options.restart_momentum, options.lr_power)


# --- reading ------------------------------------------------------------------------------------------------


def read(options: argparse.Namespace, prefer: str | None = None) -> Data:
    """The logs that the options name; `prefer`: which of several validation sets to take if none is chosen."""
    runs, units, schedules, lengths = (
        _of_logs(getattr(options, name), options.logs, f"--{name.replace('_', '-')}")
        for name in ("run", "unit", "schedule", "pretraining_steps")
    )
    for unit in units.values():
        if unit not in get_args(Unit):
            raise UserError(f"--unit is {unit!r}: choose nats or bits")
    common: dict[str, Any] = {
        "format": options.format,
        "columns": dict(_pair(text, "--columns", "FIELD=COLUMN") for text in options.columns or []),
        "validation": options.validation,
        "first_step": options.steps_from,
        "lr_logged": options.lr_logged,
    }
    try:
        merged = merge_logs(
            [
                read_log(
                    files_of(log),
                    run=runs.get(log),
                    unit=cast(Unit | None, units.get(log)),
                    schedule=schedules.get(log),
                    pretraining_steps=_length(lengths.get(log)),
                    **common,
                )
                for log in options.logs
            ]
        )
    except UserError as error:  # libraries may describe damaged files in several lines
        raise UserError(" ".join(str(error).split())) from None
    return _one_set(_chosen(merged, options.only), options.validation, prefer)


def named_runs(values: Iterable[str] | None, known: Sequence[str], option: str) -> list[str]:
    """The runs that an option lists, separated by commas; `UserError` for one that is not known."""
    found: list[str] = []
    for value in values or []:
        found += [value] if value in known else [name.strip() for name in value.split(",") if name.strip()]
    for run in found:
        if run not in known:
            raise UserError(f"{option}: there is no run {run!r}, only {', '.join(known)}")
    return list(dict.fromkeys(found))


def _of_logs(values: Iterable[str] | None, logs: Sequence[str], option: str) -> dict[str, str]:
    """Log -> its value, of values like `LOG=VALUE` or `VALUE`, which holds for the other logs."""
    found: dict[str, str] = {}
    others: list[str] = []
    for value in values or []:
        named = [log for log in logs if value.startswith(f"{log}=")]
        if named:
            log = max(named, key=len)
            found[log] = value[len(log) + 1 :]
        elif "=" in value:
            raise UserError(f"{option} {value}: {value.split('=')[0]!r} is none of the logs ({', '.join(logs)})")
        else:
            others.append(value)
    if len(others) > 1:
        raise UserError(f"{option} is given {len(others)} times: write LOG=VALUE to say which log each is for")
    return {**{log: value for value in others for log in logs}, **found}


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise UserError(f"{option} {text}: write {form}")
    return name, value


def files_of(log: str) -> list[str]:
    """The files of a log: one, or several separated by commas."""
    return [log] if Path(log).exists() else log.split(",")


def _length(text: str | None) -> Any:
    """The number of PT steps, or "all"."""
    if text is None or text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--pretraining-steps is {text!r}: give a number of steps, or all") from None


def _chosen(log: Log, only: Iterable[str] | None) -> Log:
    known = list(log.files)
    runs = named_runs(only, known, "--only") or known
    return Log(
        log.curves[log.curves["run"].isin(runs)].reset_index(drop=True),
        log.schedules[log.schedules["run"].isin(runs)].reset_index(drop=True),
        [note for note in log.notes if runs == known or not _of_others(note, set(known) - set(runs))],
        {run: file for run, file in log.files.items() if run in runs},
    )


def _of_others(note: str, runs: set[str]) -> bool:
    return any(note.startswith(f"{run}: ") for run in runs)


def _one_set(log: Log, chosen: str | None, prefer: str | None) -> Data:
    sets = [str(name) for name in log.curves["validation"].unique()]
    if len(sets) > 1 and chosen is None and prefer in sets:
        chosen = prefer
    if len(sets) > 1 and chosen not in sets:
        raise UserError(f"the logs have losses of {len(sets)} validation sets: choose --validation {' or '.join(sets)}")
    validation = chosen if chosen in sets else sets[0]
    curves = log.curves[log.curves["validation"] == validation].reset_index(drop=True)
    notes = [note.replace("set the option first_step to 0", "give --steps-from 0") for note in log.notes]
    absent = [run for run in log.files if run not in set(curves["run"])]
    notes += [f"{run}: no losses of {validation}, so it is not used" for run in absent]
    schedules = log.schedules[~log.schedules["run"].isin(absent)].reset_index(drop=True)
    return Data(curves, schedules, validation, notes, log.files)


# --- features -----------------------------------------------------------------------------------------------


def features(
    rows: pd.DataFrame, schedules: pd.DataFrame, options: argparse.Namespace, settings: Settings
) -> pd.DataFrame:
    """`rows` with what laws read; a column whose values are unknown (`params`, `tokens`, `replay`) is left out."""
    found = tables.features(
        rows, schedules, settings.lambda_, settings.warmup, settings.carry_over, lr_power=settings.lr_power
    )
    attrs = found.attrs
    params = values_of(options.params, rows["run"], "--params", 1, np.inf)
    if params is not None:
        found = found.assign(params=params)
    replay = values_of(options.replay, rows["run"].where(rows["phase"] == "continual"), "--replay", 0, 1)
    if replay is not None:
        found = found.assign(replay=replay.fillna(1.0))  # any number does in PT (see laws.replay)
    unknown = [name for name in ("params", "tokens") if name in found and not (found[name] > 0).all()]
    found = found.drop(columns=unknown)
    found.attrs = attrs
    return found


def values_of(texts: Sequence[str] | None, runs: pd.Series, option: str, least: float, most: float) -> pd.Series | None:
    """The value of each row's run, of texts like `RUN=VALUE` or `VALUE`; NaN where the run is missing."""
    if not texts:
        return None
    known = [str(run) for run in runs.dropna().unique()]
    found: dict[str, float] = {}
    for text in texts:
        run, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = np.nan
        if not least <= number <= most:
            limits = f"from {least:g} to {most:g}" if np.isfinite(most) else f"from {least:g}"
            raise UserError(f"{option} {text}: write RUN=VALUE with a number {limits}")
        if run and run not in known:
            raise UserError(f"{option} {text}: there is no run {run!r} that needs it, only {', '.join(known)}")
        for name in [run] if run else [name for name in known if name not in found]:
            found[name] = number
    missing = [run for run in known if run not in found]
    if missing:
        raise UserError(f"{option} says nothing about run {missing[0]!r}: give {option} {missing[0]}=VALUE")
    return runs.map(found)


def check_law(law: Law, table: pd.DataFrame) -> None:
    """Raise `UserError` unless the rows have what the law reads and are of one model, or the law reads its size."""
    check_inputs(law, table)
    models = table.reindex(columns=["model", "params"]).drop_duplicates().fillna(0)
    if "params" not in law.inputs and len(models) > 1:
        names = ", ".join(sorted(f"{model or ''} {params:,.0f}".strip() for model, params in models.to_numpy()))
        raise UserError(
            f"law {law.name!r} is of one model, but the runs are of {len(models)} ({names}):"
            " choose runs with --only, or a law that reads params, such as cpt_size"
        )


def check_inputs(law: Law, table: pd.DataFrame) -> None:
    """Raise `UserError` unless the law gives a loss and the rows have all that it reads."""
    if law.residual != "log":
        raise UserError(
            f"law {law.name!r} is of a difference of losses, not of losses: fit it with fitting.fit in Python"
        )
    for name in law.inputs:
        if name not in table:
            given = GIVEN_BY.get(name, "which no option gives: fit it with fitting.fit in Python")
            raise UserError(f"law {law.name!r} reads {name}, {given}")


def from_step(table: pd.DataFrame, first_step: int) -> tuple[pd.DataFrame, int]:
    """The rows without those of pre-training before a step, and how many those are."""
    early = (table["phase"] == "pretraining") & (table["step"] < first_step)
    return _rows(table, ~early), int(early.sum())


def once(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows with each measurement once, as runs that branch off share their first ones; and how many repeats."""
    repeated = measurements(table.reset_index(drop=True), table["loss"].to_numpy()).duplicated().to_numpy()
    return _rows(table, ~repeated), int(repeated.sum())


def of_runs(table: pd.DataFrame, runs: Iterable[str]) -> pd.DataFrame:
    """The rows of some runs."""
    return _rows(table, table["run"].isin(list(runs)))


def _rows(table: pd.DataFrame, chosen: Any) -> pd.DataFrame:
    part = table[np.asarray(chosen)]
    part.attrs = table.attrs
    return part


def at_steps(data: Data, run: str, steps: Iterable[int]) -> pd.DataFrame:
    """Rows of a run's schedule at some steps, with its size and with tokens between the logged ones."""
    plan = data.schedules[data.schedules["run"] == run]
    plan = plan.assign(phase_step=plan.groupby("phase", sort=False).cumcount() + 1)
    rows = plan[plan["step"].isin(list(steps))].reset_index(drop=True)
    own = data.curves[data.curves["run"] == run].sort_values("step")
    if len(own):
        tokens = np.interp(rows["step"], own["step"], own["tokens"])
        rows = rows.assign(params=own["params"].iloc[0], tokens=tokens)
    return rows


def hints(data: Data, options: argparse.Namespace, settings: Settings) -> list[str]:
    """What the data and the options together suggest, one line each."""
    found = []
    ends = {run: _warmup_end(plan) for run, plan in data.schedules.groupby("run", sort=False)}
    steps = data.curves["step"]
    inside = (steps >= options.first_step) & (steps < data.curves["run"].map(ends))
    if inside.any():
        found.append(
            f"{inside.sum():,} rows lie in the warm-up of pre-training, which no law describes:"
            f" --first-step {max(ends.values())} leaves them out"
        )
    longest = int(data.schedules.groupby("run").size().max())
    memory = 1 / (1 - settings.lambda_) if settings.lambda_ < 1 else np.inf
    if memory > longest / 10:
        found.append(
            f"lambda {settings.lambda_:g} remembers {memory:,.0f} steps, and no run has more than {longest:,}: compare"
            " others with fit --sweep-lambda, and choose with --lambda"
        )
    return found


def _warmup_end(plan: pd.DataFrame) -> int:
    """The step at which the warm-up of pre-training reaches its peak; 0 where the LR does not rise at first."""
    rates = plan.loc[plan["phase"] == "pretraining", "lr"].to_numpy()
    end = warmup_length(rates)
    return end if end and rates[0] < rates[end - 1] else 0


# --- files --------------------------------------------------------------------------------------------------


def check_output(path: str | None, option: str, inputs: Iterable[str] = (), kinds: Sequence[str] = ()) -> None:
    """Raise `UserError` now rather than after the work if a file cannot be written there."""
    if path is None:
        return
    target = Path(path)
    if kinds and target.suffix not in kinds:
        raise UserError(f"{option} {path}: the name must end in {', '.join(kinds)}")
    if target.is_dir():
        raise UserError(f"{option} {path} is a folder: give the name of a file")
    if not target.parent.is_dir():
        raise UserError(f"{option} {path}: there is no folder {target.parent}: make it first")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"{option} {path}: the folder {target.parent} cannot be written to: choose another")
    if any(Path(one).exists() and target.exists() and target.samefile(one) for one in inputs):
        raise UserError(f"{option} {path} is one of the inputs: choose another name")


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn what the system says about writing a file into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): choose another place") from None


def print_json(value: Any) -> None:
    print(json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=False))


def give(options: argparse.Namespace, result: Mapping[str, Any], text: Sequence[str], figure: "Figure | None") -> None:
    """Write the figure and print the result, as JSON or as text."""
    if figure is not None:
        from cpt_dynamics.figures.kit import fit_plot as fits  # takes half a second, so only where it is used

        with writing(options.plot):
            fits.write(figure, options.plot)
    if options.json:
        print_json(result)
    else:
        print("\n".join([*text, *([f"figure: {options.plot}"] if figure is not None else [])]))
