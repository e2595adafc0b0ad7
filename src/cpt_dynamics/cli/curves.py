"""curves: the curve table and the schedules of a figure's runs."""

import argparse

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.layout import Layout


def add_curves(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_curves(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    layout = Layout(config)
    table, schedules = assemble([all_runs.runs[name] for name in all_runs.runs_of(options.figure)], plan, layout)
    curves.write_schedules(layout.schedules(options.figure), schedules)
    curves.write(layout.curves(options.figure), table)
    print(
        f"{options.figure}: {len(table):,} losses of {table['run'].nunique()} runs in {layout.curves(options.figure)}"
    )
