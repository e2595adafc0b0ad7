"""Public pre-training curves: nine LR schedules at three model sizes, published with the Multi-Power Law.

Luo et al., arXiv 2503.12811. The curves are not part of this repository: `fetch` brings them, and
data/published/multi_power.yaml says which files they are and what their authors publish about them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from cpt_dynamics import files
from cpt_dynamics.config import Sha256, read_yaml
from cpt_dynamics.curves import table
from cpt_dynamics.curves.public import fetching
from cpt_dynamics.curves.public.fetching import Curves, Home
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import Inside

PUBLISHED = Path("data/published/multi_power.yaml")
FOLDER = "multipowerlaw"
VALIDATION = "multipowerlaw"

PEAK, FLOOR = 3e-4, 3e-5
WARMUP = 2160  # steps
DROP = 8000  # steps before the LR of `wsdcon` falls, of TWO_STAGE in all
TWO_STAGE = 16000
DECAY = (20000, 24000)  # steps between which the LR of `wsd` and `wsdld` falls

Array = NDArray[np.float64]


class Size(BaseModel):
    """What is published about one model size; `metrics` are means over the test runs (see `fitting.measure`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Inside
    params: int
    parameters: dict[str, float]
    metrics: dict[str, float]


class Published(Home):
    """The curves' files with their sha256, where they are from, and what their authors publish."""

    fitted_runs: list[str]
    test_runs: list[str]
    sizes: dict[str, Size]
    files: dict[Inside, Sha256]


def published(path: str | Path = PUBLISHED) -> Published:
    """Read and check the file of published facts."""
    return files.fitting(Published, read_yaml(path), path, "mend it there")


def lr(run: str) -> Array:
    """LR of every step of a public run, [steps]; the first step has an LR of 0 and is the authors' step 0.

    constant_T, cosine_T: T steps. wsd_20000_24000, wsdld_20000_24000: stable, then an exponential or a linear
    decay. wsdcon_K: stable, then constant at K*1e-5. All start with a linear warm-up.
    """
    kind, *numbers = run.split("_")
    try:
        last = [int(number) for number in numbers]
        if kind == "constant" and len(last) == 1:
            return _after_warmup(np.full(last[0], PEAK))
        if kind == "cosine" and len(last) == 1:
            u = (np.arange(last[0]) - WARMUP) / (last[0] - WARMUP)
            return _after_warmup(FLOOR + (PEAK - FLOOR) * (1 + np.cos(np.pi * u)) / 2)
        if kind == "wsdcon" and len(last) == 1:
            return _after_warmup(np.where(np.arange(TWO_STAGE) < DROP, PEAK, last[0] * 1e-5))
        if kind in ("wsd", "wsdld") and tuple(last) == DECAY:
            u = np.maximum(np.arange(DECAY[1]) - DECAY[0], 0) / (DECAY[1] - DECAY[0])
            return _after_warmup(PEAK ** (1 - u) * FLOOR**u if kind == "wsd" else PEAK + (FLOOR - PEAK) * u)
    except ValueError:
        pass
    raise UserError(f"the LR of the public run {run!r} is not known: add its formula")


def _after_warmup(rates: Array) -> Array:
    rates[:WARMUP] = np.linspace(0, PEAK, WARMUP)
    return rates


def read_multi_power(folder: str | Path, path: str | Path = PUBLISHED) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Curves and schedules of every size ("25M", "100M", "400M") from `folder` (csv_25, csv_100 and csv_400).

    Both are the tables of `curves.table`; runs are named as the files are. The authors count steps from 0, the
    tables from 1. Tokens and bytes are not published: `tokens` is 0 and `bits_per_byte` is NaN. Rows beyond the
    end of the schedule are left out. `UserError` for a missing or changed file, or an LR that is not the formula's.
    """
    known, result = published(path), {}
    for name, size in known.sizes.items():
        curves, schedules = [], []
        for run in (*known.fitted_runs, *known.test_runs):
            file = f"{size.folder}/{run}.csv"
            rates = lr(run)
            curves.append(_curve(_checked(Path(folder), file, known), run, rates, name, size.params))
            steps = np.arange(1, len(rates) + 1)
            schedules.append(pd.DataFrame({"run": run, "step": steps, "phase": "pretraining", "lr": rates}))
        pair = pd.concat(curves, ignore_index=True), pd.concat(schedules, ignore_index=True)
        table.check_curves(pair[0], str(Path(folder) / size.folder))
        result[name] = pair
    return result


def combined(sizes: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The curves and the schedules of all sizes, each in one table; run `cosine_24000` of 25M is `25M/cosine_24000`."""
    curves, schedules = (
        pd.concat([pair[i].assign(run=f"{size}/" + pair[i]["run"]) for size, pair in sizes.items()], ignore_index=True)
        for i in (0, 1)
    )
    return curves, schedules


def of_size(rows: pd.DataFrame, size: str) -> pd.DataFrame:
    """The rows of one size in a table of `combined`, with the bare names of its runs."""
    prefix = f"{size}/"
    found = rows[rows["run"].str.startswith(prefix)]
    if found.empty:
        raise UserError(f"the public curves have no run of size {size}: fetch them again")
    return found.assign(run=found["run"].str.removeprefix(prefix)).reset_index(drop=True)


def _checked(folder: Path, file: str, known: Published) -> Path:
    """The path of a file that is there and unchanged."""
    path = folder / file
    if not path.is_file():
        raise UserError(f"{path} does not exist: fetch the public curves")
    _check_digest(path.read_bytes(), file, str(path), known)
    return path


def _check_digest(raw: bytes, file: str, where: str, known: Published) -> None:
    expected = known.files.get(file)
    if expected is None:
        raise UserError(f"{file} has no recorded sha256: add it to the published files")
    fetching.check_digest(raw, where, expected)


def _curve(path: Path, run: str, rates: Array, model: str, params: int) -> pd.DataFrame:
    rows = pd.read_csv(path)
    rows = rows[rows["step"] < len(rates)]
    step = rows["step"].to_numpy() + 1
    wrong = ~np.isclose(rows["lr"], rates[step - 1], rtol=1e-9, atol=0)
    if wrong.any():
        raise UserError(
            f"{path}: the lr of step {step[wrong][0] - 1} is not that of schedule {run}: correct the formula"
        )
    return pd.DataFrame(
        {
            "run": run,
            "seed": 0,
            "model": model,
            "params": params,
            "step": step,
            "phase": "pretraining",
            "phase_step": step,
            "lr": rates[step - 1],
            "tokens": 0.0,
            "validation": VALIDATION,
            "loss": rows["loss"].to_numpy(dtype=np.float64),
            "bits_per_byte": np.nan,
        }
    )


def fetch(target: str | Path, source: str | Path | None = None, path: str | Path = PUBLISHED) -> Path:
    """Bring all files to `target` (csv_25, csv_100, csv_400) and write source.json beside them; returns its path.

    source: a folder that holds multipowerlaw/; None takes what CPT_DYNAMICS_PUBLIC_CURVES names, and without
    it the files are downloaded. Every file's sha256 is checked before the first one is written. `UserError` for a
    missing or changed file, and where there is no network.
    """
    known = published(path)
    folder = fetching.source_folder(source)
    found = fetching.gather(known, {file: file for file in known.files}, FOLDER, folder)
    for file, raw in found.items():
        _check_digest(raw, file, fetching.origin(known, file, FOLDER, folder), known)
    return fetching.write(target, known, found, {file: known.url(file) for file in found})


def read(folder: str | Path, path: str | Path = PUBLISHED) -> Curves:
    """All sizes in the tables of `combined`; `runs` has the columns of `fetching.RUN_COLUMNS`, and all are checked."""
    known = published(path)
    curves, schedules = combined(read_multi_power(folder, path))
    runs = pd.DataFrame(
        [
            {
                "run": f"{name}/{run}",
                "model": name,
                "params": size.params,
                "schedule": run.split("_")[0],
                "peak_lr": PEAK,
                "steps": len(lr(run)),
                "checked": True,
            }
            for name, size in known.sizes.items()
            for run in (*known.fitted_runs, *known.test_runs)
        ]
    )
    return Curves(curves, schedules, runs)
