"""What the commands on anyone's loss logs share: what their options ask to be read, and where results go."""

import argparse
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import pandas as pd

from cpt_dynamics.areas import AreaSettings
from cpt_dynamics.cli.options import check_between
from cpt_dynamics.cli.text import bullets
from cpt_dynamics.errors import UserError, printable
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.logged import FeatureSettings
from cpt_dynamics.laws import Law, Shift, get
from cpt_dynamics.logs import Unit, merge_logs, read_log
from cpt_dynamics.logs.measured import Data, of_runs, of_set
from cpt_dynamics.logs.points import MOST
from cpt_dynamics.schedules import MOST_LR, MOST_STEPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AUTO = "auto"  # value of --law and --lambda: chosen from the runs (see `fitting.choice`)
PLOTS = (".pdf", ".png", ".svg")
MOST_PARAMS = 1e18
LIMITS = {  # number of an option -> the least and the most that can be meant
    "cap": (-MOST["loss"], MOST["loss"]),
    "end": (0, MOST_LR),
    "every": (1, MOST_STEPS),
    "first_step": (0, MOST_STEPS),
    "floor": (0, MOST_LR),
    "knots": (2, MOST_STEPS),
    "lr_power": (0, 10),
    "params": (1, MOST_PARAMS),
    "peak_cap": (0, MOST_LR),
    "rewarmup": (0, MOST_STEPS),
    "starts": (1, 10_000),
    "steps": (1, MOST_STEPS),
    "tolerance": (0, MOST["loss"]),
}


def settings_of(options: argparse.Namespace, data: Data) -> FeatureSettings:
    """How the features of logs are made, lambda aside where it is `auto`."""
    lambda_ = 0.999 if options.lambda_ == AUTO else options.lambda_
    areas = AreaSettings(lambda_, options.warmup, not options.restart_momentum, options.lr_power)
    return FeatureSettings(areas, **by_run(options, data.curves, data.schedules))


def by_run(options: argparse.Namespace, rows: pd.DataFrame, schedules: pd.DataFrame) -> dict[str, Any]:
    """The values of --params, of --replay for runs with CPT and of --initial-lr for those without known PT, by run.

    rows: the runs and phases that values are needed for. schedules: which phases a run has.
    """
    after = rows.loc[rows["phase"] == "continual", "run"]
    known = set(schedules.loc[schedules["phase"] == "pretraining", "run"])
    unknown = [run for run in rows["run"].unique() if run not in known]
    return {
        "params": _values(options.params, rows["run"].unique(), "--params", 1, MOST_PARAMS),
        "replay": _values(options.replay, after.unique(), "--replay", 0, 1),
        "initial_lr": _values(options.initial_lr, unknown, "--initial-lr", 0, MOST_LR),
    }


def signed_law(name: str, shift: Shift) -> Law:
    """The law of that name with the sign of its shift."""
    law = get(name, shift)
    if shift != "free" and law == get(name):
        raise UserError(f"law {name!r} has no shift whose sign could be chosen: drop --shift")
    return law


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
    chosen = of_runs(merged, named_runs(options.only, list(merged.files), "--only") or list(merged.files))
    data = of_set(chosen, options.validation, prefer)
    notes = [note.replace("set the option first_step to 0", "give --steps-from 0") for note in data.notes]
    return replace(data, notes=notes)


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


def _values(
    texts: Sequence[str] | None, runs: Iterable[str], option: str, least: float, most: float
) -> dict[str, float] | None:
    """The value of each run, of texts like `RUN=VALUE` or `VALUE`."""
    if not texts:
        return None
    known, found = list(runs), dict[str, float]()
    for text in texts:
        run, _, value = text.rpartition("=")
        number = to_number(value)
        if not least <= number <= most:
            raise UserError(f"{option} {printable(text, 60)}: write RUN=VALUE with a number from {least:g} to {most:g}")
        if run and run not in known:
            raise UserError(f"{option} {text}: there is no run {run!r} that needs it, only {', '.join(known)}")
        for name in [run] if run else [name for name in known if name not in found]:
            found[name] = number
    missing = [run for run in known if run not in found]
    if missing:
        raise UserError(f"{option} says nothing about run {missing[0]!r}: give {option} {missing[0]}=VALUE")
    return found


def to_number(text: str) -> float:
    """NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def hints(data: Data, options: argparse.Namespace, settings: FeatureSettings) -> list[str]:
    """What the data and the options together suggest, one line each."""
    found = []
    ends = data.warmup_ends()
    steps = data.curves["step"]
    inside = (steps >= options.first_step) & (steps < data.curves["run"].map(ends))
    if inside.any():
        found.append(
            f"{inside.sum():,} rows lie in the warm-up of pre-training, which no law describes:"
            f" --first-step {max(ends.values())} leaves them out"
        )
    if options.lambda_ == AUTO:
        return found
    longest = int(data.schedules.groupby("run").size().max())
    lambda_ = settings.areas.lambda_
    memory = 1 / (1 - lambda_) if lambda_ < 1 else math.inf
    if memory > longest / 10:
        found.append(
            f"lambda {lambda_:g} remembers {memory:,.0f} steps, and no run has more than {longest:,}: compare"
            " others with fit --sweep-lambda, or let --lambda auto choose"
        )
    return found


# --- files --------------------------------------------------------------------------------------------------


def check_results(options: argparse.Namespace, logs: Sequence[str]) -> None:
    """Raise `UserError` before any work if a number cannot be meant, or a result could not be written."""
    for name, (least, most) in LIMITS.items():
        check_between(options, least, most, name)
    inputs = [file for log in logs for file in files_of(log)]
    check_output(getattr(options, "out", None), "--out", inputs)
    check_output(options.plot, "--plot", inputs, PLOTS)


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


def written(options: argparse.Namespace, what: str) -> list[str]:
    """Where `--out` went."""
    return [f"{what}: {options.out}"] if options.out else []


def sections(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Notes under their heads, those that there are."""
    return [line for head, lines in notes.items() if lines for line in ("", f"{head}:", *bullets(lines))]
