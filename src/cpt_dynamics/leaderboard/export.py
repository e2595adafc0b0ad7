"""Splits as tasks in the form of SLDBench (arXiv 2507.21184): tables to fit and to test, and a law as plain Python."""

import pprint
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cpt_dynamics import files
from cpt_dynamics.curves import AREA_COLUMNS, public
from cpt_dynamics.fitting import choice
from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.logged import once
from cpt_dynamics.laws import Law, get
from cpt_dynamics.laws.base import AREAS, HISTORY
from cpt_dynamics.leaderboard.scores import Rows
from cpt_dynamics.leaderboard.splits import name_of

INPUTS = ("step", "continual", "lr", *AREA_COLUMNS)
SCHEMA = "cpt-dynamics/benchmark-task/1"
Fitted = tuple[float, pd.DataFrame, Fit]  # lambda, the fitted rows, the fit

LAW = '''"""{about}

    loss = {formula}

A baseline: write a better `scaling_law_func` and `fit_scaling_law`, or a `law` of your own.
"""

import numpy as np
from scipy.optimize import least_squares

INPUTS = {inputs}
NAMES = {names}
BOUNDS = {bounds}
PARAMETERS = {parameters}  # by group, as the benchmark fits them


def scaling_law_func(data_points, params):
    """Losses, [n], at rows of INPUTS, [n, {width}]; params are in the order of NAMES."""
    {columns} = np.asarray(data_points, dtype=float).T
    {unpacked} = params
    return {expression}


def fit_scaling_law(data_points, loss_values):
    """Parameters of the smallest Huber loss (delta 1e-3) of log losses, from those of every group as starts."""
    rows, losses = np.asarray(data_points, dtype=float), np.log(loss_values)

    def misses(params):
        return np.log(np.maximum(scaling_law_func(rows, params), 1e-9)) - losses

    def improved(start):
        inside = np.clip(start, *BOUNDS)
        return least_squares(misses, inside, bounds=BOUNDS, x_scale="jac", loss="huber", f_scale=1e-3)

    return min(map(improved, map(list, map(dict.values, PARAMETERS.values()))), key=lambda found: found.cost).x


def law(input_data, group):
    """The loss of every row of a group: a list of {{"loss": value}} for a list of mappings with INPUTS."""
    rows = [[row[name] for name in INPUTS] for row in input_data]
    params = [PARAMETERS[group][name] for name in NAMES]
    return [{{"loss": float(value)}} for value in scaling_law_func(rows, params)]
'''

ABOUT = """# {name}

Predict the loss of language models under learning-rate (LR) schedules that were not fitted. What is unlike the fitted
runs in the predicted ones: their {kind}. Splits of version {version} of the benchmark of cpt-dynamics.

- `train.parquet`: the rows that are fitted. `test.parquet`: the rows that are predicted; no fitted run has them.
- Target: `loss`, nats a token. Inputs, a number a row: {inputs}.
- `group`: {groups}. The formula is the same for all groups, its constants are those of a group.
- `run`: a training run. `step` counts from 1. `continual` is 1 in continual pre-training and 0 before.
- s1pt and s1cpt sum the LR over the steps of pre-training and of continual pre-training. s2pt and s2cpt are the
  annealing areas of arXiv 2505.07796, Eq. 4, with the lambda of the column `lambda`, which the baseline has chosen from
  the fitted rows.
- `schedules.parquet`, for laws that read whole schedules: the LR of every step of every run as s1 and s2 count it,
  `forward` and `annealed` (the warm-up counts {warmup}), and the LR before the first step, `start`.
- `law.py`: a baseline, `{law}` ({source}), with its fit. `law(input_data, group)`
  predicts, `scaling_law_func` is the formula, `fit_scaling_law` fits it.

**Score**: |predicted/observed - 1|, its mean over the rows of a run, then over the runs of a group, then over groups.
`cpt-dynamics benchmark` has the score of this baseline and of other laws on the same rows.

{terms}
"""
WARMUP = {
    "peak": "held at its end in both",
    "true-in-S1": "as it was in s1 and held at its end in s2",
    "true-in-both": "as it was in both",
}
OWN = "The curves are those of this kit's scale `{set}`, under the kit's licence."
PUBLIC = (
    "The curves are public ones of others; `{facts}` of the kit states where they are from, and under which terms."
    " This folder was made on your machine from what you fetched: pass it on only as those terms allow."
)


