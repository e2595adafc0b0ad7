"""curves: the curve tables and the schedules of figures' runs."""

import argparse

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout


def add_curves(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", nargs="+", help="figures of experiments.yaml")


def run_curves(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    layout = Layout(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    release = Release.open(layout.release) if config.curves == "released" else None
    for figure in options.figure:
        runs = [all_runs.runs[name] for name in all_runs.runs_of(figure)]
        if not runs:
            raise UserError(f"{figure} is made without runs, so it has no curves")
        if release:
            table, schedules = release.curves(runs, config)
        else:
            table, schedules = assemble(runs, plan, layout)
        curves.write_schedules(layout.schedules(figure), schedules)
        curves.write(layout.curves(figure), table)
        print(f"{figure}: {len(table):,} losses of {table['run'].nunique()} runs in {layout.curves(figure)}")
