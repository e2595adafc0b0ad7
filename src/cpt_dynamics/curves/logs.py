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

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from cpt_dynamics.curves import table as tables
from cpt_dynamics.curves.expressions import Expression, parse
from cpt_dynamics.errors import UserError
from cpt_dynamics.schedules import Array

Format = Literal["curves", "csv", "wandb", "trainer_state"]
Unit = Literal["nats", "bits"]
PathLike = str | Path

LN2 = math.log(2)
NOT_LOGGED = {"", "none", "null", "na", "n/a"}  # a cell without a value; "nan" is a value, and a bad one
NAMES = {  # field -> names of its column, the best first
    "step": (
        "train_global_step",
        "trainer_global_step",
        "global_step",
        "step",
        "steps",
        "iteration",
        "iterations",
        "iter",
    ),
    "lr": ("lr", "learning_rate", "train_lr", "train_learning_rate"),
    "tokens": ("tokens", "num_tokens", "tokens_seen", "num_input_tokens_seen", "train_num_input_tokens_seen"),
    "run": ("run", "run_name"),
    "phase": ("phase",),
    "validation": ("validation", "validation_set"),
}
PHASE_NAMES = {
    "pretraining": 0.0,
    "pretrain": 0.0,
    "pt": 0.0,
    "continual": 1.0,
    "continual_pretraining": 1.0,
    "cpt": 1.0,
}
TRAINING = ("train", "training")
EVALUATION = ("eval", "evaluation", "valid", "validation", "val")
# Words in the names of losses that are no validation set.
OTHER_LOSSES = re.compile(
    r"(?<![0-9a-z])(aux|avg|balance|batch|best|delta|ema|epoch|max|mean|min|running|scale|scaler|std|stderr|total|var|z)"
    r"(?![0-9a-z])",
    re.IGNORECASE,
)
UNIT_ENDING = re.compile(r"(?P<name>.+?)[_/. ]\(?(?P<unit>bits|nats)\)?", re.IGNORECASE)
LOSS = re.compile(
    rf"(?:(?P<role>{'|'.join(TRAINING + EVALUATION)})[_/. ])?(?:(?P<before>.+?)[_/. ])?"
    r"(?:loss|bits[_ ]per[_ ]token)(?:[_/. ](?P<after>.+))?",
    re.IGNORECASE,
)
SHARED = 3  # evaluations at common steps from which the losses of two runs are compared
MIX_UP = 0.03


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


@dataclass(frozen=True)
class _Options:
    run: str | None
    columns: dict[str, str]
    validation: str | None
    schedule: Expression | None
    pretraining_steps: int | None
    first_step: int | None
    lr_logged: str | None
    unit: str | None
    run_columns: dict[str, Any]  # seed, model, params


