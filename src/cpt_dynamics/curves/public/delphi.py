"""Public curves of continual pre-training on mathematics: the Delphi models of the Marin project, 0.4 to 10 billion.

The curves are points inside a page; data/published/delphi.yaml says which page and how the models were trained. They
can also be read from a table, curves.csv, of the runs whose digests are recorded.
"""

import io
import json
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cpt_dynamics import files
from cpt_dynamics.config import Sha256, read_yaml
from cpt_dynamics.curves import table
from cpt_dynamics.curves.public import fetching
from cpt_dynamics.curves.public.fetching import Curves, Home
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import Inside

PUBLISHED = Path("data/published/delphi.yaml")
FOLDER = "delphi"
TABLE, PAGE = "curves.csv", "fixed.html"
VALIDATION = "mathematics"
LARGEST = 32 << 20  # bytes of the page, which has 12 million
COLUMNS = ("step", "loss")
WARMUP, DECAY = 0.1, 0.2  # of the steps of pre-training
REMEDY = "fetch the public curves again"
PAYLOAD = re.compile(r'<script id="payload" type="application/json">(.*?)</script>', re.DOTALL)
NAME = re.compile(r"delphi-(?P<base>\d+e\d+)-(?P<mix>p\d+m\d+)-.*lr(?P<factor>\d\.\d+|\d\d)-\w+")

Array = NDArray[np.float64]
Rows = dict[str, pd.DataFrame]
Positive = Annotated[int, Field(gt=0, le=10**15)]


class Pretraining(BaseModel):
    """Pre-training of a base: peak LR, steps of its plan, and the step whose checkpoint CPT starts from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peak_lr: Annotated[float, Field(gt=0)]
    steps: Annotated[int, Field(ge=10)]
    checkpoint_step: Positive


class Base(BaseModel):
    """A base model, and the batch (sequences), length (tokens), steps and warm-up of its CPT."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    params: Positive
    batch_size: Positive
    seq_len: Positive
    steps: Positive
    warmup_steps: Positive
    pretraining: Pretraining


class Intervals(BaseModel):
    """Of how many predicted values an interval of a level holds how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: float
    holds: int
    of: int


class Authors(BaseModel):
    """What the authors publish about their own predictions (see data/published/delphi.yaml)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_smaller: dict[str, float]
    prefix: float
    prefix_error: float
    intervals: Intervals


