"""Public pre-training curves of one model of 124M parameters under constant, cosine and WSD schedules at five peak LRs.

Schaipp et al., arXiv 2501.18965, whose repository has a JSON log a run. data/published/lr_scheduling.yaml says which
logs they are. The fifty runs at peaks of 1e-4 and 5e-4 can also be read from a table, curves.parquet.
"""

import io
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cpt_dynamics import files
from cpt_dynamics.config import Sha256, read_yaml
from cpt_dynamics.curves import table
from cpt_dynamics.curves.public import fetching
from cpt_dynamics.curves.public.fetching import Curves, Home
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import Inside

PUBLISHED = Path("data/published/lr_scheduling.yaml")
FOLDER = "lr-scheduling"
TABLE = "curves.parquet"  # run, peak_lr, step and loss of the runs that are not downloaded
VALIDATION = "slimpajama"
REMEDY = "fetch the public curves again"
START = 100  # the LR starts at a hundredth of its peak
FLOORS = {"cosine": 1e-7, "cos10": None}  # last LR of a cosine; None is a tenth of the peak
NAME = re.compile(
    r"(?P<peak>[1-9]e-\d)-(?:(?P<kind>constant|cosine|cos10)|wsd-(?P<decay>linear|sqrt)-(?P<share>0\.\d))"
    r"-(?P<steps>\d{1,6})(?P<thousands>k?)"
)

Array = NDArray[np.float64]
Rows = dict[str, pd.DataFrame]


class Log(BaseModel):
    """The file of a run's log, and the sha256 of its rows (`fetching.canonical_rows`, losses as Python writes them)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Inside
    sha256: Sha256


class Published(Home):
    """What the runs share, and the log of each."""

    model: str
    params: int
    tokens_per_step: int
    warmup_steps: Annotated[int, Field(gt=1)]
    runs: dict[str, Log]


def published(path: str | Path = PUBLISHED) -> Published:
    """Read and check the file of published facts."""
    return files.fitting(Published, read_yaml(path), path, "mend it there")


# --- schedules -----------------------------------------------------------------------------------------------------


def lr(run: str, warmup: int = 300) -> Array:
    """LR of every step of a run, [steps], after `warmup` steps as its training code and its log have it.

    PEAK-constant-50k, PEAK-wsd-linear-SHARE-STEPS, PEAK-wsd-sqrt-SHARE-STEPS: a linear warm-up from a hundredth of the
    peak, constant, and over the last SHARE of all steps a decay to 0 by 1 - u or 1 - sqrt(u). PEAK-cosine-25k and
    PEAK-cos10-STEPS: a warm-up along a cosine, then a cosine to 1e-7 or to a tenth of the peak.
    """
    found = NAME.fullmatch(run)
    steps = _steps(found) if found else 0
    if not found or steps <= warmup:
        raise UserError(f"the LR of the public run {run!r} is not known: add its formula")
    peak, at = float(found["peak"]), np.arange(steps, dtype=np.float64)
    if found["kind"] in FLOORS:
        floor, top = FLOORS[found["kind"]] or peak / 10, warmup - 1
        up = peak + (peak / START - peak) / 2 * (1 + np.cos(np.pi * at / top))
        down = floor + (peak - floor) / 2 * (1 + np.cos(np.pi * (at - top) / (steps - 1 - top)))
        return np.asarray(np.where(at <= top, up, down))
    part = np.minimum(at / warmup + (1 - at / warmup) / START, 1.0)
    if found["decay"]:
        length = int(float(found["share"]) * steps)
        u = np.maximum(at - (steps - length), 0) / length
        part = np.where(at < steps - length, part, 1 - (u if found["decay"] == "linear" else np.sqrt(u)))
    return np.asarray(peak * part)


def _steps(found: re.Match[str]) -> int:
    return int(found["steps"]) * (1000 if found["thousands"] else 1)


# --- reading -------------------------------------------------------------------------------------------------------


class _Series(BaseModel):
    iter: list[Annotated[int, Field(ge=0, le=10**9)]]

    @model_validator(mode="after")
    def _as_long(self) -> "_Series":
        for name, values in self:
            if len(values) != len(self.iter):
                raise ValueError(f"{name} has {len(values)} values for {len(self.iter)} steps")
        return self


class _Validation(_Series):
    val_loss: list[float]


class _Training(_Series):
    train_lr: list[float]


class _History(BaseModel):
    val: _Validation
    train: _Training


class _Settings(BaseModel):
    iterations: int
    warmup_steps: Annotated[int, Field(gt=1)]


class JsonLog(BaseModel):
    """The parts of a log that are read."""

    config: _Settings
    history: _History


def read_log(path: str | Path, run: str) -> pd.DataFrame:
    """The rows (`step` updates done, `loss`) of a JSON log of `run`, sorted; `UserError` if it is another run's log.

    Where training was resumed the log has steps twice, of which the first row counts. A branch's own rows begin after
    the step it left its trunk at. The LRs of the log must be those of `lr`.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist: fetch the public curves")
    return _rows_of_log(files.read_json(path, REMEDY), run, str(path))


def _rows_of_log(value: Any, run: str, where: str) -> pd.DataFrame:
    log = files.fitting(JsonLog, value, where, REMEDY)
    rates, at = lr(run, log.config.warmup_steps), np.asarray(log.history.train.iter, dtype=np.int64)
    inside = (at >= 0) & (at < len(rates))  # the last LR of a log is that of a step which is not done
    logged = np.asarray(log.history.train.train_lr)
    if log.config.iterations != len(rates):
        raise UserError(f"{where} is of {log.config.iterations} steps, {run} has {len(rates)}: {REMEDY}")
    wrong = ~np.isclose(logged[inside], rates[at[inside]], rtol=1e-9, atol=0)
    if wrong.any():
        step = at[inside][wrong][0]
        raise UserError(f"{where}: the lr of step {step} is not that of {run}: correct the formula")
    rows = pd.DataFrame({"step": log.history.val.iter, "loss": log.history.val.val_loss})
    rows = rows.drop_duplicates("step").sort_values("step", ignore_index=True)
    return rows.iloc[1:].reset_index(drop=True) if "-wsd-" in run else rows