def baseline(runs: choice.Runs) -> str:
    """The published law for such runs that reads areas alone."""
    if not runs.continual:
        return "annealing"
    return "cpt" if runs.known else "cpt_unknown"


def tasks(splits: Mapping[str, Rows]) -> dict[str, dict[str, Rows]]:
    """The splits of each name by group."""
    found: dict[str, dict[str, Rows]] = {}
    for name, rows in splits.items():
        found.setdefault(name_of(name), {})[name.partition("/")[2] or name] = rows
    return found


def write(name: str, groups: Mapping[str, Rows], folder: Path, version: int) -> Path:
    """Write a task to a folder of its name in `folder`; returns it. groups: by group, splits of one law."""
    target = folder / name
    fits = {group: _fitted(rows) for group, rows in groups.items()}
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "test": [], "schedules": []}
    for group, rows in groups.items():
        lambda_, known, _ = fits[group]
        tested = pd.concat([rows.tested(run, lambda_) for run in rows.split.test])
        for part, table in (("train", _inputs(once(known)[0])), ("test", _inputs(tested))):
            parts[part].append(table.assign(group=group, **{"lambda": lambda_}))
        parts["schedules"].append(_schedules(pd.concat([known, tested])).assign(group=group))
    for part, tables in parts.items():
        files.write_table(target / f"{part}.parquet", pd.concat(tables, ignore_index=True), SCHEMA)
    texts = {"law.py": _law(fits), "README.md": _about(name, groups, version, next(iter(fits.values()))[-1].law)}
    for file, text in texts.items():
        with files.atomic(target / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return target


def _fitted(rows: Rows) -> Fitted:
    runs = choice.Runs.of(rows.fitted(0.0))
    lambda_, known, found = choice.fitted(get(baseline(runs), rows.split.shift), rows.fitted, runs)
    return lambda_ or 0.0, known, found


def _inputs(table: pd.DataFrame) -> pd.DataFrame:
    continual = (table["phase"] == "continual").astype(float)
    return table.assign(continual=continual)[["run", *INPUTS, "loss"]].astype(dict.fromkeys(INPUTS, float))


def _schedules(table: pd.DataFrame) -> pd.DataFrame:
    """The LR of every step of the runs of some rows."""
    parts = []
    for run, past in table.drop_duplicates("run").set_index("run")[HISTORY].items():
        step = np.arange(1, len(past.forward) + 1)
        continual = (step > past.pretraining_steps).astype(float)
        more = {"start": past.start, "forward": past.forward, "annealed": past.annealed}
        parts.append(pd.DataFrame({"run": run, "step": step, "continual": continual, **more}))
    return pd.concat(parts, ignore_index=True)


def _law(fits: Mapping[str, Fitted]) -> str:
    law = next(iter(fits.values()))[-1].law
    expression = law.formula().replace("^", "**")
    for column, shown in AREAS.items():
        if column in law.inputs:
            expression = re.sub(rf"\b{shown}\b", column, expression)
    names = [p.name for p in law.parameters]
    limits = [found.law.bounds(known) for _, known, found in fits.values()]
    lower = [min(one[name][0] for one in limits) for name in names]
    upper = [max(one[name][1] for one in limits) for name in names]
    parameters = {group: {name: float(found.parameters[name]) for name in names} for group, (*_, found) in fits.items()}
    return LAW.format(
        about=f"{law.name}: {law.source}",
        formula=law.formula(),
        inputs=repr(INPUTS),
        names=repr(tuple(names)),
        bounds=re.sub(r"\binf\b", "np.inf", repr((lower, upper))),
        parameters=pprint.pformat(parameters, width=110, sort_dicts=False),
        width=len(INPUTS),
        columns=", ".join(INPUTS),
        unpacked=", ".join(names),
        expression=expression,
    )


def _about(name: str, groups: Mapping[str, Rows], version: int, law: Law) -> str:
    split = next(iter(groups.values())).split
    known = public.SETS.get(split.set.replace("_", "-"))
    return ABOUT.format(
        name=name,
        kind="schedules" if split.kind == "schedule" else "peak LRs",
        version=version,
        inputs=", ".join(f"`{one}`" for one in INPUTS),
        groups=", ".join(f"`{group}`" for group in groups),
        warmup=WARMUP[split.warmup],
        law=law.name,
        source=law.source,
        terms=PUBLIC.format(facts=known.facts) if known else OWN.format(set=split.set),
    )
