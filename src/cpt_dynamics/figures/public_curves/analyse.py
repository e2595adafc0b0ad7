"""The annealing half of the law on public curves, beside the laws that rival it."""

from functools import cache
from pathlib import Path
from typing import get_args

import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.areas import Warmup
from cpt_dynamics.curves import public
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.comparison import Comparison
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA
from cpt_dynamics.figures.public_curves.laws import AUTHORS, WARMUPS, laws
from cpt_dynamics.figures.public_curves.result import OfLambda, Printed, Result, Size
from cpt_dynamics.fitting.comparison import compare
from cpt_dynamics.fitting.sweep import best, sweep_lambda

LAMBDAS = (0.99, 0.999, 0.9995, 0.9997)


def analyse(data: FigureData) -> Result:
    return compared(data.curves, data.schedules)


def compared(curves: pd.DataFrame, schedules: pd.DataFrame, published: str | Path = public.PUBLISHED) -> Result:
    """Every law at every size; curves, schedules: of `public.combined`."""
    known = public.published(published)
    return Result(
        figure="public_curves",
        title="Laws on public pre-training curves",
        source=known.source,
        repository=known.repository,
        revision=known.revision,
        fitted_runs=known.fitted_runs,
        test_runs=known.test_runs,
        lambda_=PAPER_LAMBDA,
        warmups=WARMUPS,
        sizes={size: _size(curves, schedules, size, known) for size in known.sizes},
    )


def _size(curves: pd.DataFrame, schedules: pd.DataFrame, size: str, known: public.Published) -> Size:
    rows, plans = public.of_size(curves, size), public.of_size(schedules, size)

    @cache
    def counted(warmup: Warmup) -> pd.DataFrame:
        return tables.features(rows, plans, PAPER_LAMBDA, warmup)

    entry = known.sizes[size]
    found = Comparison.model_validate(
        compare(
            laws(entry.parameters, f"{known.source}, {known.repository}"),
            lambda name: counted(WARMUPS[name]),
            known.fitted_runs,
            known.test_runs,
        )
    )
    chosen: Warmup = min(get_args(Warmup), key=lambda warmup: found.laws[f"annealing ({warmup})"].objective)
    train = rows[rows["run"].isin(known.fitted_runs)]
    sweep = sweep_lambda(
        "annealing", lambda value: tables.features(train, plans, value, chosen), train["loss"], LAMBDAS
    )
    printed = entry.metrics["mean_relative_error"]
    unseen = {name: law.mean.unseen.mean_relative_error for name, law in found.laws.items()}
    ours, without = unseen[f"annealing ({chosen})"], unseen["annealing_s1_only"]
    return Size(
        params=entry.params,
        warmup=chosen,
        annealing=f"annealing ({chosen})",
        lambda_sweep=[
            OfLambda(lambda_=value, objective=fit.objective, parameters=fit.parameters) for value, fit in sweep.items()
        ],
        lambda_best=best(sweep),
        published=Printed(parameters=entry.parameters, metrics=entry.metrics),
        printed_error=printed,
        printed_off=abs((found.laws[AUTHORS].mean.all.mean_relative_error or 0.0) - printed),
        over_s1_only=ours / without if ours is not None and without else None,
        comparison=found,
    )
