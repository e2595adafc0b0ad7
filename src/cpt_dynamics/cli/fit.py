"""fit: a law fitted to anyone's loss logs, with what its data can and cannot tell."""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from cpt_dynamics import files, fitting
from cpt_dynamics.areas import Warmup
from cpt_dynamics.cli import logs
from cpt_dynamics.cli.fit_text import fit_lines
from cpt_dynamics.cli.laws import formula
from cpt_dynamics.cli.logs import Data, Settings
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.comparison import search, seen
from cpt_dynamics.fitting.fit import Method
from cpt_dynamics.fitting.sweep import best, sweep_lambda
from cpt_dynamics.fitting.uncertainty import MIN_SEEDS
from cpt_dynamics.laws import LAWS, Law, Shift, get
from cpt_dynamics.laws.base import HISTORY

SCHEMA = "cpt-dynamics/fit/1"
POINTS = 300  # of a drawn curve


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a fit (`used`: each measurement once), the same with repeats, and all rows of held-out runs.

    early, shared: how many were left out because they are before the first step, or repeats.
    """

    used: pd.DataFrame
    repeated: pd.DataFrame
    held_out: pd.DataFrame
    early: int
    shared: int


def add_fit(parser: argparse.ArgumentParser) -> None:
    logs.add_logs(parser)
    group = parser.add_argument_group("fit")
    group.add_argument("--law", metavar="NAME", help="see `cpt-dynamics laws` (default: cpt, or what the rows allow)")
    group.add_argument("--shift", choices=get_args(Shift), default="free", help="sign of B: + on D_pt, - on D_cpt")
    group.add_argument("--method", choices=get_args(Method), default="varpro", help="how to search (default: varpro)")
    group.add_argument("--starts", type=int, metavar="N", help="starts of the search (default: the method's own)")
    group.add_argument("--fix", nargs="+", action="extend", metavar="NAME=VALUE", help="hold parameters")
    group.add_argument("--exclude", action="append", metavar="RUN,...", help="hold runs out; they are predicted")
    group.add_argument("--intervals", action="store_true", help="refit without each run, for intervals (takes longer)")
    group.add_argument("--level", type=float, default=0.9, metavar="P", help="level of intervals (default: 0.9)")
    group.add_argument("--profile", action="append", metavar="NAME", help="profile the objective over a parameter")
    group.add_argument("--sweep-lambda", metavar="L,...", help="compare fits over these values of lambda")
    logs.add_features(parser)
    add_results(parser, "FIT.json", "write the fit, for `cpt-dynamics predict`")


def add_results(parser: argparse.ArgumentParser, file: str, what: str) -> None:
    """Where results go."""
    group = parser.add_argument_group("results")
    group.add_argument("--out", metavar=file, help=what)
    group.add_argument("--plot", metavar="FILE", help="draw it: pdf, png or svg, by the name's ending")
    group.add_argument("--json", action="store_true", help="print JSON")


def check_results(options: argparse.Namespace, inputs: Sequence[str]) -> None:
    """Raise `UserError` before any work if a result could not be written."""
    inputs = [file for log in inputs for file in logs.files_of(log)]
    logs.check_output(options.out, "--out", inputs)
    logs.check_output(options.plot, "--plot", inputs, logs.PLOTS)


def run_fit(options: argparse.Namespace) -> None:
    check_results(options, options.logs)
    if not 0 < options.level < 1:
        raise UserError(f"--level is {options.level}: it lies between 0 and 1")
    if options.starts is not None and options.starts < 1:
        raise UserError(f"--starts is {options.starts}: it must be at least 1")
    data, settings = logs.read(options), logs.settings_of(options)
    excluded = logs.named_runs(options.exclude, data.runs, "--exclude")
    law, hints = chosen_law(options, data, excluded)
    rows = rows_of(logs.features(data.curves, data.schedules, options, settings), excluded, options.first_step)
    logs.check_law(law, rows.used)
    found = fitted(law, rows.used, options)
    result: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            **found.to_json(),
            **_about_data(data, rows, options),
            **_findings(found, rows, options),
            "lambda_sweep": _sweep(law, data, options, settings, excluded),
            "hints": [*hints, *logs.hints(data, options, settings)],
            "notes": data.notes,
        }
    )
    figure = None
    if options.plot:
        from cpt_dynamics.figures.kit import fit_plot as fits  # takes half a second, so only where it is used

        figure = fits.draw_fit(_panels(found, data, options, excluded), title=f"{law.name} on {data.validation}")
    if options.out:
        with logs.writing(options.out):
            files.write_json(options.out, result)
    logs.give(options, result, [*fit_lines(found.law, result, list(data.files)), *written(options, "fit")], figure)


def written(options: argparse.Namespace, what: str) -> list[str]:
    """Where `--out` went."""
    return [f"{what}: {options.out}"] if options.out else []


# --- the fit file -------------------------------------------------------------------------------------------


def read_fit(path: str) -> tuple[Fit, dict[str, Any]]:
    """The fit of a file that `fit --out` wrote, and the whole file."""
    try:
        content = files.read_json(path)
        found = Fit.from_json(content)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the file of `fit --out`") from None
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    known = found.parameters if isinstance(found.parameters, dict) else {}
    pairs = list(found.ranges.values()) if isinstance(found.ranges, dict) else [None]
    if not all(is_number(value) for value in [found.delta, *(known.get(p.name) for p in found.law.parameters)]):
        raise UserError(f"{path}: this is not a fit (a parameter is missing or no number): fit again")
    if not all(isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) for pair in pairs):
        raise UserError(f"{path}: this is not a fit (a range is not two numbers): fit again")
    settings_from(found, path)
    return found, content


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def settings_from(found: Fit, path: str = "the fit") -> Settings:
    """How the areas of a fit were made."""
    try:
        value = found.settings
        settings = Settings(
            float(value["lambda"]), value["warmup"], bool(value["carry_over"]), float(value["lr_power"])
        )
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} does not say how its areas were made: fit again") from None
    if not 0 <= settings.lambda_ < 1 or settings.warmup not in get_args(Warmup):
        raise UserError(f"{path} does not say how its areas were made: fit again")
    return settings


# --- what is fitted -----------------------------------------------------------------------------------------


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
    law = signed(name, options.shift)
    if "s1pt" in law.inputs and (before == 0).any():
        runs = ", ".join(str(run) for run in before.index[before == 0])
        lines.append(
            f"the pre-training of {runs} is unknown and taken as none: --pretraining-steps says how many steps it has"
            " (all: every one), and the law cpt_unknown does without"
        )
    return law.fixed(**_fixed(options.fix)) if options.fix else law, lines


def signed(name: str, shift: Shift) -> Law:
    """The law of that name with the sign of its shift."""
    law = get(name, shift)
    if shift != "free" and law == get(name):
        raise UserError(f"law {name!r} has no shift whose sign could be chosen: drop --shift")
    return law


def _fixed(texts: Iterable[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UserError(f"--fix {text}: write NAME=VALUE with a number") from None
    return found


def rows_of(table: pd.DataFrame, excluded: Sequence[str], first_step: int) -> Rows:
    """The rows of a fit to all runs but the excluded ones."""
    late, _ = logs.from_step(table, first_step)
    rest = [run for run in dict.fromkeys(table["run"]) if run not in excluded]
    if not rest:
        raise UserError("--exclude leaves no run to fit: hold fewer runs out")
    repeated, early = logs.from_step(logs.of_runs(table, rest), first_step)
    if not len(repeated):
        raise UserError(f"no row is left from --first-step {first_step} on: choose an earlier step")
    used, shared = logs.once(repeated)
    return Rows(used, repeated, logs.of_runs(late, excluded), early, shared)


def fitted(law: Law, rows: pd.DataFrame, options: argparse.Namespace) -> Fit:
    """The fit; laws that sum over the changes of the LR are searched with changes merged first."""
    if HISTORY in law.inputs and options.method == "varpro" and options.starts is None:
        found, first = search(law, rows)
        return replace(found, n_starts=first.n_starts, n_agree=first.n_agree)
    return fitting.fit(law, rows, rows["loss"], method=options.method, n_starts=options.starts)


# --- what is found ------------------------------------------------------------------------------------------


def _about_data(data: Data, rows: Rows, options: argparse.Namespace) -> dict[str, Any]:
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


def _findings(found: Fit, rows: Rows, options: argparse.Namespace) -> dict[str, Any]:
    """All that is said about a fit beside itself."""
    refit: dict[str, Any] = {} if options.starts is None else {"n_starts": options.starts}
    if HISTORY in found.law.inputs:
        refit |= {"n_screen": 0, "starts": [found.parameters]}
    return {
        "formula": formula(found.law),
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
    if not {p.name for p in LAWS[law.baseline].parameters} <= {p.name for p in law.parameters}:
        return {"value": None, "reason": f"a parameter of its baseline {law.baseline} is fixed"}
    return {"value": fitting.fit_skill(found, rows, rows["loss"]), "baseline": law.baseline}


def _errors(found: Fit, rows: pd.DataFrame, train: pd.DataFrame) -> dict[str, Any]:
    """Errors on a held-out run, over all rows and over those that no fitted run shares."""
    observed, predicted, new = rows["loss"].to_numpy(), found.predict(rows), ~seen(rows, train)
    return {
        "all": fitting.measure(observed, predicted, found.delta),
        "unseen": fitting.measure(observed[new], predicted[new], found.delta),
    }


def _uncertainty(found: Fit, rows: Rows, level: float, refit: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals from curves left out (the seeds of a run together), and from seeds where there are enough."""
    table, loss = rows.repeated, rows.repeated["loss"]
    left_out = fitting.leave_one_curve_out(found.law, table, loss, table["run"].map(selection.group), **refit)
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


