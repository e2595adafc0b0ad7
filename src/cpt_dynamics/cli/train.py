"""train: one branch (the workflow's rule) or every branch of a plan in one process."""

import argparse

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.errors import UserError
from cpt_dynamics.training import branch


def add_train(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--branch", help="a branch as `cpt-dynamics plan` names it")
    what.add_argument("--plan", action="store_true", help="all branches that are not done yet, parents first")
    parser.add_argument("--figure", action="append", metavar="FIGURE", help="with --plan: only the runs of this figure")


def run_train(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    if options.plan:
        branches = plan.needed(all_runs.chosen(options.figure))
    elif options.branch in plan.branches:
        branches = [plan.branches[options.branch]]
    else:
        raise UserError(f"there is no branch {options.branch!r} in this configuration: see `cpt-dynamics plan`")
    branch.train(branches, plan, config, skip_done=options.plan)
