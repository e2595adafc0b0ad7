"""plot: a figure from its curves and its analysis."""

import argparse

from cpt_dynamics import experiments, plots
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.of_figure import of_figure
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout


def add_plot(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_plot(options: argparse.Namespace) -> None:
    config = load_config(options)
    layout, figure = Layout(config), options.figure
    all_runs = experiments.load(config)
    all_runs.runs_of(figure)  # an unknown figure is said before files are looked for
    table, schedules = of_figure(figure, all_runs, config)
    drawn, numbers = plots.draw(figure, table, schedules, read_json(layout.fit(figure)), config)
    plots.save(drawn, numbers, layout.figure(figure).parent, figure)
    print(f"{figure}: {layout.figure(figure)}")
