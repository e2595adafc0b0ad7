"""train: one branch (the workflow's rule) or every branch of a plan, in one process or several."""

import argparse
import sys
from pathlib import Path

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, check_positive, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError, importing
from cpt_dynamics.experiments import Branch, Experiments, Plan
from cpt_dynamics.slots.stages import grouped, with_ancestors
from cpt_dynamics.training import work, workers


def add_train(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--branch", help="a branch as `cpt-dynamics plan` names it")
    what.add_argument(
        "--plan", action="store_true", help="all branches that are not done yet, parents first; in a bundle, its work"
    )
    parser.add_argument("--figure", action="append", metavar="FIGURE", help="with --plan: only the runs of this figure")
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="with --plan: processes that each train one branch at a time (default: one a GPU; one on a CPU)",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help="with --plan: groups of runs as in config/campaign.yaml, trained in their order, trunk after trunk",
    )
    parser.add_argument("--group", action="append", metavar="NAME", help="with --groups: only the runs of this group")


def run_train(options: argparse.Namespace) -> int:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    if options.plan:
        check_positive(options, "processes")
        wanted = work.wanted(plan.branches)
        branches = [plan.branches[name] for name in _chosen(options, all_runs, plan) if name in wanted]
        return _train_plan(branches, plan, config, options.processes, in_order=options.groups is not None)
    if options.processes is not None:
        raise UserError("--processes goes with --plan: a branch is trained by device.processes processes")
    if options.branch not in plan.branches:
        raise UserError(f"there is no branch {options.branch!r} in this configuration: see `cpt-dynamics plan`")
    _train_here([plan.branches[options.branch]], plan, config, skip_done=False)
    return 0


def _chosen(options: argparse.Namespace, all_runs: Experiments, plan: Plan) -> list[str]:
    """Branches to train, parents before what starts from them."""
    if options.groups is None:
        if options.group:
            raise UserError("--group goes with --groups, the file that states the groups")
        return [branch.id for branch in plan.needed(all_runs.chosen(options.figure))]
    if options.figure:
        raise UserError("--figure and --groups both say what is trained: give one of them")
    groups = grouped(all_runs, plan, options.groups)
    if unknown := [name for name in options.group or [] if name not in groups]:
        raise UserError(f"{options.groups}: there is no group {unknown[0]!r}: choose one of {', '.join(groups)}")
    names = [name for group in options.group or groups for name in groups[group]]
    return list(dict.fromkeys(one for name in names for one in with_ancestors([name], plan)))


def _train_plan(
    branches: list[Branch], plan: Plan, config: Config, processes: int | None, in_order: bool = False
) -> int:
    if processes is not None and config.device.processes > 1:
        raise UserError("device.processes trains each branch in several processes already: leave out --processes")
    devices = workers.gpus(config) if config.device.processes == 1 else []
    if not devices and processes in (None, 1):
        _train_here(branches, plan, config, skip_done=True)
        return 0
    failures = workers.train(branches, plan, config, processes or len(devices), devices, in_order=in_order)
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    return 1 if failures else 0


def _train_here(branches: list[Branch], plan: Plan, config: Config, skip_done: bool) -> None:
    with importing():
        from cpt_dynamics.training import branch  # torch takes seconds, which the parent of workers can do without

    branch.train(branches, plan, config, skip_done=skip_done)
