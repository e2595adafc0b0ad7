"""Laws on public curves of continual pre-training, fitted and measured as in the benchmark."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.curves.public import delphi
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.delphi.result import (
    EQ4,
    INSIDE,
    NOISE,
    OVER_BASES,
    OVER_MIXES,
    S1_ALONE,
    Curve,
    Joint,
    Missed,
    Result,
)
from cpt_dynamics.fitting import choice
from cpt_dynamics.fitting.comparison import search
from cpt_dynamics.fitting.logged import once
from cpt_dynamics.laws import get
from cpt_dynamics.leaderboard import scores, sets, splits
from cpt_dynamics.leaderboard.splits import Split

LEAST_BASES = 3


def analyse(data: FigureData) -> Result:
    return measured(data.curves, data.schedules)


def measured(curves: pd.DataFrame, schedules: pd.DataFrame) -> Result:
    """Every split whose runs are there; curves, schedules: of `curves.public.delphi.read`."""
    known, frozen = delphi.published(), splits.load()
    chosen = _possible(frozen.each(), set(curves["run"]))
    found = sets.Curves(sets.continual_alone(curves), sets.continual_alone(schedules), "")
    scored: list[scores.Score] = []
    predicted: dict[str, Curve] = {}
    for name, split in chosen.items():
        rows = scores.Rows(split, *sets.of_split(found, split))
        entries = list(scores.entries(rows, [S1_ALONE]))
        scored += scores.of_entries(name, rows, entries)
        predicted |= {run: _curve(entries, rows, run) for run in split.test}
    bases = [base for base in known.bases if any(run.startswith(f"{base}/") for run in predicted)]
    mixes = [mix for mix in known.mixes if any(f"/{mix}/" in run for run in predicted)]
    return Result(
        figure="delphi",
        title="Laws on public curves of continual pre-training",
        source=known.source,
        credit=known.credit,
        repository=known.repository,
        revision=known.revision,
        authors=known.authors,
        near_duplicates=known.near_duplicates,
        splits=frozen.version,
        params={base: known.bases[base].params for base in bases},
        replay={mix: known.mixes[mix] for mix in mixes},
        scores=scored,
        curves=predicted,
        mixes=[one for base in bases for one in _over_mixes(base, chosen, found, known.mixes)],
        bases=[one for mix in mixes for base in bases for one in _over_bases(base, mix, bases, curves, schedules)],
    )


def _possible(all_splits: Mapping[str, Split], there: set[str]) -> dict[str, Split]:
    found = {
        name: one for name, one in all_splits.items() if one.set == delphi.FOLDER and {*one.fit, *one.test} <= there
    }
    if not found:
        raise UserError("no split of the benchmark has all its runs among these curves: fetch the public curves again")
    return found


def _curve(entries: Iterable[scores.Entry], rows: scores.Rows, run: str) -> Curve:
    laws = {one.name: one.predict(run).tolist() for one in entries if one.name in (NOISE, EQ4)}
    return Curve(steps=rows.tested(run, 0.0)["step"].tolist(), predicted=laws)


def _over_mixes(
    base: str, chosen: Mapping[str, Split], found: sets.Curves, replay: Mapping[str, float]
) -> Iterable[Joint]:
    """One law for the fitted LRs of all mixes of the splits; predicted: their other LRs, and all of other mixes."""
    of_base = {name: one for name, one in chosen.items() if name.startswith(f"{INSIDE}/{base}/")}
    runs = complete(found.curves, found.schedules)
    runs = [run for run in runs if run.startswith(f"{base}/")]
    rows = _features(found.curves, found.schedules, runs)
    rows = rows.assign(replay=rows["run"].map(lambda run: replay[run.split("/")[1]]))
    fitted = [run for one in of_base.values() for run in one.fit]
    mixes = {run.split("/")[1] for run in fitted}
    wanted = {run for one in of_base.values() for run in one.test}
    wanted |= {run for run in runs if run.split("/")[1] not in mixes}
    for law in OVER_MIXES if len(mixes) > 1 else ():
        yield _joint(base, law, rows, fitted, sorted(wanted))


def _over_bases(
    base: str, mix: str, bases: list[str], curves: pd.DataFrame, schedules: pd.DataFrame
) -> Iterable[Joint]:
    """Eq. 7 fitted to the other bases of a mix, where they are enough, with the known LR of their pre-training."""
    runs = [run for run in complete(curves, schedules) if run.split("/")[:2] in [[one, mix] for one in bases]]
    rows = _features(curves, schedules, runs)
    wanted = [run for run in runs if run.startswith(f"{base}/")]
    fitted = [run for run in runs if run not in wanted]
    for law in OVER_BASES if wanted and len({run.split("/")[0] for run in fitted}) >= LEAST_BASES else ():
        yield _joint(f"{base}/{mix}", law, rows, fitted, wanted)


def complete(curves: pd.DataFrame, schedules: pd.DataFrame) -> list[str]:
    """The runs with a loss of their last step."""
    measured, planned = (table.groupby("run", sort=False)["step"].max() for table in (curves, schedules))
    return [str(run) for run in measured.index if measured[run] == planned[run]]


def _features(curves: pd.DataFrame, schedules: pd.DataFrame, runs: list[str]) -> pd.DataFrame:
    """Features with the usual lambda of these runs."""
    rows, plans = (table[table["run"].isin(runs)] for table in (curves, schedules))
    lambda_ = choice.lambda_of(choice.MEMORY, int(plans["step"].max()))
    return tables.features(rows.reset_index(drop=True), plans, lambda_=lambda_)


def _joint(of: str, law: str, rows: pd.DataFrame, fitted: list[str], wanted: list[str]) -> Joint:
    train = once(rows[rows["run"].isin(fitted)])[0]
    found = search(get(law), train)[0]

    def relative(part: pd.DataFrame) -> np.ndarray:
        return np.asarray(found.predict(part) / part["loss"] - 1)

    missed = {run: relative(rows[(rows["run"] == run) & (rows["phase"] == "continual")]) for run in wanted}
    return Joint(
        of=of,
        law=law,
        parameters=found.parameters,
        trained=float(np.abs(relative(train)).mean()),
        missed={
            run: Missed(mean=float(np.abs(errors).mean()), worst=float(np.abs(errors).max()), end=float(errors[-1]))
            for run, errors in missed.items()
        },
    )
