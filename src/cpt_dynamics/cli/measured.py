"""measured: keep finished branches in a folder that can be committed, or take them from there."""

import argparse
from pathlib import Path

from cpt_dynamics import experiments
from cpt_dynamics.cli.bundle import say_taken
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.slots import measured


def add_measured(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pack", action="store_true", help="copy losses and manifests of the branches done here")
    what.add_argument("--restore", action="store_true", help="take those of the folder as done (make the tokens first)")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="default: data/measured/<scale>")


def run_measured(options: argparse.Namespace) -> None:
    config = load_config(options)
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    folder = options.folder or Path("data/measured") / config.scale
    if options.restore:
        say_taken(measured.restore(folder, plan, config), plan, config, options.configfile)
        return
    new = measured.pack(folder, plan, config)
    steps = sum(plan.branches[name].steps for name in new)
    print(f"{folder}: {len(new)} branches more, {steps:,} steps")