def schedules_path(curves: PathLike) -> Path:
    """Where the schedules of a curve table lie: beside it, as `<stem>.schedules.parquet`."""
    path = Path(curves)
    return path.with_name(f"{path.stem}.schedules.parquet")


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
    options = _Options(
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
    formats = [_format(one, format) for one in paths]
    if "curves" in formats:
        if len(paths) > 1:
            raise UserError(f"{paths[formats.index('curves')]} is a whole curve table: read it alone, not with others")
        return _read_own(paths[0], options)
    readers = {"csv": _read_csv, "wandb": _read_wandb, "trainer_state": _read_trainer_state}
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
    return _joined(logs)


def _joined(logs: Sequence[Log]) -> Log:
    return Log(
        pd.concat([log.curves for log in logs], ignore_index=True),
        pd.concat([log.schedules for log in logs], ignore_index=True),
        [note for log in logs for note in log.notes],
        {run: file for log in logs for run, file in log.files.items()},
        frozenset().union(*(log.unit_assumed for log in logs)),
    )


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


def _check_options(options: _Options, format: str | None) -> None:
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


# --- formats: from a file to rows of named cells ------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """What one file says of one run (of all its runs, where a column names them)."""

    file: str
    format: str
    columns: list[str]
    rows: list[tuple[str, dict[str, Any]]]  # where (for messages), and the cells that hold something
    run: str | None = None  # as the log names it
    default_run: str = ""  # if the log does not
    lr_of_next_step: bool = False
    notes: list[str] = field(default_factory=list)


def _format(path: Path, stated: Format | None) -> Format:
    try:
        with open(path, "rb") as handle:
            head = handle.read(65536)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: name the file in it, such as trainer_state.json") from None
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if not text:
        raise UserError(f"{path} is empty: it holds no loss")
    if stated is not None:
        return stated
    if head.startswith(b"PAR1") or path.suffix == ".parquet":
        return "curves"
    if text[0] in "{[" or path.suffix == ".json":
        return "trainer_state"
    header = text.splitlines()[0]
    if path.suffix not in (".csv", ".tsv") and not any(sign in header for sign in ",;\t"):
        raise UserError(f"{path} is in no known format: give a CSV, a trainer_state.json or a curve table (parquet)")
    return "wandb" if " - " in header else "csv"


def _read_csv(path: Path) -> list[_Part]:
    header, lines = _csv_lines(path)
    rows = [(f"{path}, line {number}", _logged(zip(header, cells, strict=True))) for number, cells in lines]
    return [_Part(str(path), "csv", [name for name in header if name], rows, default_run=path.stem)]


def _read_wandb(path: Path) -> list[_Part]:
    """One part for every run of the export, each with the columns that all share (the x axis)."""
    header, lines = _csv_lines(path)
    whole = [(f"{path}, line {number}", _logged(zip(header, cells, strict=True))) for number, cells in lines]
    named = [name for name in header if not name.endswith(("__MIN", "__MAX"))]
    # The run may have " - " in its name, the metric hardly.
    split = {name: name.rsplit(" - ", 1) for name in named if " - " in name}
    shared = {name: name for name in named if name and name not in split}
    if not split:
        raise UserError(f"{path} has no column like '<run> - <metric>': is it a plain CSV (option format)?")
    parts = []
    for run in dict.fromkeys(run for run, _ in split.values()):
        own = {name: metric for name, (other, metric) in split.items() if other == run}
        metrics = own | shared
        rows = [
            (place, {metrics[name]: cell for name, cell in cells.items() if name in metrics}) for place, cells in whole
        ]
        spread = sum(cells.get(f"{name}__MIN") != cells.get(f"{name}__MAX") for _, cells in whole for name in own)
        notes = [f"{run}: {spread:,} values are means over steps (their __MIN and __MAX differ)"] if spread else []
        parts.append(
            _Part(str(path), "wandb", list(dict.fromkeys(metrics.values())), rows, run, path.stem, False, notes)
        )
    return parts


def _csv_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the non-empty lines with their numbers; every line must have as many cells as the header."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            first = next((line for line in handle if line.strip()), "")
            sign = next((sign for sign in "\t;" if sign in first and "," not in first), ",")
            handle.seek(0)
            reader = csv.reader(handle, delimiter=sign, strict=True)
            lines = [(reader.line_num, [c.strip() for c in cells]) for cells in reader if any(c.strip() for c in cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV ({error}): give text in UTF-8 with a header line") from None
    if len(lines) < 2:
        raise UserError(f"{path} is empty: it needs a header and at least one row")
    header = lines[0][1]
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}: rename or remove one")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise UserError(f"{path}, line {number} has {len(cells)} cells, the header {len(header)}: mend the line")
    return header, lines[1:]


def _read_trainer_state(path: Path) -> list[_Part]:
    try:
        state = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): is it a whole trainer_state.json?") from None
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise UserError(f"{path} has no log_history: give the trainer_state.json of Hugging Face Trainer")
    # `train_loss` is the mean over the whole training, logged once at its end.
    rows = [
        (f"{path}, log_history[{i}]", _logged((name, cell) for name, cell in entry.items() if name != "train_loss"))
        for i, entry in enumerate(history)
    ]
    if not rows:
        raise UserError(f"{path} is empty: its log_history has no entry")
    folder = path.resolve().parent
    if folder.name.startswith("checkpoint-"):
        folder = folder.parent
    name = folder.name if path.stem == "trainer_state" else path.stem
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
    old = "best_global_step" not in state
    return [_Part(str(path), "trainer_state", columns, rows, default_run=name, lr_of_next_step=old)]


def _logged(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The cells that hold something."""
    return {name: cell for name, cell in cells if name and cell is not None and str(cell).lower() not in NOT_LOGGED}


# --- columns: which cell means what -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loss:
    """What the name of a loss column says."""

    role: str  # "eval", "train", or "plain": one or the other
    validation: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class _Columns:
    fields: dict[str, str]  # step, lr ... -> column
    losses: dict[str, _Loss]  # column -> what it holds


def _columns(part: _Part, named: dict[str, str]) -> _Columns:
    fields = _fields(part, named)
    losses = {
        column: _Loss("eval", name[5:] or None, _unit_of(column))
        for name, column in named.items()
        if name not in NAMES and column in part.columns
    }
    if named.keys() <= NAMES.keys():
        found = {name: _loss(name, part.format) for name in part.columns if name not in fields.values()}
        losses = {name: loss for name, loss in found.items() if loss}
    _check_losses(part, losses)
    if (losses or "lr" in fields) and "step" not in fields:
        raise _missing([part], "step", "the steps")
    return _Columns(fields, losses)


def _fields(part: _Part, named: dict[str, str]) -> dict[str, str]:
    """The column of each field but the losses."""
    free = [name for name in part.columns if name not in named.values()]
    plain = {name: re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") for name in free}
    fields = {}
    for name, known in NAMES.items():
        found = sorted((known.index(short), column) for column, short in plain.items() if short in known)
        if name in named:
            found = [(0, named[name])] if named[name] in part.columns else []
        if found:
            fields[name] = found[0][1]
    return fields


def _check_losses(part: _Part, losses: dict[str, _Loss]) -> None:
    seen: dict[tuple[str, str | None], str] = {}
    for column, loss in losses.items():
        other = seen.setdefault((loss.role, loss.validation), column)
        if other != column:
            raise UserError(
                f"{part.file}: columns {other!r} and {column!r} both look like one loss: "
                "name one with the option columns (loss/<validation set>=<column>)"
            )


def _loss(name: str, format: str) -> _Loss | None:
    """What a column of losses holds, None if it is no such column."""
    unit, short = _unit_of(name), name
    if ending := UNIT_ENDING.fullmatch(name):
        short = ending["name"]
    found = LOSS.fullmatch(short)
    if not found or (found["before"] and found["after"]):
        return None
    label = found["before"] or found["after"]
    role = (found["role"] or "").lower()
    if not role and label and label.lower() in TRAINING + EVALUATION:
        role, label = label.lower(), None
    if label and OTHER_LOSSES.search(label):
        return None
    if role in TRAINING:
        return None if label else _Loss("train", None, unit)
    if role or label:
        return _Loss("eval", label, unit)
    return _Loss("train" if format == "trainer_state" else "plain", None, unit)


def _unit_of(name: str) -> str | None:
    """The unit that a column's name states."""
    if ending := UNIT_ENDING.fullmatch(name):
        return ending["unit"].lower()
    return "bits" if re.search(r"bits[_ ]per[_ ]token", name, re.IGNORECASE) else None


def _missing(parts: Sequence[_Part], name: str, what: str, remedy: str = "") -> UserError:
    files = ", ".join(dict.fromkeys(part.file for part in parts))
    found = ", ".join(dict.fromkeys(column for part in parts for column in part.columns)) or "none"
    return UserError(
        f"{files}: no column holds {what} (found: {found}): name it with the option columns ({name}=<column>){remedy}"
    )


# --- points: every logged number with its step ----------------------------------------------------------------


class _Point(NamedTuple):
    file: str
    place: str  # file and row, for messages
    run: str
    step: int
    quantity: str  # lr, tokens, phase (0: PT, 1: CPT) or loss (nats per token)
    value: float
    role: str = ""  # of a loss
    validation: str | None = None
    stated: bool = False  # whether the unit of a loss is
    said: str = ""  # of a loss: as logged


def _log(parts: list[_Part], options: _Options) -> Log:
    everything = {column for part in parts for column in part.columns}
    for name, column in options.columns.items():
        if column not in everything:
            raise _missing(parts, name, f"{name}, since there is no {column!r}")
    columns = [_columns(part, options.columns) for part in parts]
    if not any(found.losses for found in columns):
        raise _missing(parts, "loss", "a loss")
    if options.schedule is None and not any("lr" in found.fields for found in columns):
        raise _missing(parts, "lr", "the learning rate", ", or state it with the option schedule")
    names = {part.run for part in parts if part.run}
    default = next(iter(names)) if len(names) == 1 else parts[0].default_run
    points = pd.DataFrame(
        [point for part, found in zip(parts, columns, strict=True) for point in _points(part, found, default, options)],
        columns=list(_Point._fields),
    )
    runs = {str(run): rows for run, rows in points.groupby("run", sort=False)}
    notes = [note for part, found in zip(parts, columns, strict=True) for note in _notes(part, found, options)]
    if options.run is not None and len(runs) > 1:
        if options.run not in runs:
            raise UserError(f"{parts[0].file} has no run {options.run!r}, only {', '.join(runs)}")
        runs = {options.run: runs[options.run]}
    if not runs:
        raise UserError(f"{parts[0].file} is empty: no row has a loss or a learning rate")
    found = _joined([_run(options.run or run, rows, options) for run, rows in runs.items()])
    return replace(found, notes=notes + found.notes)


def _notes(part: _Part, columns: _Columns, options: _Options) -> list[str]:
    """What is assumed about a whole file."""
    notes, step = list(part.notes), columns.fields.get("step", "")
    if part.format == "wandb" and step.lower().strip("_") == "step":
        notes.append(f"{part.file}: {step} is taken as the training step; W&B itself counts calls of wandb.log there")
    if part.lr_of_next_step and options.lr_logged is None and "lr" in columns.fields:
        notes.append(f"{part.file}: lr moved one step on, since transformers up to 4.49 log the lr of the next step")
    return notes


def _points(part: _Part, columns: _Columns, default: str, options: _Options) -> Iterator[_Point]:
    """The numbers of one part, each checked, with losses in nats."""
    fields = columns.fields
    later = options.lr_logged == "next" if options.lr_logged else part.lr_of_next_step
    for place, cells in part.rows:
        logged = {name: cells[column] for name, column in fields.items() if column in cells}
        losses = {column: loss for column, loss in columns.losses.items() if column in cells}
        if not losses and not logged.keys() & {"lr", "tokens", "phase"}:
            continue
        step = _step(logged.get("step"), place, bool(losses) or "lr" in logged)
        if step is None:
            continue
        at = (part.file, place, str(logged.get("run", part.run or default)))
        if "lr" in logged:
            yield _Point(*at, step + later, "lr", _number(logged["lr"], f"lr at step {step}", place))
        if "tokens" in logged:
            yield _Point(*at, step, "tokens", _number(logged["tokens"], f"tokens at step {step}", place))
        if "phase" in logged:
            yield _Point(*at, step, "phase", _phase(logged["phase"], place))
        for column, loss in losses.items():
            unit = _stated_unit(loss, options.unit, part.file, column)
            value = _float(cells[column]) * (LN2 if unit == "bits" else 1)
            role, validation = loss.role, loss.validation
            if "validation" in fields and validation is None and role != "train":
                if "validation" not in logged:
                    raise UserError(f"{place}: a loss without a name in column {fields['validation']!r}: fill it in")
                role, validation = "eval", str(logged["validation"])
            said = f"{column} at step {step} is {cells[column]!r}"
            yield _Point(*at, step, "loss", value, role, validation, unit is not None, said)


def _stated_unit(loss: _Loss, unit: str | None, file: str, column: str) -> str | None:
    if loss.unit and unit and loss.unit != unit:
        raise UserError(f"{file}: column {column!r} says {loss.unit}, but the option unit says {unit}: drop the option")
    return loss.unit or unit


def _step(cell: Any, place: str, needed: bool) -> int | None:
    if cell is None and not needed:
        return None
    if cell is None:
        raise UserError(f"{place}: the step is missing: fill it in or remove the row")
    step = _float(cell)
    if not step.is_integer() or step < 0:
        raise UserError(f"{place}: the step is {cell!r}: it must be a whole number, not negative")
    return int(step)


def _number(cell: Any, what: str, place: str) -> float:
    number = _float(cell)
    if not math.isfinite(number) or number < 0:
        raise UserError(
            f"{place}: {what} is {cell!r}: it must be a finite number, not negative; mend or remove the row"
        )
    return number


def _float(cell: Any) -> float:
    """The number in a cell, NaN if there is none."""
    try:
        return math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError):
        return math.nan


def _phase(cell: Any, place: str) -> float:
    name = re.sub(r"[^a-z]+", "_", str(cell).lower()).replace("pre_train", "pretrain")
    if name not in PHASE_NAMES:
        raise UserError(f"{place}: the phase is {cell!r}: call it pretraining or continual")
    return PHASE_NAMES[name]


# --- runs: from the points of a run to its curve and its schedule ---------------------------------------------


def _run(name: str, points: pd.DataFrame, options: _Options) -> Log:
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
    lr, more = _rates(name, points[points["quantity"] == "lr"], last, options.schedule, file)
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
    return _checked(curve, _plan(name, lr, switch), notes, {name: file}, frozenset([name] if assumed else []))


def _checked(
    curves: pd.DataFrame, schedules: pd.DataFrame, notes: list[str], files: dict[str, str], assumed: frozenset[str]
) -> Log:
    source = ", ".join(dict.fromkeys(files.values()))
    tables.check_curves(curves, source)
    tables.check_schedules(schedules, source)
    tables.check_pair(curves, schedules, source)
    return Log(curves, schedules, notes, files, assumed)


def _plan(name: str, lr: Array, switch: int) -> pd.DataFrame:
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
    """By how much the steps are to be raised, and notes (see the module's text)."""
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
    wrong = losses[~(np.isfinite(losses["value"]) & (losses["value"] > 0))]
    if len(wrong):
        row = wrong.iloc[0]
        raise UserError(f"{row['place']}: {row['said']}: it must be finite and positive, so mend or remove the row")
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


def _rates(
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


def _switch(name: str, points: pd.DataFrame, steps: int, options: _Options) -> tuple[int, list[str]]:
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


# --- the kit's own table --------------------------------------------------------------------------------------


def _read_own(path: Path, options: _Options) -> Log:
    """A curve table; its schedules are those beside it, else the LR of its rows is interpolated."""
    table = tables.read(path)
    if options.unit == "bits":
        raise UserError(f"{path} is a curve table, whose losses are nats: drop the option unit")
    beside = schedules_path(path)
    known = tables.read_schedules(beside) if options.schedule is None and beside.exists() else None
    table = _selected(table, path, options)
    names = {str(run): options.run or str(run) for run in table["run"].unique()}
    plans, notes = [], []
    for run in names:
        if known is not None:
            plans.append(known[known["run"] == run])
            continue
        rows = table[table["run"] == run]
        lr, more = _rates(run, _own_points(path, rows), int(rows["step"].max()), options.schedule, str(path))
        continual = rows[rows["phase"] == "continual"]
        switch = int((continual["step"] - continual["phase_step"]).max()) if len(continual) else len(lr)
        table.loc[rows.index, "lr"] = lr[rows["step"].to_numpy() - 1]
        plans.append(_plan(run, lr, switch))
        notes += [f"{path}: no schedules beside it"] * (options.schedule is None) + more
    schedules = pd.concat(plans, ignore_index=True)
    table, schedules = (one.assign(run=one["run"].map(names)).reset_index(drop=True) for one in (table, schedules))
    return _checked(table, schedules, notes, {name: str(path) for name in names.values()}, frozenset())


def _selected(table: pd.DataFrame, path: Path, options: _Options) -> pd.DataFrame:
    runs, sets = list(table["run"].unique()), list(table["validation"].unique())
    if options.validation is not None:
        if options.validation not in sets:
            raise UserError(f"{path}: no losses of validation set {options.validation!r}, only {', '.join(sets)}")
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
    whole = _joined(logs)
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
