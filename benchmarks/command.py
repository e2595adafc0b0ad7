"""Options of `cpt-dynamics bench`, and its results as a table or JSON."""

import argparse
import contextlib
import json
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pandas as pd

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, check_positive, load_config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.estimates import scaled

if TYPE_CHECKING:
    from benchmarks.training import Work

WIDEST = 80  # characters of a name in a table; those of a GPU's kernels are longer
EXACT = 1e-9  # largest relative difference of the areas from their definition


def add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    training = what.add_parser("training", help="tokens per second beside Hugging Face Trainer, run in turn")
    _add_work(training, rounds=5)
    training.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="begin no round, but for the first, that would not end within M minutes (default: no limit)",
    )
    instead = training.add_mutually_exclusive_group()
    instead.add_argument("--variants", action="store_true", help="instead: what each technique of the kit gains here")
    instead.add_argument("--profile", action="store_true", help="instead: the operators that take most of a step")
    together = what.add_parser("together", help="tokens per second of several processes that train on one device")
    _add_work(together, rounds=1)
    together.add_argument(
        "--processes", default="1,2,4", metavar="N,N", help="how many at the same time (default: 1,2,4)"
    )
    sharing = what.add_parser("sharing", help="steps trained over steps without sharing, for all runs")
    add_config(sharing)
    reading = what.add_parser("reading", help="speed and memory of reading and tokenising generated text")
    reading.add_argument("--megabytes", type=float, default=100, help="size of the text (default: 100)")
    reading.add_argument("--vocabulary", type=int, default=8192, help="entries of the tokenizer (default: 8192)")
    reading.add_argument("--threads", type=int, default=1, help="threads of the tokenizer (default: 1)")
    fit = what.add_parser("fit", help="variable projection beside the paper's fitting procedure, run in turn")
    fit.add_argument("--role", choices=("general", "strong"), default="general", help="which Fig. 3 law to fit")
    fit.add_argument("--starts", type=int, default=200, help="starts of the paper's procedure (default: 200)")
    fit.add_argument("--curves", type=int, default=20, help="synthetic curves (default: 20)")
    fit.add_argument("--points", type=int, default=500, help="losses a curve (default: 500)")
    fit.add_argument("--rounds", type=int, default=5, help="rounds of variable projection (default: 5)")
    areas = what.add_parser("areas", help="time of the areas of a long schedule, and how exact they are")
    areas.add_argument("--steps", type=int, default=1_000_000, help="steps of the schedule (default: 1000000)")
    areas.add_argument("--rounds", type=int, default=9, help="rounds (default: 9)")
    calls = {training: _training, together: _together, sharing: _sharing, reading: _reading, fit: _fit, areas: _areas}
    for part, call in calls.items():
        part.add_argument("--json", action="store_true", help="print JSON")
        part.set_defaults(call=call)


def _add_work(parser: argparse.ArgumentParser, rounds: int) -> None:
    add_config(parser)
    parser.add_argument("--model", help="a model of the configuration (default: the first)")
    parser.add_argument("--steps", type=int, default=60, help="measured steps a round (default: 60)")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds of each side (default: {rounds})")


def run(options: argparse.Namespace) -> int:
    with contextlib.redirect_stdout(sys.stderr):  # for what libraries print
        result = options.call(options)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        _show(result)
    if not result.get("max_relative_difference", 0.0) <= EXACT:
        print(f"error: the areas differ from their definition by more than {EXACT:g}", file=sys.stderr)
        return 1
    return 0


def _show(result: dict[str, Any]) -> None:
    """A table of the sides that were measured in turn, and a line for everything else."""
    sides: dict[str, dict[str, Any]] = {}
    for key, value in result.items():
        if key in ("variants", "processes", "profile"):
            sides |= value
        elif isinstance(value, dict) and value.keys() & {"flops_per_second", "failed"}:
            sides[key] = value
        else:
            print(f"{key}: {json.dumps(value)}")
    for name in [name for name, side in sides.items() if "failed" in side]:
        print(f"{name} failed: {sides.pop(name)['failed']}")
    if sides:
        rows = [{_HEADS[key]: _cell(key, side[key]) for key in _HEADS if key in side} for side in sides.values()]
        print("\n" + pd.DataFrame(rows, index=[name[:WIDEST] for name in sides]).to_string())


_HEADS = {
    "tokens_per_second": "tokens/s",
    "each": "each",
    "ratio": "ratio",
    "flops_per_second": "FLOP/s",
    "utilisation": "utilisation",
    "peak_memory_bytes": "peak memory",
    "share": "share",
}


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    if key in ("utilisation", "share"):
        return f"{value:.1%}"
    if key in ("flops_per_second", "peak_memory_bytes"):
        return scaled(value) + ("B" if key == "peak_memory_bytes" else "")
    return f"{value:,}"


def _work(options: argparse.Namespace) -> "Work":
    """What `bench training` and `bench together` train."""
    config = load_config(options)
    # Thread pools read this when they are first loaded.
    os.environ["OMP_NUM_THREADS"] = str(config.device.threads)
    from benchmarks.training import Work

    model = options.model or next(iter(config.models))
    if model not in config.models:
        raise UserError(f"there is no model {model!r}: the configuration has {', '.join(config.models)}")
    check_positive(options, "steps", "rounds")
    return Work.of(config, model, options.steps)


def _training(options: argparse.Namespace) -> dict[str, Any]:
    check_positive(options, "minutes")
    until = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    work = _work(options)
    from benchmarks import together, training

    if options.profile:
        return training.profile(work)
    if not options.variants:
        return training.compare(work, options.rounds, until)
    first = {"first_step_seconds": together.first_steps(work)} if work.numerics.compile else {}
    return {**training.variants(work, options.rounds, until), **first}


def _together(options: argparse.Namespace) -> dict[str, Any]:
    counts = [int(word) if word.strip().isdigit() else 0 for word in options.processes.split(",")]
    if min(counts) < 1:
        raise UserError(f"--processes is {options.processes!r}: give numbers of processes, such as 1,2,4")
    work = _work(options)
    from benchmarks.together import together

    return together(work, counts, options.rounds)


def _sharing(options: argparse.Namespace) -> dict[str, Any]:
    config = load_config(options)
    runs = experiments.load(config).runs
    plan = experiments.plan(runs.values(), config)
    unshared = sum(run.steps for run in runs.values())
    return {
        "runs": len(runs),
        "branches": len(plan.branches),
        "steps_trained": plan.steps_trained,
        "steps_unshared": unshared,
        "ratio": round(plan.steps_trained / unshared, 3),
    }


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.reading import measure

    return measure(options.megabytes, options.vocabulary, options.threads, lambda line: print(line, file=sys.stderr))


def _fit(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.fits import compare_fits
    from cpt_dynamics.figures.kit import published

    printed = published.find("fig03", options.role).parameters
    truth = {name: value for name, value in printed.items() if value is not None}
    return compare_fits(truth, options.curves, options.points, options.starts, options.rounds)


def _areas(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.fits import time_areas

    return time_areas(options.steps, options.rounds)
