"""plan: what would be trained, and what it would cost."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cpt_dynamics import experiments
from cpt_dynamics.cli import text
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import Branch, Plan, estimates
from cpt_dynamics.experiments.estimates import CorpusUse, Estimate, duration, scaled
from cpt_dynamics.layout import Layout


def add_plan(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--figure",
        action="append",
        metavar="FIGURE",
        help="only the runs of this figure and of the figures whose fits it needs (may be repeated)",
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
    costs = {branch.id: estimates.estimate(branch, config) for branch in branches}
    corpora = estimates.corpora([all_runs.runs[name] for name in names], config)
    if options.json:
        rows = [
            {
                "branch": branch.id,
                "from_step": branch.first,
                "to_step": branch.last,
                "parent": branch.parent,
                "forks": list(branch.forks),
                "done": branch.id in done,
                "estimate": asdict(costs[branch.id]),
            }
            for branch in branches
        ]
        more = {
            "estimate": asdict(estimates.total(costs.values())),
            "corpora": [{**asdict(use), "disk_bytes": use.disk_bytes} for use in corpora],
        }
        print(json.dumps({**totals, "list": rows, **more}, indent=1))
        return
    print("\n".join([*_branches(branches, plan, done, costs), "", *_corpora(corpora), *_totals(totals)]))
    print("\n".join(_cost(costs, done, corpora, config)))


def _branches(branches: Sequence[Branch], plan: Plan, done: set[str], costs: Mapping[str, Estimate]) -> list[str]:
    """A line for each branch: what it trains, the time of all its devices, and how many checkpoints it keeps."""
    head = ("branch", "steps", "starts from", "tokens", "FLOPs", "time", "saved", "disk", "")
    return text.table(
        head,
        [
            (
                branch.id,
                f"{branch.first + 1}-{branch.last}",
                plan.branches[branch.parent].run.name if branch.parent else "scratch",
                scaled(cost.tokens),
                f"{cost.flops:.1e}".replace("e+", "e"),
                duration(cost.device_hours),
                str(cost.checkpoints),
                f"{scaled(cost.disk_bytes)}B",
                "done" if branch.id in done else "",
            )
            for branch in branches
            for cost in [costs[branch.id]]
        ],
        left=3,
    )


def _corpora(corpora: Sequence[CorpusUse]) -> list[str]:
    """A line for each corpus whose text the configuration bounds; of others nothing is known before they are read."""
    rows = [
        (use.name, scaled(use.tokens), f"{scaled(use.text_bytes)}B", f"{use.epochs:.2f}", f"{scaled(use.disk_bytes)}B")
        for use in corpora
        if use.text_bytes is not None and use.epochs is not None
    ]
    return [*text.table(("corpus", "tokens of one run", "text", "epochs", "disk"), rows), ""] if rows else []


def _totals(totals: Mapping[str, Any]) -> list[str]:
    return [
        f"{totals['runs']} runs, {totals['branches']} branches, {totals['steps']:,} steps to train instead of "
        f"{totals['steps_unshared']:,} ({totals['steps'] / (totals['steps_unshared'] or 1):.2f}), "
        f"{scaled(totals['tokens'])} tokens"
    ]


def _cost(costs: Mapping[str, Estimate], done: set[str], corpora: Sequence[CorpusUse], config: Config) -> list[str]:
    """What training would take, on how many devices at what speed, and the room on disk."""
    total, speed = estimates.total(costs.values()), config.estimates.teraflops
    left = estimates.total(cost for branch, cost in costs.items() if branch not in done)
    processes = config.device.processes
    each = f"{processes} devices a branch at {speed:g} Tflop/s each" if processes > 1 else f"at {speed:g} Tflop/s"
    longest = max((cost.minutes for cost in costs.values()), default=0.0)
    lines = [
        f"estimate: {total.flops:.1e} FLOPs, {duration(total.device_hours)} of device time ({each}), "
        f"longest branch {duration(longest / 60)}",
        f"disk: {total.checkpoints:,} checkpoints of at most {scaled(total.checkpoint_bytes)}B, "
        f"{scaled(total.disk_bytes)}B in all; {_text_on_disk(corpora)}",
        f"memory of a device: {scaled(total.memory_bytes)}B for weights, gradients and moments of the largest model, "
        "activations besides",
    ]
    if done:
        lines.append(f"done: {len(done)} branches; {duration(left.device_hours)} of device time are left")
    return lines


def _text_on_disk(corpora: Sequence[CorpusUse]) -> str:
    known = sum(use.disk_bytes for use in corpora)
    if not known:
        return "how much text there is shows when it is read"
    rest = ", without corpora of no stated size" if any(use.text_bytes is None for use in corpora) else ""
    return f"text and tokens {scaled(known)}B{rest}"