def _sweep(
    law: Law, data: Data, options: argparse.Namespace, settings: Settings, excluded: Sequence[str]
) -> list[dict[str, Any]]:
    """Fits over other values of lambda, the best one marked."""
    if options.sweep_lambda is None:
        return []
    if not any(name.startswith("s2") for name in law.inputs):
        raise UserError(f"law {law.name!r} reads no annealing area, so lambda plays no part: drop --sweep-lambda")
    try:
        values = [float(text) for text in options.sweep_lambda.split(",")]
    except ValueError:
        raise UserError(f"--sweep-lambda is {options.sweep_lambda!r}: give numbers separated by commas") from None

    def rows(value: float) -> pd.DataFrame:
        table = logs.features(data.curves, data.schedules, options, replace(settings, lambda_=value))
        return rows_of(table, excluded, options.first_step).used

    loss = rows(values[0])["loss"]
    sweep = sweep_lambda(law, rows, loss, values, method=options.method, n_starts=options.starts)
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


# --- curves of a fit ----------------------------------------------------------------------------------------


def predicted(found: Fit, data: Data, steps: Mapping[str, Iterable[int]], options: argparse.Namespace) -> pd.DataFrame:
    """Features of the given steps of some runs with the law's loss (`predicted`), where it has a finite one."""
    rows = pd.concat([logs.at_steps(data, run, some) for run, some in steps.items()], ignore_index=True)
    table = logs.features(rows, data.schedules, options, settings_from(found))
    logs.check_inputs(found.law, table)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        values = found.predict(table)
    kept = table.assign(predicted=values)[np.isfinite(values)]
    kept.attrs = table.attrs
    return kept


def drawn_steps(data: Data, run: str, first: int = 1) -> set[int]:
    """Steps of a run that show its curve: evenly spaced, and dense after the transfer."""
    plan = data.schedules[data.schedules["run"] == run]
    last, switch = len(plan), int((plan["phase"] == "pretraining").sum())
    after = switch + np.unique(np.geomspace(1, max(last - switch, 1), 60).round())
    some = np.concatenate([np.linspace(min(first, last), last, POINTS).round(), [switch], after])
    return {int(step) for step in some if (step >= first or step > switch) and 1 <= step <= last}


def _panels(found: Fit, data: Data, options: argparse.Namespace, excluded: Sequence[str]) -> list[Any]:
    from cpt_dynamics.figures.kit.fit_plot import Panel

    measured, _ = logs.from_step(data.curves, options.first_step)
    steps = {
        run: drawn_steps(data, run, options.first_step) | set(measured.loc[measured["run"] == run, "step"])
        for run in data.runs
    }
    curves = predicted(found, data, steps, options)
    return [
        Panel(run, curves[curves["run"] == run], measured[measured["run"] == run], run in excluded) for run in data.runs
    ]