class NearDuplicates(BaseModel):
    """The share of validation documents that have a near-duplicate in the training text, at a similarity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float
    similarity: float


class Published(Home):
    """The page, what its authors found, how models were trained, and the sha256 of the rows of runs."""

    file: Inside
    authors: Authors
    near_duplicates: NearDuplicates
    lr_factors: list[float]
    mixes: dict[str, float]
    bases: dict[str, Base]
    runs: dict[str, Sha256]


def published(path: str | Path = PUBLISHED) -> Published:
    """Read and check the file of published facts."""
    return files.fitting(Published, read_yaml(path), path, "mend it there")


# --- schedules -----------------------------------------------------------------------------------------------------


def pretraining_lr(past: Pretraining) -> Array:
    """LR of every step up to the checkpoint, [checkpoint_step]: warm-up from 0, constant, linear to 0."""
    at = np.arange(past.checkpoint_step)
    warmup, decay = int(WARMUP * past.steps), int(DECAY * past.steps)
    part = np.minimum(np.minimum(at / warmup, 1.0), (past.steps - at) / decay)
    return np.asarray(past.peak_lr * part)


def continual_lr(base: Base, factor: float) -> Array:
    """LR of every step of CPT, [steps]: warm-up from 0 to `factor` times the peak of pre-training, linear to 0."""
    at = np.arange(base.steps)
    part = np.minimum(at / base.warmup_steps, (base.steps - at) / (base.steps - base.warmup_steps))
    return np.asarray(factor * base.pretraining.peak_lr * part)


# --- reading -------------------------------------------------------------------------------------------------------


class Point(BaseModel):
    """A point of the page; numbers are kept as they stand there, since they are hashed."""

    run_id: str
    step: Annotated[str, Field(pattern=r"^\d{1,9}$")]
    value: Annotated[str, Field(pattern=r"^\d+(\.\d+)?([eE][-+]?\d+)?$")]


class Payload(BaseModel):
    points: list[Point]


def rows_of_page(text: str, where: str) -> Rows:
    """The rows (`step` and `loss`, as text) of every run in a page, by its id."""
    found = PAYLOAD.search(text)
    if not found:
        raise UserError(f'{where} has no <script id="payload" type="application/json">: {REMEDY}')
    with files.reading(where, "a page whose payload is valid JSON", REMEDY):
        value = json.loads(found[1], parse_float=str, parse_int=str, parse_constant=str)
    payload = files.fitting(Payload, value, where, REMEDY)
    rows = pd.DataFrame([(one.run_id, one.step, one.value) for one in payload.points], columns=["run_id", *COLUMNS])
    return _by_run(rows)


def rows_of_table(source: Path | io.BytesIO, where: str) -> Rows:
    """The same of a table with the columns run_id, step and loss."""
    with files.reading(where, "a readable table", REMEDY):
        rows = pd.read_csv(source, dtype=str, keep_default_na=False)
    if missing := [column for column in ("run_id", *COLUMNS) if column not in rows]:
        raise UserError(f"{where} lacks the column {missing[0]!r}: {REMEDY}")
    return _by_run(rows)


def _by_run(rows: pd.DataFrame) -> Rows:
    return {str(run): part[list(COLUMNS)].reset_index(drop=True) for run, part in rows.groupby("run_id", sort=False)}


def _check(rows: Rows, known: Published, where: str) -> None:
    """Raise `UserError` for a run that is missing or whose rows are not those that are recorded."""
    for run, expected in known.runs.items():
        if run not in rows:
            raise UserError(f"{where} lacks the run {run}: {REMEDY}")
        raw = fetching.canonical_rows(rows[run]["step"], rows[run]["loss"])
        fetching.check_digest(raw, f"{where}: run {run}", expected)


def read(folder: str | Path, path: str | Path = PUBLISHED) -> Curves:
    """The curves, schedules and runs that `folder` holds: of curves.csv if it is there, or of the page.

    Pre-training comes first in every run, without losses but for the last step's, which is that of the checkpoint and
    stands in the page as step 0. The page counts steps of CPT from 0: its step s is `phase_step` s + 1, the number of
    updates done. `run` is `BASE/MIX/lrFACTOR`, as in `1e21/p33m67/lr0.5`. Further columns of `runs`: `id` (of the
    page), `base`, `mix`, `replay` (share of the text of pre-training), `lr_factor` (of the peak of pre-training, with
    `peak_lr` its product), `pretraining_peak_lr`, `pretraining_steps` (up to the checkpoint), `warmup_steps`, and
    `complete`, whether there is a loss of the last step. Runs without a recorded digest have `checked` False, and those
    of which the published facts state no schedule are left out.
    """
    known, folder = published(path), Path(folder)
    place = folder / TABLE if (folder / TABLE).is_file() else folder / PAGE
    if not place.is_file():
        raise UserError(f"{place} does not exist: fetch the public curves")
    rows = rows_of_table(place, str(place)) if place.name == TABLE else rows_of_page(_text(place), str(place))
    _check(rows, known, str(place))
    curves, schedules, runs = [], [], []
    for run_id, part in rows.items():
        facts = _facts(run_id, known)
        if facts is None:
            continue
        base = known.bases[str(facts["base"])]
        before, after = pretraining_lr(base.pretraining), continual_lr(base, float(str(facts["lr_factor"])))
        rates = np.concatenate([before, after])
        phase = np.where(np.arange(len(rates)) < len(before), "pretraining", "continual")
        steps = np.arange(1, len(rates) + 1)
        schedules.append(pd.DataFrame({"run": facts["run"], "step": steps, "phase": phase, "lr": rates}))
        curve = _curve(part, facts, base, rates, str(place))
        curves.append(curve)
        runs.append({**facts, "complete": int(curve["step"].max()) == len(rates)})
    if not curves:
        raise UserError(f"{place} has no run of which a schedule is known: {REMEDY}")
    together = pd.concat(curves, ignore_index=True)
    table.check_curves(together, str(place))
    return Curves(together, pd.concat(schedules, ignore_index=True), pd.DataFrame(runs))


def _text(path: Path) -> str:
    with files.reading(path, "a page of text", REMEDY):
        return path.read_text(encoding="utf-8")


def _facts(run_id: str, known: Published) -> dict[str, object] | None:
    """The row of `runs` that an id stands for; None for a base, mix or LR that is not among the published facts."""
    found = NAME.fullmatch(run_id)
    if not found or found["base"] not in known.bases or found["mix"] not in known.mixes:
        return None
    base, stated = known.bases[found["base"]], float(found["factor"])
    factor = stated / 100 if stated >= 1 else stated
    if factor not in known.lr_factors:
        return None
    return {
        "run": f"{found['base']}/{found['mix']}/lr{factor:g}",
        "model": found["base"],
        "params": base.params,
        "schedule": "linear",
        "peak_lr": factor * base.pretraining.peak_lr,
        "steps": base.steps,
        "checked": run_id in known.runs,
        "id": run_id,
        "base": found["base"],
        "mix": found["mix"],
        "replay": known.mixes[found["mix"]],
        "lr_factor": factor,
        "pretraining_peak_lr": base.pretraining.peak_lr,
        "pretraining_steps": base.pretraining.checkpoint_step,
        "warmup_steps": base.warmup_steps,
    }


def _curve(rows: pd.DataFrame, facts: dict[str, object], base: Base, rates: Array, where: str) -> pd.DataFrame:
    with files.reading(where, "a table of steps and losses", REMEDY):
        at, loss = rows["step"].to_numpy(dtype=np.int64), rows["loss"].to_numpy(dtype=np.float64)
    if at.min() < 0 or at.max() >= base.steps:
        raise UserError(f"{where}: run {facts['id']} has a step beyond its {base.steps}: {REMEDY}")
    before = base.pretraining.checkpoint_step
    done = np.where(at > 0, at + 1, 0)  # updates of CPT
    step = before + done
    return pd.DataFrame(
        {
            "run": facts["run"],
            "seed": 0,
            "model": facts["model"],
            "params": base.params,
            "step": step,
            "phase": np.where(done > 0, "continual", "pretraining"),
            "phase_step": np.where(done > 0, done, before),
            "lr": rates[step - 1],
            "tokens": step * float(base.batch_size * base.seq_len),
            "validation": VALIDATION,
            "loss": loss,
            "bits_per_byte": np.nan,
        }
    )


# --- fetching ------------------------------------------------------------------------------------------------------


def fetch(target: str | Path, source: str | Path | None = None, path: str | Path = PUBLISHED) -> Path:
    """Bring curves.csv from a folder, or the page from its public home, to `target`; returns source.json's path.

    source: a folder that holds delphi/; None takes what CPT_DYNAMICS_PUBLIC_CURVES names, and without it the page is
    downloaded (12 MB). The digests of the runs are checked before anything is written.
    """
    known, folder = published(path), fetching.source_folder(source)
    here, there = (TABLE, TABLE) if folder else (PAGE, known.file)
    found = fetching.gather(known, {here: there}, FOLDER, folder, LARGEST)
    where = fetching.origin(known, there, FOLDER, folder)
    raw = io.BytesIO(found[here])
    if folder:
        rows = rows_of_table(raw, where)
    else:
        with files.reading(where, "a page of text", REMEDY):
            text = found[here].decode("utf-8")
        rows = rows_of_page(text, where)
        (Path(target) / TABLE).unlink(missing_ok=True)  # of an earlier copy, which would be read in its stead
    _check(rows, known, where)
    return fetching.write(target, known, found, {here: known.url(known.file)})
