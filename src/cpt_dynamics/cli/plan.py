"""plan: what would be trained."""

import argparse
import json

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.layout import Layout


def add_plan(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--figure", action="append", metavar="FIGURE", help="only the runs of this figure (may be repeated)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_plan(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    names = all_runs.chosen(options.figure)
    branches = plan.needed(names)
    layout = Layout(config)
    totals = {
        "runs": len(names),
        "branches": len(branches),
        "steps": sum(branch.steps for branch in branches),
        "steps_unshared": sum(all_runs.runs[name].steps for name in names),
        "tokens": sum(branch.run.tokens(branch.last) - branch.run.tokens(branch.first) for branch in branches),
    }
    done = {branch.id for branch in branches if layout.branch(branch.id).exists()}
    if options.json:
        rows = [
            {
                "branch": branch.id,
                "from_step": branch.first,
                "to_step": branch.last,
                "parent": branch.parent,
                "forks": list(branch.forks),
                "done": branch.id in done,
            }
            for branch in branches
        ]
        print(json.dumps({**totals, "list": rows}, indent=1))
        return
    width = max(len(branch.id) for branch in branches)
    print(f"{'branch':{width}}  {'steps':>15}  starts from")
    for branch in branches:
        steps = f"{branch.first + 1}-{branch.last}"
        mark = "  (done)" if branch.id in done else ""
        print(f"{branch.id:{width}}  {steps:>15}  {branch.parent or 'scratch'}{mark}")
    print(
        f"{totals['runs']} runs, {totals['branches']} branches, {totals['steps']:,} steps to train instead of "
        f"{totals['steps_unshared']:,} ({totals['steps'] / totals['steps_unshared']:.2f}), "
        f"{totals['tokens'] / 1e6:.1f} million tokens"
    )
