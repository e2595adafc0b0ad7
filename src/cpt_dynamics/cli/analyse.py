"""analyse: what a figure shows, in numbers."""

import argparse

from cpt_dynamics import curves, experiments
from cpt_dynamics.analysis.figures import analyse
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.layout import Layout


def add_analyse(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_analyse(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    layout, figure = Layout(config), options.figure
    all_runs.runs_of(figure)  # an unknown figure is said before files are looked for
    schedules = curves.read_schedules(layout.schedules(figure))
    table = curves.read(layout.curves(figure), schedules)
    fits = {name: read_json(layout.fit(name)) for name in all_runs.figures[figure].needs}
    write_json(layout.fit(figure), analyse(figure, table, schedules, config, all_runs, fits))
    print(f"{figure}: {layout.fit(figure)}")
