"""trial-runs: the curves of the runs that try what is recommended for one knob, trained or released."""

import argparse
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.curves.released import Release
from cpt_dynamics.curves.trials import KNOBS, Trials, curves_path, plan_path, schedules_path, trials
from cpt_dynamics.errors import UserError, importing
from cpt_dynamics.files import fitting, read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.results import is_finished


def add_trial_runs(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--knob", required=True, choices=KNOBS, help="whose recommended runs are trained")


def run_trial_runs(options: argparse.Namespace) -> None:
    config = load_config(options)
    wanted = trials(options.knob, experiments.load(config), config)
    table, schedules = (_released if config.curves == "released" else _trained)(wanted, config)
    path = curves_path(config, options.knob)
    curves.write_schedules(schedules_path(config, options.knob), schedules)
    curves.write(path, table)
    print(f"{options.knob}: {', '.join(run.name for run in wanted.runs)} in {path}")


def _trained(wanted: Trials, config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    needed = wanted.plan.needed(run.name for run in wanted.runs)
    # Those that the other runs share with these are done, and so may be all: they may have been trained elsewhere.
    left = [branch for branch in needed if not is_finished(branch, config)]
    if left:
        with importing():
            from cpt_dynamics.training import branch as training  # torch takes seconds

        training.train(left, wanted.plan, config)
    return assemble(wanted.runs, wanted.plan, Layout(config))


def _released(wanted: Trials, config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    release = Release.open(Layout(config).release)
    if not {run.name for run in wanted.runs} <= release.runs.keys():
        released = release.path("recommended.json")
        raise UserError(
            f"{wanted.knob}: the fits recommend {_values(plan_path(config), wanted.knob)}, but the runs of"
            f" {release.folder} tried {_values(released, wanted.knob)}: undo what changes the fits (such as the section"
            " `law`), or train what they recommend with `curves: trained`"
        )
    return release.curves(wanted.runs, wanted.plan, config)


class Value(BaseModel):
    value: float
    weight: float


class Values(BaseModel):
    recommendations: list[Value] = []


class Recommended(BaseModel):
    """What a file of recommendations states of values."""

    knobs: dict[str, Values]


def _values(plan: Path, knob: str) -> str:
    """The values that a file of recommendations states for a knob."""
    stated = fitting(Recommended, read_json(plan), plan).knobs.get(knob, Values())
    return ", ".join(f"{one.value:g} (w1 = {one.weight:g})" for one in stated.recommendations)
