"""plot: a figure from its curves and its analysis."""

import argparse

from cpt_dynamics import claims, experiments, figures
from cpt_dynamics.claims import contrasts
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.result import read_result
from cpt_dynamics.figures.kit.saving import save


def add_plot(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("figure", help="a figure of experiments.yaml")


def run_plot(options: argparse.Namespace) -> None:
    config, figure = load_config(options), options.figure
    all_runs = experiments.load(config)
    all_runs.runs_of(figure)  # an unknown figure is said before files are looked for
    data = FigureData(figure, config, all_runs)
    result = read_result(data.layout.fit(figure), figures.result_type(figure))
    if figure == contrasts.FIGURE:  # the one figure that shows verdicts
        result = contrasts.decided(result, claims.load(), config.scale)
    drawn, numbers = figures.draw(data, result)
    save(drawn, numbers, data.layout.figure(figure).parent, figure)
    print(f"{figure}: {data.layout.figure(figure)}")
