"""The annealing half of the law on public curves, beside the laws that rival it.

The protocol is that of the Multi-Power Law (Luo et al., arXiv 2503.12811): three runs are fitted, six are tested.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.areas import Warmup
from cpt_dynamics.config import Config
from cpt_dynamics.curves import public
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.comparison import Given, compare
from cpt_dynamics.fitting.sweep import best, sweep_lambda
from cpt_dynamics.laws import Law, get

LAMBDAS = (0.99, 0.999, 0.9995, 0.9997)
AUTHORS = "multi_power (authors)"

# How each law counts the warm-up. That of the Multi-Power Law is its authors'; falls of the LR, which fsl sums, are
# in no warm-up, and its LR sum is the true one.
WARMUPS: dict[str, Warmup] = {
    "annealing_s1_only": "true-in-S1",
    **{f"annealing ({warmup})": warmup for warmup in get_args(Warmup)},
    AUTHORS: "true-in-both",
    "multi_power": "true-in-both",
    "fsl": "true-in-S1",
}
# As a figure or a table calls them (the mathematics is TeX).
LABELS = {
    "annealing_s1_only": "$S_1$ alone",
    "annealing (peak)": "annealing, warm-up: peak",
    "annealing (true-in-S1)": "annealing, warm-up: true in $S_1$",
    "annealing (true-in-both)": "annealing, warm-up: true in both",
    AUTHORS: "Multi-Power Law, authors' fit",
    "multi_power": "Multi-Power Law, fitted here",
    "fsl": "Functional Scaling Law",
}


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config | None = None,
    experiments: Experiments | None = None,
    fits: Mapping[str, Any] | None = None,
    published: str | Path = public.PUBLISHED,
) -> dict[str, Any]:
    """Errors of every law at every size, and how lambda and the warm-up's convention were chosen.

    curves, schedules: of `public.combined`. Each size of `sizes` has the `comparison` (see `comparison.compare`), the
    `published` parameters and metrics, the convention of the warm-up under which the annealing law has the smallest
    training objective (`warmup`; test errors play no part), the law's name there (`annealing`), and the training
    objectives over a grid of lambda under that convention (`lambda_sweep`). `config`, `experiments` and `fits` are
    those of every figure's analysis and are not read.
    """
    known = public.published(published)
    sizes = {size: _size(curves, schedules, size, known) for size in known.sizes}
    return plain(
        {
            "figure": "public_curves",
            "title": "Laws on public pre-training curves",
            "source": known.source,
            "repository": known.repository,
            "revision": known.revision,
            "fitted_runs": known.fitted_runs,
            "test_runs": known.test_runs,
            "lambda": PAPER_LAMBDA,
            "warmups": WARMUPS,
            "sizes": sizes,
        }
    )


def of_size(table: pd.DataFrame, size: str) -> pd.DataFrame:
    """The rows of one size in a table of `public.combined`, with the bare names of its runs."""
    prefix = f"{size}/"
    rows = table[table["run"].str.startswith(prefix)]
    if rows.empty:
        raise UserError(f"the public curves have no run of size {size}: fetch them again")
    return rows.assign(run=rows["run"].str.removeprefix(prefix)).reset_index(drop=True)


def laws(parameters: Mapping[str, float], source: str) -> dict[str, Law | Given]:
    """What is compared; `parameters` are those that the authors of the Multi-Power Law publish."""
    found: dict[str, Law | Given] = {name: get(name.partition(" ")[0]) for name in WARMUPS}
    return found | {AUTHORS: Given(get("multi_power"), parameters, source)}


def _size(curves: pd.DataFrame, schedules: pd.DataFrame, size: str, known: public.Published) -> dict[str, Any]:
    rows, plans = of_size(curves, size), of_size(schedules, size)

    @cache
    def counted(warmup: Warmup) -> pd.DataFrame:
        return tables.features(rows, plans, PAPER_LAMBDA, warmup)

    entry = known.sizes[size]
    compared = compare(
        laws(entry.parameters, f"{known.source}, {known.repository}"),
        lambda name: counted(WARMUPS[name]),
        known.fitted_runs,
        known.test_runs,
    )
    chosen = min(get_args(Warmup), key=lambda warmup: compared["laws"][f"annealing ({warmup})"]["objective"])
    train = rows[rows["run"].isin(known.fitted_runs)]
    sweep = sweep_lambda(
        "annealing", lambda value: tables.features(train, plans, value, chosen), train["loss"], LAMBDAS
    )
    return {
        "params": entry.params,
        "warmup": chosen,
        "annealing": f"annealing ({chosen})",
        "lambda_sweep": [
            {"lambda": value, "objective": fit.objective, "parameters": fit.parameters} for value, fit in sweep.items()
        ],
        "lambda_best": best(sweep),
        "published": {"parameters": entry.parameters, "metrics": entry.metrics},
        "comparison": compared,
    }
