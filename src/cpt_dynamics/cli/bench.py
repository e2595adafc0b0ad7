"""bench: training speed beside Hugging Face Trainer, and what sharing steps saves."""

import argparse
import json
import os

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.errors import UserError


def add_bench(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    training = what.add_parser("training", help="tokens per second beside Hugging Face Trainer, run in turn")
    add_config(training)
    training.add_argument("--model", help="a model of the configuration (default: the first)")
    training.add_argument("--steps", type=int, default=60, help="measured steps a round (default: 60)")
    training.add_argument("--rounds", type=int, default=5, help="rounds of each side (default: 5)")
    training.add_argument("--json", action="store_true", help="print JSON")
    sharing = what.add_parser("sharing", help="steps trained over steps without sharing, for all runs")
    add_config(sharing)
    sharing.add_argument("--json", action="store_true", help="print JSON")


def run_bench(options: argparse.Namespace) -> None:
    result = _training(options) if options.what == "training" else _sharing(options)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key}: {json.dumps(value)}")


def _training(options: argparse.Namespace) -> dict[str, object]:
    config = load_config(options)
    # Thread pools read this when they are first loaded.
    os.environ["OMP_NUM_THREADS"] = str(config.device.threads)
    from cpt_dynamics.training.benchmark import compare

    model = options.model or next(iter(config.models))
    if model not in config.models:
        raise UserError(f"there is no model {model!r}: the configuration has {', '.join(config.models)}")
    if options.steps < 1 or options.rounds < 1:
        raise UserError("--steps and --rounds must be at least 1")
    return compare(config, model, options.steps, options.rounds)


def _sharing(options: argparse.Namespace) -> dict[str, object]:
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
