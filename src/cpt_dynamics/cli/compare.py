"""compare: laws fitted to some of anyone's runs and tested on others, side by side."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cpt_dynamics import files
from cpt_dynamics.cli import log_options as logs
from cpt_dynamics.cli.text import bullets, error_cells, number, table, together
from cpt_dynamics.curves import public
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.logged import check_law, from_step, of_runs, once
from cpt_dynamics.fitting.uncertainty import without_seed
from cpt_dynamics.laws import Law, Shift, get

if TYPE_CHECKING:
    from cpt_dynamics.fitting.comparison import Averaged

KINDS = {"all": "all rows", "unseen": "unseen rows"}
HEAD = ("law", "tested on", "R2", "MAE", "RMSE", "PredE", "WorstE", "objective")
LEGEND = (
    "means over the test runs; MAE and RMSE in nats/token, PredE and WorstE: mean and worst error as a share of the"
    " loss; unseen rows: without those that a fitted run shares; objective: of the fit, on its own rows"
)
AUTHORS = "as published"
STACKED = "stacked:"


def run_compare(options: argparse.Namespace) -> None:
    logs.check_results(options, options.logs)
    if options.public and options.logs:
        raise UserError("--public has its own curves: give it alone, or LOG... without it")
    if not options.public and not options.logs:
        raise UserError("nothing is to be compared: give LOG..., or --public FOLDER")
    result, lines, figure = _public(options) if options.public else _of_logs(options)
    if options.out:
        with logs.writing(options.out):
            files.write_json(options.out, result)
    logs.give(options, result, [*lines, *logs.written(options, "comparison")], figure)


# --- anyone's logs ------------------------------------------------------------------------------------------


def _of_logs(options: argparse.Namespace) -> tuple[dict[str, Any], list[str], Any]:
    """The comparison, how it is printed, and its figure if one is asked for."""
    data = logs.read(options)
    settings = logs.settings_of(options, data)

    def features(lambda_: float) -> pd.DataFrame:
        made = replace(settings, areas=replace(settings.areas, lambda_=lambda_))
        return from_step(made.features(data.curves, data.schedules), options.first_step)[0]

    rows, early = from_step(settings.features(data.curves, data.schedules), options.first_step)
    laws = _laws(options, rows)
    for entry in laws.values():
        for law in _parts(entry):
            check_law(law, rows)
    splits = _splits(options, list(dict.fromkeys(rows["run"])))
    chosen = features if options.lambda_ == logs.AUTO else None
    parts = [_compared(laws, rows, *split, options.phase, chosen) for split in splits]
    if not any(count["all"] for part in parts for count in part["rows"].values()):
        raise UserError(f"no test run has a row of {options.phase}: choose other runs, or leave --phase out")
    result: dict[str, Any] = plain(
        {
            "validation": data.validation,
            "settings": settings.areas.to_json(),
            "first_step": options.first_step,
            "left_out_early": early,
            "phase": options.phase,
            "splits": parts,
            "mean": {law: _means([part["laws"][law]["runs"] for part in parts]) for law in laws},
            "hints": logs.hints(data, options, settings),
            "notes": data.notes,
        }
    )
    lines = _lines(result, list(data.files))
    if not options.plot:
        return result, lines, None
    from cpt_dynamics.figures.kit import fit_plot as fits  # takes half a second, so only where it is used

    scores = [fits.Score(law, *(_by_run(parts, law, kind) for kind in KINDS)) for law in laws]
    return result, lines, fits.draw_comparison(scores, f"laws on {data.validation}")


def _laws(options: argparse.Namespace, rows: pd.DataFrame) -> dict[str, "Law | Averaged"]:
    """The laws by name; the sign of the shift holds for those that leave it free."""
    if options.laws is None:
        names = ["cpt", "s1_only"] if (rows["phase"] == "continual").any() else ["annealing", "annealing_s1_only"]
    else:
        names = [name.strip() for name in options.laws.split(",") if name.strip()]
    if not names:
        raise UserError("--laws is empty: name at least one law (see `cpt-dynamics laws`)")
    laws = {name: _entry(name, options.shift) for name in names}
    if options.shift != "free" and all(law == _entry(name, "free") for name, law in laws.items()):
        raise UserError(f"none of the laws ({', '.join(names)}) has a shift whose sign could be chosen: drop --shift")
    return laws


def _entry(name: str, shift: Shift) -> "Law | Averaged":
    """A law, or an average: `a+b` with equal weights, `stacked:a+b` with weights from left-out curves."""
    if "+" not in name:
        return get(name, shift)
    from cpt_dynamics.fitting.comparison import Averaged  # takes long to import, so only where it is used

    stacked = name.startswith(STACKED)
    parts = name.removeprefix(STACKED).split("+")
    if len(set(parts)) < len(parts):
        raise UserError(f"--laws: {name} names a law twice: name each once")
    return Averaged(tuple(get(part.strip(), shift) for part in parts), stacked)


def _parts(entry: "Law | Averaged") -> tuple[Law, ...]:
    return (entry,) if isinstance(entry, Law) else entry.laws


def _splits(options: argparse.Namespace, runs: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Pairs of fitted runs and test runs: the stated one, or every run left out in turn (with all its seeds)."""
    fitted = logs.named_runs(options.fit_runs, runs, "--fit-runs")
    tested = logs.named_runs(options.test_runs, runs, "--test-runs")
    both = [run for run in tested if run in fitted]
    if both:
        raise UserError(f"run {both[0]!r} is in --fit-runs and in --test-runs: leave it out of one")
    if fitted or tested:
        fitted = fitted or [run for run in runs if run not in tested]
        tested = tested or [run for run in runs if run not in fitted]
        if not fitted or not tested:
            raise UserError(f"no run is left to {'test on' if fitted else 'fit'}: name fewer of {', '.join(runs)}")
        return [(fitted, tested)]
    groups = list(dict.fromkeys(without_seed(run) for run in runs))
    if len(groups) < 2:
        raise UserError(f"a comparison needs a run to fit and another one to test on, and there is only {runs[0]}")
    return [
        ([run for run in runs if without_seed(run) != left], [run for run in runs if without_seed(run) == left])
        for left in groups
    ]


