"""fit: a law fitted to anyone's loss logs, with what its data can and cannot tell."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from cpt_dynamics import files, fitting
from cpt_dynamics.cli import log_options as logs
from cpt_dynamics.cli.printing import fit_lines
from cpt_dynamics.errors import UserError, printable, short
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.logged import (
    SCHEMA,
    FeatureSettings,
    FittedRows,
    check_law,
    drawn_steps,
    from_step,
    predicted,
)
from cpt_dynamics.fitting.sweep import best, sweep_lambda
from cpt_dynamics.fitting.uncertainty import MIN_SEEDS, without_seed
from cpt_dynamics.laws import Law, get
from cpt_dynamics.laws.base import HISTORY
from cpt_dynamics.logs.measured import Data

LARGEST = 1e12  # a fixed parameter
MOST_LAMBDAS = 100


def run_fit(options: argparse.Namespace) -> None:
    logs.check_results(options, options.logs)
    if not 0 < options.level < 1:
        raise UserError(f"--level is {options.level}: it lies between 0 and 1")
    lambdas = _lambdas(options)
    data = logs.read(options)
    excluded = logs.named_runs(options.exclude, data.runs, "--exclude")
    settings = logs.settings_of(options, data)
    features = FeaturesOf(data, settings, excluded, options.first_step)
    law, settings, hints, choice = _chosen(options, data, features)
    rows = features.rows(settings.areas.lambda_)
    check_law(law, rows.used)
    found = fitted(law, rows.used, options)
    result: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            **found.to_json(),
            **_about_data(data, rows, options),
            **_findings(found, rows, options),
            "lambda_sweep": _sweep(law, features, options, lambdas),
            "choice": choice,
            "hints": [*hints, *logs.hints(data, options, settings)],
            "notes": data.notes,
        }
    )
    figure = None
    if options.plot:
        from cpt_dynamics.figures.kit import fit_plot as fits  # takes half a second, so only where it is used

        drawn = replace(settings, **logs.by_run(options, data.schedules, data.schedules))
        figure = fits.draw_fit(
            _panels(found, data, drawn, options.first_step, excluded), title=f"{law.name} on {data.validation}"
        )
    if options.out:
        with logs.writing(options.out):
            files.write_json(options.out, result)
    logs.give(options, result, [*fit_lines(found.law, result, list(data.files)), *logs.written(options, "fit")], figure)


# --- what is fitted -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeaturesOf:
    """The rows that are fitted, by the lambda that their annealing areas are made with."""

    data: Data
    settings: FeatureSettings
    excluded: Sequence[str]
    first_step: int

    def rows(self, lambda_: float) -> FittedRows:
        table = self.made(lambda_).features(self.data.curves, self.data.schedules)
        return FittedRows.of(table, self.excluded, self.first_step)

    def made(self, lambda_: float) -> FeatureSettings:
        return replace(self.settings, areas=replace(self.settings.areas, lambda_=lambda_))


def _chosen(
    options: argparse.Namespace, data: Data, features: FeaturesOf
) -> tuple[Law, FeatureSettings, list[str], dict[str, Any] | None]:
    """The law, how its features are made, what to say about the choice, and the choice of `--law auto`."""
    from cpt_dynamics.fitting import choice  # takes long to import, so only where it is used

    def repeated(lambda_: float) -> pd.DataFrame:
        return features.rows(lambda_).repeated

    if options.law != logs.AUTO:
        law, lines = chosen_law(options, data, features.excluded)
        if options.lambda_ != logs.AUTO:
            return law, features.settings, lines, None
        check_law(law, repeated(0.0))
        return law, features.made(choice.choose_lambda(law, repeated)), lines, None
    if options.fix:
        raise UserError("--fix holds parameters of one law, and --law auto chooses among several: name the law")
    found = choice.choose_law(
        repeated, options.shift, lambda_=None if options.lambda_ == logs.AUTO else options.lambda_
    )
    one = found.chosen
    lambda_ = choice.default_lambda(repeated(0.0)) if one.lambda_ is None else one.lambda_
    said = {"reason": found.reason, "ranked": choice.described(found), "missing": found.missing}
    return one.law, features.made(lambda_), [found.reason, *found.missing], said


def chosen_law(options: argparse.Namespace, data: Data, excluded: Sequence[str]) -> tuple[Law, list[str]]:
    """The law with its sign and fixed parameters, and what to say about the choice."""
    plans = data.schedules[~data.schedules["run"].isin(excluded)]
    before = (plans["phase"] == "pretraining").groupby(plans["run"]).sum()
    name, lines = options.law or "cpt", []
    if options.law is None and not (data.curves.loc[~data.curves["run"].isin(excluded), "phase"] == "continual").any():
        name = "annealing"
        lines = ["no row comes after a transfer, so the law is annealing, that of pre-training"]
    elif options.law is None and not before.any():
        name = "cpt_unknown"
        lines = ["no run has known pre-training, so the law is cpt_unknown; --pretraining-steps says what is known"]
    law = logs.signed_law(name, options.shift)
    if "s1pt" in law.inputs and (before == 0).any():
        runs = ", ".join(str(run) for run in before.index[before == 0])
        lines.append(
            f"the pre-training of {runs} is unknown and taken as none: --pretraining-steps says how many steps it has"
            " (all: every one), and the law cpt_unknown does without"
        )
    return law.fixed(**_fixed(options.fix)) if options.fix else law, lines


def _fixed(texts: Iterable[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        found[name] = logs.to_number(value)
        if not abs(found[name]) <= LARGEST:
            raise UserError(
                f"--fix {printable(text, 60)}: write NAME=VALUE with a number from {-LARGEST:g} to {LARGEST:g}"
            )
    return found


def fitted(law: Law, rows: pd.DataFrame, options: argparse.Namespace) -> Fit:
    """The fit; laws that sum over the changes of the LR are searched with changes merged first."""
    if HISTORY in law.inputs and options.method == "varpro" and options.starts is None:
        from cpt_dynamics.fitting.comparison import search  # takes long to import, so only where it is used

        found, first = search(law, rows)
        return replace(found, n_starts=first.n_starts, n_agree=first.n_agree)
    return fitting.fit(law, rows, rows["loss"], method=options.method, n_starts=options.starts)


# --- what is found ------------------------------------------------------------------------------------------


def _about_data(data: Data, rows: FittedRows, options: argparse.Namespace) -> dict[str, Any]:
    inputs = [file for log in options.logs for file in logs.files_of(log)]
    return {
        "validation": data.validation,
        "first_step": options.first_step,
        "logs": {file: files.sha256(file) for file in dict.fromkeys(inputs)},
        "runs": {
            "fitted": list(dict.fromkeys(rows.repeated["run"])),
            "held_out": list(dict.fromkeys(rows.held_out["run"])),
        },
        "rows": {
            "used": len(rows.used),
            "continual": int((rows.used["phase"] == "continual").sum()),
            "left_out_early": rows.early,
            "left_out_shared": rows.shared,
        },
    }


def _findings(found: Fit, rows: FittedRows, options: argparse.Namespace) -> dict[str, Any]:
    """All that is said about a fit beside itself."""
    refit: dict[str, Any] = {} if options.starts is None else {"n_starts": options.starts}
    if HISTORY in found.law.inputs:
        refit |= {"n_screen": 0, "starts": [found.parameters]}
    return {
        "formula": found.law.formula(),
        "skill": _skill(found, rows.used),
        "held_out": {
            str(run): _errors(found, part, rows.used) for run, part in rows.held_out.groupby("run", sort=False)
        },
        "determined": fitting.report(found, rows.used),
        **(_uncertainty(found, rows, options.level, refit) if options.intervals else {"intervals": None}),
        "profiles": [
            asdict(fitting.profile(found.law, rows.used, rows.used["loss"], name, found=found, level=options.level))
            for name in options.profile or []
        ],
    }


def _skill(found: Fit, rows: pd.DataFrame) -> dict[str, Any]:
    """`fitting.fit_skill`, or why it is not defined."""
    law = found.law
    if not law.baseline:
        return {"value": None, "reason": f"law {law.name} has no baseline without annealing"}
    if not (rows["s1cpt"] > 0).any():
        return {"value": None, "reason": "no row comes after a transfer"}
    if not {p.name for p in get(law.baseline).parameters} <= {p.name for p in law.parameters}:
        return {"value": None, "reason": f"a parameter of its baseline {law.baseline} is fixed"}
    return {"value": fitting.fit_skill(found, rows, rows["loss"]), "baseline": law.baseline}


def _errors(found: Fit, rows: pd.DataFrame, train: pd.DataFrame) -> dict[str, Any]:
    """Errors on a held-out run, over all rows and over those that no fitted run shares."""
    from cpt_dynamics.fitting.comparison import seen  # takes long to import, so only where it is used

    observed, predicted, new = rows["loss"].to_numpy(), found.predict(rows), ~seen(rows, train)
    return {
        "all": fitting.measure(observed, predicted, found.delta),
        "unseen": fitting.measure(observed[new], predicted[new], found.delta),
    }


def _uncertainty(found: Fit, rows: FittedRows, level: float, refit: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals from curves left out (the seeds of a run together), and from seeds where there are enough."""
    table, loss = rows.repeated, rows.repeated["loss"]
    left_out = fitting.leave_one_curve_out(found.law, table, loss, table["run"].map(without_seed), **refit)
    enough = table["seed"].nunique() >= MIN_SEEDS
    return {
        "intervals": asdict(fitting.intervals(left_out, level)),
        "left_out": {
            "relative": left_out.relative,
            "curves": [asdict(curve) for curve in left_out.curves],
            "not_testable": left_out.not_testable,
            "pooled": left_out.pooled,
        },
        "seeds": asdict(fitting.seed_intervals(found.law, table, loss, level, **refit)) if enough else None,
    }