def _rows_of_table(raw: bytes, where: str) -> Rows:
    with files.reading(where, "a readable parquet file", REMEDY):
        rows = pd.read_parquet(io.BytesIO(raw))
    table.check_columns(rows, {"step": "integer", "loss": "number"}, where)
    if "run" not in rows:
        raise UserError(f"{where} lacks the column 'run': {REMEDY}")
    if rows["run"].isna().all():
        raise UserError(f"{where} has no run: {REMEDY}")
    return {str(run): part.reset_index(drop=True) for run, part in rows.groupby("run", observed=True)}


def _check(rows: Rows, known: Published, where: str) -> None:
    """Raise `UserError` for a run that is not known or whose rows are not those that are recorded."""
    for run, part in rows.items():
        if run not in known.runs:
            raise UserError(f"{where} has a run {run!r}, which {known.repository} has not: {REMEDY}")
        raw = fetching.canonical_rows(part["step"], (repr(float(loss)) for loss in part["loss"]))
        fetching.check_digest(raw, f"{where}: run {run}", known.runs[run].sha256)


def read(folder: str | Path, path: str | Path = PUBLISHED) -> Curves:
    """The curves, schedules and runs that `folder` holds: all 117 from logs, or fifty from curves.parquet.

    Steps count from 1 as in `curves.table`, and the loss before training, if it is there, is left out. `bits_per_byte`
    is NaN. Further columns of `runs`: `decay` (linear, sqrt, or none) and `share` of the steps that decay. A WSD run
    is a branch: its schedule has the trunk's steps, and its losses begin after the fork. `UserError` for a missing or
    changed run.
    """
    known, folder = published(path), Path(folder)
    if (folder / TABLE).is_file():
        rows = _rows_of_table((folder / TABLE).read_bytes(), str(folder / TABLE))
    else:
        rows = {run: read_log(folder / f"{run}.json", run) for run in known.runs}
    _check(rows, known, str(folder))
    curves, schedules, runs = [], [], []
    for run, part in rows.items():
        rates = lr(run, known.warmup_steps)
        curves.append(_curve(part[part["step"] > 0], run, rates, known))
        steps = np.arange(1, len(rates) + 1)
        schedules.append(pd.DataFrame({"run": run, "step": steps, "phase": "pretraining", "lr": rates}))
        runs.append(_facts(run, len(rates), known))
    together = pd.concat(curves, ignore_index=True)
    table.check_curves(together, str(folder))
    return Curves(together, pd.concat(schedules, ignore_index=True), pd.DataFrame(runs))


def _facts(run: str, steps: int, known: Published) -> dict[str, object]:
    found = NAME.fullmatch(run)
    assert found is not None  # `lr` knows it
    share = float(found["share"] or 0)
    return {
        "run": run,
        "model": known.model,
        "params": known.params,
        "schedule": found["kind"] or "wsd",
        "peak_lr": float(found["peak"]),
        "steps": steps,
        "checked": True,
        "decay": found["decay"] or "none",
        "share": share,
    }


def _curve(rows: pd.DataFrame, run: str, rates: Array, known: Published) -> pd.DataFrame:
    step = rows["step"].to_numpy(dtype=np.int64)
    if len(step) and step.max() > len(rates):
        raise UserError(f"{run} has a loss at step {step.max()}, its schedule has {len(rates)}: {REMEDY}")
    return pd.DataFrame(
        {
            "run": run,
            "seed": 0,
            "model": known.model,
            "params": known.params,
            "step": step,
            "phase": "pretraining",
            "phase_step": step,
            "lr": rates[step - 1],
            "tokens": step * float(known.tokens_per_step),
            "validation": VALIDATION,
            "loss": rows["loss"].to_numpy(dtype=np.float64),
            "bits_per_byte": np.nan,
        }
    )


# --- fetching ------------------------------------------------------------------------------------------------------


def fetch(target: str | Path, source: str | Path | None = None, path: str | Path = PUBLISHED) -> Path:
    """Bring curves.parquet from a folder, or every log from its public home, to `target`; returns source.json's path.

    source: a folder that holds lr-scheduling/; None takes what CPT_DYNAMICS_PUBLIC_CURVES names, and without it the
    logs are downloaded (9 MB). The digests of all rows are checked before the first file is written.
    """
    known, folder = published(path), fetching.source_folder(source)
    if folder:
        found = fetching.gather(known, {TABLE: TABLE}, FOLDER, folder)
        where = fetching.origin(known, TABLE, FOLDER, folder)
        _check(_rows_of_table(found[TABLE], where), known, where)
        return fetching.write(target, known, found, {TABLE: known.repository})
    names = {f"{run}.json": log.file for run, log in known.runs.items()}
    found = fetching.gather(known, names, FOLDER, None)
    for (run, log), raw in zip(known.runs.items(), found.values(), strict=True):
        where = known.url(log.file)
        _check({run: _rows_of_log(files.json_of(raw, where, REMEDY), run, where)}, known, where)
    (Path(target) / TABLE).unlink(missing_ok=True)  # of an earlier copy, which would be read in their stead
    return fetching.write(target, known, found, {here: known.url(file) for here, file in names.items()})
