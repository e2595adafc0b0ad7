"""plot: a figure from its curves and its analysis."""

import argparse

from cpt_dynamics import curves, plots
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout


def add_plot(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_plot(options: argparse.Namespace) -> None:
    config = load_config(options)
    layout, figure = Layout(config), options.figure
    schedules = curves.read_schedules(layout.schedules(figure))
    table = curves.read(layout.curves(figure), schedules)
    drawn, numbers = plots.draw(figure, table, schedules, read_json(layout.fit(figure)), config)
    plots.save(drawn, numbers, layout.figure(figure).parent, figure)
    print(f"{figure}: {layout.figure(figure)}")