def _lambdas(options: argparse.Namespace) -> list[float]:
    """The values of `--sweep-lambda`."""
    if options.sweep_lambda is None:
        return []
    values = [logs.to_number(text) for text in options.sweep_lambda.split(",")]
    if len(values) > MOST_LAMBDAS or not all(0 <= value < 1 for value in values):
        said = short(options.sweep_lambda)
        raise UserError(f"--sweep-lambda is {said}: give at most {MOST_LAMBDAS} numbers from 0 and below 1, by commas")
    return values


def _sweep(
    law: Law,
    features: FeaturesOf,
    options: argparse.Namespace,
    lambdas: Sequence[float],
) -> list[dict[str, Any]]:
    """Fits over other values of lambda, the best one marked."""
    if not lambdas:
        return []
    if not any(name.startswith("s2") for name in law.inputs):
        raise UserError(f"law {law.name!r} reads no annealing area, so lambda plays no part: drop --sweep-lambda")

    def rows(value: float) -> pd.DataFrame:
        return features.rows(value).used

    loss = rows(lambdas[0])["loss"]
    sweep = sweep_lambda(law, rows, loss, lambdas, method=options.method, n_starts=options.starts)
    return [
        {
            "lambda": value,
            "objective": fit.objective,
            "metrics": fit.metrics,
            "parameters": fit.parameters,
            "converged": fit.converged,
            "best": value == best(sweep),
        }
        for value, fit in sweep.items()
    ]


def _panels(found: Fit, data: Data, settings: FeatureSettings, first_step: int, excluded: Sequence[str]) -> list[Any]:
    from cpt_dynamics.figures.kit.fit_plot import Panel

    measured, _ = from_step(data.curves, first_step)
    steps = {
        run: drawn_steps(data, run, first_step) | set(measured.loc[measured["run"] == run, "step"]) for run in data.runs
    }
    curves = predicted(found, data, steps, settings)
    return [
        Panel(run, curves[curves["run"] == run], measured[measured["run"] == run], run in excluded) for run in data.runs
    ]
