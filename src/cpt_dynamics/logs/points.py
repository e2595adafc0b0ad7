"""Every logged number with its step: which cell of a log means what."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from cpt_dynamics.errors import UserError, is_name, short
from cpt_dynamics.logs.expressions import Expression
from cpt_dynamics.logs.formats import LogPart
from cpt_dynamics.schedules import LEAST_LR, MOST_LR, MOST_STEPS

LN2 = math.log(2)
MOST = {"step": MOST_STEPS, "lr": MOST_LR, "tokens": 1e18, "loss": 1e6}  # no run has more
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


@dataclass(frozen=True)
class Options:
    """How logs are to be read: the parameters of `logs.read_log`, checked."""

    run: str | None
    columns: dict[str, str]
    validation: str | None
    schedule: Expression | None
    pretraining_steps: int | None
    first_step: int | None
    lr_logged: str | None
    unit: str | None
    run_columns: dict[str, Any]  # seed, model, params


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


def _columns(part: LogPart, named: dict[str, str]) -> _Columns:
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


def _fields(part: LogPart, named: dict[str, str]) -> dict[str, str]:
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


def _check_losses(part: LogPart, losses: dict[str, _Loss]) -> None:
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


def _missing(parts: Sequence[LogPart], name: str, what: str, remedy: str = "") -> UserError:
    files = ", ".join(dict.fromkeys(part.file for part in parts))
    found = ", ".join(dict.fromkeys(column for part in parts for column in part.columns)) or "none"
    return UserError(
        f"{files}: no column holds {what} (found: {found}): name it with the option columns ({name}=<column>){remedy}"
    )


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


def points_of(parts: list[LogPart], options: Options) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The points of every run, one row each (columns of `_Point`), and what is assumed about whole files."""
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
    return runs, notes


def _notes(part: LogPart, columns: _Columns, options: Options) -> list[str]:
    """What is assumed about a whole file."""
    notes, step = list(part.notes), columns.fields.get("step", "")
    if part.format == "wandb" and step.lower().strip("_") == "step":
        notes.append(f"{part.file}: {step} is taken as the training step; W&B itself counts calls of wandb.log there")
    if part.lr_of_next_step and options.lr_logged is None and "lr" in columns.fields:
        notes.append(f"{part.file}: lr moved one step on, since transformers up to 4.49 log the lr of the next step")
    return notes


def _points(part: LogPart, columns: _Columns, default: str, options: Options) -> Iterator[_Point]:
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
        at = (part.file, place, _name(str(logged.get("run", part.run or default)), "run", place))
        if "lr" in logged:
            yield _Point(*at, step + later, "lr", _number(logged["lr"], "lr", step, place))
        if "tokens" in logged:
            yield _Point(*at, step, "tokens", _number(logged["tokens"], "tokens", step, place))
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
            validation = validation and _name(validation, "validation set", place)
            said = f"{column} at step {step} is {short(cells[column])}"
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
        raise UserError(f"{place}: the step is {short(cell)}: it must be a whole number, not negative")
    if step > MOST_STEPS:
        raise UserError(f"{place}: the step is {short(cell)}: it must be at most {MOST_STEPS:,}")
    return int(step)


def _number(cell: Any, what: str, step: int, place: str) -> float:
    number, problem = _float(cell), f"{place}: {what} at step {step} is {short(cell)}: it must be"
    if not math.isfinite(number) or number < 0:
        raise UserError(f"{problem} a finite number, not negative; mend or remove the row")
    if number > MOST[what]:
        raise UserError(f"{problem} at most {MOST[what]:g}; mend or remove the row")
    if what == "lr" and 0 < number < LEAST_LR:
        raise UserError(f"{problem} 0 or at least {LEAST_LR:g}; mend or remove the row")
    return number


def _name(text: str, what: str, place: str) -> str:
    if not is_name(text):
        raise UserError(f"{place}: {short(text)} is no name of a {what}: use at most 255 printable characters")
    return text


def _float(cell: Any) -> float:
    """The number in a cell, NaN if there is none."""
    try:
        return math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _phase(cell: Any, place: str) -> float:
    name = re.sub(r"[^a-z]+", "_", str(cell).lower()).replace("pre_train", "pretrain")
    if name not in PHASE_NAMES:
        raise UserError(f"{place}: the phase is {short(cell)}: call it pretraining or continual")
    return PHASE_NAMES[name]
