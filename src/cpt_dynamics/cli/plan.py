"""plan: what would be trained."""

import argparse
import json

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.layout import Layout


def add_plan(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--figure", action="append", metavar="FIGURE", help="only the runs of this figure (may be repeated)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_plan(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    names = all_runs.chosen(options.figure)
    branches = plan.needed(names)
    layout = Layout(config)
    rows = [
        {
            "branch": b.id,
            "from_step": b.first,
            "to_step": b.last,
            "parent": b.parent,
            "forks": list(b.forks),
            "done": layout.branch(b.id).exists(),
        }
        for b in branches
    ]
    trained = sum(b.steps for b in branches)
    unshared = sum(all_runs.runs[name].steps for name in names)
    tokens = sum(b.run.tokens(b.last) - b.run.tokens(b.first) for b in branches)
    totals = {"runs": len(names), "branches": len(rows), "steps": trained, "steps_unshared": unshared, "tokens": tokens}
    if options.json:
        print(json.dumps({**totals, "list": rows}, indent=1))
        return
    width = max(len(r["branch"]) for r in rows)
    print(f"{'branch':{width}}  {'steps':>15}  starts from")
    for row in rows:
        steps = f"{row['from_step'] + 1}-{row['to_step']}"
        print(f"{row['branch']:{width}}  {steps:>15}  {row['parent'] or 'scratch'}{'  (done)' if row['done'] else ''}")
    print(
        f"{totals['runs']} runs, {len(rows)} branches, {trained:,} steps to train instead of {unshared:,} "
        f"({trained / unshared:.2f}), {tokens / 1e6:.1f} million tokens"
    )