def _compared(
    laws: Mapping[str, "Law | Averaged"],
    rows: pd.DataFrame,
    fitted: list[str],
    tested: list[str],
    phase: str | None,
    features: Callable[[float], pd.DataFrame] | None,
) -> dict[str, Any]:
    """`fitting.comparison.compare` of one split, the rows of the fitted runs without repeats.

    features: the rows by lambda, which every law then chooses from the fitted runs; None takes `rows` for all laws.
    """
    from cpt_dynamics.fitting import comparison  # takes long to import, so only where it is used

    def both(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([once(of_runs(table, fitted))[0], of_runs(table, tested)])

    lambdas = {}
    if features is not None:
        reads = {
            name: law
            for name, law in laws.items()
            if any("s2pt" in part.inputs or "s2cpt" in part.inputs for part in _parts(law))
        }
        lambdas = {name: _lambda(law, features, fitted) for name, law in reads.items()}
    tables = {name: both(features(lambdas[name]) if features and name in lambdas else rows) for name in laws}
    train, _ = once(of_runs(rows, fitted))
    found = comparison.compare(laws, tables, dict.fromkeys(train["run"]), tested, phase)
    return {**found, "fitted_runs": fitted, "lambdas": lambdas}


def _lambda(law: "Law | Averaged", features: Callable[[float], pd.DataFrame], fitted: list[str]) -> float:
    """The lambda that the fitted runs give a law; 1 - 60/T for an average, whose laws share one."""
    from cpt_dynamics.fitting import choice  # takes long to import, so only where it is used

    if isinstance(law, Law):
        return choice.choose_lambda(law, lambda value: of_runs(features(value), fitted))
    return choice.default_lambda(of_runs(features(0.0), fitted))


def _means(parts: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, dict[str, float]]:
    """Unweighted means over all test runs."""
    runs = [errors for part in parts for errors in part.values()]
    return {kind: _mean([errors[kind] for errors in runs]) for kind in KINDS}


def _mean(errors: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Unweighted means over the runs that have an error; runs without rows have none."""
    from cpt_dynamics.fitting.comparison import AVERAGED  # takes long to import, so only where it is used

    columns = {name: [one[name] for one in errors if one.get(name) is not None] for name in AVERAGED}
    return {name: sum(values) / len(values) for name, values in columns.items() if values}


def _by_run(parts: Sequence[Mapping[str, Any]], law: str, kind: str) -> dict[str, float]:
    """Mean relative errors of a law on the test runs that have rows of a kind."""
    runs = [item for part in parts for item in part["laws"][law]["runs"].items()]
    return {run: e[kind]["mean_relative_error"] for run, e in runs if e[kind].get("mean_relative_error") is not None}


def _lines(result: Mapping[str, Any], runs: Sequence[str]) -> list[str]:
    splits, settings = result["splits"], result["settings"]
    rows = f"losses of {result['validation']}" + (f", {result['phase']} rows alone" if result["phase"] else "")
    if len(splits) == 1:
        ways = f"fitted: {', '.join(splits[0]['fitted_runs'])}; tested: {', '.join(splits[0]['test_runs'])}"
    else:
        ways = f"each of {len(splits)} runs predicted from the others"
    memory = _memory(splits) or f"lambda {settings['lambda']:g}"
    lines = bullets([ways, f"{rows}; {memory}, warm-up {settings['warmup']}", LEGEND])
    cells = []
    for law, errors in result["mean"].items():
        objective = number(splits[0]["laws"][law]["objective"]) if len(splits) == 1 else ""
        doubtful = any(not part["laws"][law].get("converged", True) for part in splits)
        cells += _cells(law + (" *" if doubtful else ""), errors, objective)
    lines += ["", *table(HEAD if len(splits) == 1 else HEAD[:-1], cells, left=2)]
    if any(row[0].endswith(" *") for row in cells):
        lines.append("* a fit did not converge")
    notes = together(result["notes"], runs)
    return [*lines, *logs.sections({"hints": result["hints"], "how the logs were read": notes}), ""]


def _memory(splits: Sequence[Mapping[str, Any]]) -> str:
    """The lambdas that laws chose from the fitted runs, their range over the splits; "" where they did not choose."""
    found: dict[str, list[float]] = {}
    for split in splits:
        for law, value in split["lambdas"].items():
            found.setdefault(law, []).append(value)
    ranges = {law: dict.fromkeys([f"{min(values):.5g}", f"{max(values):.5g}"]) for law, values in found.items()}
    return "; ".join(f"lambda of {law} {' to '.join(ends)}" for law, ends in ranges.items())


def _cells(law: str, errors: Mapping[str, Mapping[str, float]], objective: str) -> list[list[str]]:
    """Two rows of the table: over all rows and over unseen ones."""
    rows = [[law, KINDS["all"], *error_cells(errors["all"])], ["", KINDS["unseen"], *error_cells(errors["unseen"])]]
    return [[*row, text] for row, text in zip(rows, (objective, ""), strict=True)] if objective else rows


# --- the public curves --------------------------------------------------------------------------------------


def _public(options: argparse.Namespace) -> tuple[dict[str, Any], list[str], Any]:
    """The published protocol on the public curves: its analysis, tables by size, and the figure."""
    # these take long to import, so only where they are used
    from cpt_dynamics.figures.kit.result import to_json
    from cpt_dynamics.figures.public_curves import analyse as public_curves
    from cpt_dynamics.figures.public_curves.laws import AUTHORS as AUTHORS_LAW

    folder, published = Path(options.public), options.published or public.PUBLISHED
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: `cpt-dynamics public-curves --to {folder}` fetches the public curves")
    nested = folder / public.FOLDER
    curves, schedules = public.combined(public.read_multi_power(nested if nested.is_dir() else folder, published))
    compared = public_curves.compared(curves, schedules, published)
    result = to_json(compared)
    lines = bullets(
        [
            f"public curves of {result['source']} ({result['repository']}, {result['revision']})",
            f"fitted: {', '.join(result['fitted_runs'])}; tested: {', '.join(result['test_runs'])}",
            f"lambda {result['lambda']:g}; in brackets how the warm-up counts",
            LEGEND,
        ]
    )
    for size, entry in result["sizes"].items():
        cells = []
        for law, found in entry["comparison"]["laws"].items():
            cells += _cells(law, found["mean"], number(found["objective"]))
        cells.append([AUTHORS_LAW, AUTHORS, *error_cells(entry["published"]["metrics"]), ""])
        lines += ["", f"{size}:", *table(HEAD, cells, left=2)]
        lines.append(f"objective of the annealing law smallest with {entry['annealing'].partition(' ')[2]}")
    if not options.plot:
        return result, [*lines, ""], None
    from cpt_dynamics.figures.public_curves.draw import drawn

    figure, _ = drawn(curves, schedules, compared)
    return result, [*lines, ""], figure
