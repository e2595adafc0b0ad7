"""trial-plan: what the fitted laws recommend, as runs that can be trained."""

import argparse

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.of_figure import of_figure
from cpt_dynamics.curves.trials import FIGURE, plan_path
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.recommendations import recommend
from cpt_dynamics.files import write_json


def add_trial_plan(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_trial_plan(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    if FIGURE not in all_runs.figures:
        raise UserError(f"{config.stated_in}: there is no figure {FIGURE!r}: add one with its runs")
    table, schedules = of_figure(FIGURE, all_runs, config)
    plan = recommend(table, schedules, config, all_runs)
    path = plan_path(config)
    write_json(path, plan)
    for knob, found in plan["knobs"].items():
        values = ", ".join(f"{one['value']:g} (w1 = {one['weight']:g})" for one in found["recommendations"])
        print(f"{knob}: {values}")
    print(path)
