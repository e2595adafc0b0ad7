"""analyse: what a figure shows, in numbers."""

import argparse

from cpt_dynamics import experiments
from cpt_dynamics.analysis.figures import analyse
from cpt_dynamics.analysis.origin import origin
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.of_figure import of_figure
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
    table, schedules = of_figure(figure, all_runs, config)
    fits = {name: read_json(layout.fit(name)) for name in all_runs.figures[figure].needs}
    found = analyse(figure, table, schedules, config, all_runs, fits)
    write_json(layout.fit(figure), {**found, "made_from": origin(figure, table, schedules, config, all_runs)})
    print(f"{figure}: {layout.fit(figure)}")
