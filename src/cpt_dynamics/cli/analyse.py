"""analyse: what a figure shows, in numbers."""

import argparse

from cpt_dynamics import experiments, figures
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.origin import origin
from cpt_dynamics.figures.kit.result import to_json
from cpt_dynamics.files import write_json


def add_analyse(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_analyse(options: argparse.Namespace) -> None:
    config, figure = load_config(options), options.figure
    all_runs = experiments.load(config)
    all_runs.runs_of(figure)  # an unknown figure is said before files are looked for
    data = FigureData(figure, config, all_runs)
    made_from = origin(figure, data.curves, data.schedules, config, all_runs)
    result = figures.analyse(data).model_copy(update={"made_from": made_from})
    write_json(data.layout.fit(figure), to_json(result))
    print(f"{figure}: {data.layout.fit(figure)}")
